"""A Redis server of the metrics' own: their keys are not divided by namespace, so tests clean them away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.metrics import CacheMetrics
from core.stores.redis.embedded import ServerBinary
from tests.conftest import RedisServer
from tests.samples import Clock


@pytest.fixture(scope="package")
def metrics_server(tmp_path_factory: pytest.TempPathFactory, redis_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as server:
        yield server


@pytest.fixture
def client(metrics_server: RedisServer) -> Iterator[redis.Redis]:
    with metrics_server.client(retry=Retry(NoBackoff(), 0)) as client:
        client.flushall()
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
def metrics(request: pytest.FixtureRequest, clock: Clock) -> Iterator[CacheMetrics]:
    """What both ledgers promise; nothing is flushed but by the test."""
    client = request.getfixturevalue("client") if request.param == "redis" else None
    with CacheMetrics(client, flush_seconds=1000, clock=clock) as metrics:
        yield metrics


@pytest.fixture
def recorder(client: redis.Redis, clock: Clock) -> Iterator[Callable[[], CacheMetrics]]:
    """More recorders on the same Redis, as other processes have them."""
    made: list[CacheMetrics] = []

    def make() -> CacheMetrics:
        made.append(CacheMetrics(client, flush_seconds=1000, clock=clock))
        return made[-1]

    yield make
    for metrics in made:
        metrics.close()
