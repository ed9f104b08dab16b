"""Buttons that save, clear and load the conversation."""

from __future__ import annotations

import streamlit as st

from core.errors import InvalidInput
from pages.components.display.text import literal
from pages.components.playground.conversation import MOST_TURNS, Turn
from pages.components.playground.transcript import MOST_BYTES, dump, load


def transcript_menu(turns: list[Turn]) -> None:
    """Draws the buttons that save, clear and load the turns."""
    if turns:
        st.download_button(
            "Transcript",
            lambda: dump(turns),
            "transcript.json",
            "application/json",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help="All prompts and answers of this session, with how each came about.",
        )
        st.button("Clear", icon=":material/delete_sweep:", type="tertiary", on_click=_clear, key="clear")
    with st.popover("Import", icon=":material/upload_file:", type="tertiary", key="import"):
        given = st.file_uploader(
            "A transcript of the playground",
            type="json",
            key=f"transcript-{st.session_state.get('imports', 0)}",
            max_upload_size=MOST_BYTES // 1_000_000,
            help="Only shown: nothing is sent and nothing is stored.",
        )
        if given is not None:
            st.button(
                "Show it",
                key="import-go",
                type="primary",
                icon=":material/visibility:",
                on_click=_import,
                args=(given.getvalue(),),
            )
        if problem := st.session_state.get("import-problem"):
            st.error(f"**Not imported.** {literal(problem, 400)}", icon=":material/error:")


def _clear() -> None:
    st.session_state["turns"] = []
    st.session_state["has-asked"] = False


def _import(text: bytes) -> None:
    try:
        loaded = load(text)
    except InvalidInput as error:
        st.session_state["import-problem"] = str(error)
        return
    st.session_state["import-problem"] = ""
    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
    turns = st.session_state["turns"]
    turns += loaded
    del turns[:-MOST_TURNS]
