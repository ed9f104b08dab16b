"""A schedule as a card: what it does, when, what its last run did, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from core.invalidation import Invalidation, Schedule
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, duration, many, size
from pages.components.display.invalidation_states import STATES
from pages.components.display.namespaces import named, told
from pages.components.display.text import literal, plain, visible
from pages.components.schedules.dialogs import Asked, ask, effect_words
from pages.components.schedules.form import edit
from pages.components.shell.address import ID, visit
from pages.components.shell.permissions import read_only


def card(schedule: Schedule, latest: dict[str, Invalidation]) -> None:
    """Draws one schedule: what, when, by whom, what its last run did; and its buttons."""
    now = context.now()
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if not schedule.enabled:
                st.badge("paused", icon=":material/pause_circle:", color="gray")
            elif schedule.next_run_at <= now:
                st.badge("due", icon=":material/pending:", color="orange")
            else:
                st.badge("on", icon=":material/event_repeat:", color="green")
            if schedule.name:
                st.markdown(f"**{literal(schedule.name)}**", width="content")
            st.markdown(literal(schedule.what, 200), width="content")
            naming = queries.naming()
            st.caption(
                f"in {named(schedule.namespace, naming)}, by {literal(schedule.actor, 40)}",
                width="content",
                help=told(schedule.namespace, naming),
            )
        with st.grid(3, min_column_width=200):
            _fact("Runs", schedule.rhythm, effect_words(schedule))
            if schedule.enabled:
                left = schedule.next_run_at - now
                _fact("Next run", f"in {duration(left)}" if left > 0 else "due now", _moment(schedule.next_run_at))
            else:
                _fact("Next run", "paused", "it does not run until it is resumed")
            if schedule.last_run_at is None:
                _fact("Last run", "never", "")
            else:
                ago = f"{duration(max(0.0, now - schedule.last_run_at))} ago, {_moment(schedule.last_run_at)}"
                _fact("Last run", _came_to(schedule, latest), ago)
        _buttons(schedule)


def _fact(label: str, value: str, below: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.text(visible(value))
        if below:
            st.caption(plain(below))


def _moment(at: float) -> str:
    """A time in the viewer's zone; rhythms are in UTC."""
    return f"{clock(at)} your time"


def _came_to(schedule: Schedule, latest: dict[str, Invalidation]) -> str:
    """The result of the last run in words, as far as known."""
    verdict, _, done = schedule.last.partition(": ")
    if verdict != "applied":
        return schedule.last or "not known"
    one = latest.get(done)
    if one is None:
        return "applied"
    words = STATES[one.state][0]
    if one.deleted is None:
        return words
    freed = f", {size(one.freed_bytes)} freed" if one.freed_bytes else ""
    return f"{words}: {many(one.deleted, 'entry', 'entries')} deleted{freed}"


def _buttons(schedule: Schedule) -> None:
    may_start = context.actor().may(schedule.starting)
    may_change = context.actor().may(Action.SCHEDULE)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        # A dialog is opened by the whole page, not by this fragment.
        if st.button("Run now…", key=f"run-{schedule.id}", icon=":material/play_arrow:", disabled=not may_start):
            ask(Asked(run=schedule), schedule.criteria_at, schedule.namespace)
            st.rerun()
        if schedule.enabled:
            st.button(
                "Pause",
                key=f"pause-{schedule.id}",
                icon=":material/pause:",
                disabled=not may_change,
                on_click=actions.pause_schedule,
                args=(schedule,),
            )
        else:
            st.button(
                "Resume",
                key=f"resume-{schedule.id}",
                icon=":material/event_repeat:",
                disabled=not may_start,
                on_click=actions.resume_schedule,
                args=(schedule,),
                help="It runs at its next time. Runs missed meanwhile are not repeated.",
            )
        # The form stands outside of this fragment: the whole page has to be drawn.
        if st.button(
            "Edit…",
            key=f"edit-{schedule.id}",
            icon=":material/edit_calendar:",
            disabled=not may_start,
            on_click=edit,
            args=(schedule,),
        ):
            st.rerun()
        if st.button(
            "Remove…", key=f"remove-{schedule.id}", icon=":material/delete:", type="tertiary", disabled=not may_change
        ):
            st.session_state["schedule-asked"] = Asked(remove=schedule)
            st.rerun()
        done = schedule.last.partition("applied: ")[2]
        if done and st.button("Last run", key=f"last-{schedule.id}", icon=":material/open_in_full:", type="tertiary"):
            visit("pages/invalidations.py", {ID: done})
        read_only(schedule.starting)
