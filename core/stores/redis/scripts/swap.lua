-- Replaces the record by compare-and-swap, and deletes one entry in the same step.
-- A script that has deleted may write even when the server is out of memory, on 6.2 and later alike: hence the UNLINK
-- first, of a name that never exists when there is nothing to delete. An invalidation must not fail when memory is full.
-- KEYS: record, entry to delete.
-- ARGV: the record as read (empty: none), the new record.
-- Reply: {1}, or {0, the record as it is now}.

local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {0, current} end
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
return {1}
