-- Deletes a job's record and its places, unless its state says that it is somewhere and it is.
-- KEYS: the record, the queue, what workers are taking from it, the registries of jobs that run, wait for their time,
--   finished, failed and were cancelled, and what else is kept of the job.
-- ARGV: its id, the time, and the states in which it stays if it is where such a job is: after a crash or a lost queue a
--   record may be all that is left.
-- Reply: 1, or 0 when it stays.

local id, now = ARGV[1], ARGV[2]
local status = redis.call('HGET', KEYS[1], 'status')
local function is_somewhere()
  if redis.call('LPOS', KEYS[2], id) or redis.call('LPOS', KEYS[3], id) or redis.call('ZSCORE', KEYS[5], id) then
    return true
  end
  for _, execution in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], now, '+inf')) do
    if string.sub(execution, 1, #id + 1) == id .. ':' then return true end
  end
end
for i = 3, #ARGV do
  if ARGV[i] == status and is_somewhere() then return 0 end
end
redis.call('LREM', KEYS[2], 0, id)
for i = 5, 8 do redis.call('ZREM', KEYS[i], id) end
redis.call('DEL', KEYS[1], unpack(KEYS, 9))
return 1
