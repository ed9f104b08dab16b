"""Metrics: every request counted once, summed over processes, kept as long as charts need them."""

from core.metrics.histogram import Histogram
from core.metrics.recorder import CacheMetrics
from core.metrics.summary import Bucket, Comparison, Hedging, Kinds, Summary, Totals
from core.metrics.tally import CellName

__all__ = ["Bucket", "CacheMetrics", "CellName", "Comparison", "Hedging", "Histogram", "Kinds", "Summary", "Totals"]
