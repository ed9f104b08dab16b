"""What an operator reads and confirms before entries are hidden."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.invalidation import LONGEST_REASON, WORD, Preview
from pages.components.data import queries


def reason_field(
    key: str, *, width: int | Literal["stretch"] = "stretch", placeholder: str = "Why? Shown in the history"
) -> str:
    """Asks why, in the viewer's own words; returns them."""
    given = st.text_input(
        "Reason",
        key=key,
        max_chars=LONGEST_REASON,
        placeholder=placeholder,
        autocomplete="off",
        width=width,
    )
    return given or ""


def word_typed(preview: Preview) -> bool:
    """Asks for a typed word where much would be hidden; returns whether nothing is missing."""
    if not preview.is_large:
        return True
    typed = st.text_input(f"Type {WORD} to confirm", key="typed", live=True, autocomplete="off") or ""
    return typed.strip().lower() == WORD


def warn_without_worker() -> None:
    """Says, while no worker is alive, that invalidated entries are not deleted; the page says how to start one."""
    if queries.alive_workers().value == 0 and queries.queue_refusal().value is None:
        st.caption(
            ":material/engineering: No worker is alive: answers are hidden at once, but their memory is not freed."
        )
