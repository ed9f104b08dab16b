"""Ending the time to undo an invalidation: the dialog before the only act of the page that nobody can undo."""

from __future__ import annotations

import streamlit as st

from core.invalidation import Invalidation, ending_hold
from pages.components.data import actions, context, queries
from pages.components.display.figures import countdown, many
from pages.components.display.namespaces import named
from pages.components.display.text import one_line
from pages.components.invalidations.apply import follow
from pages.components.invalidations.tables import what_of
from pages.components.shell.permissions import read_only

ENDING = "invalidation-ending"
"""Where a session keeps the invalidation that the dialog asks about."""


def ask_to_sweep(one: Invalidation) -> None:
    """Opens the dialog."""
    st.session_state[ENDING] = one


def _close() -> None:
    st.session_state.pop(ENDING, None)


@st.dialog("Delete these answers now?", icon=":material/delete_forever:", on_dismiss=_close)
def confirm_sweep(one: Invalidation) -> None:
    """Asks before the time to undo ends, with how much is deleted and how long it could still be undone."""
    known = queries.invalidation(one.id).value or one  # of one that is shown by its ban alone the count is on record
    if known.criteria.key is not None:
        st.markdown("This answer is deleted now. **Nobody can undo that.**")
    elif known.preview_count is None:
        st.markdown("What it hides is deleted now. **Nobody can undo that.**")
    else:
        count = many(known.preview_count, "entry", "entries")
        st.markdown(f"**{count}** matched when it was applied. A worker deletes them now. **Nobody can undo that.**")
    st.code(one_line(what_of(one, queries.asked([one])), 300), language=None, wrap_lines=True)
    left = one.due_at - context.now()
    st.caption(
        f"In {named(one.namespace, queries.naming())}. It is not served either way: this only frees memory sooner."
    )
    if left > 0:
        st.caption(f"If you wait, you can undo it for {countdown(left)} more. Then a worker deletes it.")
    needed = ending_hold(known.criteria, known.share)
    read_only(needed)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="sweep-cancel"):
            _close()
            st.rerun()
        if st.button("Delete now", key="sweep-confirm", type="primary", disabled=not context.actor().may(needed)):
            _close()
            follow(actions.sweep_now(one.id))
            st.rerun()
