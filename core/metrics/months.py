"""Calendar months as savings are kept by: in UTC, in which providers write their bills, so that every viewer sees the
same sums. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ..errors import InvalidInput

KEPT_MONTHS = 14
"""How many months are kept, the present one among them: a year and the same month of the year before can be told."""

KEPT_SECONDS = (KEPT_MONTHS + 1) * 31 * 86_400
"""How long Redis keeps a month after its latest count: until it is none of the kept ones in any case."""


class Month(msgspec.Struct, frozen=True, order=True):
    """A month of the calendar in UTC: `number` from 1 to 12."""

    year: int
    number: int

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.year:04}-{self.number:02}"

    @property
    def starts_at(self) -> float:
        """When it begins, in Unix seconds."""
        return datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()

    @property
    def ends_at(self) -> float:
        """When the next one begins, in Unix seconds."""
        return self.after.starts_at

    @property
    def before(self) -> Month:
        """The month before."""
        return Month(self.year, self.number - 1) if self.number > 1 else Month(self.year - 1, 12)

    @property
    def after(self) -> Month:
        """The month after."""
        return Month(self.year, self.number + 1) if self.number < 12 else Month(self.year + 1, 1)


def month_of(at: float) -> Month:
    """The month that a time (Unix seconds) lies in."""
    when = datetime.fromtimestamp(at, UTC)
    return Month(when.year, when.month)


def kept_months(now: float) -> list[Month]:
    """The months that are kept, the oldest first, the present one last."""
    months = [month_of(now)]
    while len(months) < KEPT_MONTHS:
        months.append(months[-1].before)
    return months[::-1]


def kept_month(name: str, now: float) -> Month:
    """The month of this name. Raises InvalidInput when it is none, or none of those that are kept."""
    kept = kept_months(now)
    found = next((month for month in kept if month.name == name), None)
    if found is None:
        raise InvalidInput("month", f"give one from {kept[0].name} to {kept[-1].name}, for example {kept[-1].name}")
    return found
