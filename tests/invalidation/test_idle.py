"""Records of namespaces that nobody uses: they go, and nothing that is used goes with them. On both stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.invalidation import IDLE_SECONDS, IdleNamespaces
from core.keys.names import Slot
from core.models import ChatRequest, Controls
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.fakes import CountingProvider


class World:
    def __init__(self, store: Any, namespace: str, buckets: int) -> None:
        self.store = store
        self.slots = [Slot(namespace, bucket) for bucket in range(buckets)]
        self.namespace = namespace
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, buckets=buckets), store=store, provider=CountingProvider()
        )
        self.now = 0.0
        self.idle = IdleNamespaces(store, buckets=buckets, clock=lambda: self.now)

    def ask(self, question: str = "What is a border?", **controls: Any) -> Any:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
        return self.cache.complete(request, Controls(**controls))

    def looks(self, seconds: float) -> None:
        """The looks of so many seconds, one every ten minutes."""
        end = self.now + seconds
        while self.now < end:
            self.idle.clean()
            self.now += 600
        self.idle.clean()

    @property
    def is_known(self) -> bool:
        return self.namespace in self.store.namespaces()

    def records(self) -> int:
        return sum(self.store.read(slot, [])[1] is not None for slot in self.slots)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryStore(1000)
        return
    store = RedisStore(patient_client(request.getfixturevalue("redis_url")))
    yield store
    store.close()


@pytest.fixture(params=[1, 4])
def world(request: pytest.FixtureRequest, store: Any, namespace: str) -> World:
    return World(store, namespace, request.param)


def test_a_namespace_without_entry_and_ban_is_forgotten_after_two_hours(world: World):
    for slot in world.slots:
        world.store.ensure_record(slot)
    world.looks(IDLE_SECONDS - 600)
    assert world.is_known
    world.looks(600)
    assert not world.is_known
    assert world.records() == 0


def test_a_namespace_with_an_entry_stays(world: World):
    world.ask()
    world.looks(3 * IDLE_SECONDS)
    assert world.is_known
    assert world.ask().outcome.kind == "hit"


def test_a_namespace_with_an_invalidation_stays(world: World):
    world.cache.invalidate(Criteria(model="gpt-4o"))
    world.looks(3 * IDLE_SECONDS)
    assert world.is_known


def test_who_uses_it_again_has_two_hours_again(world: World):
    for slot in world.slots:
        world.store.ensure_record(slot)
    world.looks(IDLE_SECONDS - 600)
    world.ask()
    world.looks(600)
    world.cache.invalidate(Criteria(all=True), hold_seconds=0)
    assert world.is_known


def test_what_is_being_generated_when_its_record_goes_is_answered_and_not_stored(world: World):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is late?"}])
    step = world.cache.begin(request)
    world.looks(IDLE_SECONDS)
    assert world.records() == 0
    assert step.finish(CountingProvider().complete(request)).outcome.not_stored == "refused-no-record"
    assert not world.is_known
    assert world.ask("What is late?").outcome.stored


def test_a_record_that_has_changed_is_not_forgotten(world: World):
    slot = world.slots[0]
    seen = world.store.ensure_record(slot)
    world.cache.invalidate(Criteria(model="gpt-4o"))
    assert not world.store.forget_record(slot, seen)
    world.store.unlist(world.namespace, len(world.slots))
    assert world.is_known


def test_only_if_cached_leaves_nothing(world: World):
    with pytest.raises(Exception, match="only-if-cached"):
        world.ask(only_if_cached=True)
    world.ask(no_store=True)
    assert not world.is_known
    assert world.records() == 0


@pytest.mark.parametrize(
    ("status", "stays"), [(400, False), (401, False), (403, False), (404, False), (429, False), (500, True)]
)
def test_whom_the_provider_refuses_leaves_no_record(world: World, status: int, stays: bool):
    def refuse(call: int) -> None:
        error = ConnectionError("refused")
        error.status_code = status  # type: ignore[attr-defined]
        raise error

    world.cache.provider = CountingProvider(before=refuse)
    with pytest.raises(ConnectionError):
        world.ask()
    assert world.is_known == stays
    assert bool(world.records()) == stays


def test_a_refusal_takes_no_record_that_was_there_before(world: World):
    world.ask()

    def refuse(call: int) -> None:
        error = ConnectionError("refused")
        error.status_code = 401  # type: ignore[attr-defined]
        raise error

    world.cache.provider = CountingProvider(before=refuse)
    with pytest.raises(ConnectionError):
        world.ask("What is a second question?", no_cache=True)
    assert world.ask().outcome.kind == "hit"
