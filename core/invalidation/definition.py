"""What a person says of a scheduled invalidation: what it hides, when, and for how long a run can be undone. Pure.

It runs at an interval, or at a time of day in UTC, daily or on some weekdays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict

import msgspec

from ..bans import Criteria
from ..errors import InvalidInput
from ..text import exact_duration, printable
from .invalidator import LONGEST_HOLD_SECONDS
from .reason import checked_reason

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 366 * 86_400
DAY_SECONDS = 86_400.0

_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_WRONG_DAYS = "give days, e.g. mon,wed or mon-fri"
LONGEST_NAME = 80
USUAL_HOLD_SECONDS = 12 * 3600.0
"""How long a run can be undone where the schedule does not say, unless it runs again before."""


class ScheduleFields(TypedDict, total=False):
    """What a person says of a schedule, as keyword arguments: the fields of a `Definition`."""

    name: str
    criteria: Mapping[str, Any]
    older_than_seconds: float | None
    every_seconds: float | None
    daily_at: str | None
    weekdays: tuple[str, ...]
    soft: bool
    hold_seconds: float | None
    reason: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a schedule. Durations are seconds.

    `criteria` are those of `Criteria` but `created_before`, which `older_than_seconds` gives at each run. It runs every
    `every_seconds`, or at `daily_at` ("03:30", UTC): on these `weekdays` ("mon" to "sun", of UTC), without any on all.
    What a run hides can be undone for `hold_seconds`; None: for 12 hours, or until the next run where that is sooner.
    `reason` is that of each run; without one it is the schedule's name.
    """

    name: str = ""
    criteria: Mapping[str, Any] = {}
    older_than_seconds: float | None = None
    every_seconds: float | None = None
    daily_at: str | None = None
    weekdays: tuple[str, ...] = ()
    soft: bool = False
    hold_seconds: float | None = None
    reason: str = ""

    @property
    def hold(self) -> float:
        """How long a run can be undone, in seconds."""
        if self.hold_seconds is not None:
            return self.hold_seconds
        return min(USUAL_HOLD_SECONDS, shortest_gap(self.every_seconds, self.weekdays))

    @property
    def rhythm(self) -> str:
        """The rhythm in words: `daily at 03:30 UTC`, `Mon-Fri at 03:30 UTC`, `every 6 h`."""
        return rhythm_words(self.every_seconds, self.daily_at, self.weekdays)

    @property
    def what(self) -> str:
        """The selection in words: `model gpt-4o, older than 7 d`."""
        words = []
        if self.criteria:
            try:
                words.append(str(Criteria.from_dict(self.criteria)))
            except InvalidInput as error:  # of another version
                words.append(f"cannot be run: {error}")
        if self.older_than_seconds is not None:
            words.append(f"older than {exact_duration(self.older_than_seconds)}")
        return ", ".join(words)

    def checked(self) -> Definition:
        """It, with the name trimmed, the reason on one line and the weekdays in order.

        Raises InvalidInput, which names the field. The criteria are checked where they are used.
        """
        weekdays = in_order(self.weekdays)
        check_rhythm(self.every_seconds, self.daily_at, self.weekdays)
        if self.older_than_seconds is not None and not 0 < self.older_than_seconds <= LONGEST_SECONDS * 10:
            raise InvalidInput("older_than_seconds", "give seconds between 1 and ten years")
        if "created_before" in self.criteria:
            raise InvalidInput("created_before", "give older_than_seconds: the age when it runs")
        if self.hold_seconds is not None and not 0 <= self.hold_seconds <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        name = self.name.strip()
        if len(name) > LONGEST_NAME or printable(name, LONGEST_NAME) != name:
            raise InvalidInput("name", f"give up to {LONGEST_NAME} visible characters")
        criteria = msgspec.json.decode(msgspec.json.encode(self.criteria))  # lists as they are kept, to be compared
        reason = checked_reason(self.reason)
        return msgspec.structs.replace(self, name=name, criteria=criteria, weekdays=weekdays, reason=reason)

    def hides_as(self, other: Definition) -> bool:
        """Whether a run of either hides, or marks stale, the same."""
        mine, theirs = ((dict(each.criteria), each.older_than_seconds, each.soft) for each in (self, other))
        return mine == theirs

    def runs_as(self, other: Definition) -> bool:
        """Whether both run at the same times."""
        mine, theirs = ((each.every_seconds, each.daily_at, each.weekdays) for each in (self, other))
        return mine == theirs


