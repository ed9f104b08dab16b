"""Invalidations: choose, preview, confirm; undo; follow the sweep; the history."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from pages.components.data import actions, queries
from pages.components.display.namespaces import said
from pages.components.display.text import plain
from pages.components.invalidations.active import active
from pages.components.invalidations.apply import GIVEN, REASON, Plan, confirm
from pages.components.invalidations.ending import ENDING, confirm_sweep
from pages.components.invalidations.history import history
from pages.components.invalidations.linked import linked
from pages.components.invalidations.preview import show_preview, take_preview
from pages.components.shell import bypass_switch, next_steps
from pages.components.shell.confirmation import reason_field
from pages.components.shell.criteria_form import HOLDS, effect, fill_from_link, form, now_criteria, put_in_url
from pages.components.shell.frame import frame
from pages.components.shell.permissions import read_only

SECONDS = 1


def page() -> None:
    lead = "Stop serving wrong or old answers: they are hidden at once, and a worker deletes them later."
    if not frame("Invalidations", lead):
        return
    fill_from_link()
    linked()
    builder()
    st.fragment(active, run_every=SECONDS)()
    st.fragment(history, run_every=3)()
    if plan := st.session_state.get("pending"):
        confirm(plan)
    elif ending := st.session_state.get(ENDING):
        confirm_sweep(ending)


def builder() -> None:
    """Draws criteria, mode and hold, and the preview under them."""
    with st.container(border=True):
        st.subheader("New invalidation", anchor=False)
        fields = form(on_change=put_in_url)
        soft, hold_seconds = effect(HOLDS)
        if st.session_state.pop(GIVEN, False):
            st.session_state[REASON] = ""
        reason_field(REASON, width=480)
        criteria, problem = now_criteria(fields)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                f"Preview in {said(fields.namespace, queries.naming())}",
                key="preview",
                icon=":material/preview:",
                type="primary",
                disabled=criteria is None,
            ):
                take_preview(fields, criteria)
            if problem:
                st.caption(f":material/info: {plain(problem)}")
            elif criteria is None:
                st.caption("Choose at least one of the above. A preview changes nothing.")
        read_only(Action.INVALIDATE)
        plan: Plan | None = st.session_state.get("plan")
        if plan is not None and criteria is not None:
            show_preview(plan, outdated=plan.fields != fields, soft=soft, hold_seconds=hold_seconds)
        actions.show_last("invalidate")
        next_steps.show("invalidate")
        result = actions.last("invalidate")
        if plan is not None and result is not None and result.without_writes:
            bypass_switch.offer(plan.preview.namespace)


page()
