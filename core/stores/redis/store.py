"""RedisStore: one MGET per lookup, a fenced store script, records by compare-and-swap, sweeps by compare-and-delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import redis

from ...bans import InvalidationRecord, decode_record, encode_record, new_record
from ...errors import DecodeError
from ...keys import Slot, names
from ...models import Stamp
from .. import codec
from ..base import Claim, Removal, Removed, StoredAs, StoreInfo, Write
from ..clock import Clock
from .clients import patient_client, request_client
from .clock import RedisClock
from .cluster import ClusterServers, servers_of
from .connection import packed
from .failures import reading, translated, writing
from .index import LAYOUT, RedisIndex
from .info import ask_each, store_info
from .script import Script, load_script
from .servers import OneServer

__all__ = ["RedisStore", "patient_client", "request_client"]

LEASE_PAGE = 200
MOST_RECORDS = 4096
"""Records that are remembered as they were read."""
WAIT_SECONDS = 0.5
"""Of one WAIT: the console's clients have patience for a second."""

_LIST_TAGS = load_script(__file__, "list_tags", GONE_ROWS=32)
_WRITE = Script(_LIST_TAGS + load_script(__file__, "write"))
_SWAP = Script(load_script(__file__, "swap"))
_REPLACE = Script(_LIST_TAGS + load_script(__file__, "replace"))
_REMOVE = Script(load_script(__file__, "remove", **LAYOUT))
_FORGET = Script(load_script(__file__, "forget"))
_RENEW = Script(load_script(__file__, "renew"))
_RELEASE = Script(load_script(__file__, "release"))


