"""Figures as people read them, written in one way on screens, in the terminal and in the README. Pure.

Times of day in the viewer's zone are not here: only pages know it.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise

UNKNOWN = "–"
"""Stands where there is no figure."""

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def money(usd: float | None) -> str:
    """US dollars: `$12,346`, `$12.35`, small amounts with up to two significant digits; "unknown" without a price."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    amount = abs(usd)
    sign = "-" if usd < 0 else ""
    if amount >= 1000:
        return f"{sign}${amount:,.0f}"
    if amount >= 0.0995:
        return f"{sign}${amount:,.2f}"
    digits = min(9, 1 - math.floor(math.log10(amount)))
    return f"{sign}${amount:.{digits}f}".rstrip("0").rstrip(".")


def cents(usd: float | None) -> str:
    """US dollars for sums that have to agree to the cent: `$12,345.68`; less than a dollar as `money` writes it."""
    if usd is None or abs(usd) < 1:
        return money(usd)
    return f"{'-' if usd < 0 else ''}${abs(usd):,.2f}"


def milliseconds(ms: float | None) -> str:
    """A latency: `0.84 ms`, `12 ms`, `1.24 s`, and from a minute on as `duration`."""
    if ms is None:
        return UNKNOWN
    if ms < 0.995:
        return f"{ms:.2f} ms"
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.2f} s" if ms < 9950 else f"{ms / 1000:.1f} s"
    return duration(ms / 1000)


def duration(seconds: float | None) -> str:
    """About how long, in the two largest units: `1.9 s`, `42 s`, `2 min 5 s`, `3 h 12 min`, `2 d 4 h`."""
    if seconds is None:
        return UNKNOWN
    if 0 < seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    rest = round(seconds)
    for (name, length), (smaller, smaller_length) in pairwise(_UNITS):
        if rest >= length:
            whole, remainder = divmod(rest, length)
            part = remainder // smaller_length
            return f"{whole} {name} {part} {smaller}" if part else f"{whole} {name}"
    return f"{rest} s"


def exact_duration(seconds: float) -> str:
    """Whole seconds, to the last one: `7 d`, `1 h 30 min`, `1 d 5 s`."""
    rest = round(seconds)
    words = []
    for name, length in _UNITS:
        whole, rest = divmod(rest, length)
        if whole:
            words.append(f"{whole} {name}")
    return " ".join(words) or "0 s"


def countdown(seconds: float) -> str:
    """Time left, as a clock shows it: `4:31`, `1:02:00`; never below `0:00`."""
    rest = max(0, math.ceil(seconds))
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size(amount: float | None) -> str:
    """Bytes in decimal units: `812 B`, `1.4 kB`, `12 MB`."""
    if amount is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def share(part: float | None, digits: int = 1) -> str:
    """A part from 0 to 1 in percent: `63.2 %`; never `100 %` or `0 %` when it is not quite."""
    if part is None:
        return UNKNOWN
    percent = part * 100
    step = 10.0**-digits
    if 0 < percent < step:
        return f"< {step:.{digits}f} %"
    if 100 - step < percent < 100:
        percent = 100 - step
    return f"{percent:.{digits}f} %" if percent not in (0, 100) else f"{percent:.0f} %"


def points(change: float) -> str:
    """The change of a share in percentage points: `+3.1 points`; `±0.0 points` for as good as none."""
    return f"{change * 100:+.1f} points" if abs(change) >= 0.0005 else "±0.0 points"


def number(amount: float | None) -> str:
    """A count: `1,204`; from ten thousand on `12.0 K`, `3.4 M`."""
    if amount is None:
        return UNKNOWN
    if amount < 10_000:
        return f"{amount:,.0f}"
    for unit in ("K", "M"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} G"


def many(amount: float, one: str, more: str = "") -> str:
    """A count and what is counted: `1 entry`, `1,204 entries`. `more` is the plural, `one` with an s if not given."""
    return f"{amount:,.0f} {one if amount == 1 else more or one + 's'}"


def utc(at: float) -> str:
    """A moment, in Unix seconds, where no viewer's zone is known: `2026-12-01 14:05:10 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
