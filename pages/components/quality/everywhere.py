"""The evidence of all namespaces side by side, and the way into one."""

from __future__ import annotations

import streamlit as st

from core.keys import names
from pages.components.data import context, queries, semantic
from pages.components.data.view import EvidenceView
from pages.components.display.figures import clock, many
from pages.components.display.namespaces import named
from pages.components.display.placeholder import placeholder
from pages.components.display.selectable import selectable, unselect
from pages.components.quality import tables
from pages.components.shell.address import put
from pages.components.shell.frame import nothing_yet

TABLE = "quality-namespaces-all"


def everywhere(view: EvidenceView) -> None:
    """Draws what the evidence of each namespace says: those over the budget first, then those with most lookups."""
    reading = semantic.evidence_of_all(view.window)
    if reading.value is None:
        nothing_yet(reading)
        return
    budget = context.services().settings.false_hit_budget
    found = tables.ordered(reading.value, budget)
    if not found:
        placeholder(
            ":material/hourglass_empty: **No evidence in any namespace**",
            "Evidence comes from requests whose exact words were not asked before."
            if view.is_everything
            else f"Nothing in the {view.words}: choose a longer range.",
        )
        return
    lookups, labels = sum(one.lookups for one in found), sum(one.labels for one in found)
    st.caption(
        f"{many(lookups, 'recorded lookup')} and {many(labels, 'labelled pair')} in {many(len(found), 'namespace')}, "
        f"{view.words}, read at {clock(reading.read_at)}"
    )
    chosen = selectable(
        tables.namespaces(found, budget, queries.naming(one.namespace for one in found)),
        [one.namespace for one in found],
        name=TABLE,
        alt="What the evidence of each namespace says; select one to see it whole",
        column_config=tables.NAMESPACE_COLUMNS,
        height=min(35 * len(found) + 38, 500),
    )
    if chosen:
        _way_into(chosen[0])
    else:
        st.caption("Select a namespace to see its figures, review its pairs and publish its threshold.")


def _way_into(namespace: str) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{named(namespace, queries.naming([namespace]))}**", width="content")
        # The control is outside of this fragment: the whole page has to be drawn.
        if st.button("Show its evidence", key="quality-open", icon=":material/arrow_forward:", type="primary"):
            unselect(TABLE)
            put("namespace", names.namespace_in(namespace))
            put("quality_of", "conversations" if namespace != names.namespace_in(namespace) else None)
            st.rerun()
