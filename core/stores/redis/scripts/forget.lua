-- Deletes the record of a bucket, its bans and its lists of models and of what lies aside, if the record is still as it was seen.
-- KEYS: record, models, bans, changes, due, what lies aside.
-- ARGV: the record as it was seen.
-- Reply: 1, or 0 when it has changed or is gone.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', unpack(KEYS))
return 1
