-- Removes a row if it is still the one that expires then, and announces it to all readers.
-- KEYS: rows, stream.
-- ARGV: key of the row, version and expiry as its value begins, the announcement, events to keep, TTL of the stream.
-- Reply: 1, or 0 when the row is gone or was stored anew.

local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored or string.sub(stored, 1, 9) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
