"""Latency histograms with fixed bounds, and percentiles read from them. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

# Preferred numbers (ISO 3, R10): ten bounds a decade, so neighbours are 1.25 apart and 1, 2, 5 are among them.
_DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_DECADES = (0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000)

BOUNDS_MS = (*(round(step * decade, 5) for decade in _DECADES for step in _DECADE), 1_000_000.0)
"""Upper bounds, inclusive: 10 microseconds to 1,000 seconds. What is longer is in one more bucket."""

BUCKETS = len(BOUNDS_MS) + 1

COARSE = tuple(index for index, bound in enumerate(BOUNDS_MS) if f"{bound:e}"[0:4] in ("1.00", "2.00", "5.00"))
"""Indexes of the bounds 1, 2, 5 of each decade: enough for exporting."""


bucket_of: Callable[[float], int] = partial(bisect_left, BOUNDS_MS)
"""The index of the bucket for a latency in milliseconds; below the first bound, and NaN, it is the first."""


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies: counts by bucket index, and the sum of all in milliseconds."""

    counts: Mapping[int, int] = {}
    total_ms: float = 0.0

    @property
    def count(self) -> int:
        """Number of latencies."""
        return sum(self.counts.values())

    @property
    def p50_ms(self) -> float | None:
        """The median in milliseconds; None when nothing was measured."""
        return self.percentile(0.50)

    @property
    def p95_ms(self) -> float | None:
        """The latency in milliseconds that 95 % stayed below; None when nothing was measured."""
        return self.percentile(0.95)

    @property
    def p99_ms(self) -> float | None:
        """The latency in milliseconds that 99 % stayed below; None when nothing was measured."""
        return self.percentile(0.99)

    def percentile(self, share: float) -> float | None:
        """The latency in milliseconds that this share stayed below; None when nothing was measured.

        Interpolated inside one bucket, so at most a quarter off. What is beyond the last bound counts as that bound.
        """
        count = self.count
        if not count:
            return None
        rank = share * count
        below = 0
        for index in sorted(self.counts):
            inside = self.counts[index]
            if below + inside >= rank:
                return _between(index, (rank - below) / inside)
            below += inside
        return BOUNDS_MS[-1]

    def rows(self) -> list[tuple[float, float, int]]:
        """(lower bound, upper bound, count) of the buckets from the first to the last that is not empty, in ms."""
        if not self.counts:
            return []
        indexes = range(min(self.counts), max(self.counts) + 1)
        return [(*_edges(index), self.counts.get(index, 0)) for index in indexes]

    def cumulative(self) -> list[tuple[float, int]]:
        """(upper bound in ms, number of latencies up to it) for the coarse bounds."""
        rows = []
        running = 0
        position = 0
        for bound in COARSE:
            while position <= bound:
                running += self.counts.get(position, 0)
                position += 1
            rows.append((BOUNDS_MS[bound], running))
        return rows


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram with the latencies of all of them."""
    counts: dict[int, int] = {}
    total_ms = 0.0
    for histogram in histograms:
        total_ms += histogram.total_ms
        for index, count in histogram.counts.items():
            counts[index] = counts.get(index, 0) + count
    return Histogram(counts=counts, total_ms=total_ms)


def _between(index: int, share: float) -> float:
    lower, upper = _edges(index)
    if upper == float("inf"):
        return lower
    # Buckets grow by a factor, so the middle of one is the geometric mean. The first has no lower bound above zero.
    return lower * (upper / lower) ** share if lower else upper * share


def _edges(index: int) -> tuple[float, float]:
    lower = BOUNDS_MS[index - 1] if index else 0.0
    upper = BOUNDS_MS[index] if index < len(BOUNDS_MS) else float("inf")
    return lower, upper
