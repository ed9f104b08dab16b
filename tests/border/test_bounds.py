"""What callers can fill is bounded: namespaces, models and questions of any number leave so much and no more."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, NamedTuple

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.flights import FlightKey, Flights
from core.cache.preparation import Preparation
from core.http.callers import Caller, Callers
from core.keys.names import Slot
from core.metrics.hits import HitCounts
from core.metrics.tally import Vocabulary
from core.models import ChatRequest, Controls, Outcome, OutcomeKind
from core.monitoring.health import HealthReader
from core.policy import TTLPolicy
from core.semantic.judge.budget import JudgeBudget
from core.settings import Settings
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client

MANY = 300
FEW = 50


class Filled(NamedTuple):
    """What fills something with the caller of this number, and what is then to be counted."""

    fill: Callable[[int], object]
    sizes: Callable[[], list[Sized]]


def request(number: int) -> ChatRequest:
    return ChatRequest.from_openai(model=f"m{number}", messages=[{"role": "user", "content": f"What is {number}?"}])


def callers() -> Filled:
    known = Callers(Settings())
    return Filled(
        lambda number: known.own_controls(Controls(namespace="part"), Caller(namespace=f"key-{number}")),
        lambda: [known._parts],
    )


def parts() -> Filled:
    known, caller = Callers(Settings()), Caller(namespace="key-1")
    return Filled(
        lambda number: known.own_controls(Controls(namespace=f"n{number}"), caller), lambda: [known._parts["key-1"]]
    )


def preparation() -> Filled:
    made = Preparation(CacheConfig(), TTLPolicy())
    return Filled(
        lambda number: made.prepare(request(number), Controls(namespace=f"n{number}")),
        lambda: [made._slots, made._remembered],
    )


def memory() -> Filled:
    store = MemoryStore(10)
    return Filled(
        lambda number: store.ensure_record(Slot(f"n{number}", 0)), lambda: [store._records, store._namespaces]
    )


def flights() -> Filled:
    joined = Flights(60)

    def fail(number: int) -> None:
        flight, _ = joined.join(FlightKey(b"%d" % number, b"", 0))
        flight.finish(error=ConnectionError())

    return Filled(fail, lambda: [joined._flights, joined._failures, joined._shared])


def budgets() -> Filled:
    budget = JudgeBudget(5)
    return Filled(lambda number: budget.take(f"n{number}"), lambda: [budget._taken])


def vocabulary() -> Filled:
    words = Vocabulary(FEW)
    return Filled(lambda number: words.name(f"m{number}"), lambda: [words._names])


def hits() -> Filled:
    counts = HitCounts(None)

    def hit(number: int) -> None:
        outcome = Outcome(
            kind=OutcomeKind.HIT,
            namespace=f"n{number}",
            model="m",
            strategy=CacheConfig().strategy,
            key="0-" + "0" * 64,
        )
        counts.add(1.0, outcome)
        counts.write(counts.take())

    return Filled(hit, lambda: [counts._here])


def errors() -> Filled:
    cache = LLMCache(CacheConfig(cache_errors=True))

    def fail(number: int) -> None:
        step: Any = cache.begin(request(number))
        step.fail(ConnectionError())

    return Filled(fail, lambda: [cache._flow._errors, cache.flights._failures])


LIMITS = {
    callers: "core.http.callers.MOST_CALLERS",
    parts: "core.http.callers.MOST_PARTS",
    preparation: "core.cache.preparation.REMEMBERED",
    memory: "core.stores.memory_records.MOST_RECORDS",
    budgets: "core.semantic.judge.budget.MAX_BUDGETS",
    hits: "core.metrics.hits.MAX_WAITING",
    errors: "core.cache.flow.MOST_ERRORS",
    vocabulary: None,
}


@pytest.mark.parametrize("make", LIMITS, ids=lambda make: make.__name__)
def test_what_callers_fill_is_bounded(make: Callable[[], Filled], monkeypatch: pytest.MonkeyPatch):
    if limit := LIMITS[make]:
        monkeypatch.setattr(limit, FEW)
    if make is errors:
        monkeypatch.setattr("core.cache.flights.MAX_TAKEOVERS", 0)
    filled = make()
    for number in range(MANY):
        filled.fill(number)
    sizes = [len(size) for size in filled.sizes()]
    assert max(sizes) <= FEW + 1
    assert max(sizes) > 1, "it was filled"


def test_failures_that_nobody_took_over_are_bounded():
    filled = flights()
    for number in range(3_000):
        filled.fill(number)
    assert max(len(size) for size in filled.sizes()) <= 1_000


def test_records_that_were_read_are_bounded(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.stores.redis.books.MOST_BOOKS", FEW)
    store = RedisStore(patient_client(redis_url))
    for number in range(MANY):
        slot = Slot(f"{namespace[:50]}.{number}", 0)
        store.ensure_record(slot)
        store.read(slot, [])
    assert 1 < len(store._books.read) <= FEW
    assert 1 < len(store._books._books) <= FEW
    store.close()


def test_a_scrape_does_not_count_the_entries_of_very_many_namespaces(monkeypatch: pytest.MonkeyPatch):
    class CountingStore(MemoryStore):
        reads = 0

        def models(self, slot: Slot) -> dict[str, int]:
            self.reads += 1
            return super().models(slot)

    monkeypatch.setattr("core.monitoring.health.MOST_NAMESPACES", FEW)
    store = CountingStore(10)
    cache = LLMCache(store=store)
    health = HealthReader(store=store, invalidation=cache.invalidator)
    for number in range(FEW):
        store.ensure_record(Slot(f"n{number}", 0))
    assert health.check().entries == 0
    assert store.reads == FEW
    store.ensure_record(Slot("one-more", 0))
    assert health.check().entries is None, "unknown, which is no claim"
    assert store.reads == FEW
