"""RedisStore: one MGET per lookup, a fenced store script, records by compare-and-swap, sweeps by compare-and-delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import codec
from core.bans import InvalidationRecord, decode_record, encode_record, new_record
from core.errors import DecodeError
from core.keys import NAMESPACES, Slot
from core.models import Stamp
from core.stores.base import Removal, Row, StoredAs, StoreFacts, Write
from core.stores.connection import ThreadConnections, packed_mget
from core.stores.failures import reading, translated, writing

SCAN_COUNT = 1000

# KEYS: record, entry, alias, model index, models. ARGV: incarnation, expected sequence, ttl in ms, entry, alias or
# empty, creation time, digest, model digest or empty (not indexed), model. The record's line is compared as text (see core.bans).
_WRITE = """
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
"""

# KEYS: record, entry to delete. ARGV: the record as read (empty: none), the record as it shall be.
# A script that has deleted may write even when the server is out of memory, on 6.2 and later alike: hence the UNLINK
# first, of a name that never exists when there is nothing to delete. An invalidation must not fail when memory is full.
_SWAP = """
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then return {0, current} end
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
return {1}
"""

# KEYS: entry and model index of each. ARGV: offset, and stamp and digest of each.
_REMOVE = f"""
local removed, freed = 0, 0
for i = 1, #KEYS / 2 do
  local name = KEYS[2 * i - 1]
  local stamp = redis.call('GETRANGE', name, {codec.STAMP_OFFSET}, {codec.STAMP_OFFSET + codec.STAMP_BYTES - 1})
  if stamp == ARGV[2 * i - 1] then
    freed = freed + redis.call('STRLEN', name)
    removed = removed + redis.call('UNLINK', name)
    redis.call('ZREM', KEYS[2 * i], ARGV[2 * i])
  end
end
return {{removed, freed}}
"""

# KEYS: entries. What is no string is as good as absent.
_HEADERS = f"""
local found = {{}}
for i, name in ipairs(KEYS) do
  local value = redis.pcall('GETRANGE', name, 0, {codec.HEADER_BYTES - 1})
  found[i] = type(value) == 'string' and value or ''
end
return found
"""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end return 0"


def request_client(url: str, timeout_seconds: float) -> redis.Redis:
    """A client for the request path: short time-outs and not one retry.

    With the library's defaults a GET against a silent server takes 58 s, and a wrong password is tried ten times.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )


def patient_client(url: str, timeout_seconds: float = 5.0) -> redis.Redis:
    """A client for operators and workers: waits seconds, still retries nothing by itself."""
    return request_client(url, timeout_seconds)


