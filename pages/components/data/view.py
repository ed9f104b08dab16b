"""The viewer's selection: a window of time, a model and a namespace."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import msgspec

from core.metrics import LONGEST_SECONDS, steps_of
from pages.components.display.figures import local

SHORTEST_SECONDS = 60


class Range(msgspec.Struct, frozen=True):
    """A window and the step of its charts, in seconds. It ends at `ends_at` (Unix seconds), else now.

    Nothing in it changes any more once it `has_ended`.
    """

    words: str
    seconds: int
    step: int
    ends_at: float | None = None
    has_ended: bool = False

    @property
    def sentence(self) -> str:
        """The window as the beginning of a sentence: `Last 6 hours`."""
        return f"Last {self.words}" if self.ends_at is None else self.words

    @property
    def within(self) -> str:
        """The window in the middle of a sentence: `in the last 6 hours`."""
        return f"in the last {self.words}" if self.ends_at is None else f"from {self.words}"

    @property
    def begins_at(self) -> float:
        """Where it begins, in Unix seconds."""
        return (time.time() if self.ends_at is None else self.ends_at) - self.seconds

    @property
    def has_one_before(self) -> bool:
        """Whether the window of the same length before it can be read."""
        ago = 0.0 if self.ends_at is None else time.time() - self.ends_at
        return ago + 2 * self.seconds + self.step <= LONGEST_SECONDS


RANGES = {
    "15m": Range("15 minutes", 900, 20),
    "1h": Range("hour", 3600, 30),
    "6h": Range("6 hours", 6 * 3600, 300),
    "24h": Range("24 hours", 86_400, 1200),
    "7d": Range("7 days", 7 * 86_400, 3 * 3600),
    "30d": Range("30 days", 30 * 86_400, 12 * 3600),
}
DEFAULT_RANGE = "15m"

_BETWEEN = re.compile(r"(\d{9,10})~(\d{9,10})")


def between(begins_at: float, ends_at: float) -> str:
    """The name of the range from one moment to another, in Unix seconds: `1796090000~1796093600`."""
    return f"{int(begins_at)}~{int(ends_at)}"


def moments_of(name: str) -> tuple[int, int] | None:
    """The two moments in a name that `between` gives; None for any other."""
    found = _BETWEEN.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def window_of(name: str) -> Range | None:
    """The window of a range by its name: a key of RANGES, or two moments. None for what is neither.

    One of two moments is whole steps. Where its end is to come it ends now, and goes on with the time.
    """
    if name in RANGES:
        return RANGES[name]
    moments = moments_of(name)
    if moments is None:
        return None
    begins_at, ends_at = moments
    now = int(time.time())
    seconds = min(ends_at, now) - begins_at
    ago = now - begins_at
    if seconds < SHORTEST_SECONDS or ago > LONGEST_SECONDS:
        return None
    # The window before it is to be read in the same steps, both beginning a little earlier than asked for.
    step = steps_of(seconds, ago + seconds + 3600)
    begins_at = begins_at // step * step
    ends_at = -(-ends_at // step) * step
    has_ended = ends_at <= now
    words = _from_to(begins_at, ends_at if has_ended else None)
    ends_at = min(ends_at, now)
    if now - begins_at > LONGEST_SECONDS:
        return None
    return Range(words, ends_at - begins_at, step, float(ends_at), has_ended)


def _from_to(begins_at: int, ends_at: int | None) -> str:
    first, today = local(begins_at), local(time.time()).date()
    last = local(ends_at) if ends_at is not None else None
    clock = "%H:%M:%S" if any(moment.second for moment in (first, last) if moment) else "%H:%M"
    begins = f"{first:{clock}}" if first.date() == today else f"{first.day} {first:%b {clock}}"
    if last is None:
        return f"{begins} to now"
    ends = f"{last:{clock}}" if last.date() == first.date() else f"{last.day} {last:%b {clock}}"
    return f"{begins} to {ends}"


def this_week() -> str:
    """The name of the range from Monday, in the viewer's zone, until the next one."""
    monday = _midnight() - timedelta(days=_midnight().weekday())
    return between(monday.timestamp(), (monday + timedelta(days=7)).timestamp())


def this_month() -> str:
    """The name of the range of the month that it is in the viewer's zone."""
    first = _midnight().replace(day=1)
    return between(first.timestamp(), (first + timedelta(days=32)).replace(day=1).timestamp())


def _midnight() -> datetime:
    return local(time.time()).replace(hour=0, minute=0, second=0, microsecond=0)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The viewer's selection; None for all models or namespaces. `range` is a name that `window_of` knows."""

    range: str
    namespace: str | None
    model: str | None

    @property
    def window(self) -> Range:
        """The window of time."""
        return window_of(self.range) or RANGES[DEFAULT_RANGE]

    @property
    def file(self) -> str:
        """The range in the name of a file: `6h`, or two moments in UTC."""
        moments = moments_of(self.range)
        if moments is None or window_of(self.range) is None:
            return self.range if self.range in RANGES else DEFAULT_RANGE
        return "-".join(f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}" for at in moments)


EVIDENCE_WINDOWS: dict[str, tuple[str, float | None]] = {
    "24h": ("last 24 hours", 86_400.0),
    "7d": ("last 7 days", 7 * 86_400.0),
    "30d": ("last 30 days", 30 * 86_400.0),
    "all": ("all that is kept", None),
}
"""Words and seconds; None for everything."""


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """The namespace and the window that the viewer chose on the Quality page; `window` is a key of EVIDENCE_WINDOWS."""

    namespace: str
    window: str

    @property
    def words(self) -> str:
        """The window in words."""
        return EVIDENCE_WINDOWS[self.window][0]

    @property
    def is_everything(self) -> bool:
        """Whether the window holds all evidence that is kept."""
        return EVIDENCE_WINDOWS[self.window][1] is None


def evidence_since(window: str, now: float) -> float | None:
    """Where a window of evidence begins, in Unix seconds; None for everything."""
    seconds = EVIDENCE_WINDOWS[window][1]
    return None if seconds is None else now - seconds
