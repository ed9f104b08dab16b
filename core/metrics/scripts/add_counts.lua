-- Adds a batch of counts to the total and to the slots of the timeline, once.
-- A batch whose answer was lost is sent again: the mark makes the second time a no-op. Hashes stay consistent with each
-- other because a script is applied whole. A value that cannot be unpacked is replaced: better than failing for ever.
-- The field `|`, of neither namespace nor model, holds the events.
-- KEYS: the sender's mark, the total, the slots.
-- ARGV: the batch's number, TTL of the mark, most fields in a hash, the field for what is more, number of slots, their
--   TTLs, then pairs of field and packed counts.
-- Reply: 1, or 0 when the batch was there already.

local mark = redis.call('GET', KEYS[1])
if mark and tonumber(mark) >= tonumber(ARGV[1]) then return 0 end
local slots = tonumber(ARGV[5])
for a = 6 + slots, #ARGV, 2 do
  local delta = cmsgpack.unpack(ARGV[a + 1])
  for k = 2, #KEYS do
    local field = ARGV[a]
    local old = redis.call('HGET', KEYS[k], field)
    if not old and field ~= '|' and redis.call('HLEN', KEYS[k]) >= tonumber(ARGV[3]) then
      field = ARGV[4]
      old = redis.call('HGET', KEYS[k], field)
    end
    local ok, sums = false, nil
    if old then ok, sums = pcall(cmsgpack.unpack, old) end
    if ok and type(sums) == 'table' then
      for name, amount in pairs(delta) do sums[name] = (sums[name] or 0) + amount end
      redis.call('HSET', KEYS[k], field, cmsgpack.pack(sums))
    else
      redis.call('HSET', KEYS[k], field, ARGV[a + 1])
    end
  end
end
for s = 1, slots do redis.call('EXPIRE', KEYS[2 + s], ARGV[5 + s]) end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
