-- One step of a pass over a slot: names of the values that an invalidation may select.
-- It leaves out what no filter selects, judged by the bytes that Python would look at; in doubt it leaves nothing out.
-- A pass is faster when most of what is there is not fetched. Deleting here would not be: memory that is given back in
-- the order of the names, which is none, costs three times as much as in the order it was taken.
-- KEYS: record.
-- ARGV: prefix of entries' names, length of a name, cursor, how many names to look at, incarnation; then of each filter
--   its sequence and, each empty when it does not matter, the time before which a value was created, namespace and model
--   as they stand in a value (see codec.names_bytes), groups of substrings (groups by tabs, substrings by line feeds;
--   see core.bans.prefilter), the digest of an entry as digits and as bytes, and the flags a value must have.
-- Reply: next cursor, number of entries left out, names.
-- Constants: ROW_DIGITS, STAMP_OFFSET, STAMP_BYTES, CREATED_OFFSET, LENGTHS_OFFSET, TEXT_BYTES, ASCII_FOLDING,
--   FOLDING_LOWEST, FOLDING_HIGHEST.

local call, pcall, sub, number, byte, band = redis.call, redis.pcall, string.sub, struct.unpack, string.byte, bit.band
local find, lower, gmatch = string.find, string.lower, string.gmatch
local length, incarnation = tonumber(ARGV[2]), ARGV[5]

-- Where the parts of a value begin, counted from 1.
local stamp_at, stamp_end = STAMP_OFFSET + 1, STAMP_OFFSET + STAMP_BYTES
local created_at = CREATED_OFFSET + 1

-- The last byte that is fetched of a value, counted from 0, and the fewest bytes that can be judged.
local last, least = CREATED_OFFSET + 7, CREATED_OFFSET + 8
local filters = {}
for i = 6, #ARGV, 7 do
  local names, groups = ARGV[i + 2], nil
  if names ~= '' then last, least = math.max(last, LENGTHS_OFFSET - 1 + #names), LENGTHS_OFFSET end
  for line in gmatch(ARGV[i + 3], '[^\t]+') do
    groups = groups or {}
    local group = {}
    for substring in gmatch(line, '[^\n]+') do group[#group + 1] = substring end
    groups[#groups + 1] = group
  end
  if groups or ARGV[i + 4] ~= '' then last, least = math.max(last, TEXT_BYTES - 1), LENGTHS_OFFSET end
  filters[#filters + 1] = {
    sequence = tonumber(ARGV[i]), cutoff = tonumber(ARGV[i + 1]), names = names ~= '' and names, groups = groups,
    digits = ARGV[i + 4] ~= '' and ARGV[i + 4], digest = ARGV[i + 5],
    flags = ARGV[i + 6] ~= '0' and tonumber(ARGV[i + 6]),
  }
end
last = tostring(last)

local function may_be(head, name, filter)
  if sub(name, -ROW_DIGITS) == filter.digits then return true end
  if byte(head, 2) % 4 < 2 then return false end
  local at = end_of_names(head)
  if not at or at + 31 > #head then return true end
  return sub(head, at, at + 31) == filter.digest
end

-- The prompt, as far as it can be read from a value's beginning.
local function prompt_of(head)
  local flags = byte(head, 2)
  if flags % 2 == 1 then return nil end -- compressed
  local _, end_of_tags = tags_of(head)
  if not end_of_tags then return nil end
  local at = end_of_tags + 1
  -- The payload is an array that begins with the prompt: msgpack's fixarray, then its fixstr, str 8 or str 16.
  local array, kind, high, low = byte(head, at, at + 3)
  if not low or array < 144 or array > 159 then return nil end
  local from, to
  if kind >= 160 and kind <= 191 then
    from, to = at + 2, at + 1 + kind - 160
  elseif kind == 217 then
    from, to = at + 3, at + 2 + high
  elseif kind == 218 then
    from, to = at + 4, at + 3 + 256 * high + low
  else
    return nil
  end
  return to <= #head and sub(head, from, to) or nil
end

-- All of a text has no character that becomes ASCII, judged by the bytes that those begin with.
local unfolded = '^[^' .. FOLDING_LOWEST .. '-' .. FOLDING_HIGHEST .. ']*$'

local function may_have(head, groups)
  local text = prompt_of(head)
  if not text then return true end
  local folded = lower(text)
  for _, group in ipairs(groups) do
    local has_all = true
    for _, substring in ipairs(group) do
      if not find(folded, substring, 1, true) then
        has_all = false
        break
      end
    end
    if has_all then return true end
  end
  if not find(text, unfolded) then
    for _, character in ipairs(ASCII_FOLDING) do
      if find(text, character, 1, true) then return true end
    end
  end
  return false
end

-- The filters that may select what has a stamp, of which there are few different ones; nil for another incarnation's.
local by_stamp = {}
local function later_than(stamp)
  local later = by_stamp[stamp]
  if later or sub(stamp, 1, 16) ~= incarnation then return later end
  later = {}
  local sequence = number('>I8', stamp, 17)
  for _, filter in ipairs(filters) do
    if sequence < filter.sequence then later[#later + 1] = filter end
  end
  by_stamp[stamp] = later
  return later
end

local function is_suspect(head, name)
  if type(head) ~= 'string' or #head < least then return true end
  local later = later_than(sub(head, stamp_at, stamp_end))
  if not later then return true end
  for i = 1, #later do
    local filter = later[i]
    local names, cutoff, groups, flags = filter.names, filter.cutoff, filter.groups, filter.flags
    if
      not (flags and band(byte(head, 2), flags) ~= flags)
      and not (names and sub(head, lengths_at, LENGTHS_OFFSET + #names) ~= names)
      and not (cutoff and number('>d', head, created_at) >= cutoff)
      and not (filter.digits and not may_be(head, name, filter))
      and not (groups and not may_have(head, groups))
    then
      return true
    end
  end
  return false
end

local page = call('SCAN', ARGV[3], 'MATCH', ARGV[1] .. '*', 'COUNT', ARGV[4])
local suspects, others = {}, 0
for _, name in ipairs(page[2]) do
  if #name == length then
    local head = pcall('GETRANGE', name, '0', last)
    if is_suspect(head, name) then
      suspects[#suspects + 1] = name
    elseif byte(head, 2) % 4 < 2 then
      others = others + 1
    end
  end
end
return {page[1], others, suspects}
