-- Appends a record to the audit log, or to the machines' log, and cuts off what is too old or too much there.
-- A script that has trimmed may write even when the server is out of memory: an invalidation made then is on record too.
-- KEYS: the log, the machines' log and, for a record of an invalidation, its trail: the ids of its records in the log.
-- ARGV: the oldest millisecond to keep in either log, milliseconds that the log keeps, whether a machine did it at its
-- rate ('1' or '0'), how many records the machines' log keeps, then field and value of each.
-- Reply: the id of the record.

local oldest, oldest_of_machines, keep_ms, is_machines, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local trail = KEYS[3]

-- What a machine does to an invalidation of a person's stands with the rest of it.
if is_machines and not (trail and redis.call('EXISTS', trail) == 1) then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', oldest_of_machines)
  return redis.call('XADD', KEYS[2], 'MAXLEN', '~', most, '*', unpack(ARGV, 6))
end

redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest)
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 6))
if trail then
  redis.call('RPUSH', trail, id)
  redis.call('PEXPIRE', trail, keep_ms)
end
return id
