-- The record of a bucket, made if there is none that can be read. What a lost one has left beside it goes.
-- KEYS: record, bans, changes, due.
-- ARGV: a new record.
-- Reply: the record.

local line = call('GET', KEYS[1])
if parsed(line) then return line end
call('SET', KEYS[1], ARGV[1])
call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
return ARGV[1]
