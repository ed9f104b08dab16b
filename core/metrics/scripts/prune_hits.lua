-- Forgets the hits of answers that are gone.
-- KEYS: totals, times, then entries.
-- ARGV: the digest of each entry.
-- Reply: how many were forgotten.

local dropped = 0
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    dropped = dropped + redis.call('ZREM', KEYS[1], ARGV[i - 2])
    redis.call('ZREM', KEYS[2], ARGV[i - 2])
  end
end
return dropped
