"""What the normal form takes for one question, and what it never does: `normal_form.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.keys.identity import identify
from core.models import ChatRequest

LISTS = tomllib.loads((Path(__file__).parent / "normal_form.toml").read_text(encoding="utf-8"))
ASSISTANT = "You are a helpful assistant."
TRANSLATOR = "Translate into Spanish."


def pairs(name: str) -> list[tuple[str, str]]:
    return [(one, other) for kind in LISTS[name].values() for one, other in kind]


def meet(one: str, other: str, system: str | None = None) -> bool:
    before = [] if system is None else [{"role": "system", "content": system}]
    first, second = (
        identify(ChatRequest(model="m", messages=[*before, {"role": "user", "content": text}]), "test").normalized
        for text in (one, other)
    )
    return first is not None and first == second


@pytest.mark.parametrize(("one", "other"), pairs("apart"))
@pytest.mark.parametrize("system", [None, ASSISTANT, TRANSLATOR])
def test_what_may_be_another_question_stays_apart(one: str, other: str, system: str | None) -> None:
    assert not meet(one, other, system)


@pytest.mark.parametrize(("one", "other"), pairs("alike"))
def test_one_question_typed_in_two_ways_is_one(one: str, other: str) -> None:
    assert meet(one, other)
    assert meet(one, other, ASSISTANT)


@pytest.mark.parametrize(("one", "other"), pairs("missed"))
def test_what_begins_to_hit_leaves_the_list_of_what_is_missed(one: str, other: str) -> None:
    assert not meet(one, other)


def test_the_lists_are_long() -> None:
    def distinct(lists: Mapping[str, list[list[str]]]) -> int:
        return len({frozenset(pair) for kind in lists.values() for pair in kind})

    assert distinct(LISTS["apart"]) >= 220
    assert distinct(LISTS["alike"]) >= 105
    assert distinct(LISTS["missed"]) * 10 < distinct(LISTS["alike"])
