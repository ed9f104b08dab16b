"""When a schedule runs: at an interval, or at a time of day in UTC, daily or on some weekdays. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from ..errors import InvalidInput
from ..text import exact_duration

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 366 * 86_400
DAY_SECONDS = 86_400.0

_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_WRONG_DAYS = "give days, e.g. mon,wed or mon-fri"


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
