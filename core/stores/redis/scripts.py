"""Lua scripts of RedisStore: each is one step that nothing comes between.

Numbers are written to commands as text: a script would turn each into digits anew for every call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import redis

from ...bans import ASCII_FOLDING, FOLDING_LEADS
from .. import codec
from .connection import packed
from .servers import Servers


class Script:
    """A Lua script, called by its digest and sent whole to a server that does not know it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def __call__(self, servers: Servers, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Runs it on the server that has the keys: all of them have one hash tag."""
        words = [b"%d" % len(keys), *keys, *arguments]
        try:
            return servers.ask(keys[0], packed([b"EVALSHA", self._digest, *words]))
        except redis.exceptions.NoScriptError:
            return servers.ask(keys[0], packed([b"EVAL", self._text, *words]))


def _lua(text: bytes) -> str:
    """Bytes within a string of a script."""
    return "".join(f"\\{byte:03d}" for byte in text)


# A row of a model's index names an entry, and the alias that was written with it, by the last part of their keys: 64
# hex digits each. Scripts would take as long to make the digits as to delete what they name.
ROW_DIGITS = 64

_TEXT_BYTES = 1024

# KEYS: record, entry, alias, model index, models. ARGV: incarnation, expected sequence, ttl in ms, entry, alias or
# empty, creation time, row, model digest or empty (not indexed), model. The record's line is compared as text (see
# core.bans.record).
WRITE = Script("""
local record = redis.call('GET', KEYS[1])
if not record then return {'no-record'} end
if string.sub(record, 1, 32) ~= ARGV[1] then return {'incarnation'} end
if string.sub(record, 34, 53) ~= ARGV[2] then
  if ARGV[2] < string.sub(record, 55, 74) then return {'floor'} end
  return {'moved', record}
end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[3]) end
if ARGV[8] ~= '' then
  redis.call('ZADD', KEYS[4], ARGV[6], ARGV[7])
  redis.call('HSETNX', KEYS[5], ARGV[8], ARGV[9])
end
return {'stored'}
""")

# KEYS: record, entry to delete. ARGV: the record as read (empty: none), the record as it shall be.
# A script that has deleted may write even when the server is out of memory, on 6.2 and later alike: hence the UNLINK
# first, of a name that never exists when there is nothing to delete. An invalidation must not fail when memory is full.
SWAP = Script("""
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {0, current} end
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
return {1}
""")

# KEYS: record, entry. ARGV: incarnation, sequence, value as seen, value as it shall be, ttl in ms.
REPLACE = Script("""
local record = redis.call('GET', KEYS[1])
if not record or string.sub(record, 1, 32) ~= ARGV[1] or string.sub(record, 34, 53) ~= ARGV[2] then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
return 1
""")

_STAMP_START, _STAMP_END = codec.STAMP_OFFSET, codec.STAMP_OFFSET + codec.STAMP_BYTES - 1

# KEYS: the model's index, then entries and aliases. ARGV: stamp of each and its creation time, empty for an alias.
# Rows are found by their score: what follows the entry in a row is not known here.
REMOVE = Script(f"""
local call, sub = redis.call, string.sub
local entries, aliases, freed = 0, 0, 0
for i = 2, #KEYS do
  local name, created = KEYS[i], ARGV[2 * i - 2]
  if redis.pcall('GETRANGE', name, '{_STAMP_START}', '{_STAMP_END}') == ARGV[2 * i - 3] then
    freed = freed + call('STRLEN', name)
    call('UNLINK', name)
    if created == '' then
      aliases = aliases + 1
    else
      entries = entries + 1
      local digits = sub(name, -{ROW_DIGITS})
      for _, row in ipairs(call('ZRANGEBYSCORE', KEYS[1], created, created, 'LIMIT', '0', '50')) do
        if sub(row, 1, {ROW_DIGITS}) == digits then call('ZREM', KEYS[1], row) end
      end
    end
  end
