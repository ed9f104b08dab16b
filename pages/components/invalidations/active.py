"""The invalidations that hide something now: undo, sweep now, and how far the sweep is."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from core.invalidation import Invalidation, InvalidationState, ending_hold
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, countdown
from pages.components.display.invalidation_states import STATES
from pages.components.display.text import literal
from pages.components.invalidations.apply import follow
from pages.components.shell.job_card import job_card
from workers.queue import job_id


def active() -> None:
    """Invalidations that hide something now: undo, sweep now, how far the sweep is."""
    found = queries.invalidations(queries.MOST_INVALIDATIONS).value or []
    live = [
        one
        for one in found
        if one.state in (InvalidationState.HELD, InvalidationState.SWEEPING, InvalidationState.SOFT)
    ]
    if not live:
        actions.show_last("undo")
        return
    st.subheader("Active", anchor=False)
    actions.show_last("undo")
    actions.show_last("sweep")
    for one in live[:20]:
        with st.container(border=True):
            _active_card(one)
    if len(live) > 20:
        st.caption(f"And {len(live) - 20} more, in the history below.")


def _active_card(one: Invalidation) -> None:
    words, icon, colour = STATES[one.state]
    left = one.due_at - context.now()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, icon=icon, color=colour)
        st.markdown(literal(str(one.criteria), 120), width="content")
        st.caption(
            f"in {literal(one.namespace)}, since {clock(one.applied_at)}, by {literal(one.actor, 40)}", width="content"
        )
    actor = context.actor()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if one.can_undo:
            label = f"Undo ({countdown(left)} left)" if one.state is InvalidationState.HELD and left > 0 else "Undo"
            st.button(
                label,
                key=f"undo-{one.id}",
                icon=":material/undo:",
                disabled=not actor.may(Action.UNDO),
                on_click=actions.undo,
                args=(one.id,),
            )
        if one.state is InvalidationState.HELD and st.button(
            "Sweep now",
            key=f"sweep-{one.id}",
            icon=":material/cleaning_services:",
            disabled=not actor.may(ending_hold(one.criteria, one.share)),
            help="Deletes the hidden answers now. This cannot be undone.",
        ):
            follow(actions.sweep_now(one.id))
            st.rerun()
        st.caption(_what_next(one, left))
    if one.state is InvalidationState.SWEEPING or (one.state is InvalidationState.HELD and left <= 0):
        name = job_id("sweep", one.namespace)
        job = queries.job(name).value
        # When the link names the job it is shown above already.
        if job is not None and job.state.is_live and st.query_params.get("job") != name:
            job_card(job)


def _what_next(one: Invalidation, left: float) -> str:
    match one.state:
        case InvalidationState.HELD if left > 0:
            return "Hidden now. Nothing is deleted before the time to undo is over."
        case InvalidationState.HELD:
            if queries.alive_workers().value == 0:
                return "The time to undo is over. No worker is alive to delete the hidden answers."
            return "Waiting for a worker to delete the hidden answers; until then it can still be undone."
        case InvalidationState.SWEEPING:
            return "Answers are being deleted: this can no longer be undone."
        case _:
            return "Served only if the provider fails; the next request for each asks the provider again."
