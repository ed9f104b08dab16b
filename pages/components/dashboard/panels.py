"""The charts of the dashboard as cards; bars that stand for requests lead to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard import series_table
from pages.components.dashboard.marking import marking
from pages.components.dashboard.marks import marked
from pages.components.data import marks as known
from pages.components.data import queries, series
from pages.components.data.view import View
from pages.components.display import charts, legend
from pages.components.display.chart_cache import drawings
from pages.components.display.charts import DEPLOY, INVALIDATION, Mark
from pages.components.display.figures import many
from pages.components.display.links import REQUESTS
from pages.components.shell.address import visit


def panels(view: View, compare: bool) -> None:
    """Draws the charts over time, and the hit rate by model."""
    buckets, before = series.series(view, compare)
    reading = queries.summary(view)
    if not any(bucket.summary.requests for bucket in buckets):
        if reading.value is not None and reading.value.requests:
            st.caption("The charts appear within ten seconds.")
        return
    deployed = [
        mark
        for mark in known.deploys(view)
        if buckets[0].starts_at <= mark.at < buckets[-1].starts_at + buckets[-1].seconds
    ]
    deploys = [Mark(at=mark.at, words=f"{mark.name}, by {mark.actor}", is_deploy=True) for mark in deployed]
    found = marked(known.invalidations(view, False), known.invalidations(view, True), buckets, deploys)
    marks = found.marks
    draw = partial(panel, view, stale=bool(reading.error))
    with st.grid(2, min_column_width=400):
        draw("Requests by outcome", "outcomes", dashboard_charts.outcomes_over_time, buckets, marks, before)
        draw("Hit rate", "hit-rate", dashboard_charts.hit_rate_over_time, buckets, marks, before)
        draw("Latency of hits and misses", "latency", dashboard_charts.latency_over_time, buckets, marks, before)
        draw("Money saved and spent", "savings", dashboard_charts.savings_over_time, buckets, marks, before)
        sampled = () if view.model else series.gauges(view)
        if any(bucket.last is not None for bucket in sampled):
            gauges = (sampled, marks, view.namespace)
            draw("Entries, memory and evictions", "stored", dashboard_charts.stored_over_time, *gauges)
        by_model = queries.breakdown(view, "model")
        if any(one.hit_rate is not None for one in by_model.values()):
            draw("Hit rate by model", "by-model", dashboard_charts.hit_rate_by_name, by_model)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download the series as CSV",
            lambda: series_table.csv(buckets, sampled, view.namespace),
            f"encore-{view.file}.csv",
            "text/csv",
            key="series-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        marking(view, deployed)
        notes = ["Select a bar of the first chart to see its requests. Drag across a chart to zoom in on that time."]
        if any(not mark.is_deploy for mark in marks):
            notes.append(f"{INVALIDATION} and a dotted line show an invalidation.")
        if any(mark.is_deploy for mark in marks):
            notes.append(f"{DEPLOY} and a dashed line show a moment that somebody marked, such as a deploy.")
        if found.without:
            notes.append(f"{many(found.without, 'invalidation')} by programs have no marks: there are too many.")
        st.caption(" ".join(notes), width="stretch")


def panel(
    view: View, title: str, key: str, draw: Callable[..., go.Figure], *values: object, stale: bool = False
) -> None:
    """Draws a chart as a card; a bar that stands for requests leads to them."""
    name = f"chart-{key}"
    # Asked before it is drawn: a chart of other values is another one, and knows nothing of a click on the one before.
    chosen: Any = st.session_state.get(name) if key in _LEADING else None
    if chosen and (parameters := _LEADING[key](chosen["selection"]["points"])):
        visit(REQUESTS, parameters)
    drawing = drawings().get(draw, *values, stale=stale)
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{title}**")
        legend.draw(drawing.to_dict(), f"legend-{key}")
        st.plotly_chart(
            drawing,
            key=name,
            config=charts.CONFIG,
            alt=title,
            on_select="rerun" if key in _LEADING else "ignore",
            selection_mode="points",
        )


def _behind_bars(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The time of a bar. Not its outcome: a click takes any of the bars at its time."""
    match points:
        case [{"customdata": [since, until]}, *_]:
            return {"since": str(int(since)), "until": str(int(until))}
        case _:
            return {}


def _behind_class(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    match points:
        case [{"customdata": str(name) | [str(name)]}, *_] if name:
            return {"ttl_class": name}
        case _:
            return {}


_LEADING: dict[str, Callable[[Sequence[Mapping[str, Any]]], dict[str, str]]] = {
    "outcomes": _behind_bars,
    "ttl-classes": _behind_class,
}
"""Charts whose bars lead to the requests behind them: from the selected points to the filters of that page."""
