-- Stores an entry, its alias and its index rows, if no ban that came since the caller looked may be of the entry.
-- What came since is in the log of changes; a short digest that two names share costs no more than a needless look.
-- The record's line is compared as text: a Lua number would lose digits of a sequence (see core.bans.record).
-- KEYS: record, entry, alias, the model's index, models, log of changes, each tag's index.
-- ARGV: incarnation (hex), sequence of the stamp and sequence looked at last (20 digits each), TTL in ms, entry, alias
--   or empty, creation time, row, digest of the model or empty (not indexed), model, short digests of the entry's names or
--   empty (any ban may be of it), the time by which tags' rows are gone and the time now (ms).
-- Reply: {'stored'}, or why not: {'no-record'}, {'incarnation'}, {'floor'}, {'moved'}.
-- Constants: DIGEST_BYTES, of one short digest; LOOKED_AT, the most changes that are looked at, and LOG_PAGE at once.

local call, sub = redis.call, string.sub
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

if sub(record, 34, 53) ~= ARGV[3] and not is_let_pass() then return {'moved'} end
call('SET', KEYS[2], ARGV[5], 'PX', ARGV[4])
if ARGV[6] ~= '' then call('SET', KEYS[3], ARGV[6], 'PX', ARGV[4]) end
if ARGV[9] ~= '' then
  call('ZADD', KEYS[4], ARGV[7], ARGV[8])
  call('HSETNX', KEYS[5], ARGV[9], ARGV[10])
end
list_tags(7, ARGV[12], ARGV[13], ARGV[4], KEYS[2], ARGV[6] ~= '' and KEYS[3])
return {'stored'}
