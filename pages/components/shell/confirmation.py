"""What an operator is told and asked before much is hidden."""

from __future__ import annotations

import streamlit as st

from core.invalidation import WORD, Preview
from pages.components.data import queries
from pages.components.shell.frame import no_worker_notice


def word_typed(preview: Preview) -> bool:
    """Asks for the word where the preview takes it; whether nothing is missing."""
    if not preview.is_large:
        return True
    typed = st.text_input(f"Type {WORD} to confirm", key="typed", live=True, autocomplete="off") or ""
    return typed.strip().lower() == WORD


def tell_of_no_worker() -> None:
    """Says what will not happen after an invalidation while nobody works; nothing when somebody does."""
    if queries.alive_workers().value == 0:
        no_worker_notice("answers are hidden at once all the same, but nobody gives their memory back.")
