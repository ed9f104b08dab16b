"""The single-flight leases that this process holds in the store: taken, kept alive, given back.

A lease is short, so that a leader that died, or a lease that no caller knows it has, holds up others for seconds only.
One thread renews all leases of the process while their answers are being computed, and gives back those that could not
be given back at once. It does not touch event loops, and nothing waits for it.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from typing import Final

import msgspec
from cachetools import FIFOCache

from ..concurrency import BackgroundWorker, begin_in_each_process
from ..errors import NotPermitted, OutcomeUnknown, StoreUnavailable, WriteRefused
from ..keys import Slot
from .base import Claim, LeaseStore

logger = logging.getLogger("encore.leases")

LEASE_SECONDS: Final = 3.0
"""How long a lease lasts that is not renewed, which is how long others wait for a leader that died."""
RENEWALS: Final = 3
"""How often a lease is renewed in that time, so that one renewal or two may fail."""
MOST_OWED: Final = 10_000
"""Leases that are to be given back; beyond it the oldest end by themselves."""
MOST_FAILURES: Final = 3
"""Slots that may fail in one round before the rest is left to the next: each may cost the store's time-out."""
REST_SECONDS: Final = 60.0
"""How long no lease is taken after one could not be given back, since Redis' user may not: others would wait for it."""
CLOSE_SECONDS: Final = 2.0
"""Longest wait for the thread at the end: it may be waiting for the store."""


class HeldLease(msgspec.Struct, frozen=True):
    """A lease of this process, and until when it is renewed (seconds of the monotonic clock)."""

    slot: Slot
    claim: Claim
    until: float


class Leases:
    """All leases of one process on one store. Thread-safe; a forked child begins with none.

    A lease is renewed for `longest_seconds` at most: no caller waits longer than that for the one that computes.
    """

    def __init__(self, store: LeaseStore, longest_seconds: float, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._longest_seconds = longest_seconds
        self._lease_seconds = min(lease_seconds, longest_seconds)
        self._worker = BackgroundWorker(
            self._renew_and_give_back, name="encore-leases", every_seconds=self._lease_seconds / RENEWALS
        )
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may end a request on a thread that is in here
        self._held: dict[bytes, HeldLease] = {}
        self._owed: FIFOCache[bytes, HeldLease] = FIFOCache(MOST_OWED)
        self._rests_until = -math.inf

    @property
    def _lease_ms(self) -> int:
        return max(1, int(self._lease_seconds * 1000))

    def take(self, slot: Slot, digest: bytes, sequence: int) -> HeldLease | None:
        """Takes the lease for an answer, renewed until it is given back. None when another caller has it.

        Raises the store's errors. A lease that may have been taken is then given back in the background.
        """
        if time.monotonic() < self._rests_until:
            raise NotPermitted("leases cannot be given back")
        claim = Claim(digest=digest, sequence=sequence, token=secrets.token_bytes(16))
        lease = HeldLease(slot, claim, time.monotonic() + self._longest_seconds)
        try:
            if not self._store.acquire(slot, claim, self._lease_ms):
                return None
        except OutcomeUnknown:
            self.give_back_later(lease, after_failure=True)
            raise
        with self._lock:
            self._held[claim.token] = lease
        self._worker.start()
        return lease

    def give_back(self, lease: HeldLease) -> None:
        """Gives back a lease. Raises the store's errors; after one, call `give_back_later`."""
        with self._lock:
            self._held.pop(lease.claim.token, None)
        try:
            self._store.release(lease.slot, lease.claim)
        except NotPermitted:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise

    def give_back_later(self, lease: HeldLease, *, after_failure: bool = False) -> None:
        """Gives back a lease in the background as soon as the store answers. Returns at once.

        `after_failure`: the store has just not answered, so it is asked in the next round, not now.
        """
        with self._lock:
            self._held.pop(lease.claim.token, None)
            self._owed[lease.claim.token] = lease
        if after_failure:
            self._worker.start()
        else:
            self._worker.wake()

    def close(self) -> None:
        """Stops renewing, and gives back all leases as far as the store answers."""
        with self._lock:
            self._owed.update(self._held)
            self._held.clear()
        self._worker.stop(CLOSE_SECONDS)
        self._give_back_owed()

    def _renew_and_give_back(self) -> bool:
        self._renew_held()
        self._give_back_owed()
        with self._lock:
            return bool(self._held or self._owed)

    def _renew_held(self) -> None:
        now = time.monotonic()
        by_slot: dict[Slot, list[HeldLease]] = {}
        with self._lock:
            for token, lease in list(self._held.items()):
                if lease.until <= now:
                    del self._held[token]  # nobody waits for it any more
                else:
                    by_slot.setdefault(lease.slot, []).append(lease)
        failures = 0
        for slot, leases in by_slot.items():
            try:
                kept = self._store.renew(slot, [lease.claim for lease in leases], self._lease_ms)
            except (StoreUnavailable, WriteRefused, OutcomeUnknown):
                kept = [True] * len(leases)  # perhaps: the next round will show
                failures += 1
            for lease, is_kept in zip(leases, kept, strict=True):
                self._renewed(lease, is_kept)
            if failures >= MOST_FAILURES:
                return

    def _renewed(self, lease: HeldLease, is_kept: bool) -> None:
        """Puts a lease at the end of the row, so that all get their turn when a round is cut short."""
        with self._lock:
            if self._held.pop(lease.claim.token, None) is None:
                # Given back meanwhile: the renewal may have taken it once more.
                if is_kept:
                    self._owed[lease.claim.token] = lease
            elif is_kept:
                self._held[lease.claim.token] = lease
            else:
                logger.debug("a lease had lapsed, and another caller has it now")

    def _give_back_owed(self) -> None:
        with self._lock:
            owed = list(self._owed.values())
        failures = 0
        for lease in owed:
            try:
                self._store.release(lease.slot, lease.claim)
                is_given_back = True
            except NotPermitted:
                is_given_back = True  # as far as it can be: it ends by itself
            except (StoreUnavailable, WriteRefused, OutcomeUnknown):
                is_given_back = False
                failures += 1
            with self._lock:
                if self._owed.pop(lease.claim.token, None) is not None and not is_given_back:
                    self._owed[lease.claim.token] = lease
            if failures >= MOST_FAILURES:
                return
