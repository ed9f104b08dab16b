-- Appends a ban, with the next sequence, and deletes one entry in the same step.
-- A script that has deleted may write even when the server is out of memory, on 6.2 and later alike: hence the UNLINK
-- first, of a name that never exists when there is nothing to delete. An invalidation must not fail when memory is full.
-- KEYS: record, bans, changes, due, entry to delete.
-- ARGV: a new record for a bucket that has none, mark of the change, id, the ban without its sequence, microseconds,
--   when it ends, short digests of its names or '*' (listed), and how many bans and listed ones there may be.
-- Reply: {'appended', record, sequence}, {'known', record, ban} when the id is there already, or {'full', record}.

local line = call('GET', KEYS[1])
local record = parsed(line)
local listed = ARGV[7] == '*' and 1 or 0
if record then
  local known = call('HGET', KEYS[2], ARGV[3])
  if known then return {'known', line, known} end
  if tonumber(record.active) >= tonumber(ARGV[8]) then return {'full', line} end
  if listed == 1 and tonumber(record.listed) >= tonumber(ARGV[9]) then return {'full', line} end
  call('UNLINK', KEYS[5])
else
  record = parsed(ARGV[1])
  call('UNLINK', KEYS[5], KEYS[2], KEYS[3], KEYS[4])
end
record.sequence = format('%020.0f', math.max(tonumber(record.sequence) + 1, tonumber(ARGV[5])))
record.active, record.listed = record.active + 1, record.listed + listed
local ban = record.sequence .. ARGV[4]
note(record, KEYS[3], ARGV[2], ARGV[7], {ARGV[3], ban})
call('HSET', KEYS[2], ARGV[3], ban)
call('ZADD', KEYS[4], ARGV[6], ARGV[3])
line = line_of(record)
call('SET', KEYS[1], line)
return {'appended', line, record.sequence}
