"""How an operator confirms what hides much: by typing the word."""

from __future__ import annotations

import streamlit as st

from core.invalidation import Preview

WORD = "invalidate"


def word_typed(preview: Preview) -> bool:
    """Asks for the word where the preview takes it; whether nothing is missing."""
    if not preview.is_large:
        return True
    typed = st.text_input(f"Type {WORD} to confirm", key="typed", live=True, autocomplete="off") or ""
    return typed.strip().lower() == WORD