class RedisStore(RedisIndex):
    """Entries and records on one Redis (6.2 or later). Threads may share it; a fork gets connections of its own."""

    def __init__(self, client: redis.Redis, *, clock: Clock | None = None) -> None:
        super().__init__(client)
        self._own_clock: RedisClock | None = None
        if clock is None:
            clock = self._own_clock = RedisClock(self._servers)
        self._clock = clock
        self._records: dict[bytes, tuple[bytes, InvalidationRecord]] = {}

    @property
    def clock(self) -> Clock:
        """Redis' clock, unless another was given."""
        return self._clock

    @property
    def place_of(self) -> Callable[[Slot], str] | None:
        """Names the server of a cluster that has a slot; None for a single server."""
        servers = self._servers
        return (lambda slot: servers.place(slot.record)) if isinstance(servers, ClusterServers) else None

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """The values at these digests, None where there is none, and the slot's record, by one MGET."""
        try:
            values: list[bytes | None] = self._servers.ask(slot.record, _read_command(slot, tuple(digests)))
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
        if len(self._records) >= MOST_RECORDS:  # callers may name any namespace
            self._records = {}
        self._records[slot.record] = (value, record)
        return record

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record, made with a new random incarnation when there is none (or none that can be read)."""
        with writing():
            fresh = encode_record(new_record())
            self._ask(slot.record, b"SET", fresh, b"NX")
            self._list_namespace(slot)  # after it: see `unlist`
            record = self._parse(slot, self._ask(slot.record, b"GET"))
            if record is None:
                self._ask(slot.record, b"SET", fresh)
                record = decode_record(fresh)
            return record

    def _ask(self, name: bytes, command: bytes, *words: bytes) -> Any:
        """Straight to the server that has the name: a cluster's client would sleep while its cluster is down."""
        return self._servers.ask(name, packed([command, name, *words]))

    def _list_namespace(self, slot: Slot) -> None:
        try:
            self._ask(names.NAMESPACES, b"SADD", slot.namespace.encode())
        except redis.ResponseError:
            # A full server does not take this and does take what follows; whatever else it refuses, it will say then.
            return
        except redis.ConnectionError:
            if isinstance(self._servers, OneServer):
                raise
            # Of a cluster another server may have the list: one that is away must not keep records from changing.

    def _listed_record(self, slot: Slot) -> bytes | None:
        """A record as it is stored, its namespace listed again: sweeps are found by that list, and it may be lost."""
        if not isinstance(self._servers, OneServer):
            with reading():  # whatever fails here, the record is as it was
                self._list_namespace(slot)
                return cast("bytes | None", self._ask(slot.record, b"GET"))
        commands = packed([b"SADD", names.NAMESPACES, slot.namespace.encode()]) + packed([b"GET", slot.record])
        _, record = self._servers.ask_all(slot.record, commands, 2)  # whether it was listed: see _list_namespace
        if isinstance(record, redis.RedisError):
            raise record
        return cast("bytes | None", record)

    def write(
        self, slot: Slot, write: Write, stamp: Stamp, expected: int
    ) -> tuple[StoredAs, InvalidationRecord | None]:
        """Stores entry and alias by one script, if the record has not moved."""
        index = slot.by_model(write.model)
        alias_digest, alias_value = write.alias or (write.digest, b"")
        row = write.digest + alias_digest if write.alias else write.digest
        ttl_ms = max(1, write.ttl_ms)
        now_ms = int(self._clock() * 1000)
        with writing():
            reply: list[Any] = _WRITE(
                self._servers,
                [
                    *(slot.record, slot.entry(write.digest), slot.entry(alias_digest), index, slot.models),
                    *map(slot.by_tag, write.tags),
                ],
                [
                    stamp.incarnation.hex().encode(),
                    b"%020d" % expected,
                    b"%d" % ttl_ms,
                    write.value,
                    alias_value,
                    repr(write.created_at).encode(),
                    row.hex().encode(),
                    index[-32:] if write.indexed else b"",
                    write.model.encode(),
                    b"%d" % (now_ms + ttl_ms),
                    b"%d" % now_ms,
                    write.digest,
                    alias_digest if write.alias else b"",
                ],
            )
        outcome = StoredAs(reply[0].decode())
        return outcome, decode_record(reply[1]) if outcome is StoredAs.MOVED else None

    def replace(self, slot: Slot, digest: bytes, *, seen: bytes, value: bytes, ttl_ms: int, stamp: Stamp) -> bool:
        """Replaces `seen` by `value` by one script, if both it and the record's stamp are unchanged; else False."""
        point = [stamp.incarnation.hex().encode(), b"%020d" % stamp.sequence]
        now_ms, ttl_ms = int(self._clock() * 1000), max(1, ttl_ms)
        times = [b"%d" % ttl_ms, b"%d" % (now_ms + ttl_ms), b"%d" % now_ms]
        indexes = map(slot.by_tag, _tags(value))
        with writing():
            keys = [slot.record, slot.entry(digest), *indexes]
            return bool(_REPLACE(self._servers, keys, [*point, seen, value, *times, digest]))

    def change_record(
        self, slot: Slot, change: Callable[[InvalidationRecord], InvalidationRecord], remove: bytes | None = None
    ) -> InvalidationRecord:
        """Applies a pure change by compare-and-swap, repeated until no other change came between.

        Returns the new record.
        """
        removed = slot.entry(remove) if remove is not None else slot.prefix + b"nothing"
        with writing():
            current = self._listed_record(slot)
            while True:
                record = self._parse(slot, current) or new_record()
                changed = change(record)
                reply: list[Any] = _SWAP(
                    self._servers, [slot.record, removed], [current or b"", encode_record(changed)]
                )
                if reply[0] == 1:
                    return changed
                current = reply[1]

    def forget_record(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes the slot's record by one script, if it is still the one that was seen."""
        with writing():
            gone = bool(_FORGET(self._servers, [slot.record, slot.models], [encode_record(seen)]))
        self._records.pop(slot.record, None)
        return gone

    def unlist(self, namespace: str, buckets: int) -> None:
        """Takes a namespace out of the list. One that gets a record meanwhile is listed, by its maker or here."""
        with writing():
            self._client.srem(names.NAMESPACES, namespace)
            for bucket in range(buckets):
                if self._client.exists(Slot(namespace, bucket).record):
                    self._client.sadd(names.NAMESPACES, namespace)

    def replicated(self, slot: Slot, replicas: int, timeout_seconds: float) -> int:
        """Number of replicas that have acknowledged all writes so far, by WAIT. Blocks up to `timeout_seconds`."""
        return int(self._waited(slot, [b"WAIT", b"%d" % replicas], lambda have: have >= replicas, timeout_seconds))

    def synced(self, slot: Slot, timeout_seconds: float) -> bool:
        """Whether all writes so far are on disk, by WAITAOF (Redis 7.2 or later). Blocks up to `timeout_seconds`."""
        local, _ = self._waited(slot, [b"WAITAOF", b"1", b"0"], lambda reply: reply[0] > 0, timeout_seconds)
        return bool(local)

    def _waited(self, slot: Slot, wait: list[bytes], is_enough: Callable[[Any], bool], timeout_seconds: float) -> Any:
        """What there is in the end, asked for again and again: no wait may be longer than a client's patience.

        Each wait follows a command that notes the server's position, so that it covers the writes of all connections.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            seconds = min(WAIT_SECONDS, deadline - time.monotonic())
            command = packed([*wait, b"%d" % max(1, 1000 * seconds)])  # 0 would be for ever
            with reading():
                _, reply = self._servers.ask_all(slot.record, packed([b"EXISTS", slot.record]) + command, 2)
                if isinstance(reply, redis.RedisError):
                    raise reply
            if is_enough(reply) or time.monotonic() >= deadline:
                return reply

    def acquire(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        """Takes the single-flight lease for an answer; False when another caller holds it."""
        name = _lease(slot, claim)
        with writing():
            return bool(self._servers.ask(name, packed([b"SET", name, claim.token, b"NX", b"PX", b"%d" % ttl_ms])))

    def renew(self, slot: Slot, claims: Sequence[Claim], ttl_ms: int) -> list[bool]:
        """Prolongs leases, and takes those again that have lapsed, by one script a page."""
        kept: list[bool] = []
        for start in range(0, len(claims), LEASE_PAGE):
            page = claims[start : start + LEASE_PAGE]
            tokens = [claim.token for claim in page]
            with writing():
                reply = _RENEW(self._servers, [_lease(slot, claim) for claim in page], [b"%d" % ttl_ms, *tokens])
            kept += map(bool, reply)
        return kept

    def release(self, slot: Slot, claim: Claim) -> None:
        """Gives the lease back if it is still this claim's."""
        with writing():
            _RELEASE(self._servers, [_lease(slot, claim)], [claim.token])

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        name = slot.lease(digest, sequence)
        with reading():
            return bool(self._servers.ask(name, packed([b"EXISTS", name])))

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> Removed:
        """Deletes each value that still carries the stamp its removal names, by one script a model.

        Returns counts and bytes.
        """
        by_model: dict[str, list[Removal]] = {}
        for removal in removals:
            by_model.setdefault(removal.model, []).append(removal)
        total = Removed()
        for model, of_model in by_model.items():
            keys = [slot.by_model(model), *(slot.entry(removal.digest) for removal in of_model)]
            arguments: list[bytes] = []
            for removal in of_model:
                arguments += [
                    codec.stamp_bytes(removal.stamp.incarnation, removal.stamp.sequence),
                    b"" if removal.created_at is None else repr(removal.created_at).encode(),
                ]
            with writing():
                entries, aliases, freed = _REMOVE(self._servers, keys, arguments)
            total += Removed(entries=entries, aliases=aliases, bytes=freed)
        self._unlist_tags(slot, removals)
        return total

    def _unlist_tags(self, slot: Slot, removals: Sequence[Removal]) -> None:
        """Takes values out of the indexes of their tags; one that was written again meanwhile too: it is but a hint."""
        by_tag: dict[str, list[bytes]] = {}
        for removal in removals:
            for tag in removal.tags:
                by_tag.setdefault(tag, []).append(removal.digest)
        if by_tag:
            commands = b"".join(packed([b"ZREM", slot.by_tag(tag), *rows]) for tag, rows in by_tag.items())
            with writing():
                self._servers.ask_all(slot.record, commands, len(by_tag))

    def ttl_seconds(self, slot: Slot, digest: bytes) -> float | None:
        """Seconds until Redis deletes an entry; None when there is none."""
        with reading():
            left = self._client.pttl(slot.entry(digest))
        return left / 1000 if left >= 0 else None

    def info(self) -> StoreInfo:
        """Version, memory, policy, role, persistence, rights, distance and clock: what its user may find out.

        A cluster's servers are combined: those that answer.
        """
        with reading():
            return store_info(self._servers)

    def ping(self) -> None:
        """Raises StoreUnavailable unless the server can be read; in a cluster, one of them."""
        with reading():
            ask_each(self._servers, _read)

    def close(self) -> None:
        """Closes all connections."""
        if self._own_clock is not None:
            self._own_clock.close()
        self._servers.close()


def _read(server: redis.Redis) -> None:
    """Reads a key: PING and TIME are answered by a server of a cluster that is down, too."""
    with suppress(redis.exceptions.MovedError):  # another server of a cluster that works has it
        server.get(names.FORM_KEY)


def stores_of(
    request: redis.Redis, patient: redis.Redis, *, clock: Clock | None = None
) -> tuple[RedisStore, RedisStore]:
    """A store for requests and one for operators, with one clock, which the second one closes."""
    second = RedisStore(patient, clock=clock)
    if second._own_clock is not None:
        second._own_clock.first = servers_of(request)
    return RedisStore(request, clock=second.clock), second


@lru_cache(maxsize=4096)
def _read_command(slot: Slot, digests: tuple[bytes, ...]) -> bytes:
    return packed([b"MGET", *map(slot.entry, digests), slot.record])


def _tags(value: bytes) -> tuple[str, ...]:
    try:
        return codec.summarize(value, with_text=False).tags
    except DecodeError:
        return ()


def _lease(slot: Slot, claim: Claim) -> bytes:
    return slot.lease(claim.digest, claim.sequence)
