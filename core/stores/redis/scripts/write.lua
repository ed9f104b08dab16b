-- Stores an entry, its alias and its index rows, if the record has not changed since the caller read it.
-- The record's line is compared as text: a Lua number would lose digits of a sequence (see core.bans.record).
-- KEYS: record, entry, alias, the model's index, models, each tag's index.
-- ARGV: incarnation (hex), expected sequence (20 digits), TTL in ms, entry, alias or empty, creation time, row, digest
--   of the model or empty (not indexed), model, the time by which tags' rows are gone and the time now (ms), digests of
--   entry and alias.
-- Reply: {'stored'}, or why not: {'no-record'}, {'incarnation'}, {'floor'}, {'moved', record}.

local call = redis.call
local record = call('GET', KEYS[1])
if not record then return {'no-record'} end
if string.sub(record, 1, 32) ~= ARGV[1] then return {'incarnation'} end
if string.sub(record, 34, 53) ~= ARGV[2] then
  if ARGV[2] < string.sub(record, 55, 74) then return {'floor'} end
  return {'moved', record}
end
call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
if ARGV[5] ~= '' then call('SET', KEYS[3], ARGV[5], 'PX', ARGV[3]) end
if ARGV[8] ~= '' then
  call('ZADD', KEYS[4], ARGV[6], ARGV[7])
  call('HSETNX', KEYS[5], ARGV[8], ARGV[9])
end
list_tags(6, ARGV[10], ARGV[11], ARGV[3], ARGV[12], ARGV[13])
return {'stored'}
