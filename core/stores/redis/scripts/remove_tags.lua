-- Deletes what the indexes of tags list, if it has the tag and was stored before the sequence that is given with it.
-- The values it compares are named by rows, so their keys cannot be declared; they have the indexes' hash tag. So have
-- the models' indexes, whose rows of entries are found by their score. Freed bytes are those of one value in eight, eight
-- times.
-- struct.unpack gives doubles: sequences are exact below 2^53, and beyond it rounding can only keep an entry.
-- KEYS: indexes of tags.
-- ARGV: prefix of entries' names, incarnation, rows to look at, then of each index its tag and the sequence, then models
--   and their indexes.
-- Reply: indexes that are done with, entries, aliases and bytes deleted.
-- Constants: ROW_DIGITS, STAMP_OFFSET, CREATED_OFFSET, HEADER_BYTES.

local call, sub, number, byte = redis.call, string.sub, struct.unpack, string.byte
local prefix, incarnation, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local stamp_at, last = STAMP_OFFSET + 1, tostring(HEADER_BYTES - 1)
local done, entries, aliases, freed = 0, 0, 0, 0
local models = {}
for i = 2 * #KEYS + 4, #ARGV, 2 do models[ARGV[i]] = ARGV[i + 1] end

-- In doubt not: the pass that follows reads all of it.
local function has_tag(head, tag)
  local from, to, is_tagged = tags_of(head)
  if not is_tagged or to > #head then return false end
  local is_read, tags = pcall(cmsgpack.unpack, sub(head, from, to))
  if not is_read or type(tags) ~= 'table' then return false end
  for _, each in ipairs(tags) do
    if each == tag then return true end
  end
  return false
end

local function leave_model(head, digits)
  local index = models[sub(head, names_at + byte(head, lengths_at), end_of_names(head) - 1)]
  if not index then return end
  local created = string.format('%.17g', number('>d', head, CREATED_OFFSET + 1))
  for _, row in ipairs(call('ZRANGEBYSCORE', index, created, created, 'LIMIT', '0', '50')) do
    if sub(row, 1, ROW_DIGITS) == digits then call('ZREM', index, row) end
  end
end

for i, index in ipairs(KEYS) do
  local tag, sequence = ARGV[2 * i + 2], tonumber(ARGV[2 * i + 3])
  local rows = redis.pcall('ZRANGE', index, 0, left - 1)
  if rows.err then rows = {} end -- something else is at this name
  local names, gone = {}, {}
  for _, row in ipairs(rows) do
    local name = prefix .. row
    local head = redis.pcall('GETRANGE', name, '0', last)
    if head == '' then
      gone[#gone + 1] = row
    elseif
      type(head) == 'string'
      and sub(head, stamp_at, stamp_at + 15) == incarnation
      and number('>I8', head, stamp_at + 16) < sequence
      and has_tag(head, tag)
    then
      if (entries + aliases) % 8 == 0 then freed = freed + 8 * call('STRLEN', name) end
      if byte(head, 2) % 4 < 2 then
        entries = entries + 1
        leave_model(head, row)
      else
        aliases = aliases + 1
      end
      names[#names + 1] = name
      gone[#gone + 1] = row
    end
  end
  if #names > 0 then call('UNLINK', unpack(names)) end
  if #gone > 0 then call('ZREM', index, unpack(gone)) end
  local may_be_more = #rows == left and #gone > 0
  left = left - #rows - 1
  if may_be_more then break end
  done = i
  if left <= 0 then break end
end
return {done, entries, aliases, freed}