class RedisStore:
    """Entries and records on one Redis (6.2 or later). Threads may share it; a fork gets connections of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._connections = ThreadConnections(client)
        self._records: dict[bytes, tuple[bytes, InvalidationRecord]] = {}
        self._known_namespaces: set[str] = set()
        self._write = client.register_script(_WRITE)
        self._swap = client.register_script(_SWAP)
        self._remove = client.register_script(_REMOVE)
        self._headers = client.register_script(_HEADERS)
        self._release = client.register_script(_RELEASE)

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """The values at these digests and the slot's record: one MGET."""
        try:
            values = self._connections.ask(_read_command(slot, tuple(digests)))
        except redis.RedisError as error:
            raise translated(error, writing=False) from error
        return values, self._parse(slot, values.pop())

    def _parse(self, slot: Slot, value: bytes | None) -> InvalidationRecord | None:
        if value is None:
            return None
        known = self._records.get(slot.record)
        if known is not None and known[0] == value:
            return known[1]
        try:
            record = decode_record(value)
        except DecodeError:
            return None
        self._records[slot.record] = (value, record)
        return record

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record, made with a new random incarnation when there is none (or none that can be read)."""
        with writing():
            if slot.namespace not in self._known_namespaces:
                self._client.sadd(NAMESPACES, slot.namespace)
                self._known_namespaces.add(slot.namespace)
            fresh = encode_record(new_record())
            self._client.set(slot.record, fresh, nx=True)
            value = cast("bytes | None", self._client.get(slot.record))
            record = self._parse(slot, value)
            if record is None:
                self._client.set(slot.record, fresh)
                record = decode_record(fresh)
            return record

    def write(
        self, slot: Slot, write: Write, stamp: Stamp, expected: int
    ) -> tuple[StoredAs, InvalidationRecord | None]:
        """Stores entry and alias by one script, if the record has not moved."""
        index = slot.by_model(write.model)
        alias_digest, alias_value = write.alias or (write.digest, b"")
        with writing():
            reply: list[Any] = self._write(
                keys=[slot.record, slot.entry(write.digest), slot.entry(alias_digest), index, slot.models],
                args=[
                    stamp.incarnation.hex(),
                    f"{expected:020d}",
                    max(1, write.ttl_ms),
                    write.value,
                    alias_value,
                    repr(write.created_at),
                    write.digest,
                    index[-32:] if write.indexed else b"",
                    write.model,
                ],
            )
        outcome = StoredAs(reply[0].decode())
        return outcome, decode_record(reply[1]) if outcome is StoredAs.MOVED else None

    def change_record(
        self, slot: Slot, change: Callable[[InvalidationRecord], InvalidationRecord], remove: bytes | None = None
    ) -> InvalidationRecord:
        """Applies a pure change by compare-and-swap until no one came between; the new record."""
        doomed = slot.entry(remove) if remove is not None else slot.prefix + b"nothing"
        with writing():
            current = cast("bytes | None", self._client.get(slot.record)) or b""
            while True:
                record = self._parse(slot, current) if current else None
                if record is None:
                    if slot.namespace not in self._known_namespaces:
                        self._client.sadd(NAMESPACES, slot.namespace)
                        self._known_namespaces.add(slot.namespace)
                    record = new_record()
                changed = change(record)
                reply: list[Any] = self._swap(keys=[slot.record, doomed], args=[current, encode_record(changed)])
                if reply[0] == 1:
                    return changed
                current = reply[1]

    def acquire(self, slot: Slot, digest: bytes, sequence: int, token: bytes, ttl_ms: int) -> bool:
        """Takes the single-flight lease for an answer."""
        with writing():
            return bool(self._client.set(slot.lease(digest, sequence), token, nx=True, px=ttl_ms))

    def release(self, slot: Slot, digest: bytes, sequence: int, token: bytes) -> None:
        """Gives the lease back if it is still this token's."""
        with writing():
            self._release(keys=[slot.lease(digest, sequence)], args=[token])

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        with reading():
            return bool(self._client.exists(slot.lease(digest, sequence)))

    def walk(self, slot: Slot, *, whole: bool, batch: int = 200) -> Iterator[list[Row]]:
        """All entries of a slot by a full SCAN over its fixed prefix; no caller's text reaches the server."""
        cursor = 0
        while True:
            with reading():
                cursor, names = cast(
                    "tuple[int, list[bytes]]",
                    self._client.scan(cursor, match=slot.entries + b"*", count=SCAN_COUNT),
                )
            for start in range(0, len(names), batch):
                yield self._rows(slot, [slot.digest(name) for name in names[start : start + batch]], whole)
            if cursor == 0:
                return

    def walk_model(
        self, slot: Slot, model: str, *, created_before: float | None = None, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries of a model, oldest first, by its sorted set."""
        index = slot.by_model(model)
        highest = "+inf" if created_before is None else f"({created_before!r}"
        # By score and last member rather than by rank: rows removed meanwhile must not shift the page.
        lowest: str = "-inf"
        seen: set[bytes] = set()
        while True:
            with reading():
                page = cast(
                    "list[tuple[bytes, float]]",
                    self._client.zrange(
                        index, lowest, highest, byscore=True, offset=0, num=batch + len(seen), withscores=True
                    ),
                )
            fresh = [(digest, score) for digest, score in page if digest not in seen]
            if not fresh:
                return
            yield self._rows(slot, [digest for digest, _ in fresh], whole)
            last = fresh[-1][1]
            lowest = repr(last)
            seen = {digest for digest, score in page if score == last}

    def _rows(self, slot: Slot, digests: list[bytes], whole: bool) -> list[Row]:
        """The entries at these digests: one command, since a command each would cost more than what it brings."""
        if not digests:
            return []
        names = [slot.entry(digest) for digest in digests]
        with reading():
            values = self._client.mget(names) if whole else self._headers(keys=names)
        return [
            Row(digest=digest, value=value)
            for digest, value in zip(digests, values, strict=True)
            if isinstance(value, bytes) and value
        ]

    def count_model(self, slot: Slot, model: str, created_before: float | None = None) -> int:
        """How many entries the index lists for a model."""
        highest = "+inf" if created_before is None else f"({created_before!r}"
        with reading():
            return self._client.zcount(slot.by_model(model), "-inf", highest)

    def models(self, slot: Slot) -> list[str]:
        """Models the index knows."""
        with reading():
            values = cast("list[bytes]", self._client.hvals(slot.models))
        return sorted(value.decode("utf-8", "surrogatepass") for value in values)

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> tuple[int, int]:
        """Deletes those that still carry the stamp that was seen, in one script."""
        if not removals:
            return 0, 0
        keys: list[bytes] = []
        arguments: list[bytes] = []
        for removal in removals:
            keys += [slot.entry(removal.digest), slot.by_model(removal.model)]
            arguments += [
                codec.stamp_bytes(removal.stamp.incarnation, removal.stamp.sequence),
                removal.digest,
            ]
        with writing():
            removed, freed = self._remove(keys=keys, args=arguments)
        return removed, freed

    def prune_index(self, slot: Slot, now: float) -> int:
        """Drops index rows whose entries are gone: they expire without the index being told."""
        dropped = 0
        for model in self.models(slot):
            index = slot.by_model(model)
            cursor = 0
            while True:
                with writing():
                    cursor, rows = cast(
                        "tuple[int, list[tuple[bytes, float]]]", self._client.zscan(index, cursor, count=500)
                    )
                    digests = [digest for digest, _ in rows]
                    pipeline = self._client.pipeline(transaction=False)
                    for digest in digests:
                        pipeline.exists(slot.entry(digest))
                    gone = [d for d, there in zip(digests, pipeline.execute(), strict=True) if not there]
                    if gone:
                        dropped += self._client.zrem(index, *gone)
                if cursor == 0:
                    break
        return dropped

    def ttl_seconds(self, slot: Slot, digest: bytes) -> float | None:
        """Seconds until Redis deletes an entry."""
        with reading():
            left = self._client.pttl(slot.entry(digest))
        return left / 1000 if left >= 0 else None

    def namespaces(self) -> list[str]:
        """Namespaces that were ever written to."""
        with reading():
            return sorted(name.decode() for name in cast("set[bytes]", self._client.smembers(NAMESPACES)))

    def facts(self) -> StoreFacts:
        """Version, memory, policy, role and persistence, from INFO."""
        with reading():
            info = self._client.info("everything")
            persistent = bool(info.get("aof_enabled")) or self._saves()
        return StoreFacts(
            kind="redis",
            version=str(info.get("redis_version", "")),
            used_bytes=info.get("used_memory"),
            max_bytes=info.get("maxmemory") or None,
            policy=str(info.get("maxmemory_policy", "")),
            evicted=int(info.get("evicted_keys", 0)),
            role=str(info.get("role", "")),
            persistent=persistent,
            writable=info.get("role") == "master" and info.get("rdb_last_bgsave_status") == "ok",
        )

    def _saves(self) -> bool:
        """Whether snapshots are configured; a server that keeps its configuration to itself is taken to make some."""
        try:
            return bool(self._client.config_get("save").get("save"))
        except redis.ResponseError:
            return True

    def ping(self) -> None:
        """Raises StoreUnavailable unless the server answers."""
        with reading():
            self._client.ping()

    def close(self) -> None:
        """Closes all connections."""
        self._connections.close()
        self._client.close()


@lru_cache(maxsize=4096)
def _read_command(slot: Slot, digests: tuple[bytes, ...]) -> list[bytes]:
    return packed_mget([*map(slot.entry, digests), slot.record])
