"""The bound of a publication: what labels make of it, what follows for lookups, and how it is told."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models import SemanticMode
from core.semantic.quality.bound import (
    MOST_POINTS,
    Bound,
    BoundState,
    Drawn,
    added,
    in_effect,
    noted,
    standing,
    state,
)
from core.semantic.quality.thresholds import Threshold

BUDGET = 0.02
SERVE = Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9, version=1, publication=1)
LABELS = st.lists(
    st.builds(
        Drawn,
        at=st.just(1.0),
        wrong=st.booleans(),
        chance=st.sampled_from([1.0, 0.5, 0.05]),
        hits=st.integers(1, 30),
    ),
    max_size=40,
)


def bound_of(labels, bound: Bound | None = None) -> Bound:
    made = bound or Bound(publication=1, since=0.0)
    for label in labels:
        made = added(made, label, BUDGET)
    return made


def clean(count: int, chance: float = 1.0, hits: int = 1) -> list[Drawn]:
    return [Drawn(at=1.0, wrong=False, chance=chance, hits=hits)] * count


def wrong(count: int, chance: float = 1.0, hits: int = 1) -> list[Drawn]:
    return [Drawn(at=1.0, wrong=True, chance=chance, hits=hits)] * count


@settings(deadline=None)
@given(LABELS)
def test_a_bound_is_a_share_and_one_more_wrong_label_never_lowers_it(labels):
    for number in range(len(labels)):
        worse = [*labels[:number], msgspec.structs.replace(labels[number], wrong=True), *labels[number + 1 :]]
        assert 0 <= bound_of(labels).as_judged <= bound_of(worse).as_judged + 1e-9 <= 1 + 1e-9


@given(LABELS, st.randoms(use_true_random=False))
def test_the_order_of_labels_that_had_one_chance_does_not_matter(labels, draw: random.Random):
    equal = [msgspec.structs.replace(label, chance=0.5) for label in labels]
    shuffled = draw.sample(equal, len(equal))
    assert bound_of(equal).as_judged == pytest.approx(bound_of(shuffled).as_judged)


def test_a_label_of_a_hit_in_twenty_stands_for_twenty_hits():
    assert bound_of(clean(155, chance=0.05, hits=20)).as_judged == pytest.approx(3.1 / 155, rel=0.1)
    assert bound_of(clean(155, chance=0.05, hits=1)).as_judged > 0.3, "of fewer hits more may have been wrong"


def test_it_begins_holds_breaks_and_holds_again():
    bound = Bound(publication=1, since=0.0)
    assert state(bound, SERVE, BUDGET) is BoundState.BEGINNING
    assert bound.still_needed(BUDGET) == 155
    bound = bound_of(clean(155), bound)
    assert state(bound, SERVE, BUDGET) is BoundState.HOLDING
    bound = bound_of(wrong(1), bound)
    assert state(bound, SERVE, BUDGET) is BoundState.BROKEN
    bound = bound_of(clean(bound.still_needed(BUDGET)), bound)
    assert state(bound, SERVE, BUDGET) is BoundState.HOLDING


def test_more_wrong_ones_of_late_are_drift_long_before_the_bound_breaks():
    bound = bound_of([*clean(4_000), *wrong(2), *clean(1_000)])
    drifting = bound_of([*wrong(3), *clean(50), *wrong(1)], bound)
    assert drifting.share <= BUDGET
    assert state(drifting, SERVE, BUDGET) is BoundState.DRIFTING
    assert in_effect(SERVE, drifting, BUDGET, 0.05).serve is None
    assert state(bound_of(clean(20), drifting), SERVE, BUDGET) is BoundState.DRIFTING, "until the latest are within it"
    assert state(bound_of(clean(100), drifting), SERVE, BUDGET) is BoundState.HOLDING


def test_where_nothing_changed_there_is_no_drift():
    draw = random.Random(16)
    bound = Bound(publication=1, since=0.0)
    for _ in range(3_000):
        bound = bound_of([Drawn(at=1.0, wrong=draw.random() < 0.01, chance=1.0, hits=1)], bound)
        assert not bound.is_drifting


def test_the_more_hits_there_were_the_fewer_are_judged_afterwards():
    chances = [in_effect(SERVE, bound_of(clean(1, hits=hits)), BUDGET, 0.05).chance for hits in (155, 400, 900, 4_000)]
    assert chances == [1.0, 0.5, 0.25, 0.05]


def test_before_it_holds_the_judge_is_asked_about_what_would_be_served():
    effect = in_effect(SERVE, Bound(publication=1, since=0.0), BUDGET, 0.05)
    assert (effect.mode, effect.grey, effect.serve, effect.waiting) == (SemanticMode.JUDGE, 0.9, None, 0.9)
    judged = msgspec.structs.replace(SERVE, mode=SemanticMode.JUDGE)
    assert in_effect(judged, Bound(publication=1, since=0.0), BUDGET, 0.05).grey == 0.7
    off = Threshold(mode=SemanticMode.OFF)
    assert in_effect(off, Bound(publication=0, since=0.0), BUDGET, 0.05) == off


def test_without_proof_it_is_served_until_labels_prove_that_the_budget_is_passed():
    threshold = msgspec.structs.replace(SERVE, unproved=True)
    assert in_effect(threshold, Bound(publication=1, since=0.0), BUDGET, 0.05).chance == 0.05
    assert state(bound_of([*wrong(1), *clean(30)]), threshold, BUDGET) is BoundState.UNPROVED
    assert state(bound_of(wrong(5)), threshold, BUDGET) is BoundState.BROKEN


def test_a_judge_known_to_miss_errors_makes_the_bound_greater():
    bound = bound_of(clean(400))
    corrected = msgspec.structs.replace(bound, caught=0.5)
    assert corrected.share > 2 * bound.share
    assert standing(bound, SERVE, BUDGET).words.endswith("as judged; the budget is 2 %.")
    assert "corrected by what the judge misses" in standing(corrected, SERVE, BUDGET).words


def test_the_line_over_time_is_bounded_and_keeps_its_latest_point():
    bound = bound_of(clean(1))
    for number in range(1_000):
        bound = noted(bound, float(number))
    assert len(bound.line) <= MOST_POINTS
    assert bound.line[-1].at == 999.0
    assert len(msgspec.json.encode(bound)) < 8_000


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "Beginning: the judge is asked first. Unjudged hits begin after 155 more labels without an error."),
        (clean(400), "Holding: at most 0.8 % of the hits were wrong, as judged; the budget is 2 %."),
        ([*clean(155), *wrong(1)], "Broken: up to 5.2 % of the hits may be wrong, as judged; the budget is 2 %. "),
        ([*clean(500), *wrong(5)], "Drift: 5 of the latest 100 labels are wrong, more than before. "),
    ],
)
def test_the_state_is_told_in_words(labels, words):
    assert standing(bound_of(labels), SERVE, BUDGET).words.startswith(words)
