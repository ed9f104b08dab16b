from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core.access.repeats import KEPT_SECONDS, MOST_HERE, Repeats
from core.errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from tests.conftest import RedisFactory
from tests.samples import Clock


@pytest.fixture(params=["memory", "redis"])
def repeats(request: pytest.FixtureRequest, redis_server: RedisFactory) -> Iterator[Repeats]:
    if request.param == "memory":
        yield Repeats(None)
        return
    with redis_server().client() as client:
        yield Repeats(client)


def test_what_is_kept_for_an_id_is_found_until_it_is_forgotten(repeats):
    assert repeats.get("one") is None
    repeats.keep("one", b"a")
    repeats.keep("two", b"b")
    repeats.keep("one", b"c")
    assert (repeats.get("one"), repeats.get("two")) == (b"c", b"b")
    repeats.forget("one")
    assert (repeats.get("one"), repeats.get("two")) == (None, b"b")


def test_the_first_claim_holds(repeats):
    assert repeats.claim("one", b"a") is None
    assert repeats.claim("one", b"b") == repeats.get("one") == b"a"
    repeats.forget("one")
    assert repeats.claim("one", b"b") is None


def test_it_is_forgotten_after_a_day_in_memory():
    clock = Clock()
    repeats = Repeats(None, clock=clock)
    repeats.keep("one", b"a")
    clock.forward(KEPT_SECONDS - 1)
    assert repeats.get("one") == b"a"
    clock.forward(1)
    assert repeats.get("one") is None


def test_memory_keeps_so_many_and_no_more():
    repeats = Repeats(None, clock=Clock())
    for number in range(MOST_HERE + 5):
        repeats.keep(str(number), b"x")
    assert len(repeats._here) == MOST_HERE
    assert repeats.get(str(MOST_HERE + 4)) == b"x"


@pytest.mark.parametrize("write", [Repeats.keep, Repeats.claim])
def test_each_has_a_key_of_its_own_that_expires(redis_server: RedisFactory, write: Callable[..., object]):
    with redis_server().client() as client:
        for name in ("one", "x" * 10_000):
            write(Repeats(client), name, b"a")
        kept = list(client.scan_iter("encore:repeated:*"))
        assert [len(name) for name in kept] == [48, 48], "what a caller sends is not in a name"
        assert all(KEPT_SECONDS - 60 < client.ttl(name) <= KEPT_SECONDS for name in kept)


def test_what_cannot_be_kept_or_asked_for_says_so(redis_server: RedisFactory):
    server = redis_server()
    with server.client(socket_timeout=0.5, retry=None) as client:
        repeats = Repeats(client)
        client.replicaof("127.0.0.1", "1")
        for write in (repeats.keep, repeats.claim):
            with pytest.raises(WriteRefused):
                write("one", b"a")
        client.replicaof("NO", "ONE")
        server.pause()
        with pytest.raises(OutcomeUnknown):
            repeats.keep("one", b"a")
        with pytest.raises(StoreUnavailable):
            repeats.get("one")
