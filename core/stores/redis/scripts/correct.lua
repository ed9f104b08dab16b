-- Appends the ban of one key and, in the same step, puts another answer in the place of the one that it hides: nobody
-- finds the old answer nor none, and no store that began before is taken. The scripts `record` and `list_tags`, and
-- `append` as a function, stand in front of this.
-- KEYS: those of `append`, the entry, the model's index, each alias, each tag's index.
-- ARGV: those of `append`; incarnation (hex) and sequence (20 digits) as read, the entry as read, the new entry, TTL in ms, creation time of both, the time by which tags' rows are gone and the time now (ms), the number of
--   aliases, then each alias as read and anew.
-- Reply: that of `append`, or {'moved'} when the record or the entry is another by now, and nothing was written.
-- Constants: ROW_DIGITS.

local seen = parsed(call('GET', KEYS[1]))
if not seen or seen.incarnation ~= ARGV[10] or seen.sequence ~= ARGV[11] then return {'moved'} end
if call('GET', KEYS[6]) ~= ARGV[12] then return {'moved'} end
local reply = append()
if reply[1] ~= 'appended' then return reply end
call('SET', KEYS[6], ARGV[13], 'PX', ARGV[14])
local aliases = tonumber(ARGV[19])
for i = 1, aliases do
  if call('GET', KEYS[7 + i]) == ARGV[18 + 2 * i] then call('SET', KEYS[7 + i], ARGV[19 + 2 * i], 'PX', ARGV[14]) end
end
local digits = string.sub(KEYS[6], -ROW_DIGITS)
for _, row in ipairs(call('ZRANGEBYSCORE', KEYS[7], ARGV[15], ARGV[15], 'LIMIT', '0', '50')) do
  if string.sub(row, 1, ROW_DIGITS) == digits then call('ZADD', KEYS[7], ARGV[16], row) end
end
list_tags(8 + aliases, ARGV[17], ARGV[18], ARGV[14], KEYS[6])
return reply
