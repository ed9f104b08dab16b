"""A lock that all processes share."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis

from core.stores.redis.lock import lock
from core.stores.redis.store import request_client


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return request_client(redis_url, 5)


@pytest.fixture
def key() -> bytes:
    return b"encore:test:" + uuid4().hex.encode()


def test_one_holds_it_at_a_time_and_gives_it_back(client: redis.Redis, key: bytes):
    with lock(client, key, 60_000) as mine:
        assert mine
        assert 0 < client.pttl(key) <= 60_000
        with lock(client, key, 60_000) as others:
            assert not others
        assert client.exists(key), "who does not hold it does not give it back"
    assert not client.exists(key)
    with lock(client, key, 60_000) as again:
        assert again


def test_it_is_given_back_when_the_block_fails(client: redis.Redis, key: bytes):
    with pytest.raises(ZeroDivisionError), lock(client, key, 60_000):
        _ = 1 / 0
    assert not client.exists(key)


def test_one_that_has_lapsed_is_not_taken_from_its_next_holder(client: redis.Redis, key: bytes):
    with lock(client, key, 60_000):
        client.set(key, b"another")
    assert client.get(key) == b"another"
