"""Invalidations from preview to sweep: apply, undo, history, schedules."""

from .active import ActiveCount, ActivePage
from .definition import LONGEST_NAME, WEEKDAYS, Definition, ScheduleFields, parse_weekdays
from .everywhere import MOST_NAMESPACES, Reach
from .filter import InvalidationFilter
from .history import HistoryPage
from .idle import IDLE_SECONDS, IdleNamespaces
from .invalidator import CacheInvalidator
from .plain import plain_invalidation, plain_preview
from .preview import WORD, Preview, Previewed, PreviewPart, PreviewRow, cutoff
from .reason import LONGEST_REASON, checked_reason
from .rights import ending_hold, invalidating, scheduling
from .schedules import Schedule, Schedules, kept_schedules
from .sweep import SweepProgress
from .telling import Invalidation, InvalidationState, Part, undone_words
from .whole import whole_words, within

__all__ = [
    "IDLE_SECONDS", "LONGEST_NAME", "LONGEST_REASON", "MOST_NAMESPACES", "WEEKDAYS", "WORD",
    "ActiveCount", "ActivePage", "CacheInvalidator", "Definition", "HistoryPage", "IdleNamespaces", "Invalidation",
    "InvalidationFilter", "InvalidationState", "Part", "Preview", "PreviewPart", "PreviewRow", "Previewed", "Reach",
    "Schedule", "ScheduleFields", "Schedules", "SweepProgress", "checked_reason", "cutoff", "ending_hold",
    "invalidating", "kept_schedules", "parse_weekdays", "plain_invalidation", "plain_preview", "scheduling",
    "undone_words", "whole_words", "within",
]  # fmt: skip
