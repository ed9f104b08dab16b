"""What a semantic lookup does next, decided without an index, a store or a judge."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import pytest

from core.models import SemanticMode
from core.semantic.decision import (
    JUDGED,
    OVERTAKEN,
    Ask,
    Bounds,
    Candidates,
    Miss,
    More,
    NearEntry,
    Objection,
    Serve,
    bounds,
    decide,
    neighbour,
    neighbours,
    overtaken,
)
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Judgement
from tests.samples import an_entry

SERVED, GREY, FAR = 0.95, 0.8, 0.6
JUDGING = Bounds(serve=0.9, lowest=0.7, noted=0.5)
PLAIN = Bounds(serve=0.9, lowest=0.9, noted=0.5)


def near(similarity: float, guard: str = "") -> NearEntry:
    return NearEntry(
        entry=an_entry(f"as near as {similarity}"),
        bucket=3,
        similarity=similarity,
        objection=Objection(guard, f"{guard} objects" if guard else ""),
    )


def found(*entries: NearEntry, limits: Bounds = JUDGING, has_more: bool = False, is_loaded: bool = True) -> Candidates:
    nearest = entries[0].similarity if entries else None
    return Candidates(bounds=limits, nearest=nearest, entries=entries, has_more=has_more, is_loaded=is_loaded)


def rulings(*words: str, places: Iterable[int] | None = None) -> dict[int, Judgement]:
    """What the judge said, of the first places unless told otherwise."""
    return {place: Judgement(word=word) for place, word in zip(places or range(9), words, strict=False)}


@pytest.mark.parametrize(
    ("entries", "words", "step"),
    [
        # The nearest decides.
        ([near(SERVED)], [], Serve(place=0)),
        ([near(GREY)], [], Ask(places=(0,))),
        ([near(FAR)], [], Miss(reason="far")),
        ([], [], Miss(reason="far")),
        # A bound belongs to what is above it.
        ([near(0.9)], [], Serve(place=0)),
        ([near(0.7)], [], Ask(places=(0,))),
        # What a guard refuses is neither served nor judged, and does not hide the next.
        ([near(SERVED, "numbers")], [], Miss(reason="guard-numbers")),
        ([near(GREY, "numbers")], [], Miss(reason="guard-numbers")),
        ([near(SERVED, "numbers"), near(SERVED)], [], Serve(place=1)),
        ([near(SERVED, "numbers"), near(GREY)], [], Ask(places=(1,))),
        ([near(GREY, "numbers"), near(GREY, "negation")], [], Miss(reason="guard-negation")),
        # A far one is noted, and is no reason.
        ([near(GREY, "numbers"), near(FAR)], [], Miss(reason="guard-numbers")),
        ([near(FAR, "numbers")], [], Miss(reason="far")),
        # The judge is asked about the three nearest that only its yes may serve, in one call.
        ([near(GREY), near(GREY)], [], Ask(places=(0, 1))),
        ([near(GREY), near(GREY, "numbers"), near(GREY)], [], Ask(places=(0, 2))),
        ([near(GREY)] * 4, [], Ask(places=(0, 1, 2))),
        ([near(GREY, "numbers")] * 5 + [near(GREY)], [], Ask(places=(5,))),
        ([near(SERVED, "numbers"), near(GREY), near(FAR)], [], Ask(places=(1,))),
        # Its words.
        ([near(GREY)], ["yes"], Serve(place=0)),
        ([near(GREY)], ["no"], Miss(reason="judge-no")),
        ([near(GREY)] * 2, ["no", "yes"], Serve(place=1)),
        ([near(GREY)] * 3, ["unnamed", "yes", "no"], Serve(place=1)),
        ([near(GREY)] * 3, ["not-shown", "unnamed", "yes"], Serve(place=2)),
        ([near(GREY)] * 3, ["no", "no", "no"], Miss(reason="judge-no")),
        ([near(GREY)] * 2, ["late", "late"], Miss(reason="judge-late")),
        ([near(GREY)] * 2, ["over-budget", "over-budget"], Miss(reason="judge-over-budget")),
        ([near(GREY)] * 2, ["broken", "broken"], Miss(reason="judge-broken")),
        ([near(GREY)] * 2, ["unreadable", "unreadable"], Miss(reason="judge-unreadable")),
        ([near(GREY)] * 2, ["not-shown", "not-shown"], Miss(reason="judge-not-shown")),
        ([near(GREY)] * 2, ["not-shown", "no"], Miss(reason="judge-no")),
        ([near(GREY)] * 2, ["not-shown", "late"], Miss(reason="judge-late")),
        ([near(GREY), near(GREY, "numbers")], ["no"], Miss(reason="judge-no")),
        # Two that are named are none.
        ([near(GREY)] * 2, ["yes", "yes"], Miss(reason="judge-unreadable")),
        # Three far ones are noted.
        ([near(FAR)] * 5, [], Miss(reason="far")),
        ([near(GREY)] + [near(FAR)] * 4, ["no"], Miss(reason="judge-no")),
    ],
)
def test_the_next_step(entries, words, step):
    assert decide(found(*entries), rulings(*words)) == step


def test_a_doubt_takes_a_judge_however_near_and_never_when_far():
    doubtful = [
        msgspec.structs.replace(near(cosine), objection=Objection("remainder", "", judgeable=True))
        for cosine in (SERVED, FAR)
    ]
    candidates = found(*doubtful, limits=msgspec.structs.replace(JUDGING, is_judged=True))
    assert [candidates.needs_judge(one) for one in doubtful] == [True, False]
    assert decide(candidates, {}) == Ask(places=(0,))
    assert decide(candidates, {0: Judgement(word="yes")}) == Serve(place=0)
    assert neighbour(doubtful[0]).guard == "remainder", "a threshold alone would not serve it"
    assert decide(found(*doubtful, limits=PLAIN), {}) == Miss(reason="guard-remainder")
    clean = found(doubtful[0], near(SERVED), limits=msgspec.structs.replace(JUDGING, is_judged=True))
    assert decide(clean, {}) == Serve(place=1), "no judge is asked where the next needs none"


@pytest.mark.parametrize(
    ("entries", "words", "step"),
    [
        ([], [], More()),
        ([near(SERVED)], [], Serve(place=0)),
        ([near(SERVED, "numbers")], [], More()),
        ([near(GREY)], [], More()),
        ([near(GREY)] * 3, [], Ask(places=(0, 1, 2))),
        ([near(GREY)], ["no"], Miss(reason="judge-no")),
        ([near(GREY)], ["yes"], Serve(place=0)),
        ([near(GREY), near(FAR)], [], More()),
        ([near(GREY), *[near(FAR)] * 4], [], Ask(places=(0,))),
        ([near(FAR)] * 3, [], More()),
        ([near(FAR)] * 4, [], Miss(reason="far")),
    ],
)
def test_more_is_fetched_only_while_nothing_is_decided(entries, words, step):
    assert decide(found(*entries, has_more=True), rulings(*words)) == step


@pytest.mark.parametrize("similarity", [0.89, GREY, FAR])
def test_without_a_judge_what_is_not_served_is_far(similarity):
    assert decide(found(near(similarity), limits=PLAIN), ()) == Miss(reason="far")


def test_a_miss_while_the_index_is_loading_says_so():
    assert decide(found(near(FAR), is_loaded=False), ()) == Miss(reason="loading")
    assert decide(found(near(GREY), is_loaded=False), rulings("no")) == Miss(reason="judge-no")


@pytest.mark.parametrize(
    ("threshold", "asked", "has_judge", "expected"),
    [
        ((SemanticMode.SERVE, 0.6, 0.8), None, True, (0.8, 0.8, 0.6)),
        ((SemanticMode.SERVE, 0.6, 0.8), 0.9, True, (0.9, 0.9, 0.6)),
        ((SemanticMode.SERVE, 0.6, 0.8), 0.1, True, (0.8, 0.8, 0.6)),
        ((SemanticMode.SERVE, 0.9, 0.8), None, True, (0.8, 0.8, 0.8)),
        ((SemanticMode.JUDGE, 0.6, 0.8), None, True, (0.8, 0.6, 0.6)),
        ((SemanticMode.JUDGE, 0.6, 0.8), 0.7, True, (0.8, 0.7, 0.6)),
        ((SemanticMode.JUDGE, 0.6, 0.8), 0.9, True, (0.9, 0.9, 0.6)),
        ((SemanticMode.JUDGE, 0.6, 0.8), None, False, (0.8, 0.8, 0.6)),
        ((SemanticMode.JUDGE, 0.6, None), None, True, (math.inf, 0.6, 0.6)),
        ((SemanticMode.JUDGE, 0.6, None), None, False, (math.inf, math.inf, 0.6)),
    ],
)
def test_a_request_only_tightens_the_bounds_of_its_namespace(threshold, asked, has_judge, expected):
    mode, grey, serve = threshold
    made = bounds(Threshold(mode=mode, grey=grey, serve=serve), asked, has_judge=has_judge)
    assert (made.serve, made.lowest, made.noted) == expected


def test_neighbours_are_reported_with_what_was_thought_of_each():
    entries = found(near(0.85, "numbers"), near(0.8123456789), near(0.8), near(FAR), near(FAR))
    reported = neighbours(entries, rulings("unnamed", "yes", places=(1, 2)), served=2)
    assert [one.similarity for one in reported] == [0.85, 0.812345, 0.8, FAR, FAR]
    assert [one.guard for one in reported] == ["numbers", "", "", "", ""]
    assert [one.reason for one in reported] == ["numbers objects", "", "", "", ""]
    assert [one.ruling for one in reported] == ["", "unnamed", "yes", "", ""]
    assert [one.far for one in reported] == [False, False, False, True, True]
    assert [one.served for one in reported] == [False, False, True, False, False]
    assert [one.key[:2] for one in reported] == ["3-"] * 5


def test_of_those_that_are_too_far_three_are_reported():
    assert [one.far for one in neighbours(found(near(GREY), *[near(FAR)] * 5), {})] == [False, *[True] * JUDGED]


def test_a_yes_that_was_overtaken_is_still_reported():
    entries = found(near(GREY), near(GREY))
    said = rulings("no", "yes")
    assert decide(entries, said) == Serve(place=1)
    assert overtaken() == Miss(reason=OVERTAKEN)
    reported = neighbours(entries, said)
    assert [(one.ruling, one.served) for one in reported] == [("no", False), ("yes", False)]
