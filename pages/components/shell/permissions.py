"""Says which role an action takes. Nothing is enforced here: that happens where the change is made."""

from __future__ import annotations

import streamlit as st

from core.access import REQUIRED, Action
from pages.components.data import context


def read_only(action: Action) -> None:
    """Draws the reason why the viewer may not do something; nothing when the viewer may."""
    actor = context.actor()
    if not actor.may(action):
        st.caption(
            f":material/lock: Read only: this needs the role {REQUIRED[action].word}, yours is {actor.role.word}."
        )
