"""Limits and intervals of an evaluation."""

from __future__ import annotations

import pytest

from core.evaluation import Counts, Evaluation, Limit, interval


@pytest.mark.parametrize(
    ("text", "found", "whole", "above", "below"),
    [
        ("3", 3, 100, False, False),
        ("3", 4, 100, True, False),
        ("1", 1, 100, False, False),  # a count, not a share
        ("2%", 2, 100, False, False),
        ("2%", 3, 100, True, False),
        ("0.07", 7, 100, False, False),  # 7.000000000000001 of 100
        ("0.07", 6, 100, False, True),
        ("1.0", 99, 100, False, True),
        ("0", 1, 100, True, False),
        ("0.5", 0, 0, False, False),
        ("0.5", 1, 0, True, False),
    ],
)
def test_limits_are_counts_or_shares(text, found, whole, above, below):
    limit = Limit.parse(text)
    assert (limit.is_above(found, whole), limit.is_below(found, whole)) == (above, below)


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "101%", "nan", "inf", "two", "²", "1" * 10])
def test_nothing_else_is_a_limit(text):
    with pytest.raises(ValueError, match="neither a count"):
        Limit.parse(text)


def test_the_six_counts_stand_beside_their_parts():
    found = Evaluation(every=Counts(good=1, served_good=1), by_language={"de": Counts(good=1, served_good=1)})
    plain = found.to_dict()
    assert list(plain) == [
        *("good", "traps", "served_good", "served_traps", "judged_good", "judged_traps"),
        *("by_category", "by_language"),
    ]
    assert plain["by_language"]["de"]["served_good"] == 1


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 6, 0.0, 0.4593), (6, 6, 0.5407, 1.0), (12, 60, 0.1078, 0.3233), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_that_of_clopper_and_pearson(part, whole, low, high):
    assert interval(part, whole) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
