"""The guards, by what they must refuse and what they must let pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.guards.checks import (
    MAX_CHARACTERS_COMPARED,
    MAX_WORDS,
    MAX_WORDS_COMPARED,
    MAX_WORDS_CONTRAST,
    Guard,
    check,
    check_each,
)
from core.semantic.guards.contrasts import Contrasts
from core.semantic.guards.data import ContrastData, read
from core.semantic.guards.language import language

EXAMPLES = read("en").examples
REFUSED = [(Guard(some.guard), *pair) for some in EXAMPLES if some.guard for pair in some.texts()]


@pytest.mark.parametrize(("guard", "question", "stored"), REFUSED)
def test_a_guard_that_is_off_refuses_nothing(guard, question, stored):
    verdict = check(question, stored, enabled=frozenset(Guard) - {guard})
    assert verdict.passed or verdict.guard is not guard


def test_the_reason_says_what_differs():
    assert check("Cancel order 48213", "Cancel order 48231").reason == "numbers differ: 48213 and 48231"
    assert check("Why does it work?", "Why doesn't it work?").reason == "only one is negated: work"
    assert check("Open on Monday?", "Open on Friday?").reason == "monday is not friday (weekday)"
    assert check("Why is it red?", "When is it red?").reason == "one asks for the reason, the other for the time"
    assert check("Can Ann see Bo?", "Can Bo see Ann?").reason == "ann and bo are swapped"


def test_every_guard_says_its_piece_for_display():
    verdicts = check_each("Turn it on", "Turn it off")
    assert [verdict.guard for verdict in verdicts] == list(Guard)
    assert [verdict.guard for verdict in verdicts if not verdict.passed] == [Guard.CONTRAST]
    assert all(verdict.reason for verdict in verdicts)


def test_words_in_another_order_are_for_a_judge_and_can_be_let_pass():
    pair = ("red pepper soup", "pepper soup red")
    verdict = check(*pair)
    assert (verdict.guard, verdict.judgeable) == (Guard.ORDER, True)
    assert check(*pair, enabled=frozenset(Guard) - {Guard.ORDER}).passed


@pytest.mark.parametrize("headline", ["Why Is My Phone Slow Today", "WHY IS MY PHONE SLOW"])
def test_a_headline_has_no_names(headline):
    (verdict,) = (verdict for verdict in check_each(headline, "why is my Tablet slow") if verdict.guard is Guard.NAMES)
    assert verdict.passed


def padded(text: str, words: int) -> str:
    return text + " please" * (words - len(text.split()))


def test_a_detail_that_only_one_has_decides_in_short_texts_only():
    question, stored = padded("films of 1994", MAX_WORDS), padded("films", MAX_WORDS)
    assert check(question, stored).guard is Guard.NUMBERS
    assert check(question + " now", stored).passed


def test_an_exchanged_detail_decides_in_longer_texts():
    question, stored = padded("films of 1994", MAX_WORDS_COMPARED), padded("films of 1995", MAX_WORDS_COMPARED)
    assert check(question, stored).guard is Guard.NUMBERS


def test_texts_too_long_to_be_compared_are_refused():
    longest = padded("films of 1994", MAX_WORDS_COMPARED)
    assert check(longest, longest).passed
    assert check(longest + " now", longest).guard is Guard.LENGTH
    assert check(longest, longest + " now").guard is Guard.LENGTH
    word = "a." * (MAX_CHARACTERS_COMPARED // 2)
    assert check(word, word).passed
    assert check(word + "a", word).guard is Guard.LENGTH
    assert "not compared" in check_each(longest + " now", longest)[1].reason


def test_two_words_of_one_set_decide_up_to_a_length():
    question, stored = padded("open on monday", MAX_WORDS_CONTRAST), padded("open on friday", MAX_WORDS_CONTRAST)
    assert check(question, stored).guard is Guard.CONTRAST
    assert check(question + " now", stored).passed


def test_an_operator_can_bring_a_dictionary():
    own = Contrasts(ContrastData(opposites="pro plan | starter", exclusive={"tier": "gold\n| silver"}), language("en"))
    assert check("What is in starter?", "What is in pro?", contrasts=own).guard is Guard.CONTRAST
    assert check("Buy it", "Sell it", contrasts=own).passed
    assert check("the gold tier", "the silver tier", contrasts=own).reason == "gold is not silver (tier)"


WORDS = ["not", "no", "3", "three", "one", "Paris", "to", "from", "why", "how", "-x", "k8s", "'s", "US", "us", "and"]
TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(WORDS)).map(" ".join),
)


@given(TEXT)
def test_no_text_differs_from_itself(text):
    assert all(verdict.passed for verdict in check_each(text, text))


@given(TEXT, TEXT)
def test_the_two_texts_may_change_places(question, stored):
    ours = [(verdict.guard, verdict.passed) for verdict in check_each(question, stored)]
    assert ours == [(verdict.guard, verdict.passed) for verdict in check_each(stored, question)]
