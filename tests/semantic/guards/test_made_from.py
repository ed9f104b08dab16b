"""Questions of which one was made from the other by a word more, another order or another time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.guards.checks import check
from core.semantic.guards.made_from import MAX_WORDS, added, moved
from core.semantic.guards.wording import wording_of
from tests.semantic.sets.language_pairs import FOLDER


def differences(one: str, other: str) -> tuple[str, str]:
    a, b = wording_of(one, "en"), wording_of(other, "en")
    return added(a, b), moved(a, b)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("Can I enter?", "Can my guest enter?", "only one says it: guest"),
        ("Who taught Plato?", "Who was taught by Plato?", "only one says by whom it is done"),
        ("Is the road closed?", "Was the road closed?", "only one is in the past"),
        (
            "Where do I file an objection?",
            "How do I file an objection?",
            "one asks for the place, the other for the way",
        ),
        ("When did I set up the alarm?", "When did I set off the alarm?", "up is not off"),
        ("Can I renew a passport?", "Can I renew a passport for my son?", "only one says it: son"),
        (
            "How do you say hello in German?",
            "How do you say thanks in German?",
            "they ask about words, and only one has hello",
        ),
        ("Leeds York trains", "York Leeds trains", "the same words in another order"),
    ],
)
def test_the_reason_says_what_differs(one, other, reason):
    assert reason in differences(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where can I see my PIN?", "Where do I find my PIN currently?"),
        ("How do I postpone a payment?", "How do I put off a payment?"),
        ("Rate it five out of 6", "Rate it 5 out of 6"),
        ("With one spare key how many doors can I open?", "How many doors can I open with a spare key?"),
        ("What is the melting point of tin?", "What is tin's melting point?"),
        ("Can I pay by cheque?", "Can I pay with a cheque?"),
        ("Compare tea and milk", "Compare milk and tea"),
        ("A room for two adults and one child", "A room for one child and two adults"),
        ("Why did the bank freeze my account?", "Why was my account frozen by the bank?"),
        ("I've lost my key, what now?", "I have lost my key, what now?"),
        ("Oh and what's the limit?", "What's the limit?"),
        ("Thanks in advance. Where is my parcel?", "Where is my parcel?"),
    ],
)
def test_what_comes_and_goes_asks_nothing_else(one, other):
    assert differences(one, other) == ("", "")


def test_who_asks_in_words_of_their_own_is_left_to_the_cosine():
    assert differences("Can I enter?", "Can my guest enter?") != ("", "")
    assert differences("Is there any way for me to enter?", "Would it be allowed that my guest enters?") == ("", "")


def test_a_word_of_a_long_text_comes_and_goes():
    text = " ".join(["walls"] * (MAX_WORDS - 2))
    assert differences(f"paint {text}", f"paint old {text}") == ("only one says it: old", "")
    assert differences(f"paint {text} now", f"paint old {text} now") == ("", "")


WORDS = tuple(wording_of("i my dog cat feed stop if and then of by was in is the Ann's 5 seven , over", "en").words)
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)


@given(TEXTS, TEXTS)
def test_which_of_the_two_was_asked_first_does_not_matter(one, other):
    assert differences(one, other) == differences(other, one)


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text):
    assert differences(text, text) == ("", "")


def labelled_pairs() -> Iterator[tuple[str, str, str, bool]]:
    """Kind, two questions, and whether one answer serves both."""
    for kind, pairs in tomllib.loads((FOLDER / "made_from.toml").read_text(encoding="utf-8")).items():
        for name, some in pairs.items():
            yield from ((kind, *pair.split(" | "), name == "alike") for pair in some)


def test_few_pairs_that_are_apart_pass_and_most_that_are_alike_do():
    apart = [check(one, other).passed for _, one, other, is_alike in labelled_pairs() if not is_alike]
    alike = [check(one, other) for _, one, other, is_alike in labelled_pairs() if is_alike]
    assert (len(apart), len(alike)) == (354, 234)
    assert sum(apart) <= 0.1 * len(apart)
    assert sum(verdict.passed for verdict in alike) >= 0.8 * len(alike)
    assert sum(verdict.passed or verdict.judgeable for verdict in alike) >= 0.93 * len(alike)
