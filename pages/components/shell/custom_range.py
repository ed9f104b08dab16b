"""A range from one moment to another: chosen by two dates, as this week or this month, or left for a live one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import streamlit as st

from core.metrics import LONGEST_SECONDS
from pages.components.data.view import SHORTEST_SECONDS, Range, between, this_month, this_week, window_of
from pages.components.display.figures import local, zone
from pages.components.shell.address import put

RANGE = "range"
_FROM, _TO, _PROBLEM = "range-from", "range-to", "range-problem"


def choose_custom(window: Range, name: str) -> None:
    """Draws the button that opens the choice, and for a range of two moments the one that leads back to a live one."""
    is_custom = window.ends_at is not None
    words = window.words if is_custom else "Dates"
    with st.popover(
        words, icon=":material/date_range:", help="Any time: two dates, this week or month", key="custom-range"
    ):
        with st.container(horizontal=True):
            st.button("This week", key="this-week", on_click=_set, args=(this_week,), width="stretch")
            st.button("This month", key="this-month", on_click=_set, args=(this_month,), width="stretch")
        with st.form("range-form", border=False):
            begins, ends = _shown(window)
            if st.session_state.get("range-shown") != name:  # of another range the fields begin anew
                st.session_state["range-shown"] = name
                st.session_state[_FROM], st.session_state[_TO] = begins, ends
            st.datetime_input("From", key=_FROM, step=60, format="YYYY-MM-DD")
            st.datetime_input("To", key=_TO, step=60, format="YYYY-MM-DD")
            st.form_submit_button("Show this range", type="primary", on_click=_apply, width="stretch")
        if problem := st.session_state.pop(_PROBLEM, None):
            st.error(problem, icon=":material/block:")
        st.caption("You can also drag across a chart of the dashboard.")
    if is_custom:
        st.button(
            "Back to live",
            key="back-to-live",
            icon=":material/fast_forward:",
            on_click=put,
            args=(RANGE, None),
            help="Leave this range and show the latest minutes again.",
        )


def set_range(begins_at: float, ends_at: float) -> None:
    """Chooses a range for the page, at least a minute of it and none that is to come."""
    ends_at = min(ends_at, time.time())
    begins_at = min(begins_at, ends_at - SHORTEST_SECONDS)
    name = between(begins_at, ends_at)
    if window_of(name) is not None:
        put(RANGE, name)


def _set(name: Callable[[], str]) -> None:
    put(RANGE, name())


def _shown(window: Range) -> tuple[datetime, datetime]:
    ends_at = time.time() if window.ends_at is None else window.ends_at
    begins, ends = (
        local(at).replace(tzinfo=None, second=0, microsecond=0) for at in (ends_at - window.seconds, ends_at)
    )
    return begins, ends + timedelta(minutes=1) if window.ends_at is None else ends


def _apply() -> None:
    begins, ends = st.session_state[_FROM], st.session_state[_TO]
    if begins is None or ends is None:
        st.session_state[_PROBLEM] = "Give both dates."
        return
    begins_at, ends_at = (moment.replace(tzinfo=zone()).timestamp() for moment in (begins, ends))
    if ends_at - begins_at < SHORTEST_SECONDS:
        st.session_state[_PROBLEM] = "The end must be after the start."
    elif begins_at > time.time() - SHORTEST_SECONDS:
        st.session_state[_PROBLEM] = "The start is in the future."
    elif window_of(name := between(begins_at, ends_at)) is None:
        st.session_state[_PROBLEM] = f"Figures are kept for {LONGEST_SECONDS // 86_400} days."
    else:
        put(RANGE, name)
