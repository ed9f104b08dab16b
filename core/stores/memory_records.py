"""The invalidation records and bans of a MemoryStore."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from heapq import nsmallest

import msgspec

from ..bans import Ban, Book, Change, InvalidationRecord, changes, new_record
from ..keys import Slot


class _Bucket(msgspec.Struct):
    """A slot's record, with all its bans in its Book, and the bans by their ids."""

    record: InvalidationRecord
    bans: dict[str, Ban]


MOST_RECORDS = 10_000
"""Namespaces and buckets that the store has records of."""


class MemoryRecords:
    """A `RecordStore` in this process, but for reading values. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: dict[bytes, _Bucket] = {}
        self._namespaces: dict[str, None] = {}

    def _drop(self, name: bytes) -> None:
        """Deletes the value with this name."""
        raise NotImplementedError

    def record(self, slot: Slot) -> InvalidationRecord | None:
        """The slot's record."""
        with self._lock:
            bucket = self._records.get(slot.record)
            return None if bucket is None else bucket.record

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record, made when there is none."""
        with self._lock:
            return self._bucket(slot).record

    def _bucket(self, slot: Slot) -> _Bucket:
        bucket = self._records.get(slot.record)
        if bucket is None:
            _make_room(self._records, self._namespaces)
            bucket = self._records[slot.record] = _Bucket(msgspec.structs.replace(new_record(), book=Book()), {})
        self._namespaces[slot.namespace] = None
        return bucket

    def append(self, slot: Slot, ban: Ban, remove: bytes | None = None) -> tuple[InvalidationRecord, Ban]:
        """Appends a ban, which gets its sequence; the record, and the ban, or the one that has its id already."""
        with self._lock:
            bucket = self._bucket(slot)
            if (known := bucket.bans.get(ban.id)) is not None:
                return bucket.record, known
            bucket.record, ban = changes.appended(bucket.record, ban)
            bucket.bans[ban.id] = ban
            if remove is not None:
                self._drop(slot.entry(remove))
            return bucket.record, ban

    def change(self, slot: Slot, ids: Sequence[str], change: Callable[[Sequence[Ban]], Change]) -> Sequence[Ban]:
        """Applies a pure change to the bans with these ids; as they are then. What `change` raises passes through."""
        with self._lock:
            bucket = self._bucket(slot)
            changed = change([bucket.bans[ban_id] for ban_id in ids if ban_id in bucket.bans])
            bucket.record = changes.applied(bucket.record, changed)
            for seen, then in changed.bans:
                if then is None:
                    del bucket.bans[seen.id]
                else:
                    bucket.bans[seen.id] = then
            return [bucket.bans[ban_id] for ban_id in ids if ban_id in bucket.bans]

    def allow_copies(self, slot: Slot, seconds: float, *, now: float, until: float) -> None:
        """Writes a grant for local copies into the slot's record."""
        with self._lock:
            bucket = self._bucket(slot)
            bucket.record = changes.allow_copies(bucket.record, seconds, now=now, until=until)

    def forget_record(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes the slot's record if it is still the one that was seen."""
        with self._lock:
            if self.record(slot) != seen:
                return False
            del self._records[slot.record]
            return True

    def ban(self, slot: Slot, ban_id: str) -> Ban | None:
        """The active ban with this id; None when there is none."""
        with self._lock:
            bucket = self._records.get(slot.record)
            return None if bucket is None else bucket.bans.get(ban_id)

    def bans_of(self, slot: Slot, ids: Sequence[str]) -> list[Ban]:
        """The active bans that have one of these ids."""
        return [ban for ban_id in ids if (ban := self.ban(slot, ban_id))]

    def bans(
        self, slot: Slot, *, after: tuple[float, str] | None = None, until: float | None = None, limit: int = 500
    ) -> list[Ban]:
        """A page of active bans by when they end, then by their ids."""
        with self._lock:
            bucket = self._records.get(slot.record)
            found = list(bucket.bans.values()) if bucket is not None else []
        wanted = [
            ban for ban in found if (after is None or _end(ban) > after) and (until is None or ban.ends_at <= until)
        ]
        return nsmallest(limit, wanted, key=_end)

    def mend(self, slot: Slot) -> None:
        """Nothing: this store has no list of bans beside them."""

    def unlist(self, namespace: str, buckets: int) -> None:
        """Takes a namespace out of the list of namespaces, unless one of its buckets has a record."""
        with self._lock:
            if not any(Slot(namespace, bucket).record in self._records for bucket in range(buckets)):
                self._namespaces.pop(namespace, None)

    def replicated(self, slot: Slot, replicas: int, timeout_seconds: float) -> int:
        """Returns `replicas`: this store has none, and nothing takes over from it."""
        return replicas

    def synced(self, slot: Slot, timeout_seconds: float) -> bool:
        """Returns True: this store has no disk, and nothing of it survives a crash."""
        return True


def _end(ban: Ban) -> tuple[float, str]:
    return ban.ends_at, ban.id


def _make_room(records: dict[bytes, _Bucket], namespaces: dict[str, None]) -> None:
    """Forgets the oldest records without a ban when there are too many: what is under them is a miss."""
    while len(records) >= MOST_RECORDS:
        oldest = next((name for name, bucket in records.items() if not bucket.bans), None)
        if oldest is None:
            return
        del records[oldest]
    while len(namespaces) >= MOST_RECORDS:
        del namespaces[next(iter(namespaces))]
