"""The invalidations that hide something now: undo, sweep now, and how far the sweep is."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.access import Action
from core.invalidation import ActivePage, Invalidation, InvalidationState, ending_hold
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, countdown, many
from pages.components.display.invalidation_states import STATES, WORDS
from pages.components.display.namespaces import named, told
from pages.components.display.text import literal, plain
from pages.components.invalidations.ending import ask_to_sweep
from pages.components.invalidations.tables import state_of, what_of
from pages.components.shell import next_steps
from pages.components.shell.job_card import job_card
from workers.queue import job_id

CURSORS = "active-cursors"


def active() -> None:
    """Invalidations that hide something now: undo, sweep now, how far the sweep is; a page where there are many."""
    total = queries.active_count().value or 0
    cursors: list[str] = st.session_state.setdefault(CURSORS, [])
    find = st.session_state.get("active_find") or ""
    is_long = total > queries.MOST_ACTIVE_SHOWN or bool(find or cursors)
    page = queries.active_page(find.strip() if is_long else "", cursors[-1] if cursors else None).value
    if page is None or not (page.items or is_long):
        actions.show_last("undo")
        return
    st.subheader("Active", anchor=False)
    if is_long:
        _controls(total, page, cursors)
    actions.show_last("undo")
    actions.show_last("sweep")
    by_people = {one.id: one for one in queries.invalidations(queries.MOST_INVALIDATIONS, False).value or ()}
    shown = {one.id: by_people.get(one.id, one) for one in page.items}
    if is_long and not (find or cursors):  # nobody would find them among so many of programs
        live = [one for one in by_people.values() if one.is_active]
        shown = {one.id: one for one in live[: queries.MOST_ACTIVE_SHOWN]} | shown
    questions = queries.asked(shown.values())
    for one in shown.values():
        with st.container(border=True):
            _active_card(one, questions)


def _back() -> None:
    st.session_state[CURSORS].pop()


def _controls(total: int, page: ActivePage, cursors: list[str]) -> None:
    """How many there are, a search, and the way to the other pages."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Find",
            key="active_find",
            persist_state="session",
            placeholder="Tag, key or id",
            on_change=cursors.clear,
            width=320,
        )
        if cursors:
            st.button("First", key="active-first", icon=":material/first_page:", on_click=cursors.clear)
            st.button("Back", key="active-back", icon=":material/chevron_left:", on_click=_back)
        st.button(
            "Next",
            key="active-next",
            icon=":material/chevron_right:",
            disabled=page.next is None,
            on_click=cursors.append,
            args=(page.next,),
        )
    place = f"page {len(cursors) + 1}" if page.items else "none here"
    order = "soonest end of undo first"
    if not cursors:
        order = f"those by people, then {order}"
    more = "" if page.items or page.next is None else " There is more to search: select Next."
    st.caption(f"{many(total, 'is', 'are')} in force, {place}: {order}.{more}")


def _active_card(one: Invalidation, questions: Mapping[str, str]) -> None:
    _, icon, colour = STATES[one.state]
    left = one.due_at - context.now()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(state_of(one, WORDS), icon=icon, color=colour)
        st.markdown(literal(what_of(one, questions), 120), width="content")
        naming = queries.naming()
        reason = f": {literal(one.reason, 120)}" if one.reason else ""
        st.caption(
            f"in {named(one.namespace, naming)}, since {clock(one.applied_at)}, by {literal(one.actor, 40)}{reason}",
            width="content",
            help=told(one.namespace, naming),
        )
    actor = context.actor()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if one.can_undo:
            label = f"Undo ({countdown(left)} left)" if one.is_held and left > 0 else "Undo"
            st.button(
                label,
                key=f"undo-{one.id}",
                icon=":material/undo:",
                disabled=not actor.may(Action.UNDO),
                help="Brings back what it hides, in place of what was asked anew meanwhile.",
                on_click=_undo,
                args=(one.id,),
            )
        st.caption(_what_next(one, left), width="stretch")
        if one.is_held:
            with st.popover("More", type="tertiary", key=f"more-{one.id}"):
                st.caption("Frees memory before the time to undo ends.")
                if st.button(
                    "Delete now…",
                    key=f"sweep-{one.id}",
                    icon=":material/delete_forever:",
                    disabled=not actor.may(ending_hold(one.criteria, one.share)),
                ):
                    ask_to_sweep(one)
                    st.rerun()
    if one.problem and one.parts:
        st.caption(f":material/warning: {plain(actions.named_problem(one, naming))}")
    if not one.parts and (one.state is InvalidationState.SWEEPING or (one.is_held and left <= 0)):
        name = job_id("sweep", one.namespace)
        job = queries.job(name).value
        # When the link names the job it is shown above already.
        if job is not None and job.state.is_live and st.query_params.get("job") != name:
            job_card(job)


def _what_next(one: Invalidation, left: float) -> str:
    if one.parts:
        return _what_next_of_all(one, left)
    match one.state:
        case InvalidationState.HELD if left > 0:
            return "Hidden now, and not deleted before the time to undo ends. Undo also replaces newer answers."
        case InvalidationState.HELD:
            if queries.alive_workers().value == 0:
                return "The time to undo has ended. No worker is alive to delete the hidden answers."
            return "Waiting for a worker to delete the hidden answers; until then it can still be undone."
        case InvalidationState.SWEEPING:
            return "Answers are being deleted: this can no longer be undone."
        case _:
            return "Served only if the provider fails; the next request for each asks the provider again."


def _what_next_of_all(one: Invalidation, left: float) -> str:
    held = sum(part.state is InvalidationState.HELD for part in one.parts)
    soft = sum(part.state is InvalidationState.SOFT for part in one.parts)
    if soft:
        return f"Marked stale in {many(soft, 'namespace')}: served only if the provider fails."
    if held and left > 0:
        return f"Hidden in {many(held, 'namespace')}. Nothing is deleted before the time to undo ends."
    if held:
        return f"Workers are deleting the hidden answers; in {many(held, 'namespace')} it can still be undone."
    return "Answers are being deleted: this can no longer be undone."


def _undo(invalidation_id: str) -> None:
    next_steps.forget(invalidation_id)
    actions.undo(invalidation_id)
