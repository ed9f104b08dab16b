"""The health of the parts, gathered from all of them: for alerts, Prometheus and the console's banner."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import redis

from ..bans import MOST_ACTIVE, MOST_LISTED
from ..errors import NotPermitted, StoreUnavailable
from ..invalidation import CacheInvalidator
from ..keys import Slot
from ..metrics import MAX_NAMESPACES, Gauges, Sample
from ..stores import Refusal, Store, StoreInfo
from ..stores.redis import WRONG_SECONDS, queue_rights, reading, remedy, server_info, user_of, wrong_clocks
from .alerts import Health
from .worker_pools import Pool, WorkerPools

Value = TypeVar("Value")

MOST_NAMESPACES = 1000
"""With more the entries of each are not counted for every scrape."""
SAMPLE_SECONDS = 1200
FRESH_SECONDS = 5.0
"""How long gathered health counts as current, in seconds."""


class HealthReader(msgspec.Struct, frozen=True, kw_only=True):
    """Gathers the health of the parts, and how much is stored. Clients and `gauges` are None without Redis."""

    store: Store
    invalidation: CacheInvalidator
    client: redis.Redis | None = None
    queue: redis.Redis | None = None
    gauges: Gauges | None = None
    buckets: int = 1

    def check(self) -> Health:
        """The health of the store and the workers. Never raises: a part that does not answer is down or unknown."""
        try:
            health = self.store_health()
        except StoreUnavailable:
            health = Health(store_up=False)
        pools = self.alive_pools()
        if pools is None:
            return health
        return msgspec.structs.replace(
            health,
            workers=sum(pool.workers for pool in pools),
            failing_workers=any(pool.failing for pool in pools),
            queue_refusal=self._queue_refusal(),
        )

    def store_health(self) -> Health:
        """The health of the store, without the workers. A few round trips for each namespace.

        With very many of them bans are unknown, and entries are those that the workers counted last. What Redis' user
        may not read is unknown. Raises StoreUnavailable.
        """
        found = self.store.info()
        missing = {found.user: set(found.missing_rights)}
        if self.queue is not None:
            missing.setdefault(user_of(self.queue), set()).update(self._rights_missing_for_jobs())
        is_large = len(_known(self.store.namespaces, found) or ()) > MOST_NAMESPACES
        most_bans = (None if is_large else _known(self._most_bans, found)) or (None, None)
        return Health(
            servers=found.servers,
            silent_servers=len(found.silent_servers),
            refusal=found.refusal,
            missing_rights=tuple(sorted(set().union(*missing.values()))),
            remedy="; ".join(remedy(sorted(rules), user) for user, rules in missing.items() if rules),
            round_trip_ms=found.round_trip_ms,
            clocks=_known(partial(self._clocks, found), found) or {},
            memory_bytes=found.used_bytes,
            memory_limit_bytes=found.max_bytes,
            active_bans=most_bans[0],
            active_limit=MOST_ACTIVE,
            listed_bans=most_bans[1],
            ban_limit=MOST_LISTED,
            entries=_known(self._sampled_entries if is_large else self.count_entries, found),
        )

    def queue_refusal(self) -> Refusal | None:
        """Why the job queue's Redis takes no writes; None when it does. Two round trips. Raises StoreUnavailable."""
        if self.queue is None:
            return None
        with reading():
            return server_info(self.queue).refusal

    def _queue_refusal(self) -> Refusal | None:
        try:
            return self.queue_refusal()
        except StoreUnavailable:
            return None

    def _sampled_entries(self) -> int | None:
        if self.gauges is None:
            return None
        samples = self.gauges.series(SAMPLE_SECONDS, SAMPLE_SECONDS // 2, ends_at=time.time())
        return next((found.last.entries for found in reversed(samples) if found.last is not None), None)

    def _rights_missing_for_jobs(self) -> tuple[str, ...]:
        try:
            return queue_rights(self.queue) if self.queue is not None else ()
        except StoreUnavailable:
            return ()

    def _most_bans(self) -> tuple[int, int]:
        """Active bans and listed ones, of the namespace that has most."""
        counts = self.invalidation.counts().values()
        return max((each.active for each in counts), default=0), max((each.listed for each in counts), default=0)

    def _clocks(self, found: StoreInfo) -> dict[str, float]:
        wrong = {}
        if found.clock_ahead_seconds is not None and abs(found.clock_ahead_seconds) > WRONG_SECONDS:
            wrong[socket.gethostname()] = found.clock_ahead_seconds
        if self.client is not None:
            wrong |= {each.machine: each.ahead_seconds for each in wrong_clocks(self.client, self.store.clock())}
        return wrong

    def alive_pools(self) -> list[Pool] | None:
        """The pools of workers with a recent heartbeat; None when the queue does not answer or there is none."""
        if self.queue is None:
            return None
        try:
            return WorkerPools(self.queue, clock=self.store.clock).alive()
        except StoreUnavailable:
            return None

    def count_entries(self, namespace: str | None = None, model: str | None = None) -> int:
        """Number of stored entries by the index, of all namespaces and models or of one. Raises StoreUnavailable."""
        store = self.store
        slots = (
            Slot(name, bucket)
            for name in ([namespace] if namespace else store.namespaces())
            for bucket in range(self.buckets)
        )
        return sum(store.count_model(slot, model) if model else sum(store.models(slot).values()) for slot in slots)

    def sample(self, now: float) -> Sample:
        """A sample of entries and memory, for the series of gauges. `now` is Unix seconds. Raises StoreUnavailable."""
        found = self.store.info()
        counts = Counter({name: self.count_entries(name) for name in self.store.namespaces()})
        return Sample(
            at=now,
            entries=counts.total(),
            used_bytes=found.used_bytes,
            max_bytes=found.max_bytes,
            evicted=found.evicted,
            namespaces=dict(counts.most_common(MAX_NAMESPACES)),
        )

    def keep_sample(self) -> None:
        """Writes a sample unless another process has just done so. Raises CacheError."""
        if self.gauges is not None and self.gauges.is_due():
            self.gauges.write(self.sample(self.store.clock()))


def _known(read: Callable[[], Value], found: StoreInfo) -> Value | None:
    """What is read; None when Redis' user may not read it, or it is at a server of a cluster that does not answer."""
    try:
        return read()
    except StoreUnavailable as error:
        if isinstance(error, NotPermitted) or found.silent_servers:
            return None
        raise


class RecentHealth:
    """Health, gathered at most every FRESH_SECONDS for all callers. Thread-safe: one gathers, the others wait."""

    def __init__(self, gather: Callable[[], Health], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gather = gather
        self._clock = clock
        self._lock = threading.Lock()
        self._health: Health | None = None
        self._until = 0.0

    def __call__(self) -> Health:
        """Health of the parts, at most FRESH_SECONDS old. Blocks while it is gathered."""
        with self._lock:
            if self._health is None or self._clock() >= self._until:
                self._health = self._gather()
                self._until = self._clock() + FRESH_SECONDS
            return self._health
