"""How the parts are, gathered from all of them: for alerts, Prometheus and the console's banner."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from ..bans.record import MAX_ACTIVE_BANS
from ..bootstrap import Services
from ..errors import StoreUnavailable
from ..keys.names import Slot
from ..metrics.gauges import MAX_NAMESPACES, Sample
from .alerts import HealthFacts
from .worker_pools import Pools

FRESH_SECONDS = 5.0
"""How long facts count as those of now."""


def health(services: Services) -> HealthFacts:
    """How the store and the workers are. Never raises StoreUnavailable: what does not answer is told or unknown."""
    try:
        facts = store_health(services)
    except StoreUnavailable:
        facts = HealthFacts(store_up=False)
    return msgspec.structs.replace(facts, workers=alive_workers(services))


def store_health(services: Services) -> HealthFacts:
    """How the store is, the workers unknown: a few round trips a namespace. Raises StoreUnavailable."""
    found = services.store.facts()
    per_namespace = Counter(namespace for namespace, _ in services.invalidation.active())
    return HealthFacts(
        memory_bytes=found.used_bytes,
        memory_limit_bytes=found.max_bytes,
        active_bans=max(per_namespace.values(), default=0),
        ban_limit=MAX_ACTIVE_BANS,
        entries=count_entries(services),
    )


def alive_workers(services: Services) -> int | None:
    """How many workers were heard of lately; None when the queue does not answer or there is none."""
    if services.queue_redis is None:
        return None
    try:
        return Pools(services.queue_redis).alive_workers()
    except StoreUnavailable:
        return None


def count_entries(services: Services, namespace: str | None = None, model: str | None = None) -> int:
    """Stored entries by the index, of all namespaces and models or of one. Raises StoreUnavailable."""
    store = services.store
    slots = (
        Slot(name, bucket)
        for name in ([namespace] if namespace else store.namespaces())
        for bucket in range(services.settings.buckets)
    )
    return sum(store.count_model(slot, model) if model else sum(store.models(slot).values()) for slot in slots)


def sample(services: Services, now: float) -> Sample:
    """How much is stored and in use, for the series of gauges. Raises StoreUnavailable."""
    found = services.store.facts()
    counts = Counter({name: count_entries(services, name) for name in services.store.namespaces()})
    return Sample(
        at=now,
        entries=counts.total(),
        used_bytes=found.used_bytes,
        max_bytes=found.max_bytes,
        evicted=found.evicted,
        namespaces=dict(counts.most_common(MAX_NAMESPACES)),
    )


def keep_sample(services: Services) -> None:
    """Writes a sample unless another process has just done so. Raises CacheError."""
    if services.gauges is not None and services.gauges.is_due():
        services.gauges.write(sample(services, time.time()))


class RecentHealth:
    """`health`, gathered at most every few seconds however many ask. Thread-safe: one gathers, the others wait."""

    def __init__(self, gather: Callable[[], HealthFacts], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gather = gather
        self._clock = clock
        self._lock = threading.Lock()
        self._facts: HealthFacts | None = None
        self._until = 0.0

    def __call__(self) -> HealthFacts:
        """The facts, at most FRESH_SECONDS old."""
        with self._lock:
            if self._facts is None or self._clock() >= self._until:
                self._facts = self._gather()
                self._until = self._clock() + FRESH_SECONDS
            return self._facts
