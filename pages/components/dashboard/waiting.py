"""How long callers waited: over time, in all, and by model and namespace with the slowest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit import column_config as column

from core.metrics import Summary
from core.models import OutcomeKind
from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard.panels import panel
from pages.components.data import queries, series
from pages.components.data.view import View
from pages.components.display.links import REQUESTS
from pages.components.display.selectable import selectable
from pages.components.display.text import one_line
from pages.components.shell.address import visit

_COLUMNS: dict[str, Any] = {
    "miss_p50": column.NumberColumn("Miss p50", width=95),
    "miss_p95": column.NumberColumn("Miss p95", width=95),
    "hit_p50": column.NumberColumn("Hit p50", width=95),
    "hit_p95": column.NumberColumn("Hit p95", width=95),
    "requests": column.NumberColumn("Requests", format="localized", width=90),
}


def waiting(view: View) -> None:
    """Draws what callers waited: as maps over time for hits and for misses, in all, and the slowest by name."""
    steps, _ = series.series(view, compare=False)
    with st.grid(2, min_column_width=400):
        for kind, title in ((OutcomeKind.HIT, "Waited for hits"), (OutcomeKind.MISS, "Waited for misses")):
            if any(dashboard_charts.waited(step.summary, kind).count for step in steps):
                panel(view, title, f"waited-{kind}", dashboard_charts.latency_map, steps, kind)
    st.caption(
        "Each column is a time step, each field a range of latency. The stronger the colour, the more requests "
        "waited that long."
    )
    if (now := queries.slow_summary(view).value) is not None:
        latencies = (now.hit_latency, now.miss_latency)
        panel(view, "How long callers waited", "distribution", dashboard_charts.latency_distribution, *latencies)
    for by in _NAMES:
        _slowest(view, by)
    st.caption("Slowest first, by the p95 of misses. Select a row to see its misses.")


_NAMES: tuple[Literal["model", "namespace"], ...] = ("model", "namespace")


def slowest(summaries: Mapping[str, Summary]) -> dict[str, Summary]:
    """Those that had to wait at all, the slowest first: by the p95 of their misses, then of their hits."""
    waited = {name: one for name, one in summaries.items() if one.miss_latency.count or one.hit_latency.count}
    return dict(sorted(waited.items(), key=lambda item: _slowness(item[1]), reverse=True))


def _slowness(summary: Summary) -> tuple[float, float]:
    return summary.miss_latency.p95_ms or 0.0, summary.hit_latency.p95_ms or 0.0


def _slowest(view: View, by: Literal["model", "namespace"]) -> None:
    found = slowest(queries.breakdown(view, by))
    st.markdown(f"**Slowest by {by}**")
    table = pd.DataFrame(
        [
            {
                "name": one_line(name) or "none",
                "miss_p50": one.miss_latency.p50_ms,
                "miss_p95": one.miss_latency.p95_ms,
                "hit_p50": one.hit_latency.p50_ms,
                "hit_p95": one.hit_latency.p95_ms,
                "requests": one.requests,
            }
            for name, one in found.items()
        ],
        columns=["name", *_COLUMNS],
    )
    chosen = selectable(
        table,
        list(found),
        name=f"slowest-{by}",
        alt=f"How long callers waited, by {by}, the slowest first",
        column_config={"name": column.TextColumn(by.capitalize(), width="medium"), **_COLUMNS},
    )
    if chosen and (name := chosen[0]):  # one without a name cannot be asked for
        visit(REQUESTS, {by: name} | ({"outcome": "miss"} if found[name].misses else {}))
