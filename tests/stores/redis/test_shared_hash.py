"""The shared hash, in Redis and in this process: the same contract; and copies that are at most a second old."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
import redis

from core.errors import StoreUnavailable, WriteRefused
from core.stores.redis.shared_hash import COPY_SECONDS, MAX_COPIES, LocalHash, RecentReads, RedisHash, shared_hash
from core.stores.redis.store import request_client
from tests.samples import Clock


@pytest.fixture
def key() -> bytes:
    return b"encore:test:" + uuid4().hex.encode()


@pytest.fixture(params=["local", "redis"])
def shared(request: pytest.FixtureRequest, key: bytes):
    client = request_client(request.getfixturevalue("redis_url"), 5) if request.param == "redis" else None
    return shared_hash(client, key)


def test_without_a_client_it_is_kept_here_and_with_one_in_redis(redis_url: str, key: bytes):
    assert isinstance(shared_hash(None, key), LocalHash)
    assert isinstance(shared_hash(request_client(redis_url, 5), key), RedisHash)


def test_what_was_put_is_there(shared):
    assert shared.swap("b", b"", b"\x00two")
    assert shared.swap("a", b"", b"one")
    assert shared.get("a") == b"one"
    assert shared.get_many(["b", "none", "a"]) == [b"\x00two", b"", b"one"]
    assert shared.fields() == ["a", "b"]
    assert shared.all() == {"a": b"one", "b": b"\x00two"}


def test_what_was_never_put_is_empty(shared):
    assert shared.get("none") == b""
    assert shared.fields() == []
    assert shared.all() == {}


def test_a_value_is_replaced_only_if_it_is_the_one_that_was_read(shared):
    assert not shared.swap("a", b"guess", b"new")
    assert shared.swap("a", b"", b"one")
    assert not shared.swap("a", b"", b"two")
    assert shared.get("a") == b"one"
    assert shared.swap("a", b"one", b"two")
    assert shared.get("a") == b"two"


def test_an_empty_value_removes_the_field(shared):
    shared.swap("a", b"", b"one")
    assert not shared.swap("a", b"two", b"")
    assert shared.swap("a", b"one", b"")
    assert shared.fields() == []
    assert shared.swap("a", b"", b""), "nothing takes the place of nothing"
    assert shared.fields() == []


def test_changes_that_come_together_are_all_kept(shared):
    workers, rounds = 8, 25
    barrier = threading.Barrier(workers)

    def count() -> None:
        barrier.wait()
        for _ in range(rounds):
            while True:
                before = shared.get("count")
                if shared.swap("count", before, b"%d" % (int(before or 0) + 1)):
                    break

    threads = [threading.Thread(target=count) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.get("count") == b"%d" % (workers * rounds)


def test_processes_share_it_and_it_has_no_end(redis_url: str, key: bytes):
    ann, bob = (RedisHash(request_client(redis_url, 5), key) for _ in range(2))
    assert ann.swap("a", b"", b"one")
    assert bob.get("a") == b"one"
    assert not bob.swap("a", b"", b"two")
    client = redis.Redis.from_url(redis_url)
    assert client.hgetall(key) == {b"a": b"one"}
    assert client.ttl(key) == -1


def test_a_full_server_takes_a_change_and_a_read_only_one_refuses_it(redis_server, key: bytes):
    server = redis_server()
    client = redis.Redis.from_url(server.url)
    shared = RedisHash(request_client(server.url, 5), key)
    shared.swap("a", b"", b"one")
    client.config_set("maxmemory", "1")
    assert shared.swap("a", b"one", b"two")
    client.config_set("maxmemory", "0")
    client.replicaof("127.0.0.1", "1")
    with pytest.raises(WriteRefused, match="READONLY"):
        shared.swap("a", b"two", b"three")
    assert shared.get("a") == b"two"


def test_a_server_that_is_away_is_said_to_be(key: bytes):
    shared = RedisHash(request_client("redis://127.0.0.1:1", 0.2), key)
    for ask in (lambda: shared.get("a"), lambda: shared.get_many(["a"]), shared.fields, shared.all):
        with pytest.raises(StoreUnavailable):
            ask()


# Copies


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def recent(clock: Clock) -> RecentReads[int]:
    return RecentReads(clock)


def test_a_copy_is_given_until_it_is_a_second_old(recent: RecentReads[int], clock: Clock):
    assert recent.get("a") is None
    assert recent.current("a", lambda: 1) == 1
    clock.forward(COPY_SECONDS - 0.01)
    assert recent.current("a", lambda: 2) == 1
    clock.forward(0.01)
    assert recent.get("a") is None
    assert recent.current("a", lambda: 2) == 2


def test_the_age_of_a_copy_counts_from_before_it_was_read(recent: RecentReads[int], clock: Clock):
    def slow() -> int:
        clock.forward(COPY_SECONDS)
        return 1

    assert recent.current("a", slow) == 1
    assert recent.get("a") is None


def test_a_read_that_fails_leaves_no_copy(recent: RecentReads[int]):
    def fails() -> int:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        recent.current("a", fails)
    assert recent.get("a") is None


def test_what_is_forgotten_is_read_again(recent: RecentReads[int]):
    for name in ("a", "b", "c"):
        recent.read(name, lambda: 1)
    recent.forget("a")
    recent.forget("a")
    assert [recent.get(name) for name in "abc"] == [None, 1, 1]
    recent.forget()
    assert [recent.get(name) for name in "abc"] == [None, None, None]


def test_copies_are_bounded(recent: RecentReads[int]):
    for number in range(MAX_COPIES + 1):
        recent.read(str(number), lambda number=number: number)
    assert recent.get("0") is None
    assert recent.get(str(MAX_COPIES)) == MAX_COPIES
