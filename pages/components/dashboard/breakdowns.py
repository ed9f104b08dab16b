"""The figures of the dashboard in detail: frequent prompts, and by name, waiting, TTL class and reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from core.metrics import Summary
from core.models import OutcomeKind
from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard import tables
from pages.components.dashboard.panels import panel
from pages.components.dashboard.waiting import waiting
from pages.components.data import context, queries
from pages.components.data.view import View
from pages.components.display.figures import UNKNOWN
from pages.components.display.links import REQUESTS
from pages.components.display.namespaces import hexadecimal, shown
from pages.components.display.selectable import selectable
from pages.components.shell.address import TAB, follow, visit


def breakdowns(view: View) -> None:
    """Draws, in tabs, the most frequent prompts and the figures by name."""
    now = queries.summary(view).value
    if now is None or not now.requests:
        return
    st.subheader("Behind the figures", anchor=False)
    parts: dict[str, Callable[[], None]] = {
        "Missed most": lambda: _frequent(view, OutcomeKind.MISS),
        "Hit most": lambda: _frequent(view, OutcomeKind.HIT),
        "By model": lambda: _breakdown(view, "model"),
        "By namespace": lambda: _breakdown(view, "namespace"),
        "Waiting": lambda: waiting(view),
        "TTL classes": lambda: _ttl_classes(view),
        "Reasons": lambda: _reasons(view, now),
    }
    write = follow(TAB, next(iter(parts)), parts)
    for tab, draw in zip(st.tabs(list(parts), key=TAB, on_change=write), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _frequent(view: View, kind: OutcomeKind) -> None:
    found = queries.frequent(kind, view.namespace, view.model).value
    if not found:
        st.caption("Nothing yet.")
        return
    chosen = selectable(
        tables.frequent(found),
        [one.key for one in found],
        name=f"top-{kind}",
        alt="Most frequent prompts among the latest requests",
        column_config=tables.FREQUENT_COLUMNS,
    )
    note = "Counted among the latest requests, whatever the range. Select a row to see its requests."
    if not context.services().settings.record_prompts:
        note += " Prompts are not shown: `ENCORE_RECORD_PROMPTS` is off."
    st.caption(note)
    if chosen and (key := chosen[0]):  # without a key there is nothing to look for
        visit(REQUESTS, {"range": "30d", "key": key})


def _breakdown(view: View, by: Literal["model", "namespace"]) -> None:
    found = queries.breakdown(view, by)
    naming = queries.naming(found) if by == "namespace" else None
    if naming is not None and any(summary.hit_rate is not None for summary in found.values()):
        looks = {one: (shown(one, naming), hexadecimal(one, naming)) for one in found}
        panel(view, "Hit rate by namespace", "by-namespace", dashboard_charts.hit_rate_by_name, found, looks)
    st.dataframe(
        (table := tables.breakdown(found, naming)),
        column_config=tables.breakdown_columns(by.capitalize()),
        column_order=[name for name in table.columns if name != "namespace"],  # there would be room for its half
        hide_index=True,
        key=f"by-{by}",
        placeholder=UNKNOWN,
        alt=f"Figures by {by}",
    )


def _ttl_classes(view: View) -> None:
    now = queries.slow_summary(view).value
    kinds = now.ttl_classes if now else {}
    if kinds:
        panel(view, "Requests by TTL class", "ttl-classes", dashboard_charts.ttl_class_mix, kinds)
    st.dataframe(
        tables.ttl_classes(kinds),
        column_config=tables.TTL_COLUMNS,
        hide_index=True,
        key="ttl-classes",
        placeholder=UNKNOWN,
        alt="Requests by TTL class",
    )


def _reasons(view: View, now: Summary) -> None:
    rows = tables.outcome_reasons(now)
    chosen = selectable(
        rows,
        list(rows["reason"]),
        name="reasons",
        alt="Why requests were not hits, and why answers were not stored",
        column_config=tables.REASON_COLUMNS,
    )
    st.caption("Select a row to see its requests.")
    if chosen:
        visit(REQUESTS, {"reason": chosen[0]})
