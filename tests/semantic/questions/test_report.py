"""The report: requests by group, and what of them costs most."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.metrics import RequestRecord
from core.models import CacheStrategy, OutcomeKind
from core.semantic.questions.question_map import Place, QuestionMap, digest
from core.semantic.questions.report import NONE_READ, NOT_ASKED, NOT_GROUPED, NOT_RECORDED, report

CARD, CARDS, FEE = "Where is my card?", "My card has not come", "What is the fee?"
KNOWN = QuestionMap(
    at=50.0,
    model="words",
    places={
        digest(CARD): Place(3, 0.9, 0.0, 0.5),
        digest(CARDS): Place(3, 0.8, 0.1, 0.5),
        digest(FEE): Place(1, 1.0, -1.0, -0.5),
    },
)


def a_record(prompt: str | None, kind: OutcomeKind = OutcomeKind.MISS, **fields: Any) -> RequestRecord:
    usual = {"at": 1.0, "namespace": "shop", "model": "gpt-4o", "strategy": CacheStrategy.NORMALIZED, "key": "0-1"}
    return RequestRecord(kind=kind, prompt=prompt, **(usual | fields))


def asked(*records: RequestRecord, known: QuestionMap | None = KNOWN, keep_prompts: bool = True):
    """The report on requests given in the order in which they came."""
    return report(reversed(records), known, keep_prompts=keep_prompts)


def test_those_whose_misses_cost_most_come_first():
    found = asked(
        a_record(FEE, cost_usd=0.03),
        a_record(CARD, cost_usd=0.01),
        a_record(CARDS, cost_usd=0.01),
        a_record(CARD, OutcomeKind.HIT, saved_cost_usd=0.5),
    )
    assert [(one.number, one.question, one.questions, one.requests) for one in found.groups] == [
        (1, FEE, 1, 1),
        (2, CARD, 2, 3),
    ]
    assert [one.spent_usd for one in found.groups] == pytest.approx([0.03, 0.02])
    assert (found.groups[1].hits, found.groups[1].misses, found.groups[1].saved_usd) == (1, 2, 0.5)
    assert found.groups[1].hit_rate == pytest.approx(1 / 3)
    assert [(one.group, one.question) for one in found.questions] == [(1, FEE), (2, CARD), (2, CARDS)]


def test_case_and_white_space_make_no_other_question():
    found = asked(a_record("where  is my CARD?"), a_record(" Where is\nmy card? "))
    [one] = found.questions
    assert (one.question, one.misses, found.newer) == (CARD, 2, 0)


def test_a_repeat_is_a_miss_of_what_the_same_namespace_had_asked_the_same_model():
    found = asked(
        a_record(CARD, cost_usd=1.0),
        a_record(CARD, cost_usd=2.0),
        a_record(CARD, cost_usd=4.0, namespace="other"),
        a_record(CARD, cost_usd=8.0, model="gpt-4o-mini"),
        a_record(CARD, OutcomeKind.HIT),
        a_record(CARDS, OutcomeKind.ERROR),
        a_record(CARDS, cost_usd=16.0),
    )
    [group] = found.groups
    assert (group.spent_usd, group.repeats, group.repeated_usd) == (31.0, 1, 2.0)


def test_what_has_no_price_is_in_no_sum_and_counted():
    found = asked(a_record(CARD), a_record(CARD, cost_usd=1.0), a_record(CARD, collapsed=True))
    assert (found.groups[0].spent_usd, found.groups[0].unpriced) == (1.0, 1)


def test_the_typical_question_is_one_that_many_ask():
    found = asked(a_record(CARD), *[a_record(CARDS, OutcomeKind.HIT) for _ in range(9)])
    assert found.groups[0].question == CARDS


def test_a_question_is_of_the_outcome_that_most_of_its_requests_had():
    found = asked(a_record(CARD), a_record(CARD, OutcomeKind.HIT), a_record(CARD, OutcomeKind.HIT))
    assert found.questions[0].most is OutcomeKind.HIT


def test_what_is_not_on_the_map_is_counted():
    found = asked(a_record(CARD), a_record("Another thing?"), a_record(None), a_record(""))
    assert (found.looked_at, found.newer, found.without_prompt) == (4, 1, 2)
    assert found.groupable


def test_a_question_that_left_the_log_is_not_shown_again():
    found = asked(a_record(FEE))
    assert [one.question for one in found.groups] == [FEE]
    assert "card" not in str(found.to_dict()).lower()


@pytest.mark.parametrize(
    ("records", "known", "keep_prompts", "words", "groupable"),
    [
        ([a_record(None)], KNOWN, False, NOT_RECORDED, False),
        ([], None, True, NOT_ASKED, False),
        ([a_record(None)], KNOWN, True, NOT_ASKED, False),
        ([a_record(CARD)], None, True, NOT_GROUPED, True),
        ([a_record("你好吗")], QuestionMap(at=1.0, model="words", places={}, unread=1), True, NONE_READ, False),
        ([a_record(CARD)], KNOWN, True, "", False),
    ],
)
def test_without_groups_it_says_why_and_whether_grouping_would_help(records, known, keep_prompts, words, groupable):
    found = asked(*records, known=known, keep_prompts=keep_prompts)
    assert (found.empty, bool(found.groups)) == (words, not words)
    assert (found.empty == NOT_GROUPED) == groupable


def test_as_plain_json_each_row_has_its_hit_rate():
    plain = asked(a_record(CARD), a_record(CARD, OutcomeKind.HIT)).to_dict()
    assert (plain["groups"][0]["requests"], plain["groups"][0]["hit_rate"]) == (2, 0.5)
    assert (plain["questions"][0]["requests"], plain["questions"][0]["hit_rate"]) == (2, 0.5)


def test_what_semantic_lookup_would_bring_at_most_is_told():
    near = msgspec.structs.replace(KNOWN, places={**KNOWN.places, digest(CARDS): Place(3, 0.8, 0.1, 0.5, digest(CARD))})
    found = asked(
        a_record(CARDS, scope="a", cost_usd=0.01),  # nothing was asked before
        a_record(CARD, OutcomeKind.HIT, scope="a"),
        a_record(CARDS, scope="a", cost_usd=0.02),  # asked before in its own words
        a_record(CARDS, scope="b", cost_usd=0.04),  # the near one was asked in another scope
        a_record(CARD, scope="b", cost_usd=0.08),
        a_record(CARD, scope="c", cost_usd=0.16),
        a_record(FEE, scope="c", cost_usd=0.32),  # near to nothing
        a_record(CARDS, scope="c", cost_usd=0.64),
        known=near,
    )
    assert (found.near_misses, found.near_usd) == (1, pytest.approx(0.64))
    assert found.near_words == (
        "Semantic lookup would have answered at most 1 of 7 misses (14.3 %), which cost $0.64: a near question had "
        "been asked before. Guards and judge would refuse some of them."
    )
    assert found.to_dict()["near_words"] == found.near_words
    assert asked().near_words == ""
    nothing = "Semantic lookup would have answered none of 1 miss: no near question was asked before."
    assert asked(a_record(FEE, scope="a")).near_words == nothing
