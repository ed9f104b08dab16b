-- Appends a record to the audit log and cuts off what is too old.
-- A script that has trimmed may write even when the server is out of memory: an invalidation made then is on record too.
-- KEYS: the log.
-- ARGV: the oldest millisecond to keep, then field and value of each.
-- Reply: the id of the record.

redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
