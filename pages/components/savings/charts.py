"""The chart of the Savings page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from core.metrics import Dimension, MonthSavings
from pages.components.display import outcomes
from pages.components.display.charts import blank, scale
from pages.components.display.figures import cents, money
from pages.components.savings.names import name_of, short_month

MOST_NAMES = 6
"""Names with a colour of their own, those that saved most in all months together; the rest is one more."""
COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
REST = "#8A929C"
LEGEND = 24
"""Characters of a name in the legend: of a longer one its two ends, since names of models often begin alike."""
NARROWEST = 6
"""Bars are as wide as if there were so many months at least."""


def by_month(
    months: Sequence[MonthSavings], by: Dimension, named: Mapping[str, str], coloured: Mapping[str, str]
) -> go.Figure:
    """What each month saved, stacked by name, beside a line of what was spent; the present month is the last.

    `named` says what namespaces are called, by their ids, and `coloured` which colours they were given, by their names.
    """
    saved: dict[str, dict[str, float]] = {}
    for month in months:
        for line in month.lines:
            of_name = saved.setdefault(name_of(line, by, lambda one: named.get(one, one)), {})
            of_name[month.month] = of_name.get(month.month, 0.0) + (line.saved_usd or 0.0)
    names = sorted((name for name in saved if any(saved[name].values())), key=lambda name: -sum(saved[name].values()))
    free = (colour for colour in COLOURS if colour not in coloured.values())
    bars = [(escape(_short(name)), saved[name], coloured.get(name) or next(free, REST)) for name in names[:MOST_NAMES]]
    if rest := names[MOST_NAMES:]:
        sums = {month.month: sum(saved[name].get(month.month, 0.0) for name in rest) for month in months}
        bars.append((f"{len(rest)} more", sums, REST))
    figure = blank("")
    times = [short_month(month) for month in months]
    for name, amounts, colour in bars:
        figure.add_bar(
            x=times,
            y=[amounts.get(month.month, 0.0) for month in months],
            customdata=[cents(amounts.get(month.month, 0.0)) for month in months],
            name=name,
            showlegend=True,
            marker={"color": colour, "line": {"width": 0}, "opacity": [1 if one.complete else 0.65 for one in months]},
            hovertemplate="%{customdata}",
        )
    figure.add_scatter(
        x=times,
        y=[month.spent_usd for month in months],
        customdata=[cents(month.spent_usd) for month in months],
        name="spent",
        mode="lines+markers",
        line={"color": outcomes.MISS.hexadecimal, "width": 2, "dash": "dot"},
        marker={"size": 8},
        hovertemplate="%{customdata}",
    )
    figure.update_layout(
        barmode="stack",
        bargap=max(0.35, 1 - 0.65 * len(months) / NARROWEST),
        legend={"entrywidth": max((6 * len(_short(name)) for name in names), default=0)},
        height=350,
    )
    figure.update_xaxes(type="category")
    stacked = [sum(amounts.get(month.month, 0.0) for _, amounts, _ in bars) for month in months]
    scale(figure, [*stacked, *(month.spent_usd for month in months)], money)
    return figure


def _short(name: str) -> str:
    half = LEGEND // 2
    return name if len(name) <= LEGEND else f"{name[:half]}…{name[1 - half :]}"
