-- Drops index rows whose entries are gone.
-- KEYS: the model's index.
-- ARGV: prefix of entries' names, rows to pass over, rows to look at.
-- Reply: rows seen, rows dropped.
-- Constants: ROW_DIGITS.

local rows = redis.call('ZRANGE', KEYS[1], ARGV[2], tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1)
local gone = {}
for _, row in ipairs(rows) do
  if redis.call('EXISTS', ARGV[1] .. string.sub(row, 1, ROW_DIGITS)) == 0 then gone[#gone + 1] = row end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return {#rows, #gone}
