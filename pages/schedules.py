"""Schedules: invalidations that run by themselves, with the last and the next run of each."""

from __future__ import annotations

import streamlit as st

from core.invalidation import Schedule
from pages.components.data import actions, context, queries
from pages.components.display.figures import many
from pages.components.display.namespaces import shown
from pages.components.display.placeholder import placeholder
from pages.components.schedules.card import card
from pages.components.schedules.dialogs import (
    Asked,
    confirm_adding,
    confirm_editing,
    confirm_removing,
    confirm_running,
)
from pages.components.schedules.form import EDITING, EXAMPLE, builder, fill_example
from pages.components.shell.frame import NO_REDIS, frame, nothing_yet

SECONDS = 2
SHOWN = 20


def page() -> None:
    lead = "Invalidations that run on a schedule: what they hide, how often, and what the last run did."
    if not frame("Schedules", lead):
        return
    if context.services().schedules is None:
        without_redis()
        return
    is_editing = EDITING in st.session_state and not st.session_state.get("schedule-saved")
    if is_editing:  # where it is seen at once
        builder()
    st.fragment(listing, run_every=SECONDS)()
    if not is_editing:
        builder()
    asked: Asked | None = st.session_state.get("schedule-asked")
    if asked is None:
        return
    if asked.draft:
        (confirm_editing if asked.draft.edited else confirm_adding)(asked)
    elif asked.run:
        confirm_running(asked)
    else:
        confirm_removing(asked)


def without_redis() -> None:
    """Draws the page without Redis, where there are no schedules."""
    placeholder(":material/event_busy: **No schedules without Redis**", NO_REDIS)


def listing() -> None:
    """Draws all schedules, the next one first."""
    reading = queries.schedules()
    actions.show_last("schedule")
    if reading.value is None:
        nothing_yet(reading)
        return
    found = reading.value
    if not found:
        empty()
        return
    paused = sum(not schedule.enabled for schedule in found)
    st.caption(many(len(found), "schedule") + (f", {paused} of them paused" if paused else ""))
    if len(found) > SHOWN:
        text = st.text_input(
            "Find", key="schedule-find", placeholder="A name, a namespace or what is selected", live=True
        )
        naming = queries.naming()
        found = [schedule for schedule in found if _has(schedule, shown(schedule.namespace, naming), text or "")]
        if not found:
            st.caption("None match.")
    latest = {one.id: one for one in queries.invalidations(queries.MOST_INVALIDATIONS).value or ()}
    for schedule in found[:SHOWN]:
        card(schedule, latest)
    if len(found) > SHOWN:
        st.caption(f"And {len(found) - SHOWN} more: narrow it down above.")


def _has(schedule: Schedule, namespace: str, text: str) -> bool:
    words = f"{schedule.name} {namespace} {schedule.namespace} {schedule.what}"
    return text.strip().casefold() in words.casefold()


def empty() -> None:
    """Draws the page without schedules: what one is for."""
    placeholder(
        ":material/event_repeat: **No schedules yet**",
        f"A schedule repeats an invalidation, for example: {EXAMPLE}. Each run can be undone like any other "
        "invalidation, and appears in the history.",
        _example_button,
    )


def _example_button() -> None:
    # The form is outside of this fragment: the whole page has to be drawn.
    if st.button("Fill in this example", key="schedule-example", icon=":material/edit:", on_click=fill_example):
        st.rerun()


page()
