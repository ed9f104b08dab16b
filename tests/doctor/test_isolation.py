from __future__ import annotations

import time

import pytest

from core.doctor.isolation import check_isolation
from core.stores import lookup
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client


@pytest.fixture(params=["memory", "redis"])
def store(request):
    made = (
        MemoryStore()
        if request.param == "memory"
        else RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    )
    yield made
    made.close()


def test_a_sound_cache_passes(store):
    checks = check_isolation(store, now=time.time())
    assert [check.name for check in checks if not check.passed] == []
    assert {check.expected for check in checks} == {"hit", "miss"}


def test_a_cache_that_serves_what_was_invalidated_is_found_out(store, monkeypatch):
    monkeypatch.setattr(lookup, "visibility", lambda entry, record: lookup.Visibility.FRESH)
    failed = [check.name for check in check_isolation(store, now=time.time()) if not check.passed]
    assert failed == ["after its invalidation"]


def test_it_runs_again_and_again(store):
    for _ in range(3):
        assert all(check.passed for check in check_isolation(store, now=time.time()))
