"""The charts of the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape

import plotly.graph_objects as go

from core.metrics import BOUNDS_MS, Bucket, GaugeBucket, Histogram, Kinds, Summary
from core.models import HitDetail, OutcomeKind
from pages.components.display import outcomes
from pages.components.display.charts import (
    MOST_BARS,
    PLAIN_HEIGHT,
    Mark,
    add_line,
    bars,
    blank,
    label,
    over_time,
    scale,
    scale_shares,
    thickness,
)
from pages.components.display.figures import local, milliseconds, money, number, share, size
from pages.components.display.outcomes import Look

LOW = 178
"""Of the dashboard's first charts, which so have room on the first screen."""
FEW = 4
"""Entries that the axis has room for at least."""

HIT_P50 = Look("hit p50", "", "blue", "#0072B2")
HIT_P95 = Look("hit p95", "", "blue", "#56B4E9", "dash")
MISS_P50 = Look("miss p50", "", "orange", "#E69F00", "dashdot")
MISS_P95 = Look("miss p95", "", "red", "#D55E00", "dot")
SO_FAR = 0.5
"""The opacity of bars that still grow."""
BEFORE = Look("before", "", "gray", "#8A929C")
"""The window before, drawn thin over the one that is shown."""


def outcomes_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """Requests a bucket, stacked by outcome; each bar carries its bucket's beginning and end as custom data.

    `before` are the buckets of the window before, one for each: so in all charts over time.
    """
    figure = over_time(buckets, marks, "requests")
    times = _times(buckets)
    opacities = [1.0 if bucket.is_complete else SO_FAR for bucket in buckets]
    for look, count in _KINDS:
        counts = [count(bucket.summary) for bucket in buckets]
        if any(counts):
            figure.add_bar(
                x=times,
                y=counts,
                name=look.short,
                marker={"color": look.hexadecimal, "line": {"width": 0}, "opacity": opacities},
                hovertemplate="%{y:,}",
            )
    _ghost(figure, times, [bucket.summary.requests for bucket in before], "all before", "%{y:,}")
    figure.update_annotations(hovertext=None)  # with words to show, a mark would catch the clicks on what is behind it
    # Whatever a click takes of all that lies at one time carries one and the same data.
    figure.update_traces(customdata=[(bucket.starts_at, bucket.starts_at + bucket.seconds) for bucket in buckets])
    figure.update_layout(barmode="stack", bargap=0.12, height=LOW)
    scale(figure, [bucket.summary.requests for bucket in (*buckets, *before)], number)
    return figure


def hit_rate_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """The share of lookups that found an answer, all hits and the exact ones alone."""
    figure = over_time(buckets, marks, "")
    times = _times(buckets)
    for look, name, values in (
        (outcomes.HIT_EXACT, "all hits", [bucket.summary.hit_rate for bucket in buckets]),
        (
            outcomes.HIT_NORMALIZED,
            "exact hits alone",
            [_share_of(bucket.summary, HitDetail.EXACT) for bucket in buckets],
        ),
    ):
        add_line(figure, times, values, look, name, "%{customdata}")
        figure.data[-1].update(customdata=[share(value) for value in values])
    earlier = [bucket.summary.hit_rate for bucket in before]
    _ghost(figure, times, earlier, "all hits before", "%{customdata}", [share(value) for value in earlier])
    scale_shares(figure, -0.02, 1.02)
    figure.update_layout(height=LOW)
    return figure


def latency_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """Percentiles of what callers waited, hits beside misses, on a logarithmic axis."""
    figure = over_time(buckets, marks, "")
    times = _times(buckets)
    for look, measured, percentile in _PERCENTILES:
        values = [measured(bucket.summary).percentile(percentile) for bucket in buckets]
        add_line(figure, times, values, look, look.words, "%{customdata}")
        figure.data[-1].update(customdata=[milliseconds(value) for value in values])
    for name, earlier in (
        ("miss p50 before", [bucket.summary.miss_latency.p50_ms for bucket in before]),
        ("hit p50 before", [bucket.summary.hit_latency.p50_ms for bucket in before]),
    ):
        _ghost(figure, times, earlier, name, "%{customdata}", [milliseconds(value) for value in earlier])
    figure.update_yaxes(type="log", tickvals=_DECADES_MS, ticktext=_DECADES)
    return figure


