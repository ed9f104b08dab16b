"""The bound that holds whenever one looks: its properties, and streams that change on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.quality.betting import is_proved, labels_needed, least_wrong, most_wrong, weighed

COUNTS = st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda two: (min(two), max(two)))


@given(COUNTS)
def test_the_bounds_are_shares_around_what_was_seen(counts):
    wrong, tried = counts
    assert 0 <= least_wrong(wrong, tried) <= most_wrong(wrong, tried) <= 1
    if tried:
        assert least_wrong(wrong, tried) <= wrong / tried <= most_wrong(wrong, tried)


@given(COUNTS, st.floats(0, 3))
def test_more_errors_never_lower_the_bound_and_a_right_label_never_raises_it(counts, more):
    wrong, tried = counts
    assert most_wrong(wrong + more, tried) >= most_wrong(wrong, tried) - 1e-9
    assert most_wrong(wrong, tried + 1) <= most_wrong(wrong, tried) + 1e-9


def test_about_150_clean_labels_prove_two_per_cent():
    assert [labels_needed(budget) for budget in (0.01, 0.02, 0.05)] == [311, 155, 61]
    assert most_wrong(0, 155) <= 0.02 < most_wrong(0, 154)
    assert labels_needed(0.02, 1) > labels_needed(0.02)


@pytest.mark.parametrize("budget", [0, 1, -0.1])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ValueError, match="budget"):
        labels_needed(budget)


def test_an_error_that_was_likelier_to_be_found_counts_less():
    assert weighed(0.05, 1.0) == 0.05
    assert weighed(0.05, 0.05) == 1.0
    with pytest.raises(ValueError, match="chance"):
        weighed(0.5, 0.1)


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.001, 0.05), (0.05, 0.001), (0.5, 0.0)])
def test_in_at_most_five_of_a_hundred_runs_the_bound_is_ever_broken(shares):
    """A stream whose share of errors changes half way, of which some labels are drawn with a chance that falls."""
    runs, hits = 200, 4_000
    draw = np.random.default_rng(16)
    share = np.repeat(shares, hits // 2)
    chance = np.repeat([1.0, 0.5, 0.25, 0.1], hits // 4)
    is_wrong = draw.random((runs, hits)) < share
    is_found = is_wrong & (draw.random((runs, hits)) < chance)
    lowest = np.minimum.accumulate(chance)
    found = np.cumsum(is_found * (lowest / chance), axis=1)
    tried = np.arange(1, hits + 1)[None, ::7]
    true_share = np.cumsum(share)[::7] / tried
    is_broken = is_proved(found[:, ::7], np.broadcast_to(tried, found[:, ::7].shape), lowest[::7] * true_share)
    assert is_broken.any(axis=1).mean() <= 0.05
