"""An invalidation that waits for replicas: acknowledged when they have it, and then no failover loses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.audit import AuditLog
from core.bans import Criteria
from core.errors import OutcomeUnknown
from core.invalidation import CacheInvalidator
from core.keys import Slot
from core.stores.redis import RedisStore, patient_client
from tests.stores.test_address import Listening, until

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


def bans_of(server: Listening) -> list[str]:
    store = RedisStore(patient_client(server.url))
    record = store.read(Slot("default", 0), [])[1]
    store.close()
    return [ban.id for ban in record.bans] if record else []


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
