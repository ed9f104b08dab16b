"""Plotly figures of the console.

Equal buckets give an equal figure, so that a chart is drawn anew only when something in it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from math import ceil, floor, log10

import msgspec
import plotly.graph_objects as go

from core.metrics import Bucket, GaugeBucket
from pages.components.display import outcomes
from pages.components.display.figures import local, milliseconds, share
from pages.components.display.outcomes import Look
from pages.components.display.text import one_line

HEIGHT = 260
PLAIN_HEIGHT = 225
"""Of a chart whose legend stands above it."""
TICKS = 4
"""Steps of an axis, about."""
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True}
MARK_COLOUR = "#8A929C"
INVALIDATION, DEPLOY = "⊘", "⚑"
"""The signs of marks."""
MOST_BARS = 8
"""Bars by name in one chart: the rest is in the tables."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment on the time line: an invalidation, or what somebody has marked. `words` is shown on hover."""

    at: float
    words: str
    is_deploy: bool = False


def faded(figure: go.Figure) -> go.Figure:
    """A copy in pale colours: the look of values that could not be read again."""
    return go.Figure(figure).update_traces(opacity=0.35)


def steps(taken: Mapping[str, float]) -> go.Figure:
    """Where the time of one request went: its steps in milliseconds, each beginning where the one before ended."""
    figure = go.Figure()
    begun = 0.0
    for (name, took), look in zip(taken.items(), (outcomes.HIT_EXACT, outcomes.MISS, outcomes.BYPASS), strict=True):
        figure.add_bar(
            x=[took],
            base=[begun],
            y=[name],
            orientation="h",
            marker={"color": look.hexadecimal, "line": {"width": 0}},
            text=[milliseconds(took)],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{text}<extra></extra>",
        )
        begun += took
    figure.update_layout(
        height=150, showlegend=False, bargap=0.35, margin={"l": 8, "r": 72, "t": 8, "b": 8}, uirevision="fixed"
    )
    # Room at the right for the figure beside a bar that ends there.
    figure.update_xaxes(
        ticksuffix=" ms", showgrid=False, automargin=True, fixedrange=True, range=[0, max(begun, 0.01) * 1.15]
    )
    figure.update_yaxes(automargin=True, fixedrange=True, autorange="reversed", showgrid=False)
    return figure


def label(name: str) -> str:
    """A name from outside as Plotly shows it literally: it takes some tags for formatting."""
    return escape(one_line(name, 24)) or "none"


def bars() -> go.Figure:
    figure = blank("")
    figure.update_layout(hovermode="closest", bargap=0.35)
    figure.update_yaxes(autorange="reversed", type="category", ticklabelstandoff=6)
    return figure


def thickness(count: int) -> float:
    """Thickness of each of `count` bars, as a share of its place: a single thick one would fill the chart."""
    return min(0.65, 0.16 * (1 + count))


def add_line(
    figure: go.Figure,
    times: Sequence[datetime],
    values: Sequence[float | None],
    look: Look,
    name: str,
    hover: str,
    fill: str | None = None,
) -> None:
    around = [None, *values, None]
    # A value between two gaps has no line: in quiet hours most are such.
    alone = [
        value is not None and around[place] is None and around[place + 2] is None for place, value in enumerate(values)
    ]
    figure.add_scatter(
        x=times,
        y=values,
        name=name,
        mode="lines+markers" if any(alone) else "lines",
        marker={"size": [6 if one else 0 for one in alone]} if any(alone) else None,
        line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
        fill=fill,
        connectgaps=False,
        hovertemplate=hover,
    )


