"""Durability: what an invalidation waits for before it is acknowledged: local copies, the disk of Redis, replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..bans import InvalidationRecord, changes
from ..errors import OutcomeUnknown, StoreUnavailable
from ..keys import Slot
from ..stores import RecordStore

REPLICAS_SECONDS = 1.0
DISK_SECONDS = 3.0
"""Longest waits for replicas, and for a disk that is written to once a second."""
CLOCK_RATES_SECONDS = 0.02
"""By how much the clocks of two machines may drift apart within a second, and more."""


class Durability:
    """The waits of one installation's invalidations.

    `copies_seconds` is how long processes serve local copies, as far as this one knows. `replicas` is the number of
    replicas that must have an invalidation; `synced`: the disk of Redis must have it too. `clock` gives Unix seconds,
    `pause` sleeps for a number of seconds.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        replicas: int,
        synced: bool,
        copies_seconds: float,
        clock: Callable[[], float],
        pause: Callable[[float], object],
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._synced = synced
        self._copies_seconds = copies_seconds
        self._clock = clock
        self._pause = pause

    def await_local_expiry(self, records: Iterable[InvalidationRecord | None]) -> None:
        """Waits until no process serves a copy that it took under an earlier record of these buckets.

        Takes up to a second, and no time where nobody serves copies. The records alone do not say enough: one that was
        just lost and made anew says nothing of copies that are still there.
        """
        now = self._clock()
        leases = [
            record.copies_seconds for record in records if record is not None and changes.may_have_copies(record, now)
        ]
        if seconds := max(self._copies_seconds, *leases, 0):
            self._pause(seconds + CLOCK_RATES_SECONDS)

    def await_durability(self, slots: Iterable[Slot]) -> None:
        """Waits until these buckets' records are on disk and at as many replicas as configured.

        Takes up to DISK_SECONDS and REPLICAS_SECONDS for each bucket. Raises OutcomeUnknown when that is not enough.
        """
        for slot in slots:
            if self._synced:
                self._await_disk(slot)
            if self._replicas:
                self._await_replicas(slot)

    def _await_disk(self, slot: Slot) -> None:
        words = "It is in force, but a crash of Redis could lose it"
        try:
            is_synced = self._store.synced(slot, DISK_SECONDS)
        except StoreUnavailable as error:
            raise OutcomeUnknown(f"{words}: whether it is on disk is not known ({error})") from error
        if not is_synced:
            raise OutcomeUnknown(f"{words}: it is not on disk yet")

    def _await_replicas(self, slot: Slot) -> None:
        words = "It is in force, but a failover could lose it"
        try:
            have = self._store.replicated(slot, self._replicas, REPLICAS_SECONDS)
        except StoreUnavailable as error:
            raise OutcomeUnknown(f"{words}: whether replicas have it is not known ({error})") from error
        if have < self._replicas:
            raise OutcomeUnknown(f"{words}: {have} of the {self._replicas} replicas asked for have it")