end
return {{entries, aliases, freed}}
""")

# KEYS: the model's index. ARGV: what names of entries begin with, incarnation, sequence, highest score, rows to pass
# over, rows to look at, and the time before which a value was created, or empty.
# The values it compares are named by rows, so their keys cannot be declared; they have the index's hash tag.
# Freed bytes are those of every nth row's values, n times: asking for the length of each would take a third longer.
# struct.unpack gives doubles: sequences are exact below 2^53, and beyond it rounding can only keep an entry.
REMOVE_MODEL = Script(f"""
local call, pcall, sub, number = redis.call, redis.pcall, string.sub, struct.unpack
local index, prefix, incarnation, sequence = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local skipped, cutoff = tonumber(ARGV[5]), tonumber(ARGV[7])
local last = cutoff and '{codec.CREATED_OFFSET + 7}' or '{_STAMP_END}'
local rows = call('ZRANGEBYSCORE', index, '-inf', ARGV[4], 'LIMIT', ARGV[5], ARGV[6])
local step = math.ceil(#rows / 25)
local names, gone, older = {{}}, {{}}, nil
local entries, aliases, freed, measured = 0, 0, 0, 0
local function is_doomed(head)
  if type(head) ~= 'string' then return false end -- an error: something else is at this name
  local stamp = cutoff and sub(head, 1, {codec.STAMP_BYTES}) or head
  if stamp ~= older then
    if sub(stamp, 1, 16) ~= incarnation or number('>I8', stamp, 17) >= sequence then return false end
    older = stamp
  end
  return not cutoff or number('>d', head, {codec.CREATED_OFFSET - codec.STAMP_OFFSET + 1}) < cutoff
end
for i, row in ipairs(rows) do
  local is_gone = true
  local is_measured = i % step == 0
  for at = 1, #row, {ROW_DIGITS} do
    local name = prefix .. sub(row, at, at + {ROW_DIGITS - 1})
    local head = pcall('GETRANGE', name, '{_STAMP_START}', last)
    if head ~= '' then
      if is_doomed(head) then
        names[#names + 1] = name
        if at == 1 then entries = entries + 1 else aliases = aliases + 1 end
        if is_measured then freed = freed + call('STRLEN', name) end
      elseif at == 1 then
        is_gone = false
      end
    end
  end
  if is_measured then measured = measured + 1 end
  if is_gone then gone[#gone + 1] = row end
end
if #names > 0 then call('UNLINK', unpack(names)) end
if #gone == #rows and #rows > 0 then
  call('ZREMRANGEBYRANK', index, skipped, skipped + #rows - 1)
elseif #gone > 0 then
  call('ZREM', index, unpack(gone))
end
if measured > 0 then freed = math.floor(freed * #rows / measured) end
return {{#rows, #gone, entries, aliases, freed}}
""")

# KEYS: the record. ARGV: what names of entries begin with, their length, cursor, how many names to look at and
# incarnation; then of each ban its sequence and, each empty when it does not matter, the time before which a value was
# created, how the names stand in a value of its model (see codec.names_bytes), groups of needles (see core.bans),
# and the digest of an entry as digits and as bytes. It leaves out what no ban hits, judged by the same bytes of a value
# as elsewhere; in doubt it leaves nothing out. A pass is faster when most of what is there is not fetched. Deleting
# here would not be: memory that is given back in the order of the names, which is none, costs three times as much as in
# the order it was taken.
SIFT = Script(f"""
local call, pcall, sub, number, byte = redis.call, redis.pcall, string.sub, struct.unpack, string.byte
local find, lower, gmatch = string.find, string.lower, string.gmatch
local length, incarnation = tonumber(ARGV[2]), ARGV[5]
local last, least = {codec.CREATED_OFFSET + 7}, {codec.CREATED_OFFSET + 8}
local bans = {{}}
for i = 6, #ARGV, 6 do
  local names, groups = ARGV[i + 2], nil
  if names ~= '' then last, least = math.max(last, {codec.LENGTHS_OFFSET - 1} + #names), {codec.LENGTHS_OFFSET} end
  for line in gmatch(ARGV[i + 3], '[^\\t]+') do
    groups = groups or {{}}
    local group = {{}}
    for needle in gmatch(line, '[^\\n]+') do group[#group + 1] = needle end
    groups[#groups + 1] = group
  end
  if groups or ARGV[i + 4] ~= '' then last, least = math.max(last, {_TEXT_BYTES - 1}), {codec.LENGTHS_OFFSET} end
  bans[#bans + 1] = {{
    sequence = tonumber(ARGV[i]), cutoff = tonumber(ARGV[i + 1]), names = names ~= '' and names, groups = groups,
    digits = ARGV[i + 4] ~= '' and ARGV[i + 4], digest = ARGV[i + 5],
  }}
end
last = tostring(last)

-- Where the names end.
local function end_of_names(head)
  local namespace, model_high, model_low = byte(head, {codec.LENGTHS_OFFSET + 1}, {codec.LENGTHS_OFFSET + 3})
  return model_low and {codec.LENGTHS_OFFSET + 4} + namespace + 256 * model_high + model_low
end

local function may_be(head, name, ban)
  if sub(name, -{ROW_DIGITS}) == ban.digits then return true end
  if byte(head, 2) % 4 < 2 then return false end
  local at = end_of_names(head)
  if not at or at + 31 > #head then return true end
  return sub(head, at, at + 31) == ban.digest
end

-- The prompt, as far as it can be told from a value's beginning.
local function prompt_of(head)
  local flags = byte(head, 2)
  if flags % 2 == 1 then return nil end -- compressed
  local at = end_of_names(head)
  if not at then return nil end
  if flags % 4 >= 2 then at = at + 32 end
  -- The payload is an array that begins with the prompt: msgpack's fixarray, then its fixstr, str 8 or str 16.
  local array, kind, high, low = byte(head, at, at + 3)
  if not low or array < 144 or array > 159 then return nil end
  local from, to
  if kind >= 160 and kind <= 191 then
    from, to = at + 2, at + 1 + kind - 160
  elseif kind == 217 then
    from, to = at + 3, at + 2 + high
  elseif kind == 218 then
    from, to = at + 4, at + 3 + 256 * high + low
  else
    return nil
  end
  return to <= #head and sub(head, from, to) or nil
end

local function may_have(head, groups)
  local text = prompt_of(head)
  if not text then return true end
  local folded = lower(text)
  for _, group in ipairs(groups) do
    local has_all = true
    for _, needle in ipairs(group) do
      if not find(folded, needle, 1, true) then
        has_all = false
        break
      end
    end
    if has_all then return true end
  end
  if not find(text, '^[^{_lua(FOLDING_LEADS[0])}-{_lua(FOLDING_LEADS[1])}]*$') then
    for _, maker in ipairs({{{", ".join(f"'{_lua(maker)}'" for maker in ASCII_FOLDING)}}}) do
      if find(text, maker, 1, true) then return true end
    end
  end
  return false
end

-- The bans that may hit what has a stamp, of which there are few different ones; nil for another incarnation's.
local by_stamp = {{}}
local function later_than(stamp)
  local later = by_stamp[stamp]
  if later or sub(stamp, 1, 16) ~= incarnation then return later end
  later = {{}}
  local sequence = number('>I8', stamp, 17)
  for _, ban in ipairs(bans) do
    if sequence < ban.sequence then later[#later + 1] = ban end
  end
  by_stamp[stamp] = later
  return later
end

local function is_suspect(head, name)
  if type(head) ~= 'string' or #head < least then return true end
  local later = later_than(sub(head, {codec.STAMP_OFFSET + 1}, {codec.STAMP_OFFSET + codec.STAMP_BYTES}))
  if not later then return true end
  for i = 1, #later do
    local ban = later[i]
    local names, cutoff, groups = ban.names, ban.cutoff, ban.groups
    if
      not (names and sub(head, {codec.LENGTHS_OFFSET + 1}, {codec.LENGTHS_OFFSET} + #names) ~= names)
      and not (cutoff and number('>d', head, {codec.CREATED_OFFSET + 1}) >= cutoff)
      and not (ban.digits and not may_be(head, name, ban))
      and not (groups and not may_have(head, groups))
    then
      return true
    end
  end
  return false
end

local page = call('SCAN', ARGV[3], 'MATCH', ARGV[1] .. '*', 'COUNT', ARGV[4])
local suspects, others = {{}}, 0
for _, name in ipairs(page[2]) do
  if #name == length then
    local head = pcall('GETRANGE', name, '0', last)
    if is_suspect(head, name) then
      suspects[#suspects + 1] = name
    elseif byte(head, 2) % 4 < 2 then
      others = others + 1
    end
  end
end
return {{page[1], others, suspects}}
""")

# KEYS: the model's index. ARGV: what names of entries begin with, rows to pass over, rows to look at.
PRUNE = Script(f"""
local rows = redis.call('ZRANGE', KEYS[1], ARGV[2], tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1)
local gone = {{}}
for _, row in ipairs(rows) do
  if redis.call('EXISTS', ARGV[1] .. string.sub(row, 1, {ROW_DIGITS})) == 0 then gone[#gone + 1] = row end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return {{#rows, #gone}}
""")

# KEYS: leases. ARGV: ttl in ms, the token of each. A full server takes no lapsed lease again: that one is lost.
RENEW = Script("""
local kept = {}
for i, name in ipairs(KEYS) do
  local token = ARGV[i + 1]
  local holder = redis.call('GET', name)
  if holder == token then
    kept[i] = redis.call('PEXPIRE', name, ARGV[1])
  elseif holder then
    kept[i] = 0
  else
    kept[i] = redis.pcall('SET', name, token, 'PX', ARGV[1]).ok and 1 or 0
  end
end
return kept
""")

RELEASE = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end return 0")
