"""Calling an answer wrong: takes it out of service at once, and a near match with it, until that is undone."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from core.entries import Verdict
from core.models import Answer, HitDetail
from pages.components.data import actions, context
from pages.components.playground.conversation import Turn

NEAR = (HitDetail.SEMANTIC, HitDetail.ALIAS)
"""Hits by another question's answer."""

LABELLED = "The pair is labelled as different: it is never served again."


def verdict_buttons(turn: Turn, answer: Answer) -> None:
    """Draws the buttons that call a stored answer wrong, or wrong for this question."""
    is_near = answer.outcome.detail in NEAR
    may = context.actor().may(Action.INVALIDATE) and context.actor().may(Action.LABEL)
    if turn.hidden_by:
        st.button(
            "Undo",
            key=f"undo-{turn.id}",
            icon=":material/undo:",
            on_click=_undo,
            args=(turn,),
            disabled=not context.actor().may(Action.UNDO),
            help="Bring the answer back as it was. The pair stays labelled as different: see Quality.",
        )
        return
    st.button(
        "This answer is wrong",
        key=f"wrong-{turn.id}",
        icon=":material/thumb_down:",
        on_click=_wrong,
        args=(turn, answer),
        disabled=not may,
        help="Hide the stored answer from every lookup at once; a worker deletes it when the time to undo ends."
        + (" Also label the pair as different: never served for this question again." if is_near else ""),
    )
    if is_near:
        st.button(
            "Wrong for this question only",
            key=f"apart-{turn.id}",
            icon=":material/call_split:",
            on_click=_apart,
            args=(turn, answer),
            disabled=not may,
            help="Keep the stored answer for the question it was given to, and never serve it for this one again.",
        )


def _wrong(turn: Turn, answer: Answer) -> None:
    question = turn.ask.prompt if answer.outcome.detail in NEAR else None

    def act() -> Verdict:
        return context.services().verdicts.wrong(
            turn.ask.namespace, answer.key, actor=context.trail(), question=question
        )

    _remember(turn, actions.perform(_name(turn), act, _hidden))


def _apart(turn: Turn, answer: Answer) -> None:
    def act() -> Verdict:
        return context.services().verdicts.apart(
            turn.ask.namespace, answer.key, turn.ask.request(), turn.ask.controls(), actor=context.trail()
        )

    _remember(turn, actions.perform(_name(turn), act, lambda verdict: LABELLED))


def _remember(turn: Turn, verdict: Verdict | None) -> None:
    if verdict is not None and verdict.hidden is not None:
        turn.hidden_by = verdict.hidden.id


def _hidden(verdict: Verdict) -> str:
    words = "The answer is hidden from every lookup now."
    if verdict.problem:
        return f"{words} The pair could not be labelled: {verdict.problem}."
    return f"{words} {LABELLED}" if verdict.labelled else words


def _undo(turn: Turn) -> None:
    done = actions.perform(
        _name(turn),
        lambda: context.services().invalidation.undo(turn.hidden_by, actor=context.trail()),
        lambda undone: "Undone: the answer is back, with its own remaining TTL.",
    )
    if done is not None:
        turn.hidden_by = ""


def show_verdict(turn: Turn) -> None:
    """Draws the result of the latest verdict."""
    actions.show_last(_name(turn))


def _name(turn: Turn) -> str:
    return f"verdict-{turn.id}"
