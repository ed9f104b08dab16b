-- Adds hits of answers to their totals, times and the part of the day.
-- KEYS: totals, times, the part of the day.
-- ARGV: TTL of totals and times, TTL of the part, then for each answer its digest, hits and time.
-- Reply: none.

for a = 3, #ARGV, 3 do
  redis.call('ZINCRBY', KEYS[1], ARGV[a + 1], ARGV[a])
  redis.call('ZADD', KEYS[2], 'GT', ARGV[a + 2], ARGV[a])
  redis.call('HINCRBY', KEYS[3], ARGV[a], ARGV[a + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[2])
