"""The same question elsewhere: in other scopes, under other models, in other namespaces. On both stores."""

from __future__ import annotations

import pytest

from core.access.roles import Actor, Role
from core.bans.criteria import Criteria
from core.entries.elsewhere import BEGINNING, MOST_TOGETHER, invalidate_together, questions_at, same_question
from core.errors import AccessDenied, InvalidInput, WriteRefused
from core.invalidation.invalidator import CacheInvalidator
from core.models import ChatRequest, Controls, For
from tests.entries.test_edits import completion, world  # noqa: F401
from tests.entries.test_listing import find_entry

QUESTION = "What is a card?"


def put(world, prompt=QUESTION, *, model="gpt-4o", system="", namespace=None, **parameters):  # noqa: F811
    messages = [{"role": "system", "content": system}] if system else []
    asked = ChatRequest.from_openai(
        model=model, messages=[*messages, {"role": "user", "content": prompt}], **parameters
    )
    controls = Controls(ttl=For(600), namespace=namespace or world.namespace)
    return world.cache.put(asked, completion("A tree."), controls).key


def looked(world, key, *namespaces, **limits):  # noqa: F811
    here = find_entry(world.store, world.namespace, key)
    return same_question(world.store, namespaces or [world.namespace], here, **limits)


def differs(found):
    return sorted(one.differs for one in found.found)


def test_what_keeps_them_apart_is_named(world):  # noqa: F811
    other = f"{world.namespace[:40]}-2"
    key = put(world, system="Now it is 10:00.")
    put(world, system="Now it is 10:01.")
    put(world, model="gpt-4o-mini", system="Now it is 10:00.")
    put(world, system="Now it is 10:00.", temperature=0.5)
    put(world, "what is  a card", system="Now it is 10:00.", namespace=other)
    put(world, "What is a fee?", system="Now it is 10:00.")
    found = looked(world, key, world.namespace, other)
    assert differs(found) == [
        ("model",),
        ("namespace", "spelling"),
        ("parameter temperature",),
        ("system prompt",),
    ]
    assert (found.next, found.looked_through) == (None, 6)
    assert found.in_words == (
        "4 answers in 4 other scopes: they differ in the model, the namespace, "
        "the parameter temperature, the spelling, the system prompt"
    )
    assert differs(looked(world, key)) == [("model",), ("parameter temperature",), ("system prompt",)]


def test_nothing_elsewhere_is_said(world):  # noqa: F811
    key = put(world)
    put(world, "What is a fee?")
    assert looked(world, key).in_words == "nowhere else"


def test_a_look_is_bounded_and_the_next_one_goes_on(world):  # noqa: F811
    other = f"{world.namespace[:40]}-2"
    key = put(world)
    keys = {put(world, system=f"Now it is {number}.") for number in range(7)}
    keys |= {put(world, system=f"Now it is {number}.", namespace=other) for number in range(3)}
    names = [world.namespace, other]
    first = looked(world, key, *names, most=3)
    assert (first.looked_through, first.listed) == (3, 11)
    found, looks = first, 1
    while found.next is not None:
        found = found.followed_by(looked(world, key, *names, most=3, after=found.next))
        looks += 1
    assert looks in (4, 5)
    assert {one.found.key for one in found.found} == keys
    assert len(found.found) == 10
    assert found.looked_through == 11


def test_what_is_hidden_is_left_out(world):  # noqa: F811
    key, other = put(world), put(world, system="Be short.")
    invalidation = CacheInvalidator(world.store, world.audit, namespace=world.namespace, clock=world.clock)
    invalidation.invalidate(Criteria(key=other), actor="olga")
    assert looked(world, key).found == ()


# Together


@pytest.fixture
def invalidation(world):  # noqa: F811
    return CacheInvalidator(world.store, world.audit, namespace=world.namespace, clock=world.clock)


def test_they_are_hidden_together_each_to_be_undone(world, invalidation):  # noqa: F811
    places = [(world.namespace, put(world, system=str(number))) for number in range(3)]
    done = invalidate_together(invalidation, places, actor="olga", reason="Wrong", request_id="r")
    assert ([one.reason for one in done.done], done.problem) == (["Wrong"] * 3, "")
    again = invalidate_together(invalidation, places, actor="olga", reason="Wrong", request_id="r")
    assert [one.id for one in again.done] == [one.id for one in done.done] == ["r-0", "r-1", "r-2"]
    invalidation.undo("r-1", actor="olga")
    states = [find_entry(world.store, *place).state.value for place in places]
    assert states == ["invalidated", "fresh", "invalidated"]


def test_what_fails_on_the_way_is_told_beside_what_is_done(world, invalidation, monkeypatch):  # noqa: F811
    places = [(world.namespace, put(world, system=str(number))) for number in range(3)]
    append, appended = world.store.append, []

    def refuse(*given, **more):
        if len(appended) == 2:
            raise WriteRefused("Redis takes no writes now")
        appended.append(given)
        return append(*given, **more)

    monkeypatch.setattr(world.store, "append", refuse)
    done = invalidate_together(invalidation, places, actor="olga")
    assert (len(done.done), done.asked, done.problem) == (2, 3, "Redis takes no writes now")
    with pytest.raises(WriteRefused):
        invalidate_together(invalidation, places, actor="olga")


@pytest.mark.parametrize("places", [[], [("n", "0-" + "0" * 64)] * (MOST_TOGETHER + 1), [("n", "x")]])
def test_none_too_many_and_no_key_are_refused_before_anything_is_done(world, invalidation, places):  # noqa: F811
    with pytest.raises(InvalidInput):
        invalidate_together(invalidation, places, actor="olga")
    with pytest.raises(AccessDenied):
        invalidate_together(invalidation, places, actor=Actor(name="vera", role=Role.VIEWER))
    assert invalidation.history(namespace=world.namespace) == []


# The questions at keys


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
