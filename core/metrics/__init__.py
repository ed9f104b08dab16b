"""Metrics: every request counted once, summed over processes, kept as long as charts need them."""

from .histogram import Histogram
from .recorder import CacheMetrics
from .summary import Bucket, Comparison, Hedging, Kinds, Summary, Totals
from .tally import CellName

__all__ = ["Bucket", "CacheMetrics", "CellName", "Comparison", "Hedging", "Histogram", "Kinds", "Summary", "Totals"]
