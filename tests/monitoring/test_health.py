"""Facts about the parts: gathered from real ones, known as far as they answer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.models import ChatRequest, Controls
from core.monitoring.alerts import Health, alerts
from core.monitoring.health import FRESH_SECONDS, RecentHealth
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from core.stores.memory import MemoryStore
from tests.fakes import CountingProvider
from tests.samples import Clock
from tests.stores.redis.users import url_of_user


@pytest.fixture
def services(redis_server) -> Iterator[Services]:
    server = redis_server("maxmemory 100mb")
    with bootstrap(Settings(redis_url=server.url), provider=CountingProvider()) as services:
        yield services


def ask(services: Services, prompt: str, *, model: str = "gpt-4o", namespace: str = "default") -> None:
    request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])
    services.cache.complete(request, Controls(namespace=namespace))


def beat(services: Services, workers: int) -> None:
    WorkerPools(services.queue_redis).beat("pool", host=socket.gethostname(), pid=os.getpid(), workers=workers)


def test_health_is_that_of_the_parts(services):
    ask(services, "What is a cat?")
    ask(services, "What is a dog?", model="gpt-4o-mini")
    ask(services, "What is a cow?", namespace="farm")
    services.invalidation.invalidate(Criteria(model="a"), actor="test")
    services.invalidation.invalidate(Criteria(model="b"), actor="test")
    services.invalidation.invalidate(Criteria(model="a", namespace="farm"), actor="test")
    beat(services, 2)
    health = services.health.check()
    assert health.store_up
    assert health.entries == 3
    assert health.workers == 2
    assert (health.active_bans, health.listed_bans) == (2, 0)  # of the namespace that has most
    assert health.ban_limit == MOST_LISTED
    assert health.memory_limit_bytes == 100 * 1024 * 1024
    assert 0 < health.memory_bytes < health.memory_limit_bytes
    assert health.round_trip_ms > 0
    assert (health.missing_rights, health.silent_servers, health.clocks) == ((), 0, {})
    assert alerts(None, health) == []


def test_a_queue_that_nobody_works_on_has_no_worker(services):
    assert services.health.check().workers == 0


def test_one_pool_whose_workers_keep_ending_is_seen_beside_others_that_work(services):
    pools = WorkerPools(services.queue_redis)
    pools.beat("a", host="h", pid=1, workers=2)
    assert not services.health.check().failing_workers
    pools.beat("b", host="h", pid=2, workers=0, failing=True)
    health = services.health.check()
    assert (health.workers, health.failing_workers) == (2, True)


def test_entries_are_counted_by_namespace_and_model(services):
    for prompt in ("What is a cat?", "What is a dog?"):
        ask(services, prompt)
    ask(services, "What is a cat?", model="gpt-4o-mini")
    ask(services, "What is a cat?", namespace="farm")
    assert services.health.count_entries("default") == 3
    assert services.health.count_entries(None, "gpt-4o") == 3
    assert services.health.count_entries("farm", "gpt-4o-mini") == 0


def test_a_store_that_does_not_answer_is_down_and_the_rest_is_unknown(services, redis_server):
    queue = redis_server()
    settings = Settings(redis_url=services.settings.redis_url, queue_redis_url=queue.url)
    with bootstrap(settings, provider=CountingProvider()) as split:
        beat(split, 3)
        services.redis.shutdown(nosave=True)
        assert split.health.check() == Health(store_up=False, workers=3)
        queue.kill()
        assert split.health.check() == Health(store_up=False)


def test_without_redis_nothing_is_said_of_workers():
    with bootstrap(Settings(), provider=CountingProvider(), store=MemoryStore(10)) as services:
        ask(services, "What is a cat?")
        health = services.health.check()
    assert health.entries == 1
    assert health.workers is None
    assert alerts(None, health) == []


def test_health_is_gathered_once_in_a_while_however_many_ask():
    clock = Clock(time.time())
    gathered = []
    recent = RecentHealth(lambda: gathered.append(1) or Health(entries=len(gathered)), clock=clock)
    assert [recent().entries, recent().entries] == [1, 1]
    clock.now += FRESH_SECONDS
    assert recent().entries == 2


def test_rights_that_are_missing_are_told_of_each_server_s_user(redis_server):
    cache, jobs = redis_server("port 0"), redis_server("port 0")
    settings = Settings(redis_url=url_of_user(cache, "-info"), queue_redis_url=jobs.url)
    with jobs.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-blmove")
    with bootstrap(settings, provider=CountingProvider()) as services:
        health = services.health.check()
    assert health.missing_rights == ("+blmove", "+info")
    assert health.remedy == "ACL SETUSER encore +info; ACL SETUSER default +blmove"
