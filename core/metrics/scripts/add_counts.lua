-- Adds a batch of counts to the total, to the slots of the timeline and to the month, once.
-- A batch whose answer was lost is sent again: the mark makes the second time a no-op. Hashes stay consistent with each
-- other because a script is applied whole. A value that cannot be unpacked is replaced: better than failing for ever.
-- The field `|`, of neither namespace nor model, holds the events.
-- KEYS: the sender's mark, the time when months began to be counted, the month, the total, the slots.
-- ARGV: the batch's number, its time, TTL of the mark, most fields in a hash, the field for what is more, TTL of the
--   month, number of slots, their TTLs, then triples of field, packed counts and packed counts of the month.
-- Reply: 1, or 0 when the batch was there already.

local mark = redis.call('GET', KEYS[1])
if mark and tonumber(mark) >= tonumber(ARGV[1]) then return 0 end

local function add_to(key, field, packed, delta)
  local old = redis.call('HGET', key, field)
  if not old and field ~= '|' and redis.call('HLEN', key) >= tonumber(ARGV[4]) then
    field = ARGV[5]
    old = redis.call('HGET', key, field)
  end
  local ok, sums = false, nil
  if old then ok, sums = pcall(cmsgpack.unpack, old) end
  if ok and type(sums) == 'table' then
    for name, amount in pairs(delta) do sums[name] = (sums[name] or 0) + amount end
    redis.call('HSET', key, field, cmsgpack.pack(sums))
  else
    redis.call('HSET', key, field, packed)
  end
end

local slots = tonumber(ARGV[7])
for a = 8 + slots, #ARGV, 3 do
  local delta = cmsgpack.unpack(ARGV[a + 1])
  for k = 4, #KEYS do add_to(KEYS[k], ARGV[a], ARGV[a + 1], delta) end
  local of_month = cmsgpack.unpack(ARGV[a + 2])
  if next(of_month) then add_to(KEYS[3], ARGV[a], ARGV[a + 2], of_month) end
end
for s = 1, slots do redis.call('EXPIRE', KEYS[4 + s], ARGV[7 + s]) end
redis.call('EXPIRE', KEYS[3], ARGV[6])
redis.call('SET', KEYS[2], ARGV[2], 'NX')
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
