-- Sets or takes away bans, if all of them are still what was seen.
-- It deletes first, as append.lua does and for the same reason.
-- KEYS: record, bans, changes, due, a name that never exists.
-- ARGV: floor at least, mark of the change, '1' if those who look up entries must know, then for each ban its id, what
--   was seen, what it is from now on or empty (gone), when that ends, and '1' if it is listed.
-- Reply: {'changed'}, {'differs'} when one of the bans is another, or {'no-record'}.

local record = parsed(call('GET', KEYS[1]))
if not record then return {'no-record'} end
for at = 4, #ARGV, 5 do
  if call('HGET', KEYS[2], ARGV[at]) ~= ARGV[at + 1] then return {'differs'} end
end
call('UNLINK', KEYS[5])
local changed = {}
for at = 4, #ARGV, 5 do
  local id, ban = ARGV[at], ARGV[at + 2]
  changed[#changed + 1], changed[#changed + 2] = id, ban
  if ban == '' then
    call('HDEL', KEYS[2], id)
    call('ZREM', KEYS[4], id)
    record.active, record.listed = record.active - 1, record.listed - (ARGV[at + 4] == '1' and 1 or 0)
  else
    call('HSET', KEYS[2], id, ban)
    call('ZADD', KEYS[4], ARGV[at + 3], id)
  end
end
if record.floor < ARGV[1] then record.floor = ARGV[1] end
if ARGV[3] == '1' then note(record, KEYS[3], ARGV[2], '', changed) end
call('SET', KEYS[1], line_of(record))
return {'changed'}
