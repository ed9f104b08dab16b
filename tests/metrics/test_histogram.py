from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.histogram import BOUNDS_MS, BUCKETS, COARSE, Histogram, bucket_of

latencies = st.floats(min_value=0.001, max_value=2_000_000)


def histogram_of(values: list[float]) -> Histogram:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    return Histogram(counts=counts, total_ms=sum(values))


def test_bounds_are_a_quarter_apart_over_eight_decades() -> None:
    assert BOUNDS_MS[0] == 0.01
    assert BOUNDS_MS[-1] == 1_000_000
    assert all(1.2 < upper / lower < 1.3 for lower, upper in pairwise(BOUNDS_MS))


def test_coarse_bounds_are_one_two_five_of_each_decade() -> None:
    assert [BOUNDS_MS[index] for index in COARSE[:7]] == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert [BOUNDS_MS[index] for index in COARSE[-4:]] == [100_000, 200_000, 500_000, 1_000_000]


def test_a_bound_is_inclusive() -> None:
    assert bucket_of(1.0) == BOUNDS_MS.index(1.0)
    assert bucket_of(math.nextafter(1.0, 2)) == BOUNDS_MS.index(1.25)


@pytest.mark.parametrize(
    ("value", "bucket"), [(-1.0, 0), (0.0, 0), (math.nan, 0), (math.inf, BUCKETS - 1), (-math.inf, 0)]
)
def test_what_no_latency_can_be_still_has_a_bucket(value: float, bucket: int) -> None:
    assert bucket_of(value) == bucket


def test_without_measurements_there_is_no_percentile() -> None:
    assert Histogram().p50_ms is None
    assert Histogram().rows() == []


@given(st.lists(latencies, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    index = bucket_of(true)
    lower = BOUNDS_MS[index - 1] if index else 0.0
    upper = BOUNDS_MS[index] if index < len(BOUNDS_MS) else BOUNDS_MS[-1]
    estimate = histogram_of(values).percentile(share)
    assert estimate is not None
    assert lower * (1 - 1e-9) <= estimate <= upper * (1 + 1e-9)


@given(st.lists(latencies, max_size=200))
def test_cumulative_counts_say_how_many_took_at_most_a_bound(values: list[float]) -> None:
    rows = histogram_of(values).cumulative()
    assert rows == [(bound, sum(value <= bound for value in values)) for bound, _ in rows]


@given(st.lists(latencies, min_size=1, max_size=100))
def test_rows_touch_each_other_and_hold_everything(values: list[float]) -> None:
    rows = histogram_of(values).rows()
    assert sum(count for _, _, count in rows) == len(values)
    assert all(upper == next_lower for (_, upper, _), (next_lower, _, _) in pairwise(rows))
