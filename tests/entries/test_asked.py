"""The questions at keys: of what is served and of what is hidden, and of nothing else. On both stores."""

from __future__ import annotations

from core.bans.criteria import Criteria
from core.entries.asked import BEGINNING, questions_at
from core.invalidation.invalidator import CacheInvalidator
from tests.entries.test_edits import world  # noqa: F401


def test_a_key_has_its_question_while_something_stands_there(world):  # noqa: F811
    long = "Why? " * 200
    keys = [world.put("What is a card?").key, world.put(long).key, "0-" + "0" * 64, "nonsense"]
    places = [(world.namespace, key) for key in keys]
    invalidation = CacheInvalidator(world.store, world.audit, namespace=world.namespace, clock=world.clock)
    done = invalidation.invalidate(Criteria(key=keys[0]), actor="olga")
    expected = {places[0]: "What is a card?", places[1]: long[:BEGINNING]}
    assert questions_at(world.store, places) == expected
    invalidation.end_hold(done.id, actor="olga")
    invalidation.sweep(world.namespace, rest=0)
    assert questions_at(world.store, places) == {places[1]: long[:BEGINNING]}


def test_a_key_of_another_namespace_has_none(world):  # noqa: F811
    key = world.put("What is a card?").key
    assert questions_at(world.store, [("elsewhere", key)]) == {}
