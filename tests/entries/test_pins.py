"""Pinned answers stay fresh until they are unpinned, and an invalidation still hides them."""

from __future__ import annotations

import msgspec
import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries import pins as pins_module
from core.entries.edits import Edits
from core.entries.listing import find_entry
from core.entries.pins import PIN_SECONDS, RENEW_BELOW_SECONDS, Pins
from core.errors import InvalidInput, StoreUnavailable
from core.keys.names import PINS, Slot
from core.models import ChatRequest, Completion, Controls, For
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import NOW, Clock

DAY = 86_400


class World:
    """A cache with pins, whose clock a test moves."""

    def __init__(self, url, namespace):
        self.clock = Clock()
        self.namespace = namespace
        self.client = patient_client(url)
        self.store = RedisStore(self.client)
        self.audit = AuditLog(None, clock=self.clock)
        config = CacheConfig(namespace=namespace, ttl_jitter=0)
        self.cache = LLMCache(config, store=self.store, clock=self.clock)
        self.pins = Pins(
            self.client,
            self.store,
            self.audit,
            release_seconds={"general_knowledge": 3600.0}.__getitem__,
            clock=self.clock,
        )

    def put(self, text="A card.", prompt="What is a card?"):
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {"object": "chat.completion", "model": "gpt-4o", "choices": [choice]}
        return self.cache.put(request, Completion(body=body), Controls(ttl=For(600))).key

    def get(self, prompt="What is a card?"):
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        answer = self.cache.get(request)
        return answer.completion.text if answer else None

    def pin(self, key):
        return self.pins.pin(self.namespace, key, actor=self.audit.by("olga", source="console"))

    def unpin(self, key):
        self.pins.unpin(self.namespace, key, actor=self.audit.by("olga", source="console"))

    def actions(self):
        return [(record.action, record.actor) for record in reversed(self.audit.records())]


@pytest.fixture
def world(redis_url, namespace):
    made = World(redis_url, namespace)
    made.client.delete(PINS)
    yield made
    made.client.delete(PINS)
    made.store.close()


def test_a_pinned_answer_outlives_its_ttl_as_long_as_a_worker_renews_it(world):
    world.pin(world.put())
    for _ in range(100):
        world.clock.forward(DAY)
        world.pins.renew()
        assert world.get() == "A card."
        assert world.get("what is a card") == "A card."
    assert [action for action, _ in world.actions()] == ["entry.pinned"]


def test_a_pin_is_renewed_once_a_day_and_not_at_every_look(world):
    world.pin(world.put())
    assert world.pins.renew() == 0
    world.clock.forward(PIN_SECONDS - RENEW_BELOW_SECONDS + 1)
    assert (world.pins.renew(), world.pins.renew()) == (1, 0)


def test_without_workers_a_pin_lapses_after_a_month(world):
    world.pin(world.put())
    world.clock.forward(PIN_SECONDS)
    assert world.get() is None


def test_an_unpinned_answer_has_the_ttl_of_its_class(world):
    key = world.put()
    world.pin(key)
    world.unpin(key)
    assert find_entry(world.store, world.namespace, key).entry.header.fresh_until == NOW + 3600
    assert world.pins.of(world.namespace) == []
    assert world.actions() == [("entry.pinned", "olga"), ("entry.unpinned", "olga")]


def test_an_invalidation_hides_a_pinned_answer_and_undo_brings_it_back_pinned(world):
    key = world.put()
    world.pin(key)
    world.clock.forward(2 * DAY)
    done = world.cache.invalidate(Criteria(key=key))
    assert world.pins.renew() == 0
    assert world.get() is None
    world.cache.invalidator.undo(done.id, actor="olga")
    assert world.get() == "A card."
    assert world.pins.renew() == 1


def test_a_pin_ends_when_its_answer_is_gone(world):
    key = world.put()
    world.pin(key)
    world.client.delete(Slot(world.namespace, 0).entry(bytes.fromhex(key[2:])))  # as an eviction does
    world.pins.renew()
    assert world.pins.of(world.namespace) == []
    assert world.actions()[-1] == ("entry.pin-ended", "encore")


def test_a_pin_is_of_an_answer_and_not_of_its_question(world):
    key = world.put()
    world.pin(key)
    world.clock.forward(1)
    assert world.put("Another card.") == key
    world.pins.renew()
    assert not world.pins.is_pinned(world.namespace, key)
    assert world.get() == "Another card."


def test_the_ttl_of_a_pinned_answer_cannot_be_changed(world):
    key = world.put()
    world.pin(key)
    edits = Edits(
        world.cache, world.store, world.audit.by("olga", source="console"), pins=world.pins, clock=world.clock
    )
    with pytest.raises(InvalidInput, match="unpin it first"):
        edits.keep_for(world.namespace, key, 60)
    world.unpin(key)
    edits.keep_for(world.namespace, key, 60)


def test_what_is_not_there_or_hidden_cannot_be_pinned(world):
    key = world.put()
    world.cache.invalidate(Criteria(key=key))
    for wrong in (key, "0-" + "0" * 64, "no key"):
        with pytest.raises(InvalidInput):
            world.pin(wrong)
    with pytest.raises(InvalidInput, match="not pinned"):
        world.unpin(key)
    assert world.actions() == []


def test_there_is_an_end_to_pinning(world, monkeypatch):
    monkeypatch.setattr(pins_module, "MOST_PINS", 1)
    world.pin(world.put())
    with pytest.raises(InvalidInput, match="unpin some first"):
        world.pin(world.put(prompt="What is a transfer?"))


def test_a_pin_that_cannot_be_read_is_passed_over(world):
    world.pin(world.put())
    world.client.hset(PINS.decode(), "x/y", msgspec.msgpack.encode({"of": "another version"}))
    assert len(world.pins.of(world.namespace)) == 1
    assert world.pins.renew() == 0


def test_without_redis_nothing_is_pinned_and_that_is_told(world, redis_server):
    server = redis_server()
    client = patient_client(server.url, 0.5)
    pins = Pins(client, RedisStore(client), world.audit, release_seconds=lambda name: 60.0)
    server.kill()
    with pytest.raises(StoreUnavailable):
        pins.of("default")
    with pytest.raises(StoreUnavailable):
        pins.pin("default", "0-" + "0" * 64, actor="olga")
