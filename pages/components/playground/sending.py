"""Sending a prompt, and drawing the answer as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from uuid import uuid4

import msgspec
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.data import context
from pages.components.display import outcomes
from pages.components.display.text import visible
from pages.components.playground.conversation import MOST_TURNS, STOPPED, Ask, Received, Turn, receive

NOTICE_SECONDS = 1
"""How soon the page says that an answer was stopped."""


@contextmanager
def receiving(watch: DeltaGenerator) -> Iterator[None]:
    """Context while an answer is awaited: when the script is stopped, the page is drawn anew with a note."""
    ended = Event()  # not in the session's state, which takes nothing any more from a script that is stopped

    def notice() -> None:
        if ended.is_set():
            st.rerun()

    try:
        with watch:
            st.fragment(notice, run_every=NOTICE_SECONDS)()
        yield
    finally:
        ended.set()


def send(ask: Ask, turns: list[Turn]) -> None:
    """Sends a prompt and shows the answer as it comes."""
    turn = Turn(id=uuid4().hex[:12], ask=ask, asked_at=time.time(), problem=STOPPED)
    turns.append(turn)
    del turns[:-MOST_TURNS]
    show_prompt(turn)
    with st.chat_message("assistant", avatar=":material/cached:"):
        received = Received()
        try:
            receive(ask, received, Drawing("Looking in the cache, then asking the model"))
        finally:
            turn.text, turn.answer, turn.problem = received.text, received.answer, received.problem
    context.readings().renew()


def compare_now(turn: Turn) -> None:
    """Asks the model without the cache and keeps the answer, to be shown beside the stored one."""
    turn.fresh = Received()
    with st.chat_message("assistant", avatar=outcomes.BYPASS.icon):
        drawing = Drawing("Asking the model without the cache")
        receive(msgspec.structs.replace(turn.ask, past_cache=True), turn.fresh, drawing)
    context.readings().renew()


class Drawing:
    """Draws a growing text where it is made, and for how long it has been waited for."""

    def __init__(self, until_it_comes: str) -> None:
        self._began = time.monotonic()
        self._until_it_comes = until_it_comes
        self._drawn = ""
        self._text, self._clock = st.empty(), st.empty()
        self("")

    def __call__(self, text: str) -> None:
        if text != self._drawn:
            self._text.text(visible(text) + " ▌", width="stretch")
            self._drawn = text
        what = "The answer is coming" if text else self._until_it_comes
        self._clock.caption(f"{what}… {time.monotonic() - self._began:.1f} s")


def show_prompt(turn: Turn) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(visible(turn.ask.prompt), width="stretch")
