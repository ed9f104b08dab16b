-- Deletes a lease or lock if it still holds the caller's token.
-- KEYS: lease.
-- ARGV: token.
-- Reply: 1, or 0 when another caller holds it or nobody does.

if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
return 0
