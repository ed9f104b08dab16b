"""Figures in words: money, durations, ages, sizes, shares and times. Pure, but for the viewer's time zone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

UNKNOWN = "–"
"""Shown where there is no figure."""


def money(usd: float | None) -> str:
    """`$12.34`, small amounts with two significant digits; "unknown" without a price."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    size = abs(usd)
    sign = "-" if usd < 0 else ""
    if size >= 1000:
        return f"{sign}${size:,.0f}"
    if size >= 0.1:
        return f"{sign}${size:,.2f}"
    digits = min(9, 1 - math.floor(math.log10(size)))
    return f"{sign}${size:.{digits}f}"


def sentence(text: str) -> str:
    """Text with figures as Markdown: a dollar sign is one, and not the beginning of a formula."""
    return text.replace("$", "\\$")


def milliseconds(ms: float | None) -> str:
    """`0.84 ms`, `12 ms`, `1.24 s`, and from a minute on as `duration`."""
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
    """The two largest units: `42 s`, `2 min 5 s`, `3 h 12 min`, `2 d 4 h`."""
    if seconds is None:
        return UNKNOWN
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    if rest < 60:
        return f"{rest} s"
    for name, size, smaller, smaller_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if rest >= size:
            whole, remainder = divmod(rest, size)
            part = remainder // smaller_size
            return f"{whole} {name} {part} {smaller}" if part else f"{whole} {name}"
    return f"{rest} s"


def countdown(seconds: float) -> str:
    """`4:31`, `1:02:00`."""
    rest = max(0, math.ceil(seconds))
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size(amount: float | None) -> str:
    """Bytes with decimal units, as Redis' own tools round them: `812 B`, `1.4 KB`, `12 MB`."""
    if amount is None:
        return UNKNOWN
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def share(part: float | None, digits: int = 1) -> str:
    """`63.2 %` of a part from 0 to 1; never 100 % or 0 % when it is not quite."""
    if part is None:
        return UNKNOWN
    percent = part * 100
    step = 10.0**-digits
    if 0 < percent < step:
        return f"< {step:.{digits}f} %"
    if 100 - step < percent < 100:
        percent = 100 - step
    return f"{percent:.{digits}f} %" if percent not in (0, 100) else f"{percent:.0f} %"


def number(amount: float | None) -> str:
    """`1,204`; from ten thousand on `12.0 K`, `3.4 M`."""
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
    """`1 entry`, `1,204 entries`."""
    return f"{amount:,.0f} {one if amount == 1 else more or one + 's'}"


def zone() -> tzinfo:
    """The viewer's time zone as the browser tells it; UTC when it does not."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def local(at: float) -> datetime:
    """A time in the viewer's zone."""
    return datetime.fromtimestamp(at, zone())


def clock(at: float) -> str:
    """`14:03:07`, with the date when it was not today."""
    when = local(at)
    same_day = when.date() == datetime.now(when.tzinfo).date()
    return f"{when:%H:%M:%S}" if same_day else f"{when:%d %b %H:%M}"
