-- Prolongs leases, and takes again those that have lapsed. A full server takes none again: that lease is lost.
-- KEYS: leases.
-- ARGV: TTL in ms, then the token of each lease.
-- Reply: for each 1 if it is held, 0 if another caller holds it or it was lost.

local kept = {}
for i, name in ipairs(KEYS) do
  local token = ARGV[i + 1]
  local holder = redis.call('GET', name)
  if holder == token then
    kept[i] = redis.call('PEXPIRE', name, ARGV[1])
  elseif holder then
    kept[i] = 0
  else
    kept[i] = redis.pcall('SET', name, token, 'PX', ARGV[1]).ok and 1 or 0
  end
end
return kept
