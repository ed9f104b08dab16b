"""In-process copies (L1): what this process has read lately, given again without asking the store.

A copy is given only while its bucket's record is known to be the one it was read with: this process has read that very
record, and asked for it less than `seconds` ago. Whatever changes the record ends all copies of its bucket. To look at
an old copy again with a newer record would be wrong: a ban that hid it may have come and retired in between.

An invalidation counts on it: it is acknowledged only after that time, when the record gives leave for copies. So a
process takes that leave, in the record itself, before it gives any.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from .. import bans
from ..bans import InvalidationRecord
from ..keys import Slot
from .base import Store

KEPT_SECONDS = 10.0
"""How old a copy may be: so long may an answer be given that another process has replaced by a newer one."""
LEAVE_SECONDS = 600.0
"""For how long a process takes leave; it takes it again when half of it is over."""
RETRY_SECONDS = 1.0
"""The shortest time between two tries to take it."""
OVERHEAD_BYTES = 300
"""Memory that a copy takes beside its value."""
MAX_RECORDS = 10_000


def elapsed() -> float:
    """Seconds on a clock that never jumps and, where there is one, goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Seen(msgspec.Struct, frozen=True):
    """The record as it was read last, and when that was asked for."""

    record: InvalidationRecord
    asked_at: float


class _Copy(msgspec.Struct, frozen=True):
    """A value, or that there was none, with the record of the same moment and when both were asked for."""

    value: bytes | None
    record: InvalidationRecord
    asked_at: float


class Through:
    """Reads from the store, and keeps copies of what is there."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """As `Store.read`."""
        return self._copies.fetch(slot, digests)


class Copies:
    """The copies of one process, at most `max_bytes` of them: the least recently used leave. Threads may share them.

    `clock` gives Unix seconds, `monotonic` seconds on a clock that does not jump.
    """

    def __init__(
        self,
        store: Store,
        *,
        seconds: float,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = elapsed,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: dict[bytes, _Seen] = {}
        self._kept: OrderedDict[bytes, _Copy] = OrderedDict()
        self._tried: dict[bytes, float] = {}
        self._bytes = 0
        self._forgotten_at = -math.inf
        self.through = Through(self)

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """As `Store.read`, without asking it: no record, and no values, unless copies of all may be given now."""
        nothing: list[bytes | None] = [None] * len(digests)
        seen = self._seen.get(slot.record)
        if seen is None:
            return nothing, None
        record, now = seen.record, self._monotonic()
        may_give = min(self._seconds, record.copies_seconds)
        if now - seen.asked_at >= may_give or self._clock() >= record.copies_until:
            return nothing, None
        values = []
        with self._lock:
            for digest in digests:
                copy = self._kept.get(digest)
                if copy is None:
                    return nothing, None
                if copy.record is not record or now - copy.asked_at >= KEPT_SECONDS:
                    self._drop(digest)
                    return nothing, None
                self._kept.move_to_end(digest)
                values.append(copy.value)
        return values, record

    def fetch(self, slot: Slot, digests: Sequence[bytes]) -> tuple[list[bytes | None], InvalidationRecord | None]:
        """What the store gives, kept if there is anything to keep. Raises StoreUnavailable."""
        asked_at = self._monotonic()
        values, record = self._store.read(slot, digests)
        self._see(slot, record, asked_at)
        if record is not None and any(value is not None for value in values):
            with self._lock:
                seen = self._seen.get(slot.record)
                # What was asked for before this process itself wrote may be what it has replaced.
                if seen is not None and seen.record == record and asked_at > self._forgotten_at:
                    for digest, value in zip(digests, values, strict=True):
                        self._keep(digest, _Copy(value, seen.record, asked_at))
        return values, record

    def _see(self, slot: Slot, record: InvalidationRecord | None, asked_at: float) -> None:
        with self._lock:
            seen = self._seen.get(slot.record)
            if seen is not None and asked_at < seen.asked_at:
                return  # another thread has asked later, and was faster
            if record is None:
                self._seen.pop(slot.record, None)
                return
            if seen is not None and seen.record == record:
                record = seen.record  # copies are compared with it by identity
            elif len(self._seen) >= MAX_RECORDS:
                self._seen.clear()
            self._seen[slot.record] = _Seen(record, asked_at)

    def _keep(self, digest: bytes, copy: _Copy) -> None:
        self._drop(digest)
        size = _size(copy)
        if size > self._max_bytes:
            return
        self._kept[digest] = copy
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])

    def _drop(self, digest: bytes) -> None:
        copy = self._kept.pop(digest, None)
        if copy is not None:
            self._bytes -= _size(copy)

    def forget(self, *digests: bytes) -> None:
        """Has these asked for again: this process has just written them."""
        with self._lock:
            self._forgotten_at = self._monotonic()
            for digest in digests:
                self._drop(digest)

    # Leave

    def lacks_leave(self, slot: Slot) -> bool:
        """Whether leave should be taken now. At most once a second says so: it may be refused."""
        seen = self._seen.get(slot.record)
        if seen is None:
            return False
        record = seen.record
        if record.copies_seconds >= self._seconds and self._clock() < record.copies_until - LEAVE_SECONDS / 2:
            return False
        now = self._monotonic()
        with self._lock:
            if now < self._tried.get(slot.record, -math.inf) + RETRY_SECONDS:
                return False
            if len(self._tried) >= MAX_RECORDS:
                self._tried.clear()
            self._tried[slot.record] = now
        return True

    def take_leave(self, slot: Slot) -> None:
        """Has invalidations of this bucket wait for copies. Raises what `Store.change_record` raises."""
        now = self._clock()
        until = float(math.ceil(now + LEAVE_SECONDS))
        asked_at = self._monotonic()
        record = self._store.change_record(
            slot, lambda record: bans.allow_copies(record, self._seconds, now=now, until=until)
        )
        self._see(slot, record, asked_at)


def _size(copy: _Copy) -> int:
    return OVERHEAD_BYTES + (len(copy.value) if copy.value is not None else 0)
