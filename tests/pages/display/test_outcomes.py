"""Outcomes in words: whatever a request came to, an operator reads what that means, and no code of ours."""

from __future__ import annotations

import pytest

from core.metrics import reasons
from core.models import HitDetail, OutcomeKind
from core.policy import cacheability as policy
from core.semantic.guards.checks import Guard
from core.stores.lookup import MissReason
from pages.components.display import outcomes

MISSES = (
    *MissReason,
    *("far", "loading", "no-embedder", "judge-no", "judge-late", "judge-over-budget", "judge-overtaken"),
    *("judge-broken", "judge-unreadable", "judge-not-shown", "collapsed", "only-if-cached", "max-age", "no-cache"),
)
BYPASSES = (*policy.BYPASS_REASONS, "too-large", "not-a-number", "unencodable", "bypass-switch")
ERRORS = ("cancelled", "remembered-error", "ProviderUnavailable", "APITimeoutError", "RateLimitError")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        *((OutcomeKind.MISS, reason) for reason in MISSES),
        *((OutcomeKind.BYPASS, reason) for reason in sorted(BYPASSES)),
        *((OutcomeKind.ERROR, reason) for reason in ERRORS),
        *((OutcomeKind.MISS, f"guard-{guard}") for guard in Guard),
        (OutcomeKind.MISS, "no-vector-late"),
    ],
)
def test_every_reason_has_a_few_words_and_a_sentence(kind, reason):
    words = reasons.briefly(kind, None, reason)
    assert words not in ("", reason)
    assert len(words) <= 45
    assert outcomes.why(kind, None, reason) not in ("", "No answer came.")


@pytest.mark.parametrize("detail", HitDetail)
def test_every_hit_says_what_it_was_found_by(detail):
    assert reasons.briefly(OutcomeKind.HIT, detail, "")


def test_a_reason_that_is_news_is_shown_as_it_is_called():
    assert reasons.briefly(OutcomeKind.MISS, None, "brand-new") == "brand-new"
    assert "\u202e" not in reasons.briefly(OutcomeKind.ERROR, None, "\u202egnp.exe")


def test_a_miss_that_was_not_stored_says_so():
    assert reasons.briefly(OutcomeKind.MISS, None, "absent", "truncated") == "nothing stored; answer not stored"
