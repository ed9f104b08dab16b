"""MemoryStore: one process, least recently used entries leave first, TTLs kept, statistics counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from heapq import nlargest

import msgspec

from ..bans import Ban, InvalidationRecord
from ..errors import DecodeError
from ..keys import Slot
from ..models import Stamp
from . import codec
from .base import Claim, Correction, Removal, Removed, Row, ScanPage, StoredAs, StoreInfo, SweepFilter, Write
from .clock import Clock, even_clock
from .memory_aside import Cell, MemoryAside


class MemoryStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the store was made."""

    reads: int
    found: int
    evicted: int
    expired: int
    size: int
    max_size: int


class MemoryStore(MemoryAside):
    """A thread-safe LRU with TTL. The same bytes, records and fence as RedisStore, so the same checks.

    `max_size` counts entries and aliases, and what lies aside, which leaves before any of them. `clock` gives Unix
    seconds; one that does not jump unless given.
    """

    place_of = None

    def __init__(self, max_size: int = 10_000, *, clock: Clock | None = None) -> None:
        super().__init__()
        self._max_size = max_size
        self.clock = clock or even_clock()
        self._leases: dict[bytes, tuple[bytes, float]] = {}
        self._reads = self._found = self._evicted = self._expired = 0

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """The values at these digests, None where there is none, and the slot's record, as of one moment."""
        with self._lock:
            return [self._get(slot.entry(digest)) for digest in digests], self.record(slot)

    def _get(self, name: bytes) -> bytes | None:
        self._reads += 1
        cell = self._cells.get(name)
        if cell is None:
            return None
        if cell.expires_at <= self.clock():
            del self._cells[name]
            self._expired += 1
            return None
        self._cells.move_to_end(name)
        self._found += 1
        return cell.value

    def write(
        self, slot: Slot, write: Write, stamp: Stamp, expected: int
    ) -> tuple[StoredAs, InvalidationRecord | None]:
        """Stores if the record has the stamp's incarnation and no ban came after the sequence `expected`."""
        with self._lock:
            record = self.record(slot)
            if record is None:
                return StoredAs.NO_RECORD, None
            if record.incarnation != stamp.incarnation:
                return StoredAs.INCARNATION, record
            if stamp.sequence < record.floor:
                return StoredAs.FLOOR, record
            if record.sequence != expected:
                return StoredAs.MOVED, record
            places = ((write.digest, write.value), *((write.alias,) if write.alias is not None else ()))
            for digest, value in places:
                if record.active and (write.over_hidden or record.sequence != stamp.sequence):
                    self._put_aside(slot, digest, record)
                self._put(slot.entry(digest), value, write)
            while len(self._cells) + len(self._aside) > self._max_size:
                (self._aside or self._cells).popitem(last=False)
                self._evicted += 1
            return StoredAs.STORED, record

    def _put(self, name: bytes, value: bytes, write: Write) -> None:
        self._cells[name] = Cell(value, self.clock() + write.ttl_ms / 1000, write.model, write.created_at, write.tags)
        self._cells.move_to_end(name)

    def _drop(self, name: bytes) -> None:
        self._cells.pop(name, None)

    def replace(self, slot: Slot, digest: bytes, *, seen: bytes, value: bytes, ttl_ms: int, stamp: Stamp) -> bool:
        """Replaces `seen` by `value` if it is still there and the record still has this stamp; else False."""
        with self._lock:
            record = self.record(slot)
            name = slot.entry(digest)
            if record is None or record.stamp != stamp or self._get(name) != seen:
                return False
            cell = self._cells[name]
            self._cells[name] = Cell(value, self.clock() + ttl_ms / 1000, cell.model, cell.created_at, cell.tags)
            return True

    def correct(self, slot: Slot, ban: Ban, correction: Correction) -> InvalidationRecord | None:
        """Appends a ban and puts an answer in the place of what it hides, if all is as it was seen; else None."""
        with self._lock:
            record = self.record(slot)
            if record is None or record.stamp != correction.stamp or self.ban(slot, ban.id) is not None:
                return None
            if self._get(slot.entry(correction.digest)) != correction.seen:
                return None
            record, _ = self.append(slot, ban)
            self._swap(slot.entry(correction.digest), correction.value, correction)
            for digest, seen, then in correction.aliases:
                if self._get(slot.entry(digest)) == seen:
                    self._swap(slot.entry(digest), then, correction)
            return record

    def _swap(self, name: bytes, value: bytes, correction: Correction) -> None:
        times = {"expires_at": self.clock() + correction.ttl_ms / 1000, "created_at": correction.created_at}
        self._cells[name] = msgspec.structs.replace(self._cells[name], value=value, **times)

    def acquire(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        """Takes the single-flight lease for an answer; False when another caller holds it."""
        with self._lock:
            return not self.leased(slot, claim.digest, claim.sequence) and self._hold(slot, claim, ttl_ms)

    def renew(self, slot: Slot, claims: Sequence[Claim], ttl_ms: int) -> list[bool]:
        """Prolongs leases, and takes lapsed ones again; False for each that another caller holds now."""
        with self._lock:
            return [
                (self._holder(slot, claim) == claim.token or not self.leased(slot, claim.digest, claim.sequence))
                and self._hold(slot, claim, ttl_ms)
                for claim in claims
            ]

    def _hold(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        self._leases[slot.lease(claim.digest, claim.sequence)] = (claim.token, self.clock() + ttl_ms / 1000)
        return True

    def _holder(self, slot: Slot, claim: Claim) -> bytes:
        return self._leases.get(slot.lease(claim.digest, claim.sequence), (b"", 0.0))[0]

    def release(self, slot: Slot, claim: Claim) -> None:
        """Gives the lease back if it is still this claim's."""
        with self._lock:
            if self._holder(slot, claim) == claim.token:
                del self._leases[slot.lease(claim.digest, claim.sequence)]

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        with self._lock:
            held = self._leases.get(slot.lease(digest, sequence))
            return held is not None and held[1] > self.clock()

    def walk(self, slot: Slot, *, whole: bool, batch: int = 200) -> Iterator[list[Row]]:
        """All live entries of a slot in batches."""
        yield from self._batches(slot, lambda cell: True, whole, batch)

    def scan_matching(
        self, slot: Slot, incarnation: bytes, filters: Sequence[SweepFilter], *, whole: bool, batch: int = 500
    ) -> Iterator[ScanPage]:
        """A full pass that leaves nothing out, since nothing has to be fetched."""
        yield from map(ScanPage, self.walk(slot, whole=whole, batch=batch))

    def walk_model(
        self, slot: Slot, model: str, *, created_before: float | None = None, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries of a model, oldest first."""
        yield from self._batches(slot, _of_model(model, created_before), whole, batch)

    def walk_tags(
        self, slot: Slot, tags: Sequence[str], *, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries and aliases that have one of these tags, oldest first."""
        wanted = frozenset(tags)
        yield from self._batches(slot, lambda cell: not wanted.isdisjoint(cell.tags), whole, batch)

    def _batches(self, slot: Slot, wanted: Callable[[Cell], bool], whole: bool, batch: int) -> Iterator[list[Row]]:
        now = self.clock()
        with self._lock:
            found = [
                (name, cell)
                for name, cell in self._cells.items()
                if name.startswith(slot.entries) and cell.expires_at > now and wanted(cell)
            ]
        found.sort(key=lambda item: item[1].created_at)
        for start in range(0, len(found), batch):
            yield [
                Row(digest=slot.digest(name), value=cell.value if whole else cell.value[: codec.HEADER_BYTES])
                for name, cell in found[start : start + batch]
            ]

    def recent(
        self, slot: Slot, model: str, *, before: tuple[float, bytes] | None = None, limit: int = 200
    ) -> list[tuple[float, bytes]]:
        """(creation time, digest) of a model's entries, newest first."""
        now = self.clock()
        with self._lock:
            found = [
                (cell.created_at, slot.digest(name))
                for name, cell in self._cells.items()
                if name.startswith(slot.entries)
                and cell.expires_at > now
                and cell.model == model
                and _is_entry(cell.value)
            ]
        return nlargest(limit, [place for place in found if before is None or place < before])

    def count_model(self, slot: Slot, model: str, created_before: float | None = None) -> int:
        """How many live entries a model has, aliases not counted."""
        return sum(
            _is_entry(row.value)
            for rows in self.walk_model(slot, model, created_before=created_before, whole=True)
            for row in rows
        )

    def models(self, slot: Slot) -> dict[str, int]:
        """Models that have entries, with how many live ones, aliases not counted."""
        now = self.clock()
        found: dict[str, int] = {}
        with self._lock:
            for name, cell in self._cells.items():
                if name.startswith(slot.entries):
                    is_counted = cell.expires_at > now and _is_entry(cell.value)
                    found[cell.model] = found.get(cell.model, 0) + is_counted
        return dict(sorted(found.items()))

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> Removed:
        """Deletes each value that still carries the stamp its removal names. Returns counts and bytes."""
        total = Removed()
        with self._lock:
            for removal in removals:
                total += self._remove(slot.entry(removal.digest), removal.stamp.__eq__)
        return total

    def remove_model(
        self, slot: Slot, model: str, before: Stamp, *, created_before: float | None = None, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes a model's entries that were stored before a stamp, in batches, oldest first."""
        for rows in self.walk_model(slot, model, created_before=created_before, batch=batch):
            total = Removed()
            with self._lock:
                for row in rows:
                    total += self._remove(slot.entry(row.digest), partial(_is_older, before), created_before)
            yield total

    def remove_tags(
        self, slot: Slot, incarnation: bytes, before: Mapping[str, int], *, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes what has a tag and was stored before the sequence given with it, in batches, oldest first."""
        for rows in self.walk_tags(slot, list(before), batch=batch):
            total = Removed()
            with self._lock:
                for row in rows:
                    name = slot.entry(row.digest)
                    tags = self._cells[name].tags if name in self._cells else ()
                    latest = Stamp(incarnation, max((before[tag] for tag in tags if tag in before), default=0))
                    total += self._remove(name, partial(_is_older, latest))
            yield total

    def _remove(
        self, name: bytes, is_selected: Callable[[Stamp], bool], created_before: float | None = None
    ) -> Removed:
        cell = self._cells.get(name)
        if cell is None or (created_before is not None and cell.created_at >= created_before):
            return Removed()
        try:
            seen = codec.summarize(cell.value, with_text=False)
        except DecodeError:
            return Removed()
        if not is_selected(Stamp(seen.incarnation, seen.sequence)):
            return Removed()
        del self._cells[name]
        is_alias = seen.target is not None
        return Removed(entries=not is_alias, aliases=is_alias, bytes=len(cell.value))

    def prune_index(self, slot: Slot) -> int:
        """Drops expired entries. Returns their number."""
        now = self.clock()
        with self._lock:
            gone = [name for name, cell in self._cells.items() if cell.expires_at <= now]
            for name in gone:
                del self._cells[name]
            self._expired += len(gone)
            return len(gone)

    def ttl_seconds(self, slot: Slot, digest: bytes) -> float | None:
        """Seconds until an entry expires; None when there is none."""
        with self._lock:
            cell = self._cells.get(slot.entry(digest))
            left = cell.expires_at - self.clock() if cell else 0.0
            return left if left > 0 else None

    def namespaces(self) -> list[str]:
        """Namespaces that were ever used."""
        with self._lock:
            return sorted(self._namespaces)

    def statistics(self) -> MemoryStatistics:
        """Counts since the store was made."""
        with self._lock:
            return MemoryStatistics(
                reads=self._reads,
                found=self._found,
                evicted=self._evicted,
                expired=self._expired,
                size=len(self._cells),
                max_size=self._max_size,
            )

    def info(self) -> StoreInfo:
        """Kind, bytes held and entries evicted."""
        with self._lock:
            used = sum(len(cell.value) for cell in self._cells.values())
            return StoreInfo(kind="memory", used_bytes=used, evicted=self._evicted, policy="lru")

    def ping(self) -> None:
        """Does nothing: this store always answers."""

    def close(self) -> None:
        """Drops all entries."""
        with self._lock:
            self._cells.clear()
            self._aside.clear()
            self._records.clear()


def _is_older(before: Stamp, stamp: Stamp) -> bool:
    return stamp.incarnation == before.incarnation and stamp.sequence < before.sequence


def _of_model(model: str, created_before: float | None) -> Callable[[Cell], bool]:
    return lambda cell: cell.model == model and (created_before is None or cell.created_at < created_before)


def _is_entry(value: bytes) -> bool:
    try:
        return codec.summarize(value, with_text=False).target is None
    except DecodeError:
        return False
