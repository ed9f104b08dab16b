"""What stands in place of content that is not there."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def placeholder(title: str, text: str, more: Callable[[], None] = lambda: None) -> None:
    """Draws a framed title and text, both Markdown; `more` draws what stands under them."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(title, text_alignment="center")
        st.caption(text, text_alignment="center", width=560)
        more()
        st.space("small")
