"""What the path of a request decides, without a store: the test answers its effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from core.bans.record import InvalidationRecord
from core.cache.cache import LLMCache
from core.cache.effects import Effect, GiveBack, IsLeased, Keep, MakeRecord, Pause, Read, ReadSwitch, TakeLease
from core.cache.steps import Bypass, Fetched, Hit, Lead
from core.errors import NotCached
from core.keys.names import Slot
from core.models import Answer, ChatRequest, Completion, Controls
from core.stores.base import Claim, StoredAs
from core.stores.leases import HeldLease
from core.stores.memory import MemoryStore
from tests.fakes import CountingProvider, Outcomes, a_body
from tests.samples import INCARNATION

SLOT = Slot("default", 0)
HELD = HeldLease(SLOT, Claim(digest=b"d", sequence=1, token=b"t"), 0.0)
FETCHED = Fetched(Completion(body=a_body("Paris.")))
RECORD = InvalidationRecord(incarnation=INCARNATION, sequence=1, floor=0)
NOTHING = ([None, None], RECORD)
STORED = (StoredAs.STORED, None)


class Path:
    """A request whose effects are answered from a table: with a value, or with one of a list after the other."""

    def __init__(self, replies: Mapping[type[Effect], Any]) -> None:
        self.outcomes = Outcomes()
        self.cache = LLMCache(store=MemoryStore(1), provider=CountingProvider(), metrics=self.outcomes)
        self.replies = {kind: list(reply) if isinstance(reply, list) else reply for kind, reply in replies.items()}
        self.seen: list[type[Effect]] = []

    def take(self, **controls: Any) -> Hit | Answer:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why?"}])
        flow = self.cache.run(request, Controls(**controls)).flow
        reply: Any = None
        try:
            while True:
                effect = flow.throw(reply) if isinstance(reply, BaseException) else flow.send(reply)
                self.seen.append(type(effect))
                reply = self.replies[type(effect)]
                reply = reply.pop(0) if isinstance(reply, list) else reply
        except StopIteration as end:
            return end.value


def test_a_store_that_cannot_be_asked_costs_one_question_and_the_provider_is_asked():
    path = Path({Read: None, Lead: FETCHED})
    path.take()
    assert path.seen == [Read, Lead]
    assert path.outcomes.words() == ["miss (store-down)"]


def test_a_lease_that_cannot_be_had_holds_nobody_up():
    path = Path({Read: NOTHING, TakeLease: None, Lead: FETCHED, Keep: STORED})
    path.take()
    assert path.seen == [Read, TakeLease, Lead, Keep]
    assert path.outcomes.words() == ["miss (absent), stored"]


def test_an_answer_that_the_store_does_not_take_is_served_all_the_same():
    path = Path({Read: NOTHING, TakeLease: HELD, Lead: FETCHED, Keep: None, GiveBack: True})
    answer = path.take()
    assert isinstance(answer, Answer)
    assert answer.completion is FETCHED.completion
    assert answer.outcome.not_stored == "store-down"


def test_a_store_that_has_moved_on_is_tried_again_from_where_it_is():
    moved = (StoredAs.MOVED, RECORD)
    path = Path({Read: NOTHING, TakeLease: HELD, Lead: FETCHED, Keep: [moved, STORED], GiveBack: True})
    path.take()
    assert path.seen[-3:] == [Keep, Keep, GiveBack]
    assert path.outcomes.words() == ["miss (absent), stored"]


def test_without_a_record_one_is_made_before_the_provider_is_asked():
    reads = [([None, None], None), NOTHING]
    path = Path({Read: reads, MakeRecord: RECORD, TakeLease: HELD, Lead: FETCHED, Keep: STORED, GiveBack: True})
    path.take()
    assert path.seen == [Read, MakeRecord, TakeLease, Read, Lead, Keep, GiveBack]


def test_another_process_is_waited_for_and_taken_over_from_when_it_has_gone():
    others = {Pause: None, IsLeased: [True, False], TakeLease: [False, HELD]}
    path = Path({Read: NOTHING, Lead: FETCHED, Keep: STORED, GiveBack: True, **others})
    path.take()
    waited = [TakeLease, Pause, Read, IsLeased, Pause, Read, IsLeased, TakeLease]
    assert path.seen == [Read, *waited, Read, Lead, Keep, GiveBack]


def test_no_cache_asks_no_lease_and_stores_with_the_tags_that_are_there_by_then():
    path = Path({Read: NOTHING, Lead: FETCHED, Keep: STORED})
    path.take(no_cache=True)
    assert path.seen == [Read, Lead, Read, Keep]
    assert path.outcomes.words() == ["miss (no-cache), stored"]


def test_only_if_cached_asks_nobody_else():
    path = Path({Read: NOTHING})
    with pytest.raises(NotCached):
        path.take(only_if_cached=True)
    assert path.seen == [Read]
    assert path.outcomes.words() == ["miss (only-if-cached)"]


def test_a_bypass_asks_the_provider_and_nothing_else():
    path = Path({Bypass: FETCHED})
    path.take(no_store=True)
    assert path.seen == [Bypass]
    assert path.outcomes.words() == ["bypass (no-store)"]


def test_a_provider_that_fails_gives_its_lease_back_and_its_error_to_the_caller():
    error = ConnectionError("down")
    path = Path({Read: NOTHING, TakeLease: HELD, Lead: error, GiveBack: True})
    with pytest.raises(ConnectionError) as raised:
        path.take()
    assert raised.value is error
    assert path.seen == [Read, TakeLease, Read, Lead, GiveBack]
    assert path.outcomes.words() == ["error (ConnectionError)"]


def test_a_switch_that_cannot_be_read_keeps_the_store_out_of_it():
    class Switch:
        def known(self, namespace: str) -> bool | None:
            return None

    path = Path({ReadSwitch: None, Read: None, Lead: FETCHED})
    path.cache._world = msgspec.structs.replace(path.cache._world, switch=Switch())
    path.take()
    assert path.seen == [ReadSwitch, Read, Lead]
    assert path.outcomes.words() == ["miss (store-down)"]
