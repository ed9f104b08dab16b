"""Leases are kept while they are held, and nobody waits long for one whose holder is no more, or does not know it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.errors import OutcomeUnknown
from core.keys.names import Slot
from core.models import ChatRequest
from core.stores import leases as leases_module
from core.stores.base import Claim
from core.stores.leases import LEASE_SECONDS, HeldLease, Leases
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.conftest import RedisServer
from tests.fakes import CountingProvider, Outcomes
from tests.processes import in_child

DIGEST = b"d" * 32
LONG = 20.0
NEARLY_OVER_MS = 10_000
"""What a test leaves of a lease: long enough for a busy machine to renew it."""


def ask() -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is a lease?"}])


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Waits for a condition that other threads bring about."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        pause.wait(0.01)


class FreezingStore(RedisStore):
    """Its server hangs just as a lease is asked for, and takes it when it goes on."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(request_client(server.url, 0.5))
        self._server = server
        self.unknown = threading.Event()

    def acquire(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        self._server.pause()
        try:
            return super().acquire(slot, claim, ttl_ms)
        except OutcomeUnknown:
            self.unknown.set()
            raise


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    made = RedisStore(request_client(redis_url, 5))
    yield made
    made.close()


@pytest.fixture
def slot(namespace: str) -> Slot:
    return Slot(namespace, 0)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed all the time, not a few times in their length."""
    monkeypatch.setattr(leases_module, "RENEWALS", 1000)


@pytest.fixture
def leases(store: RedisStore, often: None) -> Iterator[Leases]:
    made = Leases(store, 60, lease_seconds=LONG)
    yield made
    made.close()


def take(leases: Leases, slot: Slot, sequence: int = 1) -> HeldLease:
    lease = leases.take(slot, DIGEST, sequence)
    assert lease is not None
    return lease


def shorten(store: RedisStore, slot: Slot, sequence: int = 1) -> None:
    assert store._client.pexpire(slot.lease(DIGEST, sequence), NEARLY_OVER_MS)


def is_renewed(store: RedisStore, slot: Slot, sequence: int = 1) -> bool:
    return store._client.pttl(slot.lease(DIGEST, sequence)) > NEARLY_OVER_MS


def test_a_lease_outlives_its_own_length_while_it_is_held(leases, store, slot):
    lease = take(leases, slot)
    for _ in range(3):
        shorten(store, slot)
        until(lambda: is_renewed(store, slot))
        assert leases.take(slot, DIGEST, 1) is None
    leases.give_back(lease)
    assert not store.leased(slot, DIGEST, 1)
    assert take(leases, slot).claim.token != lease.claim.token


def test_a_lease_is_not_renewed_for_longer_than_anyone_waits(store, slot, often):
    brief, patient = Leases(store, 1.0), Leases(store, 60)
    take(patient, slot, 2)
    began = time.monotonic()
    lease = take(brief, slot, 1)
    until(lambda: not store.leased(slot, DIGEST, 1))
    assert began + 1.0 <= lease.until <= time.monotonic()
    assert store.leased(slot, DIGEST, 2), "anyone would wait for this one"
    brief.close()
    patient.close()


def test_a_lost_lease_is_taken_again_before_another_caller_begins(leases, store, slot, redis_url):
    lease = take(leases, slot)
    store._client.delete(slot.lease(DIGEST, 1))  # what a server does that begins anew
    until(lambda: store.leased(slot, DIGEST, 1))
    leases.give_back(lease)
    assert not store.leased(slot, DIGEST, 1)


def test_a_lease_that_another_caller_has_by_now_is_left_to_him(leases, store, slot):
    lease = take(leases, slot)
    store.release(slot, lease.claim)
    others = Claim(digest=DIGEST, sequence=1, token=b"other")
    assert store.acquire(slot, others, 60_000)
    until(lambda: not leases._held)
    leases.give_back(lease)
    assert store.leased(slot, DIGEST, 1)


def test_many_leases_of_many_slots_are_kept(leases, store, namespace):
    slots = [Slot(namespace, bucket) for bucket in range(8)]
    held = [take(leases, slot, sequence) for slot in slots for sequence in range(50)]
    for lease in held:
        shorten(store, lease.slot, lease.claim.sequence)
    until(lambda: all(is_renewed(store, lease.slot, lease.claim.sequence) for lease in held))
    for lease in held:
        leases.give_back(lease)
    assert not any(store.leased(lease.slot, DIGEST, lease.claim.sequence) for lease in held)


def test_all_that_is_held_is_given_back_at_the_end_and_the_thread_ends(store, slot):
    leases = Leases(store, 60)
    for sequence in range(3):
        take(leases, slot, sequence)
    thread = leases._worker.thread
    leases.close()
    assert not any(store.leased(slot, DIGEST, sequence) for sequence in range(3))
    assert not thread.is_alive()


def test_a_lease_that_nobody_needs_any_more_is_given_back_at_once_not_in_the_next_round(store, slot):
    leases = Leases(store, 3600, lease_seconds=3600)  # a round every 20 minutes
    leases.give_back_later(take(leases, slot))
    until(lambda: not store.leased(slot, DIGEST, 1))
    leases.close()


def test_the_thread_ends_when_there_is_nothing_to_do_and_begins_again(store, slot):
    leases = Leases(store, 60, lease_seconds=0.03)
    leases.give_back(take(leases, slot))
    until(lambda: leases._worker.thread is None)
    take(leases, slot)
    assert leases._worker.thread.is_alive()
    leases.close()


def test_a_forked_child_holds_none_of_its_parents_leases_and_renews_its_own(leases, store, slot):
    take(leases, slot, 1)

    def check() -> None:
        assert leases.take(slot, DIGEST, 1) is None
        own = take(leases, slot, 2)
        shorten(store, slot, 2)
        until(lambda: is_renewed(store, slot, 2))
        assert list(leases._held) == [own.claim.token]
        leases.close()

    in_child(check)
    assert store.leased(slot, DIGEST, 1), "the end of the child does not end its parent's"
    assert not store.leased(slot, DIGEST, 2)


class RacingStore(MemoryStore):
    """While a lease is being renewed, its holder gives it back."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    def renew(self, slot: Slot, claims: Sequence[Claim], ttl_ms: int) -> list[bool]:
        self.meanwhile()
        return super().renew(slot, claims, ttl_ms)


def test_a_lease_given_back_while_it_is_renewed_does_not_come_back(slot):
    store = RacingStore()
    leases = Leases(store, 60, lease_seconds=60)
    lease = take(leases, slot)
    store.meanwhile = lambda: leases.give_back(lease)
    leases._renew_held()
    assert store.leased(slot, DIGEST, 1), "the renewal has taken it again"
    leases._give_back_owed()
    assert not store.leased(slot, DIGEST, 1)
    leases.close()


def test_a_lease_that_may_have_been_taken_is_given_back_when_the_store_answers(redis_server, slot):
    server = redis_server()
    store = FreezingStore(server)
    store.leased(slot, DIGEST, 1)  # over the connection that will ask for the lease
    leases = Leases(store, 60, lease_seconds=60)
    with pytest.raises(OutcomeUnknown):
        leases.take(slot, DIGEST, 1)
    leases._give_back_owed()
    server.resume()
    until(lambda: store.leased(slot, DIGEST, 1))
    leases._give_back_owed()
    assert not store.leased(slot, DIGEST, 1)
    assert not leases._owed
    leases.close()


@pytest.fixture
def make(namespace: str) -> Iterator[Callable[..., LLMCache]]:
    """Caches as processes of their own would have them."""
    caches = []

    def build(store: RedisStore, provider: CountingProvider) -> LLMCache:
        caches.append(LLMCache(CacheConfig(namespace=namespace), store=store, provider=provider, metrics=Outcomes()))
        return caches[-1]

    yield build
    for cache in caches:
        cache.close()


def test_a_server_that_hung_while_a_lease_was_asked_for_holds_others_up_for_seconds_only(redis_server, make, slot):
    server = redis_server()
    provider = CountingProvider()
    freezing = FreezingStore(server)
    first, second = make(freezing, provider), make(RedisStore(request_client(server.url, 1)), provider)
    first.store.ensure_record(slot)
    with server.client() as client:
        taken = client.info("commandstats")["cmdstat_set"]["calls"]
        assert first.complete(ask()).completion.text == "answer 1", "the answer arrives though the cache fails"
        assert freezing.unknown.is_set()
        server.resume()
        until(lambda: client.info("commandstats")["cmdstat_set"]["calls"] > taken)
        began = time.monotonic()
        assert second.complete(ask()).completion.text == "answer 2"
        assert time.monotonic() - began < second.config.lease_seconds / 2, (
            "far less than for one who is known to compute"
        )
        until(lambda: not client.keys("*:lease:*"))


def test_a_generation_longer_than_a_lease_is_one_call_over_processes(redis_url, make):
    pause = threading.Event()
    provider = CountingProvider(before=lambda call: pause.wait(LEASE_SECONDS + 1))
    caches = [make(RedisStore(request_client(redis_url, 5)), provider) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(caches[number % 2].complete, ask()) for number in range(4)]
        assert {answer.result(120).completion.text for answer in answers} == {"answer 1"}
    assert provider.calls == 1
