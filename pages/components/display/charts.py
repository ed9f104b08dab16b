"""Plotly figures of the console.

Equal buckets give an equal figure, so that a chart is drawn anew only when one more bucket has closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape

import msgspec
import plotly.graph_objects as go

from core.metrics.gauges import GaugeBucket
from core.metrics.histogram import Histogram
from core.metrics.summary import Bucket, Kinds, Summary
from core.models import HitDetail
from core.semantic.quality.calibration import CurvePoint
from core.semantic.quality.report import ReplayPoint
from pages.components.display import outcomes
from pages.components.display.figures import local
from pages.components.display.outcomes import Look
from pages.components.display.text import one_line

HEIGHT = 260
LOW = 208
"""Of the dashboard's first charts, which so have room on the first screen."""
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True}
MARK_COLOUR = "#8A929C"
FEW = 4
"""Entries up to which the axis counts one by one: there is no half of one."""
MOST_BARS = 8
"""Bars by name in one chart: the rest is in the tables."""

HIT_P50 = Look("hit p50", "", "blue", "#0072B2")
HIT_P95 = Look("hit p95", "", "blue", "#56B4E9", "dash")
MISS_P50 = Look("miss p50", "", "orange", "#E69F00", "dashdot")
MISS_P95 = Look("miss p95", "", "red", "#D55E00", "dot")


BEFORE = Look("before", "", "gray", "#8A929C")
"""The window before, drawn thin over the one that is shown."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment on the time line: an invalidation. `words` is shown when pointed at."""

    at: float
    words: str


def outcomes_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """Requests a bucket, stacked by outcome; each bar carries its bucket's beginning and end as custom data.

    `before` are the buckets of the window before, one for each: so in all charts over time.
    """
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
    _ghost(figure, times, [bucket.summary.requests for bucket in before], "all before", "%{y:,}")
    figure.update_annotations(hovertext=None)  # with words to show, a mark would catch the clicks on what is behind it
    # Of all that lies at one time a click takes whichever is nearest: each of them tells the same.
    figure.update_traces(customdata=[(bucket.starts_at, bucket.starts_at + bucket.seconds) for bucket in buckets])
    figure.update_layout(barmode="stack", bargap=0.12, height=LOW)
    return figure


def hit_rate_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """The share of lookups that found an answer, all hits and the exact ones alone."""
    figure = _figure(buckets, marks, "")
    times = _times(buckets)
    _line(figure, times, [bucket.summary.hit_rate for bucket in buckets], outcomes.HIT_EXACT, "all hits", "%{y:.1%}")
    exact = [_share_of(bucket.summary, HitDetail.EXACT) for bucket in buckets]
    _line(figure, times, exact, outcomes.HIT_NORMALIZED, "exact hits alone", "%{y:.1%}")
    _ghost(figure, times, [bucket.summary.hit_rate for bucket in before], "all hits before", "%{y:.1%}")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", dtick=0.25)
    figure.update_layout(height=LOW)
    return figure


def latency_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
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
    for name, earlier in (
        ("miss p50 before", [bucket.summary.miss_latency.p50_ms for bucket in before]),
        ("hit p50 before", [bucket.summary.hit_latency.p50_ms for bucket in before]),
    ):
        _ghost(figure, times, earlier, name, "%{y:,.2~f} ms")
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    return figure


def savings_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """Money saved, less what judging and embedding cost, added up over the window, and what misses did cost."""
    figure = _figure(buckets, marks, "US dollars")
    times = _times(buckets)
    saved = _running([bucket.summary.net_saved_usd or 0.0 for bucket in buckets])
    spent = _running([bucket.summary.cost_usd or 0.0 for bucket in buckets])
    name = "saved, net" if any(bucket.summary.overhead_usd for bucket in buckets) else "saved by hits"
    _line(figure, times, saved, outcomes.HIT_SEMANTIC, name, "$%{y:,.4~f}", fill="tozeroy")
    _line(figure, times, spent, outcomes.MISS, "spent on misses", "$%{y:,.4~f}")
    earlier = _running([bucket.summary.net_saved_usd or 0.0 for bucket in before])
    _ghost(figure, times, earlier, "saved before", "$%{y:,.4~f}")
    figure.update_yaxes(tickprefix="$", rangemode="tozero", tickformat="~g")
    return figure