def savings_over_time(buckets: Sequence[Bucket], marks: Sequence[Mark], before: Sequence[Bucket] = ()) -> go.Figure:
    """Money saved, less what judging and embedding cost, added up over the window, and what misses did cost."""
    figure = over_time(buckets, marks, "")
    times = _times(buckets)
    saved = _running([bucket.summary.net_saved_usd or 0.0 for bucket in buckets])
    spent = _running([bucket.summary.cost_usd or 0.0 for bucket in buckets])
    name = "saved, net" if any(bucket.summary.overhead_usd for bucket in buckets) else "saved by hits"
    add_line(figure, times, saved, outcomes.HIT_SEMANTIC, name, "%{customdata}", fill="tozeroy")
    figure.data[-1].update(customdata=[money(value) for value in saved])
    add_line(figure, times, spent, outcomes.MISS, "spent on misses", "%{customdata}")
    figure.data[-1].update(customdata=[money(value) for value in spent])
    earlier = _running([bucket.summary.net_saved_usd or 0.0 for bucket in before])
    _ghost(figure, times, earlier, "saved before", "%{customdata}", [money(value) for value in earlier])
    scale(figure, [*saved, *spent, *earlier], money)
    return figure


def stored_over_time(buckets: Sequence[GaugeBucket], marks: Sequence[Mark], namespace: str | None = None) -> go.Figure:
    """Entries of one namespace or of all, the memory of Redis on an axis of its own, and what was evicted as bars."""
    figure = over_time(buckets, marks, "entries")
    times = _times(buckets)
    entries = [bucket.last.entries_of(namespace) if bucket.last else None for bucket in buckets]
    add_line(figure, times, entries, outcomes.HIT_EXACT, "entries", "%{y:,}", fill="tozeroy")
    if any(bucket.evicted for bucket in buckets):
        figure.add_bar(
            x=times,
            y=[bucket.evicted for bucket in buckets],
            name="evicted",
            marker={"color": outcomes.ERROR.hexadecimal, "line": {"width": 0}},
            hovertemplate="%{y:,}",
        )
    memory = [bucket.last.used_bytes if bucket.last else None for bucket in buckets]
    if any(memory):
        add_line(figure, times, memory, outcomes.MISS, "memory", "%{customdata}")
        figure.data[-1].update(yaxis="y2", customdata=[size(value) for value in memory])
        aside = {"overlaying": "y", "side": "right", "showgrid": False, "automargin": True, "fixedrange": True}
        figure.update_layout(yaxis2=aside)
        scale(figure, memory, size, "yaxis2")
    scale(figure, [FEW, *entries, *(bucket.evicted for bucket in buckets)], number)
    return figure


