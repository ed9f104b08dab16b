"""Metrics: every request counted once, summed over processes, kept as long as charts need them."""

from .cache_metrics import LONGEST_SECONDS, CacheMetrics, steps_of
from .forgone import ForgoneHits
from .gauges import MAX_NAMESPACES, GaugeBucket, Gauges, Sample
from .histogram import Histogram, merged
from .hits import HitCounts, Hits
from .request_log import (
    KEEP,
    MAX_PROMPT,
    MAX_TEXT,
    NOBODY,
    Frequent,
    Recipients,
    RequestFilter,
    RequestRecord,
    Sender,
    Telling,
)
from .summary import OVERHEAD, Bucket, Comparison, Hedging, Kinds, Summary, Totals
from .tally import USD_SCALE, CellName

__all__ = [
    "KEEP", "LONGEST_SECONDS", "MAX_NAMESPACES", "MAX_PROMPT", "MAX_TEXT", "NOBODY", "OVERHEAD", "USD_SCALE", "Bucket",
    "CacheMetrics", "CellName", "Comparison", "ForgoneHits", "Frequent", "GaugeBucket", "Gauges", "Hedging",
    "Histogram", "HitCounts", "Hits", "Kinds", "Recipients", "RequestFilter", "RequestRecord", "Sample", "Sender",
    "Summary", "Telling", "Totals", "merged", "steps_of",
]  # fmt: skip
