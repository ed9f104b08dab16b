"""RedisStore: one MGET per lookup, a fenced store script, records by compare-and-swap, sweeps by compare-and-delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import redis

from ...bans import InvalidationRecord, decode_record, encode_record, new_record
from ...errors import DecodeError
from ...keys import Slot, names
from ...models import Stamp
from .. import codec
from ..base import Claim, Removal, Removed, Row, ScanPage, StoredAs, StoreInfo, SweepFilter, Write
from .clients import patient_client, request_client
from .cluster import ClusterClient, ClusterServers
from .connection import packed
from .failures import reading, translated, writing
from .info import combined_info, server_info
from .scripts import PRUNE, RELEASE, REMOVE, REMOVE_MODEL, RENEW, REPLACE, ROW_DIGITS, SIFT, SWAP, WRITE
from .servers import OneServer, Servers

__all__ = ["RedisStore", "patient_client", "request_client"]

ROW_PAGE = 500
FETCHED_BATCH = 200
LEASE_PAGE = 200
WAIT_SECONDS = 0.5
"""Of one WAIT: the console's clients have patience for a second."""


class RedisStore:
    """Entries and records on one Redis (6.2 or later). Threads may share it; a fork gets connections of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._servers: Servers = ClusterServers(client) if isinstance(client, ClusterClient) else OneServer(client)
        self._records: dict[bytes, tuple[bytes, InvalidationRecord]] = {}

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """The values at these digests and the slot's record: one MGET."""
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
        self._records[slot.record] = (value, record)
        return record

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record, made with a new random incarnation when there is none (or none that can be read)."""
        with writing():
            self._list_namespace(slot)
            fresh = encode_record(new_record())
            self._client.set(slot.record, fresh, nx=True)
            record = self._parse(slot, cast("bytes | None", self._client.get(slot.record)))
            if record is None:
                self._client.set(slot.record, fresh)
                record = decode_record(fresh)
            return record

    def _list_namespace(self, slot: Slot) -> None:
        try:
            self._client.sadd(names.NAMESPACES, slot.namespace)
        except redis.ResponseError:
            # A full server does not take this and does take what follows; whatever else it refuses, it will say then.
            return

    def _listed_record(self, slot: Slot) -> bytes | None:
        """A record as it is stored, its namespace listed again: sweeps are found by that list, and it may be lost."""
        if not isinstance(self._servers, OneServer):
            self._list_namespace(slot)
            return cast("bytes | None", self._client.get(slot.record))
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
        with writing():
            reply: list[Any] = WRITE(
                self._servers,
                [slot.record, slot.entry(write.digest), slot.entry(alias_digest), index, slot.models],
                [
                    stamp.incarnation.hex().encode(),
                    b"%020d" % expected,
                    b"%d" % max(1, write.ttl_ms),
                    write.value,
                    alias_value,
                    repr(write.created_at).encode(),
                    row.hex().encode(),
                    index[-32:] if write.indexed else b"",
                    write.model.encode(),
                ],
            )
        outcome = StoredAs(reply[0].decode())
        return outcome, decode_record(reply[1]) if outcome is StoredAs.MOVED else None

    def replace(self, slot: Slot, digest: bytes, *, seen: bytes, value: bytes, ttl_ms: int, stamp: Stamp) -> bool:
        """Puts a value in another's place by one script, if nothing has changed."""
        point = [stamp.incarnation.hex().encode(), b"%020d" % stamp.sequence]
        arguments = [*point, seen, value, b"%d" % max(1, ttl_ms)]
        with writing():
            return bool(REPLACE(self._servers, [slot.record, slot.entry(digest)], arguments))

    def change_record(
        self, slot: Slot, change: Callable[[InvalidationRecord], InvalidationRecord], remove: bytes | None = None
    ) -> InvalidationRecord:
        """Applies a pure change by compare-and-swap until no one came between; the new record."""
        doomed = slot.entry(remove) if remove is not None else slot.prefix + b"nothing"
        with writing():
            current = self._listed_record(slot)
            while True:
                record = self._parse(slot, current) or new_record()
                changed = change(record)
                reply: list[Any] = SWAP(self._servers, [slot.record, doomed], [current or b"", encode_record(changed)])
                if reply[0] == 1:
                    return changed
                current = reply[1]

    def replicated(self, slot: Slot, replicas: int, timeout_seconds: float) -> int:
        """By WAIT."""
        return int(self._waited(slot, [b"WAIT", b"%d" % replicas], lambda have: have >= replicas, timeout_seconds))

    def synced(self, slot: Slot, timeout_seconds: float) -> bool:
        """By WAITAOF, which Redis has from 7.2 on."""
        local, _ = self._waited(slot, [b"WAITAOF", b"1", b"0"], lambda reply: reply[0] > 0, timeout_seconds)
        return bool(local)

    def _waited(self, slot: Slot, wait: list[bytes], is_enough: Callable[[Any], bool], timeout_seconds: float) -> Any:
        """What there is in the end, asked for again and again: no wait may be longer than a client's patience.

        Each is after a command that takes note of how far the server is, whoever's the latest write was.
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
        """Takes the single-flight lease for an answer."""
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
                reply = RENEW(self._servers, [_lease(slot, claim) for claim in page], [b"%d" % ttl_ms, *tokens])
            kept += map(bool, reply)
        return kept

    def release(self, slot: Slot, claim: Claim) -> None:
        """Gives the lease back if it is still this claim's."""
        with writing():
            RELEASE(self._servers, [_lease(slot, claim)], [claim.token])

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        name = slot.lease(digest, sequence)
        with reading():
            return bool(self._servers.ask(name, packed([b"EXISTS", name])))

    def walk(self, slot: Slot, *, whole: bool, batch: int = 200) -> Iterator[list[Row]]:
        """All entries of a slot by a full pass over its fixed prefix."""
        pages = self._servers.names(slot.entries)
        while True:
            with reading():
                names = next(pages, None)
            if names is None:
                return
            for start in range(0, len(names), batch):
                yield self._rows(slot, names[start : start + batch], whole)

    def scan_matching(
        self, slot: Slot, incarnation: bytes, filters: Sequence[SweepFilter], *, whole: bool, batch: int = 500
    ) -> Iterator[ScanPage]:
        """The same pass, in which the server leaves out what is not hit; on a cluster nothing is left out."""
        if not isinstance(self._servers, OneServer):
            yield from map(ScanPage, self.walk(slot, whole=whole, batch=batch))
            return
        count = max(1, 4 * batch // (3 + len(filters)))
        head = [slot.entries, b"%d" % (len(slot.entries) + ROW_DIGITS)]
        tail = [b"%d" % count, incarnation]
        for sweep_filter in filters:
            tail += [
                b"%d" % sweep_filter.sequence,
                b"" if sweep_filter.created_before is None else repr(sweep_filter.created_before).encode(),
                b"" if sweep_filter.model is None else codec.names_bytes(slot.namespace, sweep_filter.model),
                b"\t".join(b"\n".join(group) for group in sweep_filter.substrings or ()),
                sweep_filter.digest.hex().encode() if sweep_filter.digest is not None else b"",
                sweep_filter.digest or b"",
            ]
        cursor = b"0"
        while True:
            with reading():
                cursor, others, names = SIFT(self._servers, [slot.record], [*head, cursor, *tail])
            yield ScanPage([], others)
            for start in range(0, len(names), FETCHED_BATCH):
                yield ScanPage(self._rows(slot, names[start : start + FETCHED_BATCH], whole))
            if cursor == b"0":
                return

    def walk_model(
        self, slot: Slot, model: str, *, created_before: float | None = None, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries of a model, oldest first, by its sorted set."""
        index = slot.by_model(model)
        highest = _highest(created_before)
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
            fresh = [(row, score) for row, score in page if row not in seen]
            if not fresh:
                return
            yield self._rows(slot, [slot.entries + row[:ROW_DIGITS] for row, _ in fresh], whole)
            last = fresh[-1][1]
            lowest = repr(last)
            seen = {row for row, score in page if score == last}

    def _rows(self, slot: Slot, names: Sequence[bytes], whole: bool) -> list[Row]:
        """What is at these names, one round trip; names that are of no entry are left out."""
        length = len(slot.entries) + ROW_DIGITS
        names = [name for name in names if len(name) == length]
        if not names:
            return []
        with reading():
            if whole:
                values: list[Any] = self._servers.ask(names[0], packed([b"MGET", *names]))
            else:
                head = b"*4\r\n$8\r\nGETRANGE\r\n$%d\r\n" % length
                tail = b"\r\n" + packed([b"0", b"%d" % (codec.HEADER_BYTES - 1)]).partition(b"\r\n")[2]
                values = self._servers.ask_all(names[0], head + (tail + head).join(names) + tail, len(names))
        return [
            Row(digest=slot.digest(name), value=value)
            for name, value in zip(names, values, strict=True)
            if value and value.__class__ is bytes
        ]

    def recent(
        self, slot: Slot, model: str, *, before: tuple[float, bytes] | None = None, limit: int = 200
    ) -> list[tuple[float, bytes]]:
        """(creation time, digest) of a model's entries, newest first, by its sorted set."""
        highest = "+inf" if before is None else repr(before[0])
        found: list[tuple[float, bytes]] = []
        offset = 0
        while len(found) < limit:
            with reading():
                rows = cast(
                    "list[tuple[bytes, float]]",
                    self._client.zrange(
                        slot.by_model(model),
                        highest,
                        "-inf",
                        desc=True,
                        byscore=True,
                        offset=offset,
                        num=limit,
                        withscores=True,
                    ),
                )
            # Entries of the very moment of `before` come first again: those that were had are left out.
            places = [(at, _digest(row)) for row, at in rows]
            found += [place for place in places if before is None or place < before]
            offset += len(rows)
            if len(rows) < limit:
                break
        return found[:limit]

    def count_model(self, slot: Slot, model: str, created_before: float | None = None) -> int:
        """How many entries the index lists for a model."""
        with reading():
            return self._client.zcount(slot.by_model(model), "-inf", _highest(created_before))

    def models(self, slot: Slot) -> dict[str, int]:
        """Models the index knows, with how many entries it lists for each."""
        with reading():
            # No script, which a server that lets nobody write would not run either.
            names = cast("dict[bytes, bytes]", self._client.hgetall(slot.models))
            commands = b"".join(packed([b"ZCARD", slot.indexes + digest]) for digest in names)
            counts = self._servers.ask_all(slot.record, commands, len(names)) if names else []
        found = zip((name.decode("utf-8", "surrogatepass") for name in names.values()), counts, strict=True)
        return {name: count if isinstance(count, int) else 0 for name, count in sorted(found, key=itemgetter(0))}

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> Removed:
        """Deletes those that still carry the stamp that was seen, by one script a model."""
        by_model: dict[str, list[Removal]] = {}
        for removal in removals:
            by_model.setdefault(removal.model, []).append(removal)
        total = Removed()
        for model, doomed in by_model.items():
            keys = [slot.by_model(model), *(slot.entry(removal.digest) for removal in doomed)]
            arguments: list[bytes] = []
            for removal in doomed:
                arguments += [
                    codec.stamp_bytes(removal.stamp.incarnation, removal.stamp.sequence),
                    b"" if removal.created_at is None else repr(removal.created_at).encode(),
                ]
            with writing():
                entries, aliases, freed = REMOVE(self._servers, keys, arguments)
            total += Removed(entries=entries, aliases=aliases, bytes=freed)
        return total

    def remove_model(
        self, slot: Slot, model: str, before: Stamp, *, created_before: float | None = None, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes what the index lists and what was stored before a stamp, by one script a batch, oldest first."""
        rows = batch // 2  # each names an entry and its alias
        skipped = 0
        while True:
            arguments = [
                slot.entries,
                before.incarnation,
                b"%d" % before.sequence,
                _highest(created_before).encode(),
                b"%d" % skipped,
                b"%d" % rows,
                b"" if created_before is None else repr(created_before).encode(),
            ]
            with writing():
                seen, gone, entries, aliases, freed = REMOVE_MODEL(self._servers, [slot.by_model(model)], arguments)
            yield Removed(entries=entries, aliases=aliases, bytes=freed)
            # A whole page that stays is newer, and so is what comes after it, or nearly so: it is but a hint.
            if seen < rows or not gone:
                return
            skipped += seen - gone

    def prune_index(self, slot: Slot) -> int:
        """Drops index rows whose entries are gone: they expire without the index being told."""
        dropped = 0
        for model in self.models(slot):
            passed = 0
            while True:
                with writing():
                    seen, gone = PRUNE(
                        self._servers, [slot.by_model(model)], [slot.entries, b"%d" % passed, b"%d" % ROW_PAGE]
                    )
                dropped += gone
                passed += seen - gone
                if seen < ROW_PAGE:
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
            return sorted(name.decode() for name in cast("set[bytes]", self._client.smembers(names.NAMESPACES)))

    def info(self) -> StoreInfo:
        """Version, memory, policy, role and persistence, from INFO: a cluster's servers are combined."""
        with reading():
            return combined_info([server_info(server) for server in self._servers.each()])

    def ping(self) -> None:
        """Raises StoreUnavailable unless the server answers."""
        with reading():
            for server in self._servers.each():
                server.time()  # one whose last save failed refuses a PING

    def close(self) -> None:
        """Closes all connections."""
        self._servers.close()


@lru_cache(maxsize=4096)
def _read_command(slot: Slot, digests: tuple[bytes, ...]) -> bytes:
    return packed([b"MGET", *map(slot.entry, digests), slot.record])


def _lease(slot: Slot, claim: Claim) -> bytes:
    return slot.lease(claim.digest, claim.sequence)


def _digest(row: bytes) -> bytes:
    """The entry that a row of the index names."""
    return bytes.fromhex(row[:ROW_DIGITS].decode())


def _highest(created_before: float | None) -> str:
    return "+inf" if created_before is None else f"({created_before!r}"
