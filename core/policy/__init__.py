"""What may be cached, and for how long. Pure."""

from .audience import PERSONAL_WITHOUT_USER, Audience, Share, last_user_text, share, user_of
from .cacheability import (
    REPEATS_CALLER,
    SHAPE,
    UNCLEAR,
    PolicyLimits,
    bypass_reason,
    depends_on_credential,
    effective_strategy,
    flaw,
    is_outage,
    jitter,
    longest_seconds,
    not_stored_reason,
)
from .languages import language_marks
from .rules import TTLRule
from .ttl import TTLDecision, TTLPolicy, class_problems, kept_seconds, rule_problems

__all__ = [
    "PERSONAL_WITHOUT_USER", "REPEATS_CALLER", "SHAPE", "UNCLEAR", "Audience", "PolicyLimits", "Share", "TTLDecision",
    "TTLPolicy", "TTLRule", "bypass_reason", "class_problems", "depends_on_credential", "effective_strategy", "flaw",
    "is_outage", "jitter", "kept_seconds", "language_marks", "last_user_text", "longest_seconds", "not_stored_reason",
    "rule_problems", "share", "user_of",
]  # fmt: skip
