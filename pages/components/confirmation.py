"""How an operator confirms what hides much: by typing the word."""

from __future__ import annotations

import streamlit as st

from core.invalidation import Preview

LARGE_SHARE = 0.10
"""From this share of the cache on, the word has to be typed."""
WORD = "invalidate"


def word_typed(preview: Preview) -> bool:
    """Asks for the word where the preview takes it; whether nothing is missing."""
    if not preview.criteria.all and preview.share <= LARGE_SHARE:
        return True
    typed = st.text_input(f"Type {WORD} to confirm", key="typed", live=True, autocomplete="off") or ""
    return typed.strip().lower() == WORD
