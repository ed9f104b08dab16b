-- Puts a value that lies aside back in its place, with the TTL it has left, unless bans, it or what stands there are other
-- than was seen: whether a ban hides it was judged by these. What deletes goes first: a full
-- server lets the rest pass then.
-- Without a stamp it only notes that an undo has asked for the value while another ban hides it.
-- KEYS: record, entry, what lies aside, the value there, the model's index, models, each tag's index.
-- ARGV: the record's line as far as bans change it, field, what is to be known of it or empty, its stamp, stamp of what
--   stands in its place or empty, creation time or empty (an alias), row of what took its place or empty, digest of the
--   model, model, the time now (ms).
-- Reply: 1, or 0 when something is another.
-- Constants: ROW_DIGITS, STAMP_OFFSET.

local call, sub = redis.call, string.sub
local function stamp_at(name)
  local stamp = redis.pcall('GETRANGE', name, tostring(STAMP_OFFSET), tostring(STAMP_OFFSET + 23))
  return type(stamp) == 'string' and stamp
end

if sub(call('GET', KEYS[1]) or '', 1, #ARGV[1]) ~= ARGV[1] or call('HEXISTS', KEYS[3], ARGV[2]) == 0 then return 0 end
if ARGV[4] == '' then
  call('HDEL', KEYS[3], ARGV[2])
  call('HSET', KEYS[3], ARGV[2], ARGV[3])
  return 1
end
local left = call('PTTL', KEYS[4])
if left < 1 or stamp_at(KEYS[4]) ~= ARGV[4] or stamp_at(KEYS[2]) ~= ARGV[5] then return 0 end
call('RENAME', KEYS[4], KEYS[2])
call('HDEL', KEYS[3], ARGV[2])
local created, row = ARGV[6], ARGV[7]
if created == '' then
  if row ~= '' then call('ZREM', KEYS[5], row) end
else
  local listed, digits = false, sub(KEYS[2], -ROW_DIGITS)
  for _, each in ipairs(call('ZRANGEBYSCORE', KEYS[5], created, created, 'LIMIT', '0', '50')) do
    listed = listed or sub(each, 1, ROW_DIGITS) == digits
  end
  if not listed then
    call('ZADD', KEYS[5], created, row ~= '' and row or digits)
    call('HSETNX', KEYS[6], ARGV[8], ARGV[9])
  end
end
list_tags(7, string.format('%.0f', ARGV[10] + left), ARGV[10], left, KEYS[2])
return 1
