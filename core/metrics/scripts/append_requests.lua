-- Appends records to the request log. One command costs the sending process a seventh of a pipeline.
-- KEYS: the log.
-- ARGV: rows to keep, TTL, the packed records.
-- Reply: none.

for i = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'r', ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
