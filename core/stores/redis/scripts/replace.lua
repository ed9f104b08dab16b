-- Replaces a value if it is still the one that was read and the record has not changed.
-- KEYS: record, entry, each tag's index.
-- ARGV: incarnation (hex), sequence (20 digits), value as read, new value, TTL in ms, the time by which its rows are
--   gone and the time now (ms).
-- Reply: 1, or 0 when nothing was written.

local record = redis.call('GET', KEYS[1])
if not record or string.sub(record, 1, 32) ~= ARGV[1] or string.sub(record, 34, 53) ~= ARGV[2] then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
list_tags(3, ARGV[6], ARGV[7], ARGV[5], KEYS[2])
return 1
