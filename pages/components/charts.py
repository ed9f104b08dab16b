"""Plotly figures of the dashboard.

Equal buckets give an equal figure, so that a chart is drawn anew only when one more bucket has closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

import msgspec
import plotly.graph_objects as go

from core.metrics.histogram import Histogram
from core.metrics.summary import Bucket, Summary
from core.models import HitDetail
from pages.components import outcomes
from pages.components.outcomes import Look
from pages.components.text import one_line
from pages.components.wording import local

HEIGHT = 260
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True}
MARK_COLOUR = "#8A929C"

HIT_P50 = Look("hit p50", "", "blue", "#0072B2")
HIT_P95 = Look("hit p95", "", "blue", "#56B4E9", "dash")
MISS_P50 = Look("miss p50", "", "orange", "#E69F00", "dashdot")
MISS_P95 = Look("miss p95", "", "red", "#D55E00", "dot")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment on the time line: an invalidation. `words` is shown when pointed at."""

    at: float
    words: str


def outcomes_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark]) -> go.Figure:
    """Requests a bucket, stacked by outcome."""
    figure = _figure(buckets, marks, "requests")
    times = _times(buckets)
    for look, count in _KINDS:
        counts = [count(bucket.summary) for bucket in buckets]
        if any(counts):
            figure.add_bar(
                x=times,
                y=counts,
                name=look.short,
                marker={"color": look.hexadecimal, "line": {"width": 0}},
                hovertemplate="%{y:,}",
            )
    figure.update_layout(barmode="stack", bargap=0.12)
    return figure


def hit_rate_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark]) -> go.Figure:
    """The share of lookups that found an answer, all hits and the exact ones alone."""
    figure = _figure(buckets, marks, "")
    times = _times(buckets)
    _line(figure, times, [bucket.summary.hit_rate for bucket in buckets], outcomes.HIT_EXACT, "all hits", "%{y:.1%}")
    exact = [_share_of(bucket.summary, HitDetail.EXACT) for bucket in buckets]
    _line(figure, times, exact, outcomes.HIT_NORMALIZED, "exact hits alone", "%{y:.1%}")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25)
    return figure


def latency_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark]) -> go.Figure:
    """Percentiles of what callers waited, hits beside misses, on a logarithmic axis."""
    figure = _figure(buckets, marks, "milliseconds")
    times = _times(buckets)
    for look, measured, percentile in (
        (MISS_P95, lambda summary: summary.miss_latency, 0.95),
        (MISS_P50, lambda summary: summary.miss_latency, 0.50),
        (HIT_P95, lambda summary: summary.hit_latency, 0.95),
        (HIT_P50, lambda summary: summary.hit_latency, 0.50),
    ):
        values = [measured(bucket.summary).percentile(percentile) for bucket in buckets]
        _line(figure, times, values, look, look.words, "%{y:,.2~f} ms")
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    return figure


def savings_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark]) -> go.Figure:
    """Money that hits did not cost, added up over the window, and what misses did cost."""
    figure = _figure(buckets, marks, "US dollars")
    times = _times(buckets)
    saved = _running([bucket.summary.saved_cost_usd or 0.0 for bucket in buckets])
    spent = _running([bucket.summary.cost_usd or 0.0 for bucket in buckets])
    _line(figure, times, saved, outcomes.HIT_SEMANTIC, "saved by hits", "$%{y:,.4~f}", fill="tozeroy")
    _line(figure, times, spent, outcomes.MISS, "spent on misses", "$%{y:,.4~f}")
    figure.update_yaxes(tickprefix="$", rangemode="tozero", tickformat="~g")
    return figure


def latency_distribution(hits: Histogram, misses: Histogram) -> go.Figure:
    """How many callers waited how long, hits beside misses."""
    figure = _blank("requests")
    for look, name, histogram in ((outcomes.HIT_EXACT, "hits", hits), (outcomes.MISS, "misses", misses)):
        rows = [row for row in histogram.rows() if row[2]]
        figure.add_bar(
            x=[(max(low, high / 1.25) * high) ** 0.5 for low, high, _ in rows],
            y=[count for _, _, count in rows],
            width=[(high - low) * 0.9 for low, high, _ in rows],
            name=name,
            marker={"color": look.hexadecimal, "line": {"width": 0}},
            customdata=[high for _, high, _ in rows],
            hovertemplate="%{y:,} within %{customdata:,.3~g} ms",
        )
    figure.update_xaxes(type="log", ticksuffix=" ms", tickformat="~g", dtick=1, showgrid=False)
    figure.update_layout(barmode="overlay", hovermode="closest")
    return figure


def _share_of(summary: Summary, detail: HitDetail) -> float | None:
    lookups = summary.hits + summary.misses
    return summary.details.get(detail, 0) / lookups if lookups else None


def _detail(detail: HitDetail) -> Callable[[Summary], int]:
    return lambda summary: summary.details.get(detail, 0)


_KINDS: tuple[tuple[Look, Callable[[Summary], int]], ...] = (
    *((look, _detail(detail)) for detail, look in outcomes.HITS.items()),
    (outcomes.MISS, lambda summary: summary.misses),
    (outcomes.BYPASS, lambda summary: summary.bypasses),
    (outcomes.ERROR, lambda summary: summary.errors),
)


def _times(buckets: Sequence[Bucket]) -> list[datetime]:
    """The middle of each bucket as the viewer's wall clock shows it: Plotly knows no time zones."""
    return [local(bucket.starts_at + bucket.seconds / 2).replace(tzinfo=None) for bucket in buckets]


def _running(amounts: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for amount in amounts:
        total += amount
        sums.append(total)
    return sums


def _line(
    figure: go.Figure,
    times: Sequence[datetime],
    values: Sequence[float | None],
    look: Look,
    name: str,
    hover: str,
    fill: str | None = None,
) -> None:
    figure.add_scatter(
        x=times,
        y=values,
        name=name,
        mode="lines+markers" if sum(value is not None for value in values) < 3 else "lines",
        line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
        fill=fill,
        connectgaps=False,
        hovertemplate=hover,
    )


def _figure(buckets: Sequence[Bucket], marks: Sequence[Mark], unit: str) -> go.Figure:
    """A figure over the window, with the marks that lie in it."""
    figure = _blank(unit)
    if buckets:
        first, last = buckets[0], buckets[-1]
        starts, ends = first.starts_at, last.starts_at + last.seconds
        figure.update_xaxes(range=[local(starts).replace(tzinfo=None), local(ends).replace(tzinfo=None)])
        inside = [mark for mark in marks if starts <= mark.at < ends]
        for mark in inside:
            at = local(mark.at).replace(tzinfo=None)
            figure.add_shape(
                type="line",
                x0=at,
                x1=at,
                y0=0,
                y1=1,
                yref="paper",
                line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
            )
            figure.add_annotation(
                x=at,
                y=1,
                yref="paper",
                yanchor="top",
                xshift=9,
                text="⊘",
                showarrow=False,
                hovertext=escape(one_line(mark.words)),
                font={"size": 14, "color": MARK_COLOUR},
            )
    return figure


def _blank(unit: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
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
