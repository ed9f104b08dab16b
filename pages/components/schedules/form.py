"""The form of a new schedule."""

from __future__ import annotations

from datetime import time as time_of_day

import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.invalidation import LONGEST_NAME, scheduling
from pages.components.data import context
from pages.components.display.text import plain
from pages.components.schedules.dialogs import Asked, Draft, ask
from pages.components.shell.confirmation import reason_field
from pages.components.shell.criteria_form import UNITS, effect, form, now_criteria
from pages.components.shell.permissions import read_only

DAILY = "Daily at"
EVERY = "At an interval"
EXAMPLE = "older than 7 days, every night at 03:00 UTC"


def fill_example() -> None:
    """Fills the form with the example; adds nothing."""
    st.session_state.update(
        {
            "schedule-name": "Nightly",
            "criteria-selectors": ["age"],
            "criteria-age": 7.0,
            "criteria-unit": "days",
            "schedule-rhythm": DAILY,
            "schedule-at": time_of_day(3, 0),
        }
    )


def builder() -> None:
    """Draws the form: what, how often, and with which effect."""
    with st.container(border=True):
        st.subheader("New schedule", anchor=False)
        if st.session_state.pop("schedule-added", False):
            st.session_state.update({"schedule-name": "", "schedule-reason": "", "criteria-selectors": []})
        name = st.text_input(
            "Name", key="schedule-name", placeholder="Nightly", max_chars=LONGEST_NAME, width=320, autocomplete="off"
        )
        fields = form(without=("key",))
        every_seconds, daily_at = rhythm()
        soft, hold_seconds = effect()
        reason = reason_field("schedule-reason", width=420)
        draft = Draft(
            fields=fields,
            name=(name or "").strip(),
            every_seconds=every_seconds,
            daily_at=daily_at,
            soft=soft,
            hold_seconds=hold_seconds,
            reason=reason,
        )
        criteria, problem = now_criteria(fields)
        needed = scheduling(criteria, 0.0) if criteria is not None else Action.SCHEDULE
        may_add = context.actor().may(needed)
        missing = problem or _missing(draft, criteria)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if (
                st.button(
                    "Add…",
                    key="schedule-add",
                    icon=":material/add:",
                    type="primary",
                    disabled=bool(missing) or not may_add,
                )
                and not missing
            ):
                ask(Asked(draft=draft), fields.criteria, fields.namespace)
            read_only(needed)
            if missing and may_add:
                st.caption(f":material/info: {plain(missing)}")


def rhythm() -> tuple[float | None, str | None]:
    """Draws the rhythm; returns the interval in seconds, or the time of day in UTC: one of them is None."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control("How often", [DAILY, EVERY], default=DAILY, key="schedule-rhythm", required=True)
        if chosen == EVERY:
            amount = st.number_input("Every", min_value=1, value=6, step=1, key="schedule-every", width=140)
            unit = st.selectbox("Unit", list(UNITS), index=1, key="schedule-unit", width=130)
            return float(amount) * UNITS[unit], None
        at = st.time_input("Time of day, UTC", value=time_of_day(3, 0), step=300, key="schedule-at", width=160)
        return None, f"{at:%H:%M}"


def _missing(draft: Draft, criteria: Criteria | None) -> str:
    """One sentence about what the form still needs; empty when it is complete."""
    if criteria is None:
        return "Choose what should no longer be served. You are asked to confirm before anything is added."
    if draft.fields.age_seconds == 0:
        return "Say how old an answer has to be."
    return "" if draft.name else "Give it a name, for the list and for the audit log."
