"""What is said of a write when the connection ends: whether Redis may have done it, or has never heard of it."""

from __future__ import annotations

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.errors import OutcomeUnknown, StoreUnavailable
from core.invalidation.invalidator import CacheInvalidator
from core.stores.redis.store import RedisStore, patient_client
from tests.relay import relay_to


@pytest.fixture
def relay(redis_url):
    with relay_to(redis_url) as relay:
        yield relay


@pytest.fixture
def through(relay):
    """An invalidator that reaches Redis through the relay."""
    store = RedisStore(patient_client(relay.url))
    yield CacheInvalidator(store, AuditLog(None))
    store.close()


def active(redis_url: str, namespace: str) -> list[str]:
    """The invalidations in force, as anyone else sees them."""
    store = RedisStore(patient_client(redis_url))
    invalidator = CacheInvalidator(store, AuditLog(None))
    found = [str(one.criteria.model) for one in invalidator.active(namespace)]
    store.close()
    return sorted(found)


def test_what_redis_did_before_it_went_is_not_said_to_be_undone(through, relay, redis_url, namespace):
    through.invalidate(Criteria(namespace=namespace, model="first"), actor="test")
    relay.hang_up_after(b"EVALSHA")
    with pytest.raises(OutcomeUnknown):
        through.invalidate(Criteria(namespace=namespace, model="second"), actor="test")
    assert active(redis_url, namespace) == ["first", "second"]


def test_what_redis_never_heard_of_is_said_not_to_be_done(through, relay, redis_url, namespace):
    through.invalidate(Criteria(namespace=namespace, model="first"), actor="test")
    relay.hang_up()
    with pytest.raises(StoreUnavailable):
        through.invalidate(Criteria(namespace=namespace, model="second"), actor="test")
    assert active(redis_url, namespace) == ["first"]
