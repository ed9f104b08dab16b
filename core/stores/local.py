"""LocalCache (L1): copies in this process of values it has read lately, served again without asking the store.

A copy is served only while its bucket's record is known to be the one it was read with: this process has read that very
record, and asked for it less than `seconds` ago. Whatever changes the record ends all copies of its bucket: where
something is invalidated many times a second, copies are hardly ever served. To look at an old copy again with a newer
record would be wrong: a ban that hid it may have come and retired in between.

Invalidations rely on this: where the record holds a grant for copies, one is acknowledged only after the granted time.
So a process requests the grant, in the record itself, before it serves any copy.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import msgspec
from cachetools import FIFOCache, LRUCache

from ..bans import InvalidationRecord
from ..keys import Slot
from .base import RecordStore
from .clock import Clock, elapsed

KEPT_SECONDS = 10.0
"""Greatest age of a copy, and so how long an answer may be served that another process has replaced by a newer one."""
GRANT_SECONDS = 600.0
"""How long a grant lasts; a process requests the next one when half of it is over."""
RETRY_SECONDS = 1.0
"""The shortest time between two requests for a grant."""
OVERHEAD_BYTES = 300
"""Memory that a copy takes in addition to its value."""
MAX_RECORDS = 10_000


class _Seen(msgspec.Struct, frozen=True):
    """The record as it was read last, and when that was asked for."""

    record: InvalidationRecord
    asked_at: float


class _Copy(msgspec.Struct, frozen=True):
    """A value, or that there was none, with the record of the same moment and when both were asked for."""

    value: bytes | None
    record: InvalidationRecord
    asked_at: float


class ReadThrough:
    """A `Reader` that asks the store and keeps copies of what it returns."""

    def __init__(self, local: LocalCache) -> None:
        self._local = local

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """Values and record from the store, as of one moment. One round trip. Raises StoreUnavailable."""
        return self._local.fetch(slot, digests)


class LocalCache:
    """Copies of values in this process: at most `max_bytes`, the least recently used are dropped first. Thread-safe.

    `seconds` is how long after reading a record its copies may be served. `clock` gives Unix seconds, `monotonic`
    seconds on a clock that does not jump.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        seconds: float,
        max_bytes: int,
        clock: Clock,
        monotonic: Clock = elapsed,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: FIFOCache[bytes, _Seen] = FIFOCache(MAX_RECORDS)
        self._kept: LRUCache[bytes, _Copy] = LRUCache(max_bytes, getsizeof=_size)
        self._requested: FIFOCache[bytes, float] = FIFOCache(MAX_RECORDS)
        self._forgotten_at = -math.inf
        self.through = ReadThrough(self)

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """Local copies of the record, and of the values up to the first that is there, if they may be served now.

        Else None for all of them. Reads no store: a caller who cannot use that value asks the store.
        """
        nothing: list[bytes | None] = [None] * len(digests)
        seen = self._latest(slot)
        if seen is None:
            return nothing, None
        record, now = seen.record, self._monotonic()
        may_serve = min(self._seconds, record.copies_seconds)
        if now - seen.asked_at >= may_serve or self._clock() >= record.copies_until:
            return nothing, None
        values: list[bytes | None] = []
        with self._lock:
            for digest in digests:
                try:
                    copy = self._kept[digest]  # one step where `get` takes two
                except KeyError:
                    return nothing, None
                if copy.record is not record or now - copy.asked_at >= KEPT_SECONDS:
                    del self._kept[digest]
                    return nothing, None
                values.append(copy.value)
                if copy.value is not None:
                    break
        return values + nothing[len(values) :], record

    def fetch(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """Values and record from the store; keeps copies if any value is there. One round trip.

        Raises StoreUnavailable.
        """
        asked_at = self._monotonic()
        values, record = self._store.read(slot, digests)
        self._see(slot, record, asked_at)
        if record is not None and any(value is not None for value in values):
            with self._lock:
                seen = self._latest(slot)
                # What was asked for before this process itself wrote may be what it has replaced.
                if seen is not None and seen.record == record and asked_at > self._forgotten_at:
                    for digest, value in zip(digests, values, strict=True):
                        self._keep(digest, _Copy(value, seen.record, asked_at))
        return values, record

    def _see(self, slot: Slot, record: InvalidationRecord | None, asked_at: float) -> None:
        with self._lock:
            seen = self._latest(slot)
            if seen is not None and asked_at < seen.asked_at:
                return  # another thread has asked later, and was faster
            if record is None:
                self._seen.pop(slot.record, None)
                return
            if seen is not None and seen.record == record:
                record = seen.record  # copies are compared with it by identity
            self._seen[slot.record] = _Seen(record, asked_at)

    def _latest(self, slot: Slot) -> _Seen | None:
        try:
            return self._seen[slot.record]  # one step, so that it needs no lock; `get` takes two
        except KeyError:
            return None

    def _keep(self, digest: bytes, copy: _Copy) -> None:
        self._kept.pop(digest, None)
        if _size(copy) <= self._kept.maxsize:
            self._kept[digest] = copy

    def forget(self, *digests: bytes) -> None:
        """Drops copies of these digests, which this process has just written."""
        with self._lock:
            self._forgotten_at = self._monotonic()
            for digest in digests:
                self._kept.pop(digest, None)

    # Grants

    def needs_grant(self, slot: Slot) -> bool:
        """Whether a grant should be requested now. True at most once a second for a bucket: a request may fail."""
        seen = self._latest(slot)
        if seen is None:
            return False
        record = seen.record
        if record.copies_seconds >= self._seconds and self._clock() < record.copies_until - GRANT_SECONDS / 2:
            return False
        now = self._monotonic()
        with self._lock:
            if now < self._requested.get(slot.record, -math.inf) + RETRY_SECONDS:
                return False
            self._requested[slot.record] = now
        return True

    def request_grant(self, slot: Slot) -> None:
        """Writes a grant into the record: from then on invalidations of this bucket wait for copies to end.

        Copies are served once a later read has shown it. One compare-and-swap.

        Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        now = self._clock()
        until = float(math.ceil(now + GRANT_SECONDS))
        self._store.allow_copies(slot, self._seconds, now=now, until=until)


def _size(copy: _Copy) -> int:
    return OVERHEAD_BYTES + (len(copy.value) if copy.value is not None else 0)
