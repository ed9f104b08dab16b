"""What may be cached, and for how long. Pure."""

from .cacheability import (
    PERSONAL_WITHOUT_USER,
    PolicyLimits,
    bypass_reason,
    depends_on_credential,
    effective_strategy,
    is_outage,
    jitter,
    last_user_text,
    not_stored_reason,
    user_of,
)
from .ttl import TTLDecision, TTLPolicy, TTLRule, class_problems, rule_problems

__all__ = [
    "PERSONAL_WITHOUT_USER",
    "PolicyLimits",
    "TTLDecision",
    "TTLPolicy",
    "TTLRule",
    "bypass_reason",
    "class_problems",
    "depends_on_credential",
    "effective_strategy",
    "is_outage",
    "jitter",
    "last_user_text",
    "not_stored_reason",
    "rule_problems",
    "user_of",
]
