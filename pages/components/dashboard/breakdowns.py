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
from pages.components.data import changes, context, queries
from pages.components.data.view import View
from pages.components.display.figures import many
from pages.components.display.links import REQUESTS
from pages.components.display.namespaces import hexadecimal, shown
from pages.components.display.selectable import selectable
from pages.components.shell.address import TAB, follow, visit


def breakdowns(view: View, compare: bool) -> None:
    """Draws, in tabs, the most frequent prompts and the figures by name."""
    now = queries.summary(view).value
    if now is None or not now.requests:
        return
    before = queries.previous(view) if compare else None
    st.subheader("Behind the figures", anchor=False)
    parts: dict[str, Callable[[], None]] = {
        "Missed most": lambda: _frequent(view, OutcomeKind.MISS),
        "Hit most": lambda: _frequent(view, OutcomeKind.HIT),
        "By model": lambda: _breakdown(view, "model", compare),
        "By namespace": lambda: _breakdown(view, "namespace", compare),
        "Waiting": lambda: waiting(view),
        "TTL classes": lambda: _ttl_classes(view, before),
        "Reasons": lambda: _reasons(now, before),
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


def _breakdown(view: View, by: Literal["model", "namespace"], compare: bool) -> None:
    found = queries.breakdown(view, by)
    naming = queries.naming(found) if by == "namespace" else None
    if naming is not None and any(summary.hit_rate is not None for summary in found.values()):
        looks = {one: (shown(one, naming), hexadecimal(one, naming)) for one in found}
        panel(view, "Hit rate by namespace", "by-namespace", dashboard_charts.hit_rate_by_name, found, looks)
    before = changes.summaries_before(view, by).value or {} if compare else {}
    change = changes.change(view).value if compare else None
    scopes = changes.scopes(view).value if by == "namespace" else None
    names = list(dict.fromkeys((*found, *before)))
    table = tables.breakdown(found, before, change.by(by) if change else (), scopes, naming)
    chosen = selectable(
        table,
        names,
        name=f"by-{by}",
        alt=f"Figures by {by}",
        column_config=tables.breakdown_columns(by.capitalize()),
        column_order=[name for name in table.columns if name != "namespace"],  # there would be room for its half
    )
    notes = ["Select a row to see its requests."]
    if table.columns.isin(["changed"]).any():
        notes.append(
            "Added: how much it changed the overall hit rate, by its own hit rate and by its share of lookups."
        )
    if scopes is not None:
        notes.append(f"Scopes are counted in the latest {many(scopes.looked_at, 'request')}.")
    st.caption(" ".join(notes))
    if chosen and (name := chosen[0]):  # one without a name cannot be asked for
        visit(REQUESTS, {by: name})


def _ttl_classes(view: View, before: Summary | None) -> None:
    now = queries.slow_summary(view).value
    kinds = now.ttl_classes if now else {}
    if kinds:
        panel(view, "Requests by TTL class", "ttl-classes", dashboard_charts.ttl_class_mix, kinds)
    earlier = before.ttl_classes if before else {}
    chosen = selectable(
        tables.ttl_classes(kinds, earlier),
        list(dict.fromkeys((*kinds, *earlier))),
        name="ttl-classes",
        alt="Requests by TTL class",
        column_config=tables.TTL_COLUMNS,
    )
    st.caption("Select a row to see its requests.")
    if chosen and (name := chosen[0]):
        visit(REQUESTS, {"ttl_class": name})


def _reasons(now: Summary, before: Summary | None) -> None:
    rows = tables.outcome_reasons(now, before)
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