def hit_rate_by_name(
    summaries: Mapping[str, Summary], looks: Mapping[str, tuple[str, str | None]] | None = None
) -> go.Figure:
    """Hit rates of models or namespaces, those with the most requests, the busiest on top.

    `looks` gives a name the words to show in its place, which no other has, and a colour of its own.
    """
    looks = looks or {}
    shown = [(one, found) for one, found in summaries.items() if found.hit_rate is not None][:MOST_BARS]
    figure = bars()
    figure.add_bar(
        # Whole: two that are cut alike would be one bar.
        y=[escape(looks[one][0]) if one in looks else label(one) for one, _ in shown],
        x=[found.hit_rate for _, found in shown],
        orientation="h",
        name="hit rate",
        showlegend=False,
        marker={
            "color": [looks.get(one, ("", None))[1] or outcomes.HIT_EXACT.hexadecimal for one, _ in shown],
            "line": {"width": 0},
        },
        width=thickness(len(shown)),
        text=[f"{share(found.hit_rate)} of {found.hits + found.misses:,}" for _, found in shown],
        textposition="auto",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    scale_shares(figure, 0, 1.02, "xaxis")
    return figure


def ttl_class_mix(kinds: Mapping[str, Kinds]) -> go.Figure:
    """Requests by TTL class, hits, misses and bypasses one after the other, the most frequent class on top."""
    shown = list(kinds.items())[:MOST_BARS]
    figure = bars()
    for look, words, count in _PARTS_OF_A_CLASS:
        counts = [count(found) for _, found in shown]
        if any(counts):
            figure.add_bar(
                y=[label(name.replace("_", " ")) for name, _ in shown],
                x=counts,
                orientation="h",
                name=words,
                marker={"color": look.hexadecimal, "line": {"width": 0}},
                width=thickness(len(shown)),
                customdata=[name for name, _ in shown],
                hovertemplate="%{x:,}",
            )
    figure.update_layout(barmode="stack", hovermode="y unified", showlegend=False, margin={"t": 8})
    figure.update_xaxes(tickformat=",d")
    return figure


def latency_distribution(hits: Histogram, misses: Histogram) -> go.Figure:
    """How many callers waited how long, hits beside misses."""
    figure = blank("requests")
    for look, name, histogram in ((outcomes.HIT_EXACT, "hits", hits), (outcomes.MISS, "misses", misses)):
        rows = [row for row in histogram.rows() if row[2]]
        figure.add_bar(
            x=[(max(low, high / 1.25) * high) ** 0.5 for low, high, _ in rows],
            y=[count for _, _, count in rows],
            width=[(high - low) * 0.9 for low, high, _ in rows],
            name=name,
            marker={"color": look.hexadecimal, "line": {"width": 0}},
            customdata=[milliseconds(high) for _, high, _ in rows],
            hovertemplate="%{y:,} within %{customdata}",
        )
    figure.update_xaxes(type="log", tickvals=_DECADES_MS, ticktext=_DECADES, showgrid=False)
    figure.update_layout(barmode="overlay", hovermode="closest", showlegend=False, height=PLAIN_HEIGHT, margin={"t": 8})
    scale(figure, [count for histogram in (hits, misses) for _, _, count in histogram.rows()], number)
    return figure


def waited(summary: Summary, kind: OutcomeKind) -> Histogram:
    """What callers waited for hits, or for misses."""
    return summary.hit_latency if kind is OutcomeKind.HIT else summary.miss_latency


def latency_map(buckets: Sequence[Bucket], kind: OutcomeKind) -> go.Figure:
    """A field for each latency in each bucket, on a logarithmic axis, coloured by its share of the bucket's requests.

    By the share, not by the number: so what is slow is seen in quiet hours too.
    """
    figure = over_time(buckets, (), "")
    measured = [waited(bucket.summary, kind) for bucket in buckets]
    seen = [index for histogram in measured for index in histogram.counts]
    if not seen:
        return figure
    # Bounds grow by one factor, so that their indexes are an axis of logarithms with fields of one height.
    rows = range(min(seen), max(seen) + 1)
    red, green, blue = _RGB[kind]
    figure.add_heatmap(
        x=_times(buckets),
        y=list(rows),
        z=[[one.counts.get(row, 0) / one.count if row in one.counts else None for one in measured] for row in rows],
        text=[[_field(one, row) for one in measured] for row in rows],
        zmin=0,
        zmax=1,
        # Of one hue, from thin to solid: it is seen on white and on black.
        colorscale=[[share, f"rgba({red},{green},{blue},{0.15 + 0.85 * share**0.5:.2f})"] for share in _SHADES],
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{x}<br>%{text}<extra></extra>",
    )
    # The bound of a row is its upper edge, half a row above its middle.
    digits = ("1.00",) if len(rows) > TALL else ("1.00", "2.00", "5.00")
    ticks = [index for index, bound in enumerate(BOUNDS_MS) if f"{bound:e}"[0:4] in digits]
    figure.update_yaxes(
        range=[rows[0] - 1.5, rows[-1] + 1.5],
        tickvals=[index + 0.5 for index in ticks],
        ticktext=[milliseconds(BOUNDS_MS[index]) for index in ticks],
        zeroline=False,
    )
    figure.update_layout(hovermode="closest", margin={"t": 8})
    return figure


_DECADES_MS = [10.0**power for power in range(-2, 7)]
_DECADES = [milliseconds(bound) for bound in _DECADES_MS]
_RGB = {OutcomeKind.HIT: (0, 114, 178), OutcomeKind.MISS: (230, 159, 0)}
"""The colours of exact hits and of misses."""
TALL = 25
"""Rows of a map from which its axis names the powers of ten alone."""
_SHADES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)


