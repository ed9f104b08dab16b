"""What a semantic lookup does next, decided without an index, a store or a judge."""

from __future__ import annotations

import math

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


def rulings(*words: str) -> tuple[Judgement, ...]:
    return tuple(Judgement(word=word) for word in words)


@pytest.mark.parametrize(
    ("entries", "words", "step"),
    [
        # The nearest decides.
        ([near(SERVED)], [], Serve(place=0)),
        ([near(GREY)], [], Ask(place=0)),
        ([near(FAR)], [], Miss(reason="far", looked_at=1)),
        ([], [], Miss(reason="far", looked_at=0)),
        # A bound belongs to what is above it.
        ([near(0.9)], [], Serve(place=0)),
        ([near(0.7)], [], Ask(place=0)),
        # What a guard refuses is neither served nor judged, and does not hide the next.
        ([near(SERVED, "numbers")], [], Miss(reason="guard-numbers", looked_at=1)),
        ([near(GREY, "numbers")], [], Miss(reason="guard-numbers", looked_at=1)),
        ([near(SERVED, "numbers"), near(SERVED)], [], Serve(place=1)),
        ([near(SERVED, "numbers"), near(GREY)], [], Ask(place=1)),
        ([near(GREY, "numbers"), near(GREY, "negation")], [], Miss(reason="guard-negation", looked_at=2)),
        # A far one is noted, and is no reason.
        ([near(GREY, "numbers"), near(FAR)], [], Miss(reason="guard-numbers", looked_at=2)),
        ([near(FAR, "numbers")], [], Miss(reason="far", looked_at=1)),
        # The judge's words.
        ([near(GREY)], ["yes"], Serve(place=0)),
        ([near(GREY)], ["no"], Miss(reason="judge-no", looked_at=1)),
        ([near(GREY), near(GREY)], ["no"], Ask(place=1)),
        ([near(GREY), near(GREY)], ["no", "yes"], Serve(place=1)),
        ([near(GREY), near(GREY, "numbers"), near(GREY)], ["no"], Ask(place=2)),
        ([near(GREY), near(GREY, "numbers")], ["no"], Miss(reason="guard-numbers", looked_at=2)),
        # What is no ruling ends the search: the next one would fare alike.
        ([near(GREY), near(GREY)], ["late"], Miss(reason="judge-late", looked_at=1)),
        ([near(GREY), near(GREY)], ["over-budget"], Miss(reason="judge-over-budget", looked_at=1)),
        ([near(GREY), near(GREY)], ["broken"], Miss(reason="judge-broken", looked_at=1)),
        ([near(GREY), near(GREY)], ["no", "late"], Miss(reason="judge-late", looked_at=2)),
        # Three rulings, three far ones.
        ([near(GREY)] * 4, ["no"] * JUDGED, Miss(reason="judge-no", looked_at=3)),
        ([near(GREY, "numbers")] * 5 + [near(GREY)], [], Ask(place=5)),
        ([near(FAR)] * 5, [], Miss(reason="far", looked_at=3)),
        ([near(GREY)] + [near(FAR)] * 4, ["no"], Miss(reason="judge-no", looked_at=4)),
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
    assert decide(candidates, ()) == Ask(place=0)
    assert decide(candidates, rulings("yes")) == Serve(place=0)
    assert neighbour(doubtful[0]).guard == "remainder", "a threshold alone would not serve it"
    unjudged = found(*doubtful, limits=PLAIN)
    assert decide(unjudged, ()) == Miss(reason="guard-remainder", looked_at=2)


@pytest.mark.parametrize(
    ("entries", "words", "step"),
    [
        ([], [], More()),
        ([near(SERVED)], [], Serve(place=0)),
        ([near(SERVED, "numbers")], [], More()),
        ([near(GREY)], [], Ask(place=0)),
        ([near(GREY)], ["no"], More()),
        ([near(GREY)], ["late"], Miss(reason="judge-late", looked_at=1)),
        ([near(GREY)] * 3, ["no"] * 3, More()),
        ([near(GREY)] * 4, ["no"] * 3, Miss(reason="judge-no", looked_at=3)),
        ([near(FAR)] * 3, [], More()),
        ([near(FAR)] * 4, [], Miss(reason="far", looked_at=3)),
    ],
)
def test_more_is_fetched_only_while_nothing_is_decided(entries, words, step):
    assert decide(found(*entries, has_more=True), rulings(*words)) == step


@pytest.mark.parametrize("similarity", [0.89, GREY, FAR])
def test_without_a_judge_what_is_not_served_is_far(similarity):
    assert decide(found(near(similarity), limits=PLAIN), ()) == Miss(reason="far", looked_at=1)


def test_a_miss_while_the_index_is_loading_says_so():
    assert decide(found(near(FAR), is_loaded=False), ()) == Miss(reason="loading", looked_at=1)
    assert decide(found(near(GREY), is_loaded=False), rulings("no")) == Miss(reason="judge-no", looked_at=1)


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
    reported = neighbours(entries, rulings("no", "late"), 4)
    assert [one.similarity for one in reported] == [0.85, 0.812345, 0.8, FAR]
    assert [one.guard for one in reported] == ["numbers", "", "", ""]
    assert [one.reason for one in reported] == ["numbers objects", "", "", ""]
    assert [one.ruling for one in reported] == ["", "no", "late", ""]
    assert [one.far for one in reported] == [False, False, False, True]
    assert [one.key[:2] for one in reported] == ["3-"] * 4


def test_a_yes_that_was_overtaken_is_still_reported():
    entries = found(near(GREY), near(GREY))
    step = decide(entries, rulings("no", "yes"))
    assert step == Serve(place=1)
    miss = overtaken(step)
    assert (miss.reason, [one.ruling for one in neighbours(entries, rulings("no", "yes"), miss.looked_at)]) == (
        OVERTAKEN,
        ["no", "yes"],
    )
