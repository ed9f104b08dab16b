-- Deletes entries that a model's index lists, with their aliases, if they were stored before a stamp.
-- The values it compares are named by rows, so their keys cannot be declared; they have the index's hash tag.
-- Freed bytes are those of every nth row's values, n times: asking for the length of each would take a third longer.
-- struct.unpack gives doubles: sequences are exact below 2^53, and beyond it rounding can only keep an entry.
-- KEYS: the model's index.
-- ARGV: prefix of entries' names, incarnation, sequence, highest score, rows to pass over, rows to look at, and the
--   time before which a value was created or empty.
-- Reply: rows seen, rows dropped, entries, aliases and bytes deleted.
-- Constants: ROW_DIGITS, STAMP_OFFSET, STAMP_BYTES, CREATED_OFFSET.

local call, pcall, sub, number = redis.call, redis.pcall, string.sub, struct.unpack
local index, prefix, incarnation, sequence = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local skipped, cutoff = tonumber(ARGV[5]), tonumber(ARGV[7])
local first = tostring(STAMP_OFFSET)
local last = tostring(cutoff and CREATED_OFFSET + 7 or STAMP_OFFSET + STAMP_BYTES - 1)
local created_at = CREATED_OFFSET - STAMP_OFFSET + 1
local rows = call('ZRANGEBYSCORE', index, '-inf', ARGV[4], 'LIMIT', ARGV[5], ARGV[6])
local step = math.ceil(#rows / 25)
local names, gone, older = {}, {}, nil
local entries, aliases, freed, measured = 0, 0, 0, 0
local function is_selected(head)
  if type(head) ~= 'string' then return false end -- an error: something else is at this name
  local stamp = cutoff and sub(head, 1, STAMP_BYTES) or head
  if stamp ~= older then
    if sub(stamp, 1, 16) ~= incarnation or number('>I8', stamp, 17) >= sequence then return false end
    older = stamp
  end
  return not cutoff or number('>d', head, created_at) < cutoff
end
for i, row in ipairs(rows) do
  local is_gone = true
  local is_measured = i % step == 0
  for at = 1, #row, ROW_DIGITS do
    local name = prefix .. sub(row, at, at + ROW_DIGITS - 1)
    local head = pcall('GETRANGE', name, first, last)
    if head ~= '' then
      if is_selected(head) then
        names[#names + 1] = name
        if at == 1 then entries = entries + 1 else aliases = aliases + 1 end
        if is_measured then freed = freed + call('STRLEN', name) end
      elseif at == 1 then
        is_gone = false
      end
    end
  end
  if is_measured then measured = measured + 1 end
  if is_gone then gone[#gone + 1] = row end
end
if #names > 0 then call('UNLINK', unpack(names)) end
if #gone == #rows and #rows > 0 then
  call('ZREMRANGEBYRANK', index, skipped, skipped + #rows - 1)
elseif #gone > 0 then
  call('ZREM', index, unpack(gone))
end
if measured > 0 then freed = math.floor(freed * #rows / measured) end
return {#rows, #gone, entries, aliases, freed}
