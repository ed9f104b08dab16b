"""Why a server takes no writes is known before anybody writes, and named; what still works then does work."""

from __future__ import annotations

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.errors import WriteRefused
from core.models import ChatRequest, OutcomeKind
from core.monitoring.alerts import alerts
from core.settings import Settings
from core.stores.refusal import Refusal
from tests.cache.test_bypass import cannot_save, has_room, is_a_primary, is_a_replica, is_full
from tests.fakes import CountingProvider


def has_too_few_replicas(client) -> None:
    client.config_set("min-replicas-to-write", "1")


def needs_no_replicas(client) -> None:
    client.config_set("min-replicas-to-write", "0")


def can_save_again(client) -> None:
    client.config_set("stop-writes-on-bgsave-error", "no")


CONDITIONS = {
    Refusal.READONLY: (is_a_replica, is_a_primary),
    Refusal.NOREPLICAS: (has_too_few_replicas, needs_no_replicas),
    Refusal.MISCONF: (cannot_save, can_save_again),
    Refusal.OOM: (is_full, has_room),
}


@pytest.mark.parametrize("refusal", Refusal)
def test_a_server_that_refuses_writes_is_told_with_its_cause_and_what_works(refusal, redis_server):
    server = redis_server()
    refuse, recover = CONDITIONS[refusal]
    request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    with server.client() as client, bootstrap(Settings(redis_url=server.url), provider=CountingProvider()) as services:
        services.cache.complete(request)
        services.switch._pause = lambda seconds: None
        assert services.store.info().refusal is None
        refuse(client)
        try:
            assert services.store.info().refusal is refusal
            [alert] = alerts(None, services.health.check())
            assert alert.name == "writes-refused"
            assert refusal.cause in alert.sentence
            assert refusal.remedy in alert.sentence
            assert services.cache.complete(request).outcome.kind is OutcomeKind.HIT
            services.switch.turn("default", True)
            assert services.cache.complete(request).outcome.kind is OutcomeKind.BYPASS
            services.switch.turn("default", False)
            if refusal.allows_invalidations:
                services.invalidation.invalidate(Criteria(model="m"), actor="test")
                assert services.cache.complete(request).outcome.kind is OutcomeKind.MISS
            else:
                with pytest.raises(WriteRefused, match=refusal.value):
                    services.invalidation.invalidate(Criteria(model="m"), actor="test")
        finally:
            recover(client)
            client.config_set("save", "")  # else it would not end before it has saved
        assert services.store.info().refusal is None
        assert [alert.name for alert in alerts(None, services.health.check())] == ["no-worker"]


def test_where_something_can_be_evicted_a_full_server_takes_writes(redis_server):
    server = redis_server("maxmemory-policy volatile-lru")
    with server.client() as client, bootstrap(Settings(redis_url=server.url), provider=CountingProvider()) as services:
        client.set("what expires", "later", ex=1000)
        client.config_set("maxmemory", services.store.info().used_bytes + 500_000)
        for number in range(1000):
            client.set(f"filler {number}", "x" * 1000, ex=1000)
        assert services.store.info().evicted
        assert services.store.info().refusal is None


def test_the_queues_own_redis_may_refuse_alone(redis_server):
    cached, queue = redis_server(), redis_server()
    settings = Settings(redis_url=cached.url, queue_redis_url=queue.url)
    with queue.client() as client, bootstrap(settings, provider=CountingProvider()) as services:
        has_too_few_replicas(client)
        health = services.health.check()
        assert (health.refusal, health.queue_refusal) == (None, Refusal.NOREPLICAS)
        [alert] = alerts(None, health)
        assert alert.sentence.startswith("The job queue's Redis refuses writes: too few replicas follow it.")