def over_time(buckets: Sequence[Bucket | GaugeBucket], marks: Sequence[Mark], unit: str) -> go.Figure:
    """A figure over the window, with the marks that lie in it."""
    figure = blank(unit)
    # A drag chooses the time for the whole page: see `dashboard.zoom`.
    figure.update_layout(dragmode="zoom", height=PLAIN_HEIGHT, showlegend=False, margin={"t": 10})
    if buckets:
        figure.update_xaxes(hoverformat="%-d %b %H:%M" if buckets[0].seconds % 60 == 0 else "%-d %b %H:%M:%S")
        first, last = buckets[0], buckets[-1]
        starts, ends = first.starts_at, last.starts_at + last.seconds
        figure.update_xaxes(range=[local(starts).replace(tzinfo=None), local(ends).replace(tzinfo=None)])
        inside = [mark for mark in marks if starts <= mark.at < ends]
        if isinstance(last, Bucket) and not last.is_complete:
            _so_far(figure, last)
        for mark in inside:
            at = local(mark.at).replace(tzinfo=None)
            figure.add_shape(
                type="line",
                x0=at,
                x1=at,
                y0=0,
                y1=1,
                yref="paper",
                line={"color": MARK_COLOUR, "width": 1.5, "dash": "dash" if mark.is_deploy else "dot"},
            )
            figure.add_annotation(
                x=at,
                y=1,
                yref="paper",
                yanchor="bottom",  # above the chart: within it they would lie on what is written there
                # On its own side of its line, so that a deploy and the invalidation after it are both seen.
                xshift=-9 if mark.is_deploy else 9,
                text=DEPLOY if mark.is_deploy else INVALIDATION,
                showarrow=False,
                hovertext=escape(one_line(mark.words)),
                font={"size": 14, "color": MARK_COLOUR},
            )
    return figure


def scale(
    figure: go.Figure, values: Iterable[float | None], words: Callable[[float], str], axis: str = "yaxis"
) -> None:
    """Gives an axis that begins at 0 ticks in the words that tiles and tables have for such figures."""
    known = [value for value in values if value is not None]
    top, bottom = max([*known, 0.0]), min([*known, 0.0])
    step = _step((top - bottom) / TICKS or 1.0, words)
    marks = [step * number for number in range(floor(bottom / step), max(ceil(top / step), 1) + 1)]
    figure.update_layout(
        {
            axis: {
                "range": [marks[0], marks[-1] + step * 0.06],
                "tickvals": marks,
                "ticktext": [words(at) for at in marks],
            }
        }
    )


def scale_shares(figure: go.Figure, low: float, high: float, axis: str = "yaxis") -> None:
    """Gives an axis of shares its range, and ticks in the words of tiles and tables."""
    step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.25) if high - low <= step * (TICKS + 1)), 0.5)
    marks = [step * number for number in range(ceil(low / step), floor(high / step) + 1)]
    figure.update_layout({axis: {"range": [low, high], "tickvals": marks, "ticktext": [share(at, 0) for at in marks]}})


def _step(rough: float, words: Callable[[float], str]) -> float:
    """The next of 1, 2 and 5 times a power of ten whose multiples differ in words: there is no half of an entry."""
    power = 10.0 ** floor(log10(rough))
    steps: Iterator[float] = (factor * power * 10**more for more in range(12) for factor in (1, 2, 5))
    return next(
        step
        for step in steps
        if step >= rough * 0.999 and len({words(step * number) for number in range(TICKS)}) == TICKS
    )


def _so_far(figure: go.Figure, step: Bucket) -> None:
    """A pale band behind the step that has not ended yet."""
    begins, ends = (local(at).replace(tzinfo=None) for at in (step.starts_at, step.starts_at + step.seconds))
    figure.add_shape(
        type="rect",
        x0=begins,
        x1=ends,
        y0=0,
        y1=1,
        yref="paper",
        layer="below",
        line={"width": 0},
        fillcolor=MARK_COLOUR,
        opacity=0.15,
        label={
            "text": "so far",
            "textposition": "top right",
            "xanchor": "right",
            "font": {"size": 10, "color": MARK_COLOUR},
        },
    )


def blank(unit: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        hovermode="x unified",
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.04,
            "x": 0,
            "xanchor": "left",
            "traceorder": "normal",
            "font": {"size": 11},
        },
        yaxis_title={"text": unit, "standoff": 6} if unit else None,
        uirevision="fixed",
    )
    figure.update_xaxes(showgrid=False, automargin=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure
