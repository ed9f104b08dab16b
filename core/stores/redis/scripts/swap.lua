-- Replaces the record by compare-and-swap. It deletes first, as append.lua does and for the same reason.
-- KEYS: record, a name that never exists.
-- ARGV: the record as read, the new record.
-- Reply: 1, or 0 when it is another.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
return 1