# When it runs


def check_rhythm(every_seconds: float | None, daily_at: str | None, weekdays: tuple[str, ...]) -> None:
    """Raises InvalidInput, which names the field, unless this is an interval or a time of day."""
    if (every_seconds is None) == (daily_at is None):
        raise InvalidInput("every_seconds", "give either every_seconds or daily_at")
    if every_seconds is not None and not SHORTEST_SECONDS <= every_seconds <= LONGEST_SECONDS:
        raise InvalidInput("every_seconds", "give seconds between 60 (a minute) and 31622400 (a year)")
    if daily_at is not None and not _TIME_OF_DAY.fullmatch(daily_at):
        raise InvalidInput("daily_at", 'give a time of day in UTC, e.g. "03:30"')
    if weekdays and every_seconds is not None:
        raise InvalidInput("weekdays", "give them with daily_at: an interval runs on every day")


def in_order(weekdays: Iterable[str]) -> tuple[str, ...]:
    """Each of the weekdays once, Monday first; none for all of them. Raises InvalidInput for what is no weekday."""
    given = set(weekdays)
    if not given <= set(WEEKDAYS):
        raise InvalidInput("weekdays", f"use {', '.join(WEEKDAYS)}")
    return () if len(given) == len(WEEKDAYS) else tuple(day for day in WEEKDAYS if day in given)


def parse_weekdays(text: str) -> tuple[str, ...]:
    """The weekdays of `mon,wed`, `mon-fri` or `sat-mon`. Raises InvalidInput."""
    days: list[str] = []
    for part in text.lower().split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        last = last if dash else first
        if first not in WEEKDAYS or last not in WEEKDAYS:
            raise InvalidInput("weekdays", _WRONG_DAYS)
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last)
        days += (WEEKDAYS * 2)[begin : end + 1 if begin <= end else end + 1 + len(WEEKDAYS)]
    return in_order(days)


def next_run(since: float, every_seconds: float | None, daily_at: str | None, weekdays: tuple[str, ...]) -> float:
    """The first time to run after `since`, both Unix seconds. Times of day and weekdays are those of UTC."""
    if every_seconds is not None:
        return since + every_seconds
    hour, _, minute = (daily_at or "").partition(":")
    moment = datetime.fromtimestamp(since, UTC)
    at = moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    if at <= moment:
        at += timedelta(days=1)
    while weekdays and WEEKDAYS[at.weekday()] not in weekdays:
        at += timedelta(days=1)
    return at.timestamp()


def shortest_gap(every_seconds: float | None, weekdays: tuple[str, ...]) -> float:
    """The shortest time from one run to the next, in seconds."""
    if every_seconds is not None:
        return every_seconds
    if not weekdays:
        return DAY_SECONDS
    days = [WEEKDAYS.index(day) for day in weekdays]
    following = [*days[1:], days[0] + len(WEEKDAYS)]
    return DAY_SECONDS * min(then - day for day, then in zip(days, following, strict=True))


def rhythm_words(every_seconds: float | None, daily_at: str | None, weekdays: tuple[str, ...]) -> str:
    """The rhythm in words: `daily at 03:30 UTC`, `Mon-Fri at 03:30 UTC`, `every 6 h`."""
    if daily_at is None:
        return f"every {exact_duration(every_seconds or 0)}"
    return f"{_days_words(weekdays)} at {daily_at} UTC"


def _days_words(weekdays: tuple[str, ...]) -> str:
    if not weekdays:
        return "daily"
    names = [day.capitalize() for day in weekdays]
    places = [WEEKDAYS.index(day) for day in weekdays]
    is_row = len(places) > 2 and places[-1] - places[0] == len(places) - 1
    return f"{names[0]}-{names[-1]}" if is_row else ", ".join(names)
