"""What a link names: one invalidation with its audit trail, or a job."""

from __future__ import annotations

import re

import streamlit as st

from core.invalidation import Invalidation
from pages.components.data import queries
from pages.components.display.figures import UNKNOWN
from pages.components.display.invalidation_states import STATES, WORDS
from pages.components.display.namespaces import named, told
from pages.components.display.text import literal
from pages.components.invalidations import tables as invalidation_tables
from pages.components.shell.address import ID, given
from pages.components.shell.job_card import job_card

SECONDS = 1


def linked() -> None:
    """`?id=` shows one invalidation with its audit trail, `?job=` a job; both survive a reload."""
    name = st.query_params.get("job", "")
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
        st.fragment(_linked_job, run_every=SECONDS)(name)
    chosen = given(ID)
    if re.fullmatch(r"[A-Za-z0-9._:-]{1,80}", chosen):
        st.fragment(_linked_invalidation, run_every=2)(chosen)


def _linked_job(name: str) -> None:
    reading = queries.job(name)
    if reading.error:
        return
    if reading.value is None:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.caption("The job of this link is gone: its record has expired or was deleted.", width="stretch")
            _close_button("job")
        return
    job_card(reading.value, lambda: _close_button("job"))


def _close_button(name: str) -> None:
    if st.button("Close", key=f"close-{name}", type="tertiary", icon=":material/close:"):
        st.query_params.pop(name, None)
        st.rerun()


def _linked_invalidation(chosen: str) -> None:
    reading = queries.invalidation(chosen)
    if reading.error and reading.value is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**Invalidation** {literal(chosen)}", width="content")
            _close_button(ID)
        one = reading.value
        if one is None:
            st.caption("No invalidation has this id.")
            return
        _, icon, colour = STATES[one.state]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(invalidation_tables.state_of(one, WORDS), icon=icon, color=colour)
            st.markdown(literal(invalidation_tables.what_of(one, queries.asked([one])), 200), width="content")
            naming = queries.naming()
            st.caption(f"in {named(one.namespace, naming)}", width="content", help=told(one.namespace, naming))
        if one.reason:
            st.caption(f"Reason: {literal(one.reason, 200)}")
        if one.parts:
            _parts(one)
        elif one.problem:
            st.caption(f"Problem: {literal(one.problem, 200)}")
        trail = queries.audit_trail(chosen)
        st.dataframe(
            invalidation_tables.trail(reversed(trail.value or [])),
            column_config=invalidation_tables.TRAIL_COLUMNS,
            hide_index=True,
            key="trail",
            placeholder=UNKNOWN,
            alt="What happened with this invalidation",
        )


def _parts(one: Invalidation) -> None:
    """What an invalidation of all namespaces came to in each."""
    st.dataframe(
        invalidation_tables.parts(one.parts, WORDS, queries.naming(one.namespaces)),
        column_config=invalidation_tables.PART_COLUMNS,
        column_order=[name for name in invalidation_tables.PART_COLUMNS if name != "namespace"],
        hide_index=True,
        height=min(35 * len(one.parts) + 38, 260),
        key="parts",
        placeholder=UNKNOWN,
        alt="The result in each namespace",
    )
