"""Outcomes for tests, with everything but what a test is about already filled in."""

from __future__ import annotations

from typing import Any

from core.models import CacheStrategy, HitDetail, Outcome, OutcomeKind
from tests.samples import NOW


def an_outcome(kind: OutcomeKind, **fields: Any) -> Outcome:
    """An outcome at NOW; fields by name."""
    usual: dict[str, Any] = {
        "namespace": "test",
        "model": "gpt-4o",
        "strategy": CacheStrategy.NORMALIZED,
        "latency_ms": 1.0,
        "at": NOW,
    }
    return Outcome(kind=kind, **(usual | fields))


def a_hit(**fields: Any) -> Outcome:
    return an_outcome(OutcomeKind.HIT, **({"detail": HitDetail.EXACT} | fields))


def a_miss(**fields: Any) -> Outcome:
    return an_outcome(OutcomeKind.MISS, **({"reason": "absent"} | fields))


def a_bypass(**fields: Any) -> Outcome:
    return an_outcome(OutcomeKind.BYPASS, **({"reason": "temperature"} | fields))


def an_error(**fields: Any) -> Outcome:
    return an_outcome(OutcomeKind.ERROR, **({"reason": "APITimeoutError"} | fields))
