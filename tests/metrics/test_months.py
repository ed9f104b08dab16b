"""Months of the calendar in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.metrics.months import KEPT_MONTHS, Month, kept_month, kept_months, month_of
from core.metrics.timeline import FINEST_SECONDS


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


def test_a_month_begins_at_midnight_in_utc() -> None:
    assert month_of(at(2026, 12, 1)).name == "2026-12"
    assert month_of(at(2026, 12, 1) - 0.001).name == "2026-11"
    assert Month(2026, 12).after == Month(2027, 1)
    assert Month(2027, 1).before == Month(2026, 12)
    assert Month(2026, 12).ends_at == at(2027, 1, 1)


@given(st.floats(0, 4e9))
def test_every_time_lies_in_its_month_and_no_ten_seconds_in_two(when: float) -> None:
    month = month_of(when)
    assert month.starts_at <= when < month.ends_at
    assert month.before.after == month.after.before == month
    assert month.starts_at % FINEST_SECONDS == 0


def test_the_kept_months_end_with_the_present_one() -> None:
    kept = kept_months(at(2026, 3, 31))
    assert [month.name for month in kept[-3:]] == ["2026-01", "2026-02", "2026-03"]
    assert len(kept) == KEPT_MONTHS
    assert kept[0].name == "2025-02"
    assert kept_month("2025-02", at(2026, 3, 31)) == kept[0]


@pytest.mark.parametrize(
    "name", ["2025-01", "2026-04", "2026-13", "2026-3", "", "march", "2026-03\n", "-2026-03", "x" * 10_000]
)
def test_any_other_name_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(InvalidInput, match="give one from 2025-02 to 2026-03"):
        kept_month(name, at(2026, 3, 31))
