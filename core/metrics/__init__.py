"""Metrics: every request counted once, summed over processes, kept as long as charts need them."""

from . import reasons
from .asked import MAX_ENDING, MAX_INSTRUCTIONS, Asked, Asking, question_of
from .cache_metrics import LONGEST_SECONDS, CacheMetrics, steps_of
from .causes import LEAST, Cause, causes_of
from .change import MIX, ChangePart, HitRateChange
from .forgone import ForgoneHits
from .gauges import MAX_NAMESPACES, GaugeBucket, Gauges, Sample
from .histogram import BOUNDS_MS, Histogram, merged
from .hits import HitCounts, Hits
from .months import KEPT_MONTHS, Month, kept_month, kept_months, month_of
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
    costs_of,
)
from .savings import DIMENSIONS, Amounts, Dimension, Line, MonthSavings, Savings, savings_csv
from .scopes import SYSTEM_PROMPTS, Apart, NamespaceScopes, Scopes, differ_in
from .summary import OVERHEAD, Bucket, Comparison, Hedging, Kinds, Summary, Totals
from .tally import USD_SCALE, CellName

__all__ = [
    "BOUNDS_MS", "DIMENSIONS", "KEEP", "KEPT_MONTHS", "LEAST", "LONGEST_SECONDS", "MAX_ENDING", "MAX_INSTRUCTIONS",
    "MAX_NAMESPACES", "MAX_PROMPT", "MAX_TEXT", "MIX", "NOBODY", "OVERHEAD", "SYSTEM_PROMPTS", "USD_SCALE", "Amounts",
    "Apart", "Asked", "Asking", "Bucket", "CacheMetrics", "Cause", "CellName", "ChangePart", "Comparison", "Dimension",
    "ForgoneHits", "Frequent", "GaugeBucket", "Gauges", "Hedging", "Histogram", "HitCounts", "HitRateChange", "Hits",
    "Kinds", "Line", "Month", "MonthSavings", "NamespaceScopes", "Recipients", "RequestFilter", "RequestRecord",
    "Sample", "Savings", "Scopes", "Sender", "Summary", "Telling", "Totals", "causes_of", "costs_of", "differ_in",
    "kept_month", "kept_months", "merged", "month_of", "question_of", "reasons", "savings_csv", "steps_of",
]  # fmt: skip
