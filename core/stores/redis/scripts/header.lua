-- Where the parts of a value's header begin, counted from 1 (see core.stores.codec).
-- This stands in front of the scripts that look into values.
-- KEYS: none.
-- ARGV: none.
-- Reply: none.
-- Constants: LENGTHS_OFFSET, USER_BYTES.

local lengths_at, names_at = LENGTHS_OFFSET + 1, LENGTHS_OFFSET + 4

-- Where namespace and model end; nil when the head ends before.
local function end_of_names(head)
  local namespace, model_high, model_low = string.byte(head, lengths_at, lengths_at + 2)
  return model_low and names_at + namespace + 256 * model_high + model_low
end

-- Where the tags begin, or what is there without tags: behind the target of an alias and the users.
local function start_of_tags(head)
  local flags, at = string.byte(head, 2), end_of_names(head)
  if at and flags % 4 >= 2 then at = at + 32 end
  if at and flags % 16 >= 8 then
    local users = string.byte(head, at)
    at = users and at + 1 + USER_BYTES * users
  end
  return at
end

-- Where the tags begin and end, and whether there are any; nil when the head ends before that can be said.
local function tags_of(head)
  local at = start_of_tags(head)
  if not at or string.byte(head, 2) % 8 < 4 then return at, at and at - 1, false end
  local high, low = string.byte(head, at, at + 1)
  if not low then return nil end
  return at + 2, at + 1 + 256 * high + low, true
end
