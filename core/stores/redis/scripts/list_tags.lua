-- Lists a value in the indexes of its tags. One value in eight, by its digest, drops rows of values that are gone by now:
-- more of them than all eight add.
-- This stands in front of the scripts that store. An index lives a quarter longer than it must, so that not every store
-- has to prolong it.
-- KEYS: from `first` on, each tag's index.
-- ARGV: given by the script, as are the keys.
-- Reply: none.
-- Constants: ROW_DIGITS; GONE_ROWS, the most rows that are dropped at once.

local function list_tags(first, gone_at, now, ttl, entry, alias)
  if first > #KEYS then return end
  local digits, lasts = string.sub(entry, -ROW_DIGITS), tonumber(ttl)
  local prunes = digits < '2'
  for i = first, #KEYS do
    local index = KEYS[i]
    if alias then
      redis.call('ZADD', index, gone_at, digits, gone_at, string.sub(alias, -ROW_DIGITS))
    else
      redis.call('ZADD', index, gone_at, digits)
    end
    if prunes then
      local gone = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', '0', GONE_ROWS)
      if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
    end
    if redis.call('PTTL', index) < lasts then redis.call('PEXPIRE', index, string.format('%.0f', lasts * 1.25)) end
  end
end