def stored_over_time(buckets: Sequence[GaugeBucket], marks: Sequence[Mark], namespace: str | None = None) -> go.Figure:
    """Entries of one namespace or of all, the memory of Redis on an axis of its own, and what was evicted as bars."""
    figure = _figure(buckets, marks, "entries")
    times = _times(buckets)
    entries = [bucket.last.entries_of(namespace) if bucket.last else None for bucket in buckets]
    _line(figure, times, entries, outcomes.HIT_EXACT, "entries", "%{y:,}", fill="tozeroy")
    if any(bucket.evicted for bucket in buckets):
        figure.add_bar(
            x=times,
            y=[bucket.evicted for bucket in buckets],
            name="evicted",
            marker={"color": outcomes.ERROR.hexadecimal, "line": {"width": 0}},
            hovertemplate="%{y:,}",
        )
    memory = [bucket.last.used_bytes / 1e6 if bucket.last and bucket.last.used_bytes else None for bucket in buckets]
    if any(value is not None for value in memory):
        _line(figure, times, memory, outcomes.MISS, "memory", "%{y:,.1f} MB")
        figure.data[-1].update(yaxis="y2")
        figure.update_layout(
            yaxis2={
                "overlaying": "y",
                "side": "right",
                "rangemode": "tozero",
                "tickmode": "auto",
                "nticks": 6,
                "ticksuffix": " MB",
                "showgrid": False,
                "automargin": True,
                "fixedrange": True,
            }
        )
    figure.update_layout(yaxis={"rangemode": "tozero", "tickformat": "~s"})
    if max(filter(None, entries), default=0) < FEW:
        figure.update_layout(yaxis={"range": [0, FEW], "dtick": 1})
    return figure


def hit_rate_by_name(summaries: Mapping[str, Summary]) -> go.Figure:
    """Hit rates of models or namespaces, those with the most requests, the busiest on top."""
    shown = [(one, found) for one, found in summaries.items() if found.hit_rate is not None][:MOST_BARS]
    figure = _bars()
    figure.add_bar(
        y=[_label(one) for one, _ in shown],
        x=[found.hit_rate for _, found in shown],
        orientation="h",
        name="hit rate",
        showlegend=False,
        marker={"color": outcomes.HIT_EXACT.hexadecimal, "line": {"width": 0}},
        width=_thickness(len(shown)),
        text=[f"{found.hit_rate:.0%} of {found.hits + found.misses:,}" for _, found in shown],
        textposition="auto",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%", dtick=0.25)
    return figure


def ttl_class_mix(kinds: Mapping[str, Kinds]) -> go.Figure:
    """Requests by TTL class, hits, misses and bypasses one after the other, the most frequent class on top."""
    shown = list(kinds.items())[:MOST_BARS]
    figure = _bars()
    for look, words, count in (
        (outcomes.HIT_EXACT, "hits", lambda found: found.hits),
        (outcomes.MISS, "misses", lambda found: found.misses),
        (outcomes.BYPASS, "bypasses", lambda found: found.bypasses),
        (outcomes.ERROR, "errors", lambda found: found.errors),
    ):
        counts = [count(found) for _, found in shown]
        if any(counts):
            figure.add_bar(
                y=[_label(name.replace("_", " ")) for name, _ in shown],
                x=counts,
                orientation="h",
                name=words,
                marker={"color": look.hexadecimal, "line": {"width": 0}},
                width=_thickness(len(shown)),
                customdata=[name for name, _ in shown],
                hovertemplate="%{x:,}",
            )
    figure.update_layout(barmode="stack", hovermode="y unified")
    figure.update_xaxes(tickformat=",d")
    return figure


def faded(figure: go.Figure) -> go.Figure:
    """The same in the look of values that could not be read again."""
    return go.Figure(figure).update_traces(opacity=0.35)


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
            text=[f"{took:,.2f} ms" if took < 10 else f"{took:,.0f} ms"],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x:,.2~f} ms<extra></extra>",
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


