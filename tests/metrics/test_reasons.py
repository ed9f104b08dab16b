"""Every reason has a sentence, alike for the console, the command line and the operations API."""

from __future__ import annotations

import pytest

from core.cache import Caution
from core.metrics import reasons
from core.models import HitDetail, OutcomeKind
from core.policy import cacheability as policy
from core.stores.base import StoredAs
from core.stores.lookup import MissReason

REFUSALS = (f"refused-{state}" for state in StoredAs if state is not StoredAs.STORED)


@pytest.mark.parametrize(
    "reason",
    [*sorted(policy.NOT_STORED_REASONS), *REFUSALS, "refused-invalidated", "no-store", "store-down", "too-large"],
)
def test_every_reason_in_an_answer_for_not_storing_it_has_a_sentence(reason):
    assert reasons.why_not_stored(reason)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        *((OutcomeKind.MISS, reason) for reason in (*MissReason, *Caution)),
        *(
            (OutcomeKind.BYPASS, reason)
            for reason in (*sorted(policy.BYPASS_REASONS), "too-large", "not-a-number", "unencodable")
        ),
        *((OutcomeKind.HIT, reason) for reason in ("", "revalidating")),
    ],
)
def test_every_outcome_has_a_sentence(kind, reason):
    assert reasons.why(kind, HitDetail.EXACT if kind is OutcomeKind.HIT else None, reason).endswith(".")


@pytest.mark.parametrize("reason", [reasons.ANOTHER_REQUEST, reasons.INVALIDATED, "no-user", "empty"])
def test_a_refused_line_is_told_in_a_sentence(reason):
    assert reasons.why_refused(reason).lower() != f"{reason}."


def test_what_is_none_of_the_words_is_told_as_it_is_called_and_shows_nothing_as_what_it_is_not():
    assert reasons.why_refused("ttl: give a number of seconds") == "Ttl: give a number of seconds."
    assert "\u202e" not in reasons.why_refused("x\u202egnp.exe")
    assert "\u202e" not in reasons.why(OutcomeKind.MISS, None, "guard-\u202egnp")
    assert reasons.why(OutcomeKind.MISS, None, "brand-new") == ""
    assert len(reasons.why_refused("x" * 10_000)) < 400
