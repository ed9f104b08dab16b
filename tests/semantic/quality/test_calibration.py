"""What labels prove: exact bounds, honest proposals, and a threshold that only ever goes up by itself."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.quality.calibration import (
    BUDGETS,
    GRID,
    LabelledPair,
    Labeller,
    curve,
    judge_agreement,
    labels_needed,
    labels_still_needed,
    propose_threshold,
    settled,
    tighten,
    upper_bound,
)


def pair(number: int = 0, *, similarity: float = 0.9, equivalent: bool = True, **fields) -> LabelledPair:
    return LabelledPair(
        **{
            "namespace": "n",
            "embedder": "e",
            "question": f"question {number}",
            "stored": "stored",
            "similarity": similarity,
            "refused_by": None,
            "equivalent": equivalent,
            "labeller": Labeller.OPERATOR,
            "labelled_by": "ann",
            "labelled_at": 1.0,
        }
        | fields
    )


def pairs(*runs: tuple[int, float, int]) -> list[LabelledPair]:
    """Runs of (count, similarity, errors)."""
    made: list[LabelledPair] = []
    for count, similarity, errors in runs:
        start = len(made)
        made += [pair(start + number, similarity=similarity, equivalent=number >= errors) for number in range(count)]
    return made


# Bounds


@pytest.mark.parametrize(
    ("budget", "by_errors"),
    [
        (0.01, {0: 299, 1: 473, 2: 628, 3: 773, 5: 1049, 10: 1693}),
        (0.02, {0: 149, 1: 236, 2: 313, 3: 386, 5: 523, 10: 845}),
        (0.05, {0: 59, 1: 93, 2: 124, 3: 153, 5: 208, 10: 336}),
        (0.10, {0: 29, 1: 46, 2: 61, 3: 76, 5: 103, 10: 167}),
    ],
)
def test_labels_needed_are_those_of_the_published_tables(budget, by_errors):
    assert {errors: labels_needed(budget, errors) for errors in by_errors} == by_errors


@given(labels=st.integers(1, 3_000), data=st.data())
def test_the_bound_is_where_so_few_errors_become_implausible(labels, data):
    errors = data.draw(st.integers(0, min(labels - 1, 40)))
    bound = upper_bound(errors, labels)
    plausible = sum(
        math.comb(labels, count) * bound**count * (1 - bound) ** (labels - count) for count in range(errors + 1)
    )
    assert plausible == pytest.approx(0.05, rel=1e-6)
    assert errors / labels < bound <= 1


@given(labels=st.integers(1, 5_000), errors=st.integers(0, 50))
def test_more_errors_never_lower_the_bound_and_more_clean_labels_never_raise_it(labels, errors):
    errors = min(errors, labels)
    bound = upper_bound(errors, labels)
    assert bound <= upper_bound(min(errors + 1, labels), labels)
    assert upper_bound(errors, labels + 1) <= bound


def test_without_labels_anything_is_plausible():
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(7, 7) == 1.0


@pytest.mark.parametrize(("errors", "labels"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(errors, labels):
    with pytest.raises(ValueError, match="errors"):
        upper_bound(errors, labels)


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1])
def test_an_impossible_budget_is_refused(budget):
    with pytest.raises(ValueError, match="budget"):
        labels_needed(budget)


def test_a_million_labels_take_no_time():
    assert upper_bound(10_000, 1_000_000) == pytest.approx(0.0101655, abs=1e-6)


def test_labels_still_needed_count_what_is_there():
    assert labels_still_needed(0, 100, 0.01) == 199
    assert labels_still_needed(1, 100, 0.01) == 373
    assert labels_still_needed(0, 500, 0.01) == 0


# Pairs


def test_an_operators_label_counts_before_a_judges_and_a_later_one_before_an_earlier():
    told = pair(labelled_at=1.0, equivalent=False)
    judged = pair(labelled_at=9.0, labeller=Labeller.JUDGE)
    later = pair(labelled_at=2.0, equivalent=True)
    assert settled([told, judged]) == settled([judged, told]) == [told]
    assert settled([told, judged, later]) == [later]


def test_pairs_are_told_apart_whatever_their_texts():
    assert pair(question="a", stored="bc").digest != pair(question="ab", stored="c").digest
    assert pair(question="\ud800").digest


def test_what_a_guard_refused_is_no_hit():
    (point,) = curve([pair(refused_by="numbers", equivalent=False), pair(1)], thresholds=(0.5,))
    assert (point.labels, point.errors, point.hit_rate) == (1, 0, 0.5)


def test_a_pair_at_the_threshold_is_a_hit():
    at, above = curve([pair(similarity=0.9)], thresholds=(0.9, 0.9001))
    assert (at.labels, above.labels) == (1, 0)


def test_a_curve_is_precision_over_hit_rate():
    low, high = curve(pairs((60, 0.95, 0), (40, 0.80, 10)), thresholds=(0.7, 0.9))
    assert (low.labels, low.errors, low.hit_rate, low.precision) == (100, 10, 1.0, 0.9)
    assert (high.labels, high.errors, high.hit_rate, high.precision) == (60, 0, 0.6, 1.0)
    assert high.bound == pytest.approx(upper_bound(0, 60))


# Proposals


def test_clean_labels_support_a_threshold():
    proposal = propose_threshold(pairs((600, 0.95, 0), (600, 0.80, 200)), 0.01)
    assert proposal.threshold is not None
    assert 0.80 < proposal.threshold <= 0.95
    assert proposal.bound <= 0.01
    assert proposal.errors == 0
    assert "does not" in proposal.reason


def test_where_everything_is_right_the_lowest_threshold_is_supported():
    proposal = propose_threshold(pairs((1_000, 0.65, 0)), 0.05)
    assert proposal.threshold == 0.6


def test_too_few_labels_support_nothing_and_say_how_many_it_takes():
    proposal = propose_threshold(pairs((200, 0.95, 0)), 0.01)
    assert proposal.threshold is None
    assert "299" in proposal.reason


def test_no_labels_support_nothing():
    assert propose_threshold([], 0.01).threshold is None


def test_wrong_answers_at_every_similarity_support_nothing():
    proposal = propose_threshold(pairs((3_000, 0.99, 300)), 0.05)
    assert proposal.threshold is None
    assert "not support" in proposal.reason


def test_the_first_failure_ends_the_sequence():
    """Further down the share of errors is within the budget again: looking on there would be choosing by luck."""
    proposal = propose_threshold(pairs((2_000, 0.95, 0), (60, 0.90, 60), (4_000, 0.65, 0)), 0.02)
    assert proposal.threshold is not None
    assert proposal.threshold > 0.90


def test_the_same_pair_labelled_often_counts_once():
    copies = [pair(number % 50, labelled_at=float(number)) for number in range(5_000)]
    assert propose_threshold(copies, 0.01).threshold is None


@pytest.mark.parametrize(("share", "budget"), [(0.05, 0.05), (0.02, 0.02), (0.10, 0.05)])
def test_a_threshold_whose_true_share_of_errors_is_at_the_budget_is_rarely_proposed(share, budget):
    """The promise: over all thresholds together it errs in one of twenty data sets, not in one of twenty tests."""
    proposed = 0
    for seed in range(120):
        draw = random.Random(seed)
        made = [
            pair(number, similarity=draw.uniform(0.6, 1.0), equivalent=draw.random() >= share, namespace=str(seed))
            for number in range(800)
        ]
        proposed += propose_threshold(made, budget, thresholds=GRID[::6]).threshold is not None
    assert proposed / 120 <= 0.10


def test_a_good_threshold_is_usually_found():
    found = 0
    for seed in range(12):
        draw = random.Random(seed)
        made = []
        for number in range(2_000):
            similarity = draw.uniform(0.6, 1.0)
            share = 0.002 if similarity > 0.85 else 0.2
            made.append(pair(number, similarity=similarity, equivalent=draw.random() >= share))
        threshold = propose_threshold(made, 0.02).threshold
        found += threshold is not None and 0.82 <= threshold <= 0.93
    assert found >= 11


# Tightening


@pytest.mark.parametrize("budget", BUDGETS)
def test_within_the_budget_nothing_changes(budget):
    assert tighten(pairs((2_000, 0.95, 0)), 0.9, budget) is None


def test_few_labels_without_many_errors_decide_nothing():
    assert tighten(pairs((20, 0.95, 1)), 0.9, 0.01) is None
    assert tighten([], 0.9, 0.01) is None


def test_many_errors_among_few_labels_decide_at_once():
    tightening = tighten(pairs((20, 0.95, 12)), 0.9, 0.01)
    assert tightening is not None
    assert tightening.threshold is None
    assert "12 of 20" in tightening.reason


def test_past_the_budget_the_threshold_goes_up_to_where_it_holds():
    tightening = tighten(pairs((400, 0.97, 0), (400, 0.91, 40)), 0.90, 0.01)
    assert tightening is not None
    assert tightening.threshold == 0.915
    assert (tightening.errors, tightening.labels) == (40, 800)


def test_clean_labels_below_the_threshold_do_not_lower_it():
    tightening = tighten(pairs((400, 0.95, 40), (50_000, 0.70, 0)), 0.90, 0.01)
    assert tightening is not None
    assert tightening.threshold is None


def test_past_the_budget_everywhere_nothing_is_served_without_the_judge():
    tightening = tighten(pairs((800, 0.99, 80)), 0.90, 0.01)
    assert tightening is not None
    assert tightening.threshold is None


@given(
    runs=st.lists(st.tuples(st.integers(1, 400), st.floats(0.6, 1.0), st.integers(0, 40)), max_size=4),
    threshold=st.floats(0.6, 1.0),
    budget=st.sampled_from(BUDGETS),
)
def test_a_threshold_is_never_loosened(runs, threshold, budget):
    tightening = tighten(pairs(*runs), threshold, budget)
    assert tightening is None or tightening.threshold is None or tightening.threshold > threshold


# The judge


def test_a_judge_is_measured_against_operators_on_pairs_both_have_labelled():
    told = [pair(number, equivalent=number < 6) for number in range(10)]
    judged = [
        pair(number, labeller=Labeller.JUDGE, equivalent=equivalent)
        for number, equivalent in [(0, True), (1, True), (2, False), (8, True), (9, False), (77, True)]
    ]
    agreement = judge_agreement([*told, *judged])
    assert (agreement.pairs, agreement.agreed, agreement.false_yes, agreement.false_no) == (5, 3, 1, 1)
    assert agreement.bound == pytest.approx(upper_bound(1, 3))


def test_a_judge_without_common_pairs_is_not_measured():
    agreement = judge_agreement([pair(1, labeller=Labeller.JUDGE)])
    assert (agreement.pairs, agreement.bound) == (0, 1.0)
