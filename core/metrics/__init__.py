"""Metrics: every request counted once, summed over processes, kept as long as charts need them."""

from .cache_metrics import LONGEST_SECONDS, CacheMetrics, steps_of
from .forgone import ForgoneHits
from .gauges import MAX_NAMESPACES, GaugeBucket, Gauges, Sample
from .histogram import Histogram, merged
from .hits import HitCounts, Hits
from .request_log import KEEP, MAX_PROMPT, Frequent, RequestFilter, RequestRecord
from .summary import OVERHEAD, Bucket, Comparison, Hedging, Kinds, Summary, Totals
from .tally import USD_SCALE, CellName

__all__ = [
    "KEEP",
    "LONGEST_SECONDS",
    "MAX_NAMESPACES",
    "MAX_PROMPT",
    "OVERHEAD",
    "USD_SCALE",
    "Bucket",
    "CacheMetrics",
    "CellName",
    "Comparison",
    "ForgoneHits",
    "Frequent",
    "GaugeBucket",
    "Gauges",
    "Hedging",
    "Histogram",
    "HitCounts",
    "Hits",
    "Kinds",
    "RequestFilter",
    "RequestRecord",
    "Sample",
    "Summary",
    "Totals",
    "merged",
    "steps_of",
]
