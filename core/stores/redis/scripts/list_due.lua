-- Lists bans by when they end, those that are still there; one that has been listed meanwhile stays as it is.
-- KEYS: bans, due.
-- ARGV: for each ban its id, and when it ends.
-- Reply: 1.

for at = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[at]) == 1 then redis.call('ZADD', KEYS[2], 'NX', ARGV[at + 1], ARGV[at]) end
end
return 1
