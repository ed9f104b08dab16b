"""The family of a request in a conversation: everything but what was said, and all of that which is more than text."""

from __future__ import annotations

from typing import Any

import pytest

from core.keys.family import Family, family_of, history_of, texts_of
from core.keys.identity import Identity, identify
from core.models import ChatRequest

SYSTEM = {"role": "system", "content": "Be brief."}
SAID = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
LAST = {"role": "user", "content": "Why?"}


def identity(*messages: dict[str, Any], user: Any = None, **arguments: Any) -> Identity:
    given = {"model": "m", "messages": messages or [SYSTEM, *SAID, LAST]} | arguments
    return identify(ChatRequest.from_openai(**given), "n", user=user, converses=True)


def test_other_words_in_the_history_are_of_the_same_family():
    other = [
        {"role": "user", "content": "Good morning"},
        {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
    ]
    assert identity().scope != identity(SYSTEM, *other, LAST).scope
    assert family_of(identity()) == family_of(identity(SYSTEM, *other, LAST))


@pytest.mark.parametrize(
    "other",
    [
        identity(model="another"),
        identity({"role": "system", "content": "Be rude."}, *SAID, LAST),
        identity(*SAID, LAST),
        identity(temperature=0.1),
        identity(tools=[{"type": "function", "function": {"name": "f"}}]),
        identity(user="ann"),
        identity(extra_headers={"X-A": "1"}),
        identity(extra_query={"a": "1"}),
        identity(base_url="http://elsewhere"),
        identity(SYSTEM, *SAID, {"role": "user", "name": "ann", "content": "Why?"}),
        identity(SYSTEM, {"role": "user", "name": "ann", "content": "Hi"}, SAID[1], LAST),
        identity(SYSTEM, *SAID, {"role": "tool", "tool_call_id": "1", "content": "3"}, LAST),
        identity(SYSTEM, *SAID, {"role": "developer", "content": "Now be rude."}, LAST),
        identity(SYSTEM, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, LAST),
        identity(SYSTEM, SAID[0], {"role": "assistant", "content": "Hello!", "refusal": "no"}, LAST),
    ],
)
def test_anything_else_is_of_another_family(other):
    assert family_of(other).digest != family_of(identity()).digest


def test_namespaces_and_owners_have_families_of_their_own():
    request = ChatRequest.from_openai(model="m", messages=[SYSTEM, *SAID, LAST])
    elsewhere = identify(request, "another", converses=True)
    assert len({family_of(one, owner).digest for one in (identity(), elsewhere) for owner in (None, "ann", "bob")}) == 6


def test_what_an_sdk_leaves_empty_counts_nothing():
    bare = {"role": "assistant", "content": "Hello!", "refusal": None, "tool_calls": None, "annotations": []}
    assert family_of(identity(SYSTEM, SAID[0], bare, LAST)) == family_of(identity())


def test_a_family_names_the_scope_of_the_question_asked_first():
    assert family_of(identity()).first == identity(SYSTEM, LAST).scope
    with_tool = identity(SYSTEM, *SAID, {"role": "tool", "tool_call_id": "1", "content": "3"}, LAST)
    assert family_of(with_tool).first == b""
    assert family_of(identity(), "ann").first == b""


def test_a_family_holds_its_own_entries_and_no_others():
    family = family_of(identity())
    assert family.holds(b"s" * 32, family.pack())
    assert family.holds(identity(SYSTEM, LAST).scope, b"")
    assert not family.holds(b"s" * 32, b"")
    assert not family.holds(b"s" * 32, b"f" * 64)
    assert not Family(digest=family.digest).holds(b"", b"")


@pytest.mark.parametrize("packed", [b"", b"f" * 31, b"f" * 65])
def test_bytes_that_are_no_family_are_none(packed):
    assert Family.unpack(packed) is None
    assert Family.unpack(family_of(identity()).pack()) == family_of(identity())


def test_a_first_question_has_no_history_and_does_not_converse():
    assert not identity(SYSTEM, LAST).converses
    assert history_of(identity(SYSTEM, LAST)) == []
    assert identity().converses
    assert texts_of(history_of(identity())) == [("user", "Hi"), ("assistant", "Hello!")]
