-- Stores an entry, its alias and its index rows, if no ban that came since the caller looked may be of the entry.
-- What came since is in the log of changes; a short digest that two names share costs no more than a needless look.
-- The record's line is compared as text: a Lua number would lose digits of a sequence (see core.bans.record).
-- What a ban may hide in their places is put aside first, by its name: no bytes are copied and its TTL goes on. Where that
-- cannot be, it is gone, and the store goes on.
-- KEYS: record, entry, alias, the model's index, models, log of changes, what lies aside, each tag's index.
-- ARGV: incarnation (hex), sequence of the stamp and sequence looked at last (20 digits each), TTL in ms, entry, alias
--   or empty, creation time, row, digest of the model or empty (not indexed), model, short digests of the entry's names or
--   empty (any ban may be of it), the time by which tags' rows are gone and the time now (ms), and '1' if a ban may have
--   hidden at the lookup what stands in the places.
-- Reply: {'stored'}, or why not: {'no-record'}, {'incarnation'}, {'floor'}, {'moved'}.
-- Constants: DIGEST_BYTES, of one short digest; LOOKED_AT, the most changes that are looked at, and LOG_PAGE at once;
--   MOST_ASIDE, values that lie aside; ROW_DIGITS, STAMP_OFFSET.

local call, pcall, sub = redis.call, redis.pcall, string.sub
local record = call('GET', KEYS[1])
if not record then return {'no-record'} end
if sub(record, 1, 32) ~= ARGV[1] then return {'incarnation'} end
if ARGV[2] < sub(record, 55, 74) then return {'floor'} end
-- A server that came back with an older record: bans that it appends now may have sequences below the stamp's.
if sub(record, 34, 53) < ARGV[2] then return {'incarnation'} end

-- Whether the log has all bans that came since, and none of them is listed or has a name of the entry.
local function is_let_pass()
  local names = {}
  if ARGV[11] == '' then return false end
  for at = 1, #ARGV[11], DIGEST_BYTES do names[sub(ARGV[11], at, at + DIGEST_BYTES - 1)] = true end
  local revision = tonumber(sub(record, 76, 95))
  for _ = 1, LOOKED_AT, LOG_PAGE do
    local id = string.format('%.0f-0', revision)
    local page = call('XREVRANGE', KEYS[6], id, '-', 'COUNT', LOG_PAGE)
    for _, change in ipairs(page) do
      if change[1] ~= string.format('%.0f-0', revision) then return false end
      local head = change[2][2]
      if sub(head, 9, 28) <= ARGV[3] then return true end
      local appended = sub(head, 29)
      if appended == '*' then return false end
      for at = 1, #appended, DIGEST_BYTES do
        if names[sub(appended, at, at + DIGEST_BYTES - 1)] then return false end
      end
      revision = revision - 1
    end
    if #page < LOG_PAGE then return revision == 0 end
  end
  return false
end

-- Only what is of this incarnation, and older than the latest ban: nothing hides what is newer.
local function put_aside(name, row)
  local stamp = pcall('GETRANGE', name, tostring(STAMP_OFFSET), tostring(STAMP_OFFSET + 23))
  if type(stamp) ~= 'string' or sub(stamp, 1, 16) ~= sub(ARGV[5], STAMP_OFFSET + 1, STAMP_OFFSET + 16) then return end
  local sequence = struct.unpack('>I8', stamp, 17)
  if sequence >= tonumber(sub(record, 34, 53)) then return end
  local count, left = pcall('HLEN', KEYS[7]), pcall('PTTL', name)
  if type(count) ~= 'number' or count >= MOST_ASIDE or type(left) ~= 'number' or left < 1 then return end
  local field = string.format('%s:%.0f', sub(name, -ROW_DIGITS), sequence)
  local known = string.format('%s %.0f %s', sub(record, 34, 53), ARGV[13] + left, row)
  if type(pcall('HSET', KEYS[7], field, known)) ~= 'number' then return end
  local renamed = pcall('RENAME', name, KEYS[7] .. ':' .. field)
  if renamed.err then return call('HDEL', KEYS[7], field) end
  if call('PTTL', KEYS[7]) < left then call('PEXPIRE', KEYS[7], string.format('%.0f', left * 1.25)) end
end

if sub(record, 34, 53) ~= ARGV[3] and not is_let_pass() then return {'moved'} end
-- Bans that came since the lookup may hide what it has seen: it cannot tell.
if (ARGV[14] == '1' or sub(record, 34, 53) ~= ARGV[2]) and sub(record, 106, 107) ~= '0 ' then
  put_aside(KEYS[2], ARGV[9] ~= '' and ARGV[8] or '')
  if ARGV[6] ~= '' then put_aside(KEYS[3], '') end
end
call('SET', KEYS[2], ARGV[5], 'PX', ARGV[4])
if ARGV[6] ~= '' then call('SET', KEYS[3], ARGV[6], 'PX', ARGV[4]) end
if ARGV[9] ~= '' then
  call('ZADD', KEYS[4], ARGV[7], ARGV[8])
  call('HSETNX', KEYS[5], ARGV[9], ARGV[10])
end
list_tags(8, ARGV[12], ARGV[13], ARGV[4], KEYS[2], ARGV[6] ~= '' and KEYS[3])
return {'stored'}
