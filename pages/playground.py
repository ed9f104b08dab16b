"""Playground: send a prompt through the cache, see the answer, and why it was a hit or a miss."""

from __future__ import annotations

from typing import Literal

import msgspec
import streamlit as st

from core.access import Action
from core.models import Answer, CacheStrategy
from pages.components.data import context
from pages.components.display import outcomes
from pages.components.display.answers import show_answer
from pages.components.display.text import literal, one_line
from pages.components.playground.comparison import side_by_side
from pages.components.playground.controls import DEMO_MODEL, controls, fill_from_link, fill_model_from_link
from pages.components.playground.conversation import STOPPED, Ask, Turn
from pages.components.playground.decision import decision
from pages.components.playground.sending import compare_now, receiving, send, show_prompt
from pages.components.playground.transcript_menu import transcript_menu
from pages.components.playground.verdict import show_verdict, verdict_buttons
from pages.components.shell.frame import frame
from pages.components.shell.permissions import read_only

MOST_EARLIER = 20
"""Turns that are sent along with a conversation."""

EXAMPLE = "How do I activate my new card?"
OTHER_WORDS = "How can I get my new card activated?"
SUGGESTIONS: dict[str, tuple[str, bool]] = {
    "Ask a question": (EXAMPLE, False),
    "Ask it again": (EXAMPLE, False),
    "Change case and spaces": ("how do i   activate my new card", False),
    "Ask without the cache": (EXAMPLE, True),
}
"""What each suggestion sends, and whether without the cache: one for each outcome, in order."""


def page() -> None:
    if not frame("Playground", "Send a prompt, see the answer, and why it was a hit or a miss."):
        return
    turns: list[Turn] = st.session_state.setdefault("turns", [])
    fill_model_from_link()
    draft = controls()
    fill_from_link()
    if not turns:
        welcome()
    for turn in turns:
        show(turn)
    room = st.container()
    watch = st.empty()
    suggestions(draft, turns)
    may = context.actor().may(Action.ASK)
    # Streamlit scrolls to the latest message by itself; before there is one that would hide the top of the page.
    bottom = st if turns or st.session_state.get("has-asked") else st.bottom
    typed = bottom.chat_input(
        "Type a prompt", key="prompt", submit_mode="stop", max_chars=20_000, disabled=not may, on_submit=_begin
    )
    read_only(Action.ASK)
    waiting: Ask | None = st.session_state.pop("waiting", None)
    compared: str = st.session_state.pop("compared", "")
    if typed:
        history = answered_turns(turns) if st.session_state["playground-history"] else ()
        waiting = msgspec.structs.replace(draft, prompt=typed, history=history)
    if waiting is not None:
        with receiving(watch), room:
            send(waiting, turns)
        st.rerun()
    if compared and (chosen := next((turn for turn in turns if turn.id == compared), None)):
        with receiving(watch), room:
            compare_now(chosen)
        st.rerun()


def answered_turns(turns: list[Turn]) -> tuple[tuple[Literal["user", "assistant"], str], ...]:
    """The latest answered turns of the conversation, as pairs of role and text."""
    history: list[tuple[Literal["user", "assistant"], str]] = []
    for turn in turns[-MOST_EARLIER:]:
        if turn.answer is not None and turn.text:
            history += [("user", turn.ask.prompt), ("assistant", turn.text)]
    return tuple(history)


def welcome() -> None:
    """Draws what stands before the first prompt."""
    settings = context.services().settings
    with st.container(border=True):
        st.markdown("**See the cache decide**")
        st.caption(
            "Ask once: a miss, the model answers and the answer is stored. Ask again: a hit, in about a millisecond. "
            "Change only case and spaces: a normalized hit. The buttons below send these for you."
        )
        if settings.uses_demo_model:
            st.caption(DEMO_MODEL)


def suggestions(draft: Ask, turns: list[Turn]) -> None:
    """Draws a button for each outcome; the next in order stands out."""
    offered = dict(SUGGESTIONS)
    if draft.strategy is CacheStrategy.SEMANTIC and context.services().semantic is not None:
        offered["Ask it in other words"] = (OTHER_WORDS, False)
    with st.container(horizontal=True, gap="small"):
        for position, name in enumerate(offered):
            prompt, past_cache = offered[name]
            ask = msgspec.structs.replace(draft, prompt=prompt, past_cache=past_cache or draft.past_cache)
            st.button(
                f"{position + 1}. {name}",
                key=f"suggestion-{position}",
                help=one_line(prompt),
                type="primary" if position == len(turns) else "secondary",
                on_click=_queue,
                args=(ask,),
                disabled=not draft.model or not context.actor().may(Action.ASK),
            )
        transcript_menu(turns)


def _begin() -> None:
    st.session_state["has-asked"] = True


def _queue(ask: Ask) -> None:
    _begin()
    st.session_state["waiting"] = ask


def _queue_comparison(turn_id: str) -> None:
    st.session_state["compared"] = turn_id


def show(turn: Turn) -> None:
    """Draws one prompt, its answer, and how it came about."""
    show_prompt(turn)
    icon = ":material/cached:"
    if turn.answer is not None:
        icon = outcomes.look(turn.answer.outcome.kind, turn.answer.outcome.detail).icon
    with st.chat_message("assistant", avatar=icon):
        if turn.text:
            show_answer(turn.text)
        if turn.problem:
            if turn.problem == STOPPED:
                st.warning(STOPPED, icon=":material/stop_circle:")
            else:
                st.error(f"**No answer.** {literal(turn.problem, 400)}", icon=outcomes.ERROR.icon)
            st.button(
                "Send it again",
                key=f"again-{turn.id}",
                icon=":material/refresh:",
                on_click=_queue,
                args=(turn.ask,),
                disabled=not context.actor().may(Action.ASK),
            )
        if turn.answer is not None:
            with st.container(border=True, gap="small"):
                decision(turn, turn.answer)
                _next_steps(turn, turn.answer)
                if turn.fresh is not None:
                    side_by_side(turn, turn.fresh)


def _next_steps(turn: Turn, answer: Answer) -> None:
    may = context.actor().may(Action.ASK)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Ask again",
            key=f"repeat-{turn.id}",
            icon=":material/refresh:",
            on_click=_queue,
            args=(turn.ask,),
            disabled=not may,
        )
        st.button(
            "Ask again without the cache",
            key=f"fresh-{turn.id}",
            icon=outcomes.BYPASS.icon,
            on_click=_queue,
            args=(msgspec.structs.replace(turn.ask, past_cache=True),),
            disabled=not may,
        )
        if turn.is_stored:
            st.button(
                "Compare with fresh",
                key=f"compare-{turn.id}",
                icon=":material/compare:",
                on_click=_queue_comparison,
                args=(turn.id,),
                disabled=not may,
                help="Asks the model once more, without the cache, and shows both answers side by side.",
            )
            if not turn.imported:
                verdict_buttons(turn, answer)
    show_verdict(turn)


page()
