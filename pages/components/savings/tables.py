"""The table of the Savings page. It is static, as only such a one is printed whole."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from core.metrics import Dimension, Line, MonthSavings
from core.namespaces import Naming
from pages.components.display.figures import cents, sentence, share
from pages.components.display.namespaces import named
from pages.components.display.text import literal
from pages.components.savings.names import heading, name_of

MOST_LINES = 40
"""Lines on the sheet; the file has all."""
OTHER = "other"


def lines(month: MonthSavings, by: Sequence[Dimension], naming: Naming) -> pd.DataFrame:
    """The lines of a month as Markdown, the largest saving first, those beyond the most as one, and their sum."""
    rows = [_row([_name(line, name, naming) for name in by], line, month) for line in month.lines[:MOST_LINES]]
    if rest := month.lines[MOST_LINES:]:
        rows.append(_row([f"*{len(rest):,} more*", *[""] * (len(by) - 1)], _together(rest), month))
    total = _row(["Total", *[""] * (len(by) - 1)], month, month)
    rows.append([f"**{cell}**" if cell else "" for cell in total])
    header = [*(heading(name) for name in by), "Requests", "Hits", "Saved", "Share", "Spent"]
    return pd.DataFrame(rows, columns=header)


def _name(line: Line, by: Dimension, naming: Naming) -> str:
    if by == "namespace" and line.namespace:
        return named(line.namespace, naming)
    return literal(name_of(line, by, naming.shown), 60)


def _row(names: Sequence[str], of: Line | MonthSavings, month: MonthSavings) -> list[str]:
    part = of.saved_usd / month.saved_usd if of.saved_usd is not None and month.saved_usd else None
    figures = (f"{of.requests:,}", f"{of.hits:,}", cents(of.saved_usd), share(part), cents(of.spent_usd))
    return [*names, *map(sentence, figures)]


def _together(some: Sequence[Line]) -> Line:
    """The sum of lines; unknown where nothing of it is known."""

    def total(amounts: Sequence[float | None]) -> float | None:
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if known else None

    return Line(
        requests=sum(line.requests for line in some),
        hits=sum(line.hits for line in some),
        saved_usd=total([line.saved_usd for line in some]),
        spent_usd=total([line.spent_usd for line in some]),
    )
