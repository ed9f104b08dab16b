"""What to do after an invalidation: undo it, see who got the answer, write the right one."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.access import Action
from core.invalidation import Invalidation
from pages.components.data import actions, context
from pages.components.shell.address import ID, visit

STEPS = "next-steps"
"""Where a session keeps its latest invalidation, until it cannot be undone any more or another step is taken."""
ON_ENTRIES = "entry"
"""The action of the page Entries."""
UNDO_HELP = "Brings back what it hides, in place of what was asked anew meanwhile."
CORRECT_AT = "entry-correct-at"
"""The place whose answer the page Entries is to correct: a namespace and a key."""


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """The invalidations that were just made. `name` is the action they belong to, `key` that of a single answer."""

    name: str
    ids: tuple[str, ...]
    namespace: str
    key: str | None
    due_at: float


def remember(name: str, done: tuple[Invalidation, ...]) -> None:
    """Notes what was just invalidated."""
    if not done:
        return
    first = done[0]
    st.session_state[STEPS] = Steps(
        name=name,
        ids=tuple(one.id for one in done if one.can_undo),
        namespace=first.namespace,
        key=first.criteria.key if len(done) == 1 else None,
        due_at=min(one.due_at for one in done),
    )


def forget(invalidation_id: str) -> None:
    """Takes back what was noted of an invalidation that was undone elsewhere on the page."""
    steps: Steps | None = st.session_state.get(STEPS)
    if steps is not None and invalidation_id in steps.ids:
        del st.session_state[STEPS]


def show(name: str) -> None:
    """Draws the next steps after the latest invalidation by an action of this name."""
    steps: Steps | None = st.session_state.get(STEPS)
    if steps is None or steps.name != name:
        return
    can_undo = bool(steps.ids) and context.now() < steps.due_at
    if not can_undo and steps.key is None:
        return
    actor = context.actor()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("What next?", width="content")
        if can_undo:
            st.button(
                "Undo",
                help=UNDO_HELP,
                key=f"next-undo-{name}",
                icon=":material/undo:",
                on_click=_undo,
                args=(steps,),
                disabled=not actor.may(Action.UNDO),
            )
        if steps.key is None:
            return
        if st.button("Who got it", key=f"next-who-{name}", icon=":material/group:"):
            visit("pages/requests.py", {"key": steps.key})
        if st.button(
            "Write the right one…",
            key=f"next-write-{name}",
            icon=":material/edit:",
            disabled=not actor.may(Action.EDIT_ENTRIES),
        ):
            st.session_state[CORRECT_AT] = (steps.namespace, steps.key)
            if name == ON_ENTRIES:
                return  # the dialog is drawn at the end of this very page
            visit("pages/entries.py", {ID: steps.key, "namespace": steps.namespace})


def _undo(steps: Steps) -> None:
    st.session_state.pop(STEPS, None)
    st.session_state.pop("entries-snapshot", None)
    actions.forget_last(steps.name)
    for one in steps.ids:
        actions.undo(one)
