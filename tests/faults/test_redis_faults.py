"""Redis stopped, frozen and full in the middle of requests: the answer arrives all the same, and soon."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from core.bans.criteria import Criteria
from core.bans.record import append
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.keys.names import Slot
from core.models import NO_CONTROLS, ChatRequest, OutcomeKind
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes

ALLOWED_MS = 60
SLOW_MACHINE_MS = 60
"""Added to the promise before a test fails: scheduling on a shared machine, not waiting for Redis."""


def ask(number: int = 1) -> ChatRequest:
    question = {"role": "user", "content": f"What is the capital of country number {number}?"}
    return ChatRequest.from_openai(model="gpt-4o", messages=[question])


class Setup:
    def __init__(self, url: str) -> None:
        self.outcomes = Outcomes()
        self.provider = CountingProvider()
        self.store = RedisStore(request_client(url, 0.05))
        self.cache = LLMCache(
            CacheConfig(namespace="faults"), store=self.store, provider=self.provider, metrics=self.outcomes
        )

    def added_ms(self, number: int) -> float:
        """What the cache added to one call; the stand-in provider takes no time."""
        began = time.perf_counter()
        assert self.cache.complete(ask(number)).completion.text.startswith("answer")
        return (time.perf_counter() - began) * 1000


@pytest.fixture
def server(redis_server) -> Iterator:
    return redis_server()


@pytest.fixture
def setup(server) -> Iterator[Setup]:
    made = Setup(server.url)
    made.cache.complete(ask(0))
    assert made.cache.complete(ask(0)).outcome.kind is OutcomeKind.HIT
    yield made
    made.store.close()


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_answers_arrive_while_redis_is_gone_and_hits_return_with_it(setup, server, fault):
    getattr(server, fault)()
    added = [setup.added_ms(number) for number in range(1, 20)]
    assert max(added) < ALLOWED_MS + SLOW_MACHINE_MS
    assert setup.cache.breaker.is_open
    assert sum(milliseconds > 40 for milliseconds in added) <= 4, "an open breaker waits for nothing"
    assert {outcome.reason for outcome in setup.outcomes.all[2:]} == {"store-down"}
    assert not any(outcome.stored for outcome in setup.outcomes.all[2:])
    if fault == "kill":
        server.start()
    else:
        server.resume()
    until_hit(setup)


def until_hit(setup: Setup) -> None:
    """The breaker lets one probe a second through: hits are back within two."""
    deadline = time.monotonic() + 5
    while setup.cache.complete(ask(1000)).outcome.kind is not OutcomeKind.HIT:
        assert time.monotonic() < deadline
    assert not setup.cache.breaker.is_open


def test_redis_that_freezes_while_the_provider_answers_is_waited_for_once(setup, server):
    setup.provider.before = lambda call: server.pause()
    assert setup.added_ms(1) < ALLOWED_MS + SLOW_MACHINE_MS
    assert setup.outcomes.all[-1].not_stored == "store-down"


def test_a_full_redis_still_serves_hits_skips_stores_and_takes_invalidations(setup, server):
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    assert setup.added_ms(0) < ALLOWED_MS + SLOW_MACHINE_MS
    assert setup.outcomes.all[-1].kind is OutcomeKind.HIT
    answer = setup.cache.complete(ask(1))
    assert (answer.outcome.kind, answer.outcome.stored) == (OutcomeKind.MISS, False)
    assert setup.outcomes.counts["writes_refused"] > 0
    setup.store.change_record(
        Slot("faults", 0), lambda record: append(record, "b", Criteria(all=True), now=1.0, hold_seconds=60)
    )
    assert setup.cache.complete(ask(0)).outcome.reason == "invalidated"
    assert not setup.cache.breaker.is_open


def test_a_flushed_redis_costs_hits_and_nothing_else(setup, server):
    with server.client() as client:
        client.flushall()
    assert setup.cache.complete(ask(0)).outcome.reason == "absent"
    assert setup.cache.complete(ask(0)).outcome.kind is OutcomeKind.HIT


def test_a_value_of_the_wrong_type_is_a_miss(setup, server):
    identity = setup.cache.identify(ask(0), NO_CONTROLS).keyed.identity
    name = Slot("faults", 0).entry(identity.exact)
    with server.client() as client:
        client.delete(name)
        client.lpush(name, "x")
    assert setup.cache.complete(ask(0)).outcome.kind is OutcomeKind.MISS


def test_a_password_demanded_at_run_time_is_a_store_that_is_down(setup, server):
    with server.client() as client:
        client.config_set("requirepass", "changed-canary-password")
        client.client_kill_filter(_type="normal", skipme=True)
    assert setup.added_ms(1) < ALLOWED_MS + SLOW_MACHINE_MS
    assert setup.outcomes.all[-1].reason == "store-down"
