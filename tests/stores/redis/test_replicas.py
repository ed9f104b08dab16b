"""An invalidation that waits for replicas, or for the disk: acknowledged when they have it, and no crash loses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.errors import OutcomeUnknown
from core.invalidation.invalidator import CacheInvalidator
from core.keys.names import Slot
from core.settings import Settings
from core.stores.redis.store import RedisStore, patient_client
from tests.conftest import RedisServer
from tests.stores.redis.test_address import Listening, until

SKY = Criteria(keywords=("sky",))


@pytest.fixture
def servers(tmp_path, redis_binary) -> Iterator[tuple[Listening, Listening]]:
    """A primary and its replica."""
    with (
        Listening(tmp_path / "a", binary=redis_binary, durable=False) as primary,
        Listening(tmp_path / "b", binary=redis_binary, durable=False) as replica,
    ):
        port = primary.url.rpartition(":")[2].partition("/")[0]
        with replica.client() as client:
            client.replicaof("127.0.0.1", port)
        with primary.client() as client:
            until(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        yield primary, replica


def invalidator_of(server: Listening, replicas: int) -> CacheInvalidator:
    client = patient_client(server.url)
    return CacheInvalidator(RedisStore(client), AuditLog(client), replicas=replicas)


def bans_of(server: RedisServer) -> list[str]:
    store = RedisStore(patient_client(server.url))
    found = store.bans(Slot("default", 0))
    store.close()
    return [ban.id for ban in found]


def test_what_is_acknowledged_outlives_the_primary(servers):
    primary, replica = servers
    invalidator_of(primary, 1).invalidate(SKY, actor="anna", request_id="r1")
    primary.kill()
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    assert bans_of(replica) == ["r1"]


def test_without_its_replicas_the_outcome_is_unknown_and_the_same_request_settles_it(servers):
    primary, replica = servers
    invalidator = invalidator_of(primary, 1)
    replica.pause()
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match=r"It is in force, .* 0 of the 1 replicas asked for have it"):
            invalidator.invalidate(SKY, actor="anna", request_id="r1")
        assert bans_of(primary) == ["r1"]
    replica.resume()
    assert invalidator.invalidate(SKY, actor="anna", request_id="r1").effective
    assert bans_of(primary) == bans_of(replica) == ["r1"]


def test_unless_it_is_asked_for_no_replica_is_waited_for(servers):
    primary, replica = servers
    replica.pause()
    assert invalidator_of(primary, 0).invalidate(SKY, actor="anna").effective
    replica.resume()


def synced(server: RedisServer) -> CacheInvalidator:
    """What acknowledges when the disk has it."""
    client = patient_client(server.url)
    return CacheInvalidator(RedisStore(client), AuditLog(client), synced=True)


def test_what_is_to_be_on_disk_is_waited_for(redis_server, redis8_binary):
    server = redis_server(binary=redis8_binary, durable=True)
    assert synced(server).invalidate(SKY, actor="anna", request_id="r1").effective
    with server.client() as client:
        assert client.info("commandstats")["cmdstat_waitaof"]["failed_calls"] == 0
    server.kill()
    server.start()
    assert bans_of(server) == ["r1"]


def test_a_client_of_less_patience_than_the_disk_needs_waits_all_the_same(redis_server, redis8_binary):
    server = redis_server(binary=redis8_binary, durable=True)
    client = patient_client(server.url, 0.7)
    invalidator = CacheInvalidator(RedisStore(client), AuditLog(client), synced=True)
    for number in range(3):  # it is written to once a second: all but the first wait for most of one
        assert invalidator.invalidate(SKY, actor="anna", request_id=f"r{number}").effective


def test_a_disk_that_is_not_asked_is_not_waited_for(redis_server, redis8_binary):
    server = redis_server(binary=redis8_binary, durable=True)
    client = patient_client(server.url)
    assert CacheInvalidator(RedisStore(client), AuditLog(client)).invalidate(SKY, actor="anna").effective
    assert "cmdstat_waitaof" not in client.info("commandstats")


def test_where_nothing_is_kept_on_disk_the_outcome_is_unknown(redis_server, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    monkeypatch.setenv("ENCORE_INVALIDATION_SYNCED", "true")
    with (
        bootstrap(Settings()) as services,
        pytest.raises(OutcomeUnknown, match="It is in force, but a crash of Redis could lose it: whether it is on"),
    ):
        services.invalidation.invalidate(SKY, actor="anna", request_id="r1")
    assert bans_of(server) == ["r1"]
