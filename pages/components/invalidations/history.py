"""The history of invalidations, with the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.invalidation import Invalidation, InvalidationFilter, InvalidationState
from pages.components.data import queries
from pages.components.display import tables
from pages.components.display.invalidation_states import STATES, WORDS
from pages.components.display.namespaces import choosing
from pages.components.display.placeholder import placeholder
from pages.components.display.selectable import selectable
from pages.components.invalidations import tables as invalidation_tables
from pages.components.shell.address import ID, put
from pages.components.shell.frame import nothing_yet

WHOSE = "history_whose"
OWNERS = ["people", "programs"]


def history() -> None:
    """Draws the latest invalidations, with the outcome of each."""
    whose = st.session_state.get(WHOSE) or st.query_params.get(WHOSE)
    reading = queries.invalidations(queries.MOST_INVALIDATIONS, whose == "programs" if whose in OWNERS else None)
    st.subheader("History", anchor=False)
    if reading.value is None:
        nothing_yet(reading)
        return
    if not reading.value and whose is None:
        text = "Every invalidation is listed here: who, when, what, and its outcome."
        placeholder(":material/history: **No invalidation yet**", text)
        return
    questions = queries.asked(reading.value)
    found = _filtered(reading.value, questions)
    if not found:
        st.caption("None match. Clear the filters to see all.")
        return
    table = invalidation_tables.invalidations(
        found,
        WORDS,
        questions,
        queries.naming(one.namespace for one in found),
    )
    chosen = selectable(
        table,
        [one.id for one in found],
        name="history",
        alt="Invalidations, newest first",
        column_config=invalidation_tables.INVALIDATION_COLUMNS,
        column_order=invalidation_tables.INVALIDATIONS_SHOWN,
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download CSV",
            tables.csv(table),
            "invalidations.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        if chosen and st.button("Show the selected one", key="open", icon=":material/open_in_full:"):
            put(ID, chosen[0])
            st.rerun()
    if len(reading.value) == queries.MOST_INVALIDATIONS:
        st.caption(f"The latest {queries.MOST_INVALIDATIONS}. All of them: `python -m core invalidations`.")


def _filtered(every: list[Invalidation], questions: Mapping[str, str]) -> list[Invalidation]:
    """Draws the filters, kept in the URL, and returns the invalidations that match."""
    with st.grid(5, min_column_width=150, gap="small"):
        text = st.text_input(
            "Find",
            key="history_find",
            persist_state="session",
            placeholder="Question, tag, id or reason",
            live=True,
        )
        state = st.selectbox(
            "State",
            [state.value for state in STATES],
            index=None,
            format_func=lambda choice: STATES[InvalidationState(choice)][0],
            placeholder="any",
            key="history_state",
            bind="query-params",
        )
        st.selectbox("Whose", OWNERS, index=None, placeholder="both", key=WHOSE, bind="query-params")
        actor = st.selectbox(
            "By", sorted({one.actor for one in every}), index=None, placeholder="everyone", key="history-actor"
        )
        namespace = st.selectbox(
            "Namespace",
            sorted({name for one in every for name in one.namespaces}),
            index=None,
            placeholder="all",
            key="history-namespace",
            format_func=choosing(queries.naming(name for one in every for name in one.namespaces)),
        )
    wanted = InvalidationFilter(
        text=text or "", state=InvalidationState(state) if state else None, actor=actor, namespace=namespace
    )
    return [one for one in every if wanted.matches(one, questions.get(one.id, ""))]