def _field(histogram: Histogram, row: int) -> str:
    count = histogram.counts.get(row, 0)
    reach = (
        f"up to {milliseconds(BOUNDS_MS[row])}"
        if row < len(BOUNDS_MS)
        else (f"more than {milliseconds(BOUNDS_MS[-1])}")
    )
    return f"{count:,} of {histogram.count:,} waited {reach}" if count else ""


def _detail(detail: HitDetail) -> Callable[[Summary], int]:
    return lambda summary: summary.details.get(detail, 0)


_KINDS: tuple[tuple[Look, Callable[[Summary], int]], ...] = (
    *((look, _detail(detail)) for detail, look in outcomes.HITS.items()),
    (outcomes.MISS, lambda summary: summary.misses),
    (outcomes.BYPASS, lambda summary: summary.bypasses),
    (outcomes.ERROR, lambda summary: summary.errors),
)


_PERCENTILES: tuple[tuple[Look, Callable[[Summary], Histogram], float], ...] = (
    (MISS_P95, lambda summary: summary.miss_latency, 0.95),
    (MISS_P50, lambda summary: summary.miss_latency, 0.50),
    (HIT_P95, lambda summary: summary.hit_latency, 0.95),
    (HIT_P50, lambda summary: summary.hit_latency, 0.50),
)

_PARTS_OF_A_CLASS: tuple[tuple[Look, str, Callable[[Kinds], int]], ...] = (
    (outcomes.HIT_EXACT, "hits", lambda found: found.hits),
    (outcomes.MISS, "misses", lambda found: found.misses),
    (outcomes.BYPASS, "bypasses", lambda found: found.bypasses),
    (outcomes.ERROR, "errors", lambda found: found.errors),
)


def _share_of(summary: Summary, detail: HitDetail) -> float | None:
    lookups = summary.hits + summary.misses
    return summary.details.get(detail, 0) / lookups if lookups else None


def _times(buckets: Sequence[Bucket | GaugeBucket]) -> list[datetime]:
    """The middle of each bucket as the viewer's wall clock shows it: Plotly knows no time zones."""
    return [local(bucket.starts_at + bucket.seconds / 2).replace(tzinfo=None) for bucket in buckets]


def _ghost(
    figure: go.Figure,
    times: Sequence[datetime],
    values: Sequence[float | None],
    name: str,
    hover: str,
    said: Sequence[str] | None = None,
) -> None:
    """The window before, if anything happened in it. `said` are its values in words, for `hover`."""
    if any(values):
        figure.add_scatter(
            x=times,
            y=values,
            name=name,
            # With markers, though none is seen: of all that lies at one time a click takes the nearest, and Plotly
            # selects no point of a bare line.
            mode="lines+markers",
            marker={"opacity": 0, "size": 1},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            line={"color": BEFORE.hexadecimal, "width": 1.2},
            opacity=0.8,
            connectgaps=False,
            hovertemplate=hover,
            customdata=said,
        )


def _running(amounts: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for amount in amounts:
        total += amount
        sums.append(total)
    return sums
