from __future__ import annotations

import pytest

from core.monitoring.worker_pools import SILENT_SECONDS, WorkerPools
from core.stores.redis.store import patient_client
from tests.samples import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pools(redis_server, clock) -> WorkerPools:
    return WorkerPools(patient_client(redis_server().url), clock=clock)


def test_pools_are_alive_as_long_as_they_say_so(pools, clock):
    pools.beat("a", host="one", pid=1, workers=2)
    clock.forward(SILENT_SECONDS)
    pools.beat("b", host="two", pid=2, workers=3)
    assert [(pool.id, pool.host, pool.pid) for pool in pools.alive()] == [("a", "one", 1), ("b", "two", 2)]
    assert pools.alive_workers() == 5
    clock.forward(1)
    assert [pool.id for pool in pools.alive()] == ["b"]
    pools.beat("b", host="two", pid=2, workers=1)
    assert pools.alive_workers() == 1


def test_a_pool_that_ends_says_goodbye(pools):
    pools.beat("a", host="one", pid=1, workers=2)
    pools.leave("a")
    pools.leave("a")
    assert pools.alive() == []


def test_pools_that_never_said_goodbye_are_forgotten_after_a_day(pools, clock):
    pools.beat("a", host="one", pid=1, workers=2)
    clock.forward(100_000)
    pools.beat("b", host="two", pid=2, workers=2)
    assert pools._client.hkeys("encore:pools") == [b"b"]


def test_what_another_version_wrote_is_left_alone(pools):
    pools._client.hset("encore:pools", "x", b"?")
    pools.beat("a", host="one", pid=1, workers=2)
    assert pools.alive_workers() == 2
