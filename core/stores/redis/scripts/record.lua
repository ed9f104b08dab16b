-- The record's line, taken apart and put together by the scripts that change it (see core.bans.record).
-- This stands in front of those scripts. Sequence, floor and revision are compared as text; where they are counted they
-- are below 2^53.
-- KEYS: given by the script.
-- ARGV: given by the script.
-- Reply: none.
-- Constants: LOGGED, the least number of changes that the log keeps.

local call, format, match, rep = redis.call, string.format, string.match, string.rep
local LINE = '^(' .. rep('%x', 32) .. ') (' .. rep('%d', 20) .. ') (' .. rep('%d', 20) .. ') (' .. rep('%d', 20)
  .. ') (' .. rep('%x', 8) .. ') (%d+) (%d+)( ?[%d ]*)$'

local function parsed(line)
  local record = {}
  record.incarnation, record.sequence, record.floor, record.revision, record.mark, record.active, record.listed,
    record.grant = match(line or '', LINE)
  return record.incarnation and record
end

local function line_of(record)
  return format('%s %s %s %s %s %d %d%s', record.incarnation, record.sequence, record.floor, record.revision,
    record.mark, record.active, record.listed, record.grant)
end

-- Notes one change in the log: by a field without a name its mark, the sequence it led to and the names of what is
-- appended; then, by their ids, the bans.
-- A log that cannot be continued is begun anew: whoever needs what is gone loads all bans.
local function note(record, changes, mark, names, bans)
  local revision = tonumber(record.revision) + 1
  record.revision, record.mark = format('%020.0f', revision), mark
  local id = format('%.0f-0', revision)
  local fields = {'', mark .. record.sequence .. names}
  for _, field in ipairs(bans) do fields[#fields + 1] = field end
  local reply = redis.pcall('XADD', changes, 'MAXLEN', '~', LOGGED, id, unpack(fields))
  if type(reply) == 'table' and reply.err then
    call('UNLINK', changes)
    call('XADD', changes, id, unpack(fields))
  end
end
