"""Which misses count as forgone hits, and what is never counted."""

from __future__ import annotations

import pytest

from core.metrics.forgone import ForgoneHits
from tests.samples import NOW, digest_of

FORM, ONE, OTHER = digest_of("form"), digest_of("one"), digest_of("other")
UNTOUCHED = 1
"""The sequence of a record that has seen no invalidation."""


@pytest.fixture
def forgone() -> ForgoneHits:
    found = ForgoneHits(kept=2)
    found.keep(FORM, ONE, stored_at=NOW, fresh_until=NOW + 60)
    return found


def test_another_request_of_the_same_wider_form_is_a_forgone_hit(forgone: ForgoneHits) -> None:
    assert forgone.is_forgone(FORM, OTHER, sequence=UNTOUCHED, now=NOW + 59)


@pytest.mark.parametrize(
    ("form", "exact", "sequence", "now"),
    [
        pytest.param(digest_of("another form"), OTHER, UNTOUCHED, NOW + 1, id="another form"),
        pytest.param(FORM, ONE, UNTOUCHED, NOW + 1, id="the same request, whose entry is lost"),
        pytest.param(FORM, OTHER, UNTOUCHED, NOW + 60, id="past its freshness"),
        pytest.param(FORM, OTHER, int((NOW + 1) * 1e6), NOW + 2, id="an invalidation since"),
    ],
)
def test_what_could_not_have_been_a_hit_is_not_counted(
    forgone: ForgoneHits, form: bytes, exact: bytes, sequence: int, now: float
) -> None:
    assert not forgone.is_forgone(form, exact, sequence=sequence, now=now)


def test_an_invalidation_before_the_answer_was_stored_hides_nothing(forgone: ForgoneHits) -> None:
    assert forgone.is_forgone(FORM, OTHER, sequence=int((NOW - 1) * 1e6), now=NOW + 1)


def test_a_bounded_number_of_forms_is_remembered_the_oldest_forgotten_first(forgone: ForgoneHits) -> None:
    second = digest_of("second form")
    forgone.keep(second, ONE, stored_at=NOW, fresh_until=NOW + 60)
    forgone.keep(FORM, ONE, stored_at=NOW, fresh_until=NOW + 60)
    forgone.keep(digest_of("third form"), ONE, stored_at=NOW, fresh_until=NOW + 60)
    assert forgone.is_forgone(FORM, OTHER, sequence=UNTOUCHED, now=NOW)
    assert not forgone.is_forgone(second, OTHER, sequence=UNTOUCHED, now=NOW)
