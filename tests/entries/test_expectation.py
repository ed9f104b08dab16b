"""What would become of a request is what then becomes of it; asking changes and counts nothing. On both stores."""

from __future__ import annotations

import json

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.cache import Bypass, Hit, give_up
from core.cache.bypass import BypassSwitch
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.expectation import expect
from core.metrics import CacheMetrics
from core.models import CacheStrategy, ChatRequest, Completion, Controls, For, OutcomeKind
from core.policy import Audience
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import Clock

QUESTION = "What is a card?"


class World:
    """A cache, and what it says before it is asked."""

    def __init__(self, store, namespace, clock, **config):
        self.store, self.namespace, self.clock = store, namespace, clock
        self.metrics = CacheMetrics(None, clock=clock)
        self.switch = BypassSwitch(None, AuditLog(None), clock=clock)
        self.refreshed = []
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, ttl_jitter=0, **config),
            store=store,
            metrics=self.metrics,
            switch=self.switch,
            clock=clock,
            refresher=lambda *request: self.refreshed.append(request),
        )

    def put(self, text=QUESTION, *, seconds=600, **fields):
        choice = {"index": 0, "message": {"role": "assistant", "content": "A card."}, "finish_reason": "stop"}
        body = {"object": "chat.completion", "model": "gpt-4o", "choices": [choice]}
        return self.cache.put(a_request(text, **fields), Completion(body=body), Controls(ttl=For(seconds)))

    def expect(self, text=QUESTION, controls=Controls(), **fields):  # noqa: B008
        told = expect(self.cache, self.store, self.switch, a_request(text, **fields), controls, now=self.clock())
        json.dumps(told.to_dict())
        return told

    def asked(self, text=QUESTION, controls=Controls(), **fields):  # noqa: B008
        """What becomes of the request when it is really sent."""
        step = self.cache.begin(a_request(text, **fields), controls)
        if isinstance(step, Hit):
            return OutcomeKind.HIT
        give_up(step)
        return OutcomeKind.BYPASS if isinstance(step, Bypass) else OutcomeKind.MISS


def a_request(text, **fields):
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}], **fields)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    clock = Clock()
    made = (
        MemoryStore(clock=clock)
        if request.param == "memory"
        else RedisStore(patient_client(request.getfixturevalue("redis_url")))
    )
    yield made
    made.close()


@pytest.fixture
def world(store, namespace):
    return World(store, namespace, Clock())


def told(expected):
    return expected.kind.value, expected.to_dict()["reason"]


def test_a_hit_says_by_which_entry_and_a_miss_says_that_nothing_is_stored(world):
    assert told(world.expect()) == ("miss", "absent")
    key = world.put().key
    exact, other = world.expect().to_dict(), world.expect("what is a  card").to_dict()
    assert (exact["outcome"], exact["reason"], exact["entry"], exact["key"]) == ("hit", "exact", key, key)
    assert (other["outcome"], other["reason"], other["entry"]) == ("hit", "normalized", key)
    assert (exact["answer"], exact["ttl_class"], exact["audience"]) == ("A card.", "general_knowledge", "everybody")
    assert told(world.expect("what is a  card", Controls(strategy=CacheStrategy.EXACT))) == ("miss", "absent")
    assert told(world.expect(temperature=0.3)) == ("miss", "absent")


@pytest.mark.parametrize(
    ("controls", "text", "expected"),
    [
        (Controls(no_cache=True), QUESTION, ("miss", "no-cache")),
        (Controls(no_store=True), QUESTION, ("bypass", "no-store")),
        (Controls(max_age=5), QUESTION, ("miss", "max-age")),
        (Controls(max_age=50), QUESTION, ("hit", "exact")),
        (Controls(), "What is my balance?", ("bypass", "no-user")),
        (Controls(user="anna"), "What is my balance?", ("miss", "may be the user's own")),
    ],
    ids=str,
)
def test_controls_count_as_they_do_for_the_request_itself(world, controls, text, expected):
    world.put()
    world.clock.forward(10)
    assert told(world.expect(text, controls)) == expected
    assert world.asked(text, controls).value == expected[0]


def test_what_an_invalidation_hides_and_what_is_past_its_time_is_told_as_such(world):
    world.put(seconds=60)
    done = world.cache.invalidate(Criteria(pattern="*card*"))
    assert told(world.expect()) == ("miss", "invalidated")
    world.cache.invalidator.undo(done.id, actor="olga")
    world.clock.forward(61)
    expired = world.expect()
    assert told(expired) == ("miss", "expired")
    assert expired.to_dict()["fresh_seconds"] == -1.0
    assert expired.entry is not None


def test_what_is_served_stale_while_it_is_refreshed_is_a_hit_and_asking_refreshes_nothing(store, namespace):
    world = World(store, namespace, Clock(), stale_while_revalidate_seconds=100, stale_seconds=100)
    world.put(seconds=60)
    world.clock.forward(61)
    assert told(world.expect()) == ("hit", "revalidating")
    assert world.refreshed == []
    assert world.asked() is OutcomeKind.HIT


def test_the_bypass_switch_counts(world):
    world.put()
    world.switch.turn(world.namespace, True, actor="olga")
    assert told(world.expect()) == ("bypass", "bypass-switch")
    assert told(world.expect(controls=Controls(namespace="other"))) == ("miss", "absent")


def test_whose_the_answer_is_and_why(store, namespace):
    world = World(store, namespace, Clock(), audience=Audience.USER)
    told = world.expect(controls=Controls(user="anna")).to_dict()
    assert (told["audience"], told["own"]) == ("user", "setting")
    assert world.expect().to_dict()["audience"] == "everybody"


def test_asking_changes_and_counts_nothing(world):
    before = world.store.namespaces()
    world.expect(controls=Controls(namespace="never-used"))
    assert world.store.namespaces() == before
    world.put()
    world.expect()
    assert world.metrics.summary(600).requests == 0
    assert world.metrics.recent() == []


def test_every_answer_has_its_reason_in_a_sentence(world):
    world.put()
    for text, controls in ((QUESTION, Controls()), ("Else?", Controls()), (QUESTION, Controls(no_store=True))):
        assert world.expect(text, controls).to_dict()["why"].endswith(".")
