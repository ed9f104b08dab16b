"""Redis stopped, frozen and full in the middle of requests: the answer arrives all the same, and soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest
import redis

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.keys.names import Slot
from core.models import NO_CONTROLS, ChatRequest, OutcomeKind
from core.settings import Settings
from core.stores.redis.store import RedisStore, request_client
from tests.conftest import RedisServer
from tests.fakes import CountingProvider, Outcomes

WAIT_SECONDS = 0.5
"""For Redis, here: a busy machine gives a server that is well its turn within it. Operators have a tenth of it."""
PATIENT_SECONDS = 30
BREAKS_AFTER = 3


def ask(number: int = 1) -> ChatRequest:
    question = {"role": "user", "content": f"What is the capital of country number {number}?"}
    return ChatRequest.from_openai(model="gpt-4o", messages=[question])


class Setup:
    def __init__(self, url: str) -> None:
        self.outcomes = Outcomes()
        self.provider = CountingProvider()
        self.client = request_client(url, WAIT_SECONDS)
        self.store = RedisStore(self.client)
        self.cache = LLMCache(
            CacheConfig(namespace="faults"), store=self.store, provider=self.provider, metrics=self.outcomes
        )
        self.guard = self.cache._world.guard
        self.guard.close()  # here a test looks whether Redis is back, not a thread

    def waits(self, number: int) -> int:
        """How often one call waited for a Redis that did not answer: the answer has come all the same."""
        before = self.outcomes.counts.get("store_errors", 0)
        assert self.cache.complete(ask(number)).completion.text.startswith("answer")
        return self.outcomes.counts.get("store_errors", 0) - before


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


class Counted:
    """`connections`: how many were opened to a server meanwhile, told at the end."""

    connections: int


@contextmanager
def counted(server: RedisServer) -> Iterator[Counted]:
    """Counts what is opened to a server that hangs meanwhile; at the end it answers again."""
    found = Counted()
    with server.client() as client:
        before = opened(client)
        try:
            yield found
        finally:
            server.resume()
        found.connections = opened(client) - before


def opened(client: redis.Redis) -> int:
    return client.info("stats")["total_connections_received"]


def test_requests_wait_for_redis_as_long_as_the_settings_say_and_try_nothing_twice(monkeypatch):
    monkeypatch.delenv("ENCORE_REDIS_TIMEOUT_SECONDS")
    with request_client("redis://127.0.0.1:1", Settings().redis_timeout_seconds) as client:
        options = client.connection_pool.connection_kwargs
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.05, 0.05)
        assert options["retry"].get_retries() == 0


def test_answers_arrive_while_redis_hangs_and_hits_return_with_it(setup, server):
    with server.client(socket_timeout=PATIENT_SECONDS) as patient, ThreadPoolExecutor() as threads:
        patient.ping()
        with counted(server) as found:
            server.pause()
            asked_first = threads.submit(patient.ping)
            waits = [setup.waits(number) for number in range(1, 20)]
            assert not asked_first.done(), "others wait longer"
            assert waits == [1] * BREAKS_AFTER + [0] * (19 - BREAKS_AFTER), "an open breaker waits for nothing"
            assert setup.cache.breaker.is_open
    assert found.connections == BREAKS_AFTER - 1, "one each, after the one that was there"
    went_without_redis(setup, "store-timeout")
    until_hit(setup, "store-timeout")


def test_answers_arrive_while_redis_is_gone_and_hits_return_with_it(setup, server):
    server.kill()
    waits = [setup.waits(number) for number in range(1, 20)]
    assert waits == [1] * BREAKS_AFTER + [0] * (19 - BREAKS_AFTER), "an open breaker tries nothing"
    assert setup.cache.breaker.is_open
    went_without_redis(setup, "store-down")
    server.start()
    until_hit(setup, "store-down")


def test_no_request_looks_whether_redis_is_back_but_a_thread_does(server):
    setup = Setup(server.url)
    made = LLMCache(CacheConfig(namespace="faults"), store=setup.store, provider=setup.provider, metrics=setup.outcomes)
    setup.cache, setup.guard = made, made._world.guard
    server.kill()
    waits = [setup.waits(number) for number in range(1, 20)]
    assert waits == [1] * BREAKS_AFTER + [0] * (19 - BREAKS_AFTER)
    assert setup.guard.try_again(), "it is away"
    made.breaker._clock = lambda: float("inf")  # however long it has been open
    assert setup.waits(1) == 0
    server.start()
    deadline = time.monotonic() + PATIENT_SECONDS
    while made.breaker.is_open:  # without a request
        assert time.monotonic() < deadline
    made.close()


def went_without_redis(setup: Setup, reason: str) -> None:
    """All that was asked after the two of the beginning."""
    assert {outcome.reason for outcome in setup.outcomes.all[2:]} == {reason}
    assert not any(outcome.stored for outcome in setup.outcomes.all[2:])


def until_hit(setup: Setup, reason: str) -> None:
    """Hits are back once somebody has found that Redis is, and an answer is stored."""
    assert setup.cache.complete(ask(1000)).outcome.reason == reason, "not yet"
    for probe in count(1):
        if not setup.guard.try_again():
            break
        assert probe < 100
    first, second = (setup.cache.complete(ask(1000)).outcome for _ in range(2))
    assert (first.kind, first.reason) == (OutcomeKind.MISS, "absent")
    assert second.kind is OutcomeKind.HIT
    assert not setup.cache.breaker.is_open


def test_redis_that_freezes_while_the_provider_answers_is_waited_for_once(setup, server):
    with counted(server) as found:
        setup.provider.before = lambda call: server.pause()
        assert setup.waits(1) == 1
        assert setup.outcomes.all[-1].reason == "absent", "it was well when it was asked"
        assert setup.outcomes.all[-1].not_stored == "store-timeout"
    assert found.connections == 0, "after the one that was there"


def test_a_full_redis_still_serves_hits_skips_stores_and_takes_invalidations(setup, server):
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    assert setup.waits(0) == 0
    assert setup.outcomes.all[-1].kind is OutcomeKind.HIT
    answer = setup.cache.complete(ask(1))
    assert (answer.outcome.kind, answer.outcome.stored) == (OutcomeKind.MISS, False)
    assert answer.outcome.not_stored == "writes-refused"
    assert setup.outcomes.counts["writes_refused"] > 0
    setup.store.append(Slot("faults", 0), new_ban("b", Criteria(all=True), now=1.0, hold_seconds=60))
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
    assert setup.waits(1) == 1
    assert setup.outcomes.all[-1].reason == "store-down"
