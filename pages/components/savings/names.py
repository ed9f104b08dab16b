"""How the Savings page calls months, and what its lines are of."""

from __future__ import annotations

from calendar import month_abbr, month_name
from collections.abc import Callable

from core.metrics import Dimension, Line, MonthSavings
from pages.components.display.text import one_line

BY: dict[Dimension, str] = {"namespace": "namespace", "model": "model", "ttl_class": "TTL class"}

LONGEST = 200
"""Longer than any name of a namespace is: one that is cut could look like another."""


def heading(by: Dimension) -> str:
    """`Namespace`, `TTL class`."""
    return BY[by][0].upper() + BY[by][1:]


def month_words(name: str) -> str:
    """`November 2026`."""
    year, number = name.split("-")
    return f"{month_name[int(number)]} {year}"


def short_month(month: MonthSavings) -> str:
    """`Nov 2026`, `Dec 2026 so far`, for an axis."""
    year, number = month.month.split("-")
    words = f"{month_abbr[int(number)]} {year}"
    return words if month.complete else f"{words}<br>so far"


def name_of(line: Line, by: Dimension, named: Callable[[str], str]) -> str:
    """The name that a line has in a column, on one line. `named` gives what a namespace is called."""
    match by:
        case "namespace":
            return one_line(named(line.namespace or ""), LONGEST) or "none"
        case "model":
            return one_line(line.model or "") or "none"
        case "ttl_class":
            return one_line((line.ttl_class or "").replace("_", " ")) or "none"
