"""Calling an answer wrong: takes it out of service at once, and a near match with it, until somebody undoes it."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.entries import find_entry
from core.errors import CacheError, InvalidInput
from core.invalidation import Invalidation
from core.models import Answer, HitDetail
from core.semantic.quality import pair_id
from pages.components.data import actions, context
from pages.components.playground.turns import Turn

NEAR = (HitDetail.SEMANTIC, HitDetail.ALIAS)
"""Hits by another question's answer."""


def verdict_buttons(turn: Turn, answer: Answer) -> None:
    """What an operator can say of a stored answer."""
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
            help="Brings the answer back as it was. That the pair is different stays noted: see Quality.",
        )
        return
    st.button(
        "This answer is wrong",
        key=f"wrong-{turn.id}",
        icon=":material/thumb_down:",
        on_click=_wrong,
        args=(turn, answer),
        disabled=not may,
        help="Hides the stored answer from every lookup at once; a worker deletes it when the time for undo is over."
        + (" Also notes that it does not answer this question: never served for it again." if is_near else ""),
    )
    if is_near:
        st.button(
            "Wrong for this question only",
            key=f"apart-{turn.id}",
            icon=":material/call_split:",
            on_click=_apart,
            args=(turn, answer),
            disabled=not may,
            help="The stored answer stays for the question it was given to, and is never served for this one again.",
        )


def _wrong(turn: Turn, answer: Answer) -> None:
    namespace, key = turn.ask.namespace, answer.key

    def act() -> tuple[Invalidation, str]:
        stored = find_entry(context.services().store, namespace, key) if answer.outcome.detail in NEAR else None
        hidden = _hide(turn, key)
        turn.hidden_by = hidden.id
        return hidden, _label(turn, stored.entry.prompt) if stored is not None else ""

    actions.perform(
        _name(turn),
        act,
        lambda done: f"The answer is hidden from every lookup as of now. {done[1]}".strip(),
        Action.INVALIDATE,
    )


def _apart(turn: Turn, answer: Answer) -> None:
    """Labels the pair, and hides what leads from this wording to the answer."""

    def act() -> str:
        built = context.services()
        stored = find_entry(built.store, turn.ask.namespace, answer.key)
        if stored is None:
            raise InvalidInput("key", "the stored answer is gone already")
        told = _label(turn, stored.entry.prompt, needed=True)
        _, keyed = built.cache.decider.prepared(turn.ask.request(), turn.ask.controls())
        if keyed is not None and keyed.identity.key != answer.key:
            turn.hidden_by = _hide(turn, keyed.identity.key).id
        return told

    actions.perform(_name(turn), act, lambda told: told, Action.INVALIDATE)


def _hide(turn: Turn, key: str) -> Invalidation:
    return context.services().invalidation.invalidate(
        Criteria(namespace=turn.ask.namespace, key=key),
        actor=context.trail(),
        request_id=uuid4().hex[:16],
    )


def _label(turn: Turn, stored_prompt: str, *, needed: bool = False) -> str:
    """Notes that question and stored question are different; what became of it."""
    evidence = context.services().evidence
    namespace = turn.ask.namespace
    try:
        evidence.call_different(namespace, pair_id(namespace, turn.ask.prompt, stored_prompt), actor=context.actor())
    except CacheError as error:
        if needed:
            raise
        return f"The pair could not be labelled: {error}."
    return "The pair is labelled as different: it is never served again."


def _undo(turn: Turn) -> None:
    done = actions.perform(
        _name(turn),
        lambda: context.services().invalidation.undo(turn.hidden_by, actor=context.trail()),
        lambda undone: "Undone: the answer is back, with its own remaining TTL.",
        Action.UNDO,
    )
    if done is not None:
        turn.hidden_by = ""


def show_verdict(turn: Turn) -> None:
    """What became of it."""
    actions.show_last(_name(turn))


def _name(turn: Turn) -> str:
    return f"verdict-{turn.id}"
