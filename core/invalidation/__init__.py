"""Invalidations from preview to sweep: apply, undo, history, schedules."""

from .history import HistoryPage, Invalidation, InvalidationState
from .idle import IDLE_SECONDS, IdleNamespaces
from .invalidator import CacheInvalidator
from .preview import WORD, Preview, Previewed, PreviewRow
from .rights import ending_hold, invalidating, scheduling
from .schedules import LONGEST_NAME, Schedule, Schedules
from .sweep import SweepProgress

__all__ = [
    "IDLE_SECONDS",
    "LONGEST_NAME",
    "WORD",
    "CacheInvalidator",
    "HistoryPage",
    "IdleNamespaces",
    "Invalidation",
    "InvalidationState",
    "Preview",
    "PreviewRow",
    "Previewed",
    "Schedule",
    "Schedules",
    "SweepProgress",
    "ending_hold",
    "invalidating",
    "scheduling",
]
