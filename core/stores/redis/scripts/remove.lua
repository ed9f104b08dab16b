-- Deletes entries and aliases that still carry the stamp that was read, with the index rows of the entries.
-- Rows are found by their score: what follows the entry in a row is not known here.
-- KEYS: the model's index, then entries and aliases.
-- ARGV: for each its stamp, and its creation time or empty for an alias.
-- Reply: entries, aliases and bytes deleted.
-- Constants: ROW_DIGITS, STAMP_OFFSET, STAMP_BYTES.

local call, sub = redis.call, string.sub
local first, last = tostring(STAMP_OFFSET), tostring(STAMP_OFFSET + STAMP_BYTES - 1)
local entries, aliases, freed = 0, 0, 0
for i = 2, #KEYS do
  local name, created = KEYS[i], ARGV[2 * i - 2]
  if redis.pcall('GETRANGE', name, first, last) == ARGV[2 * i - 3] then
    freed = freed + call('STRLEN', name)
    call('UNLINK', name)
    if created == '' then
      aliases = aliases + 1
    else
      entries = entries + 1
      local digits = sub(name, -ROW_DIGITS)
      for _, row in ipairs(call('ZRANGEBYSCORE', KEYS[1], created, created, 'LIMIT', '0', '50')) do
        if sub(row, 1, ROW_DIGITS) == digits then call('ZREM', KEYS[1], row) end
      end
    end
  end
end
return {entries, aliases, freed}
