"""Every figure that a page shows: those of `core.text`, and times of day in the viewer's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from core.text import UNKNOWN, cents, countdown, duration, many, milliseconds, money, number, points, share, size

__all__ = [
    "UNKNOWN",
    "cents",
    "clock",
    "countdown",
    "duration",
    "local",
    "many",
    "milliseconds",
    "money",
    "number",
    "points",
    "sentence",
    "share",
    "size",
    "zone",
    "zone_words",
]


def sentence(text: str) -> str:
    """Text with figures as Markdown, with dollar signs escaped so that they do not begin a formula."""
    return text.replace("$", "\\$")


def zone() -> tzinfo:
    """The viewer's time zone as the browser reports it; UTC when it does not."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def zone_words() -> str:
    """What the viewer's zone is called: `Europe/Berlin`."""
    return str(zone())


def local(at: float) -> datetime:
    """A time in the viewer's zone."""
    return datetime.fromtimestamp(at, zone())


def clock(at: float) -> str:
    """`14:03:07`, with the date when it was not today."""
    when = local(at)
    same_day = when.date() == datetime.now(when.tzinfo).date()
    return f"{when:%H:%M:%S}" if same_day else f"{when:%d %b %H:%M}"