def precision_over_hit_rate(points: Sequence[CurvePoint], in_force: float | None, budget: float) -> go.Figure:
    """How many near matches each threshold would serve, and how many of those rightly; one point a threshold."""
    figure = _blank("")
    told = [point for point in points if point.labels]
    rates = [point.hit_rate for point in told]
    facts = [(point.threshold, point.labels, point.errors) for point in told]
    for look, name, values in (
        (outcomes.HIT_EXACT, "right, of those labelled", [point.precision for point in told]),
        (outcomes.MISS, "right, at least (95 % sure)", [1 - point.bound for point in told]),
    ):
        figure.add_scatter(
            x=rates,
            y=values,
            name=name,
            mode="lines+markers" if len(told) < 3 else "lines",
            line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
            customdata=facts,
            hovertemplate="%{y:.1%} from %{customdata[0]:.3f} on: %{customdata[2]} wrong of %{customdata[1]}",
        )
    figure.add_hline(
        y=1 - budget,
        line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
        annotation={"text": f"budget {budget:.0%}", "font": {"size": 11, "color": MARK_COLOUR}},
        annotation_position="top right",
    )
    served = next((point for point in told if in_force is not None and point.threshold <= in_force), None)
    if served is not None:
        figure.add_scatter(
            x=[served.hit_rate],
            y=[served.precision],
            name="in force",
            mode="markers",
            marker={"color": outcomes.ERROR.hexadecimal, "size": 11, "symbol": "diamond"},
            hoverinfo="skip",
        )
    lowest = min((1 - point.bound for point in told if point.labels > 9), default=0.5)
    figure.update_xaxes(
        title={"text": "near matches that would be served", "standoff": 6},
        tickformat=".0%",
        range=[0, min(1.02, max(rates, default=1.0) * 1.05)],
    )
    figure.update_yaxes(tickformat=".0%", range=[max(0.0, min(lowest, 1 - 2 * budget) - 0.03), 1.01])
    return figure


def what_if(points: Sequence[ReplayPoint], in_force: float | None, grey: float | None) -> go.Figure:
    """What recorded lookups would have come to at each threshold: answered, and of those wrong."""
    figure = _blank("")
    rising = sorted(points, key=lambda point: point.threshold)
    for look, name, values in (
        (outcomes.HIT_EXACT, "would have hit", [point.hit_rate for point in rising]),
        (
            outcomes.ERROR,
            "wrong, of those labelled",
            [point.errors / point.labelled if point.labelled else None for point in rising],
        ),
        (outcomes.MISS, "wrong, at most (95 % sure)", [point.bound if point.labelled else None for point in rising]),
    ):
        figure.add_scatter(
            x=[point.threshold for point in rising],
            y=values,
            name=name,
            mode="lines",
            line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
            hovertemplate="%{y:.1%}",
        )
    for at, words in ((in_force, "in force"), (grey, "judged from")):
        if at is not None:
            figure.add_vline(
                x=at,
                line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
                annotation={"text": words, "font": {"size": 11, "color": MARK_COLOUR}},
                annotation_position="top left",
            )
    figure.update_xaxes(title={"text": "cosine to serve from", "standoff": 6}, tickformat=".2f")
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
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


def _times(buckets: Sequence[Bucket | GaugeBucket]) -> list[datetime]:
    """The middle of each bucket as the viewer's wall clock shows it: Plotly knows no time zones."""
    return [local(bucket.starts_at + bucket.seconds / 2).replace(tzinfo=None) for bucket in buckets]


def _label(name: str) -> str:
    """A name from outside as Plotly shows it literally: it takes some tags for formatting."""
    return escape(one_line(name, 24)) or "none"


def _bars() -> go.Figure:
    figure = _blank("")
    figure.update_layout(hovermode="closest", bargap=0.35)
    figure.update_yaxes(autorange="reversed", type="category", ticklabelstandoff=6)
    return figure


def _thickness(count: int) -> float:
    """Of each of so many bars by name, as a share of its place: a single one would fill the chart."""
    return min(0.65, 0.16 * (1 + count))


def _ghost(figure: go.Figure, times: Sequence[datetime], values: Sequence[float | None], name: str, hover: str) -> None:
    """The window before, if anything happened in it."""
    if any(values):
        figure.add_scatter(
            x=times,
            y=values,
            name=name,
            mode="lines",
            line={"color": BEFORE.hexadecimal, "width": 1.2},
            opacity=0.8,
            connectgaps=False,
            hovertemplate=hover,
        )


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


def _figure(buckets: Sequence[Bucket | GaugeBucket], marks: Sequence[Mark], unit: str) -> go.Figure:
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
