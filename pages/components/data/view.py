"""The viewer's selection: a window of time, a model and a namespace."""

from __future__ import annotations

import re
import time

import msgspec

from core.metrics import LONGEST_SECONDS, steps_of
from pages.components.display.figures import clock

SHORTEST_SECONDS = 60


class Range(msgspec.Struct, frozen=True):
    """A window and the step of its charts, in seconds. It ends at `ends_at` (Unix seconds), else now."""

    words: str
    seconds: int
    step: int
    ends_at: float | None = None

    @property
    def sentence(self) -> str:
        """The window as the beginning of a sentence: `Last 6 hours`."""
        return f"Last {self.words}" if self.ends_at is None else self.words


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


def window_of(name: str) -> Range | None:
    """The window of a range by its name: a key of RANGES, or two moments. None for what is neither."""
    if name in RANGES:
        return RANGES[name]
    found = _BETWEEN.fullmatch(name)
    if found is None:
        return None
    begins_at, ends_at = int(found[1]), int(found[2])
    if not SHORTEST_SECONDS <= ends_at - begins_at <= LONGEST_SECONDS:
        return None
    ago = max(0.0, time.time() - begins_at)
    if ago > LONGEST_SECONDS:
        return None
    seconds = ends_at - begins_at
    return Range(f"{clock(begins_at)} to {clock(ends_at)}", seconds, steps_of(seconds, ago), float(ends_at))


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The viewer's selection; None for all models or namespaces. `range` is a name that `window_of` knows."""

    range: str
    namespace: str | None
    model: str | None

    @property
    def window(self) -> Range:
        """The window of time."""
        return window_of(self.range) or RANGES[DEFAULT_RANGE]


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
