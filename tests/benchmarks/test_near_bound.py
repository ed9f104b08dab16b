"""The simulation of the bound: 200 runs with a change on the way, and that it counts as the cache does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.near_bound import BUDGET, Runs, by_fixed_samples, by_the_bound, drawn
from core.semantic.quality.bound import Bound, Drawn, added


@pytest.mark.parametrize("shares", [(0.002, 0.3), (0.02, 0.02), (0.001, 0.05)])
def test_in_at_most_five_of_a_hundred_runs_the_bound_or_the_budget_is_ever_broken(shares):
    found = by_the_bound(drawn(shares, 200, 800))
    assert found.broken <= 0.05
    assert found.passed <= 0.05


def test_hits_are_kept_where_few_are_wrong_and_the_rule_of_before_passes_the_budget_where_that_changes():
    kept = by_the_bound(drawn((0.0005, 0.0005), 50, 1_500))
    assert kept.unjudged > 0.5
    assert kept.calls < 0.8
    assert by_fixed_samples(drawn((0.002, 0.05), 200, 800)).passed > 0.05


def test_it_counts_as_the_cache_does():
    draw = np.random.default_rng(3)
    runs, bound = Runs.new(1), Bound(publication=1, since=0.0)
    row = np.array([0])
    for number in range(600):
        wrong, hits = bool(draw.random() < (0.01 if number < 400 else 0.06)), int(draw.integers(1, 4))
        chance = float(draw.choice([1.0, 0.5])) if number > 200 else 1.0
        bound = added(bound, Drawn(at=0.0, wrong=wrong, chance=chance, hits=hits), BUDGET)
        runs.add(row, np.array([wrong]), np.array([chance]), np.array([hits]))
        assert bool(runs.holds[0]) == bound.holds(BUDGET)
        assert bool(runs.is_drifting[0]) == bound.is_drifting
    assert runs.weighed[0] == pytest.approx(bound.weighed)
