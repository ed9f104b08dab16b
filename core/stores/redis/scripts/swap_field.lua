-- Replaces a field of a hash by compare-and-swap.
-- A script that has deleted may write even when the server is out of memory: hence the HDEL first.
-- KEYS: the hash.
-- ARGV: field, its value as read (empty: none), its new value (empty: removed), and for how many seconds the hash is
-- kept from now on (0: for ever).
-- Reply: 1, or 0 when the value was another by then.

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
return 1
