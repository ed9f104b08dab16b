"""Correcting an answer: the dialog, and the versions that it has, to be read and restored."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Visibility
from core.entries import LONGEST_ANSWER, FoundEntry, Version, find_entry, versions_of
from core.errors import NotFound
from core.wire import readable
from pages.components.data import actions, context
from pages.components.data.context import corrections
from pages.components.display.answers import show_answer
from pages.components.display.figures import clock, duration, many
from pages.components.display.text import literal, visible
from pages.components.shell.confirmation import reason_field
from pages.components.shell.frame import state

CORRECTING = "entry-correcting"
"""Where a session keeps the answer that the dialog corrects."""
RESULT = "entry"
ELSEWHERE = "The same question with another model, system prompt or namespace keeps its own answer."


class Correcting(msgspec.Struct, frozen=True, kw_only=True):
    """The answer as it stood when the dialog opened. `seen_at` says which one it is; `left` is its TTL in seconds."""

    namespace: str
    key: str
    prompt: str
    text: str
    seen_at: float
    left: float
    pinned: bool
    hidden: bool


def may_be_corrected(found: FoundEntry) -> bool:
    """Whether an answer is one that a correction may replace, as far as that can be seen here."""
    is_there = found.state in (Visibility.FRESH, Visibility.STALE, Visibility.HIDDEN)
    return is_there and context.now() < found.entry.header.fresh_until


def ask_to_correct(found: FoundEntry) -> None:
    """Opens the dialog."""
    header = found.entry.header
    actions.forget_last(RESULT)
    st.session_state[CORRECTING] = Correcting(
        namespace=header.namespace,
        key=found.key,
        prompt=found.entry.prompt,
        text=readable(found.entry.body),
        seen_at=header.created_at,
        left=header.fresh_until - context.now(),
        pinned=found.pinned,
        hidden=found.state is Visibility.HIDDEN,
    )


def ask_to_correct_at(namespace: str, key: str) -> None:
    """Opens the dialog for the answer at a key, or says why that cannot be."""

    def look() -> FoundEntry:
        context.actor().require(Action.EDIT_ENTRIES)
        built = context.services()
        found = find_entry(built.store, namespace, key, hits=built.metrics.hits, pins=built.pins)
        if found is None:
            raise NotFound("nothing is stored at this key any more: write the answer under Entries")
        return found

    found = actions.perform("entry-look", look, lambda found: "")
    if found is not None:
        actions.forget_last("entry-look")
        ask_to_correct(found)


def _close() -> None:
    st.session_state.pop(CORRECTING, None)


def dialog() -> None:
    """Draws the dialog if one is open."""
    if asked := st.session_state.get(CORRECTING):
        _dialog(asked)


@st.dialog("Correct this answer", icon=":material/edit:", width="large", on_dismiss=_close)
def _dialog(asked: Correcting) -> None:
    """Asks for the right answer, with what stays as it is."""
    st.caption("Question")
    with st.container(border=True, height="content" if len(asked.prompt) < 400 else 120):
        st.text(visible(asked.prompt[:LONGEST_ANSWER]))
    answer = st.text_area(
        "Answer",
        asked.text[:LONGEST_ANSWER],
        key=f"correct-answer-{asked.seen_at}",
        height=220,
        max_chars=LONGEST_ANSWER,
    )
    reason = reason_field("correct-reason", placeholder="Why? Kept with the version before")
    pin = False
    if context.services().pins is not None and not asked.pinned:
        pin = st.checkbox("Pin it: keep it fresh until it is unpinned", key="correct-pin")
    stays = "its pin" if asked.pinned else f"its TTL ({duration(asked.left)} left)"
    st.caption(
        f"The old answer is no longer served. The question, its tags and {stays} stay. The count of hits starts at 0."
    )
    st.caption(ELSEWHERE)
    if asked.hidden:
        st.caption("An invalidation hides the old answer, so it is not kept as a version.")
    else:
        st.caption("The old answer is kept as a version, which you can restore.")
    may = context.actor().may(Action.EDIT_ENTRIES) and state().may_write
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="correct-cancel"):
            _close()
            st.rerun()
        if st.button("Correct", key="correct-confirm", type="primary", disabled=not may or not answer.strip()):
            _close()
            _correct(asked, answer, pin=pin, reason=reason)
            st.rerun()


def _correct(asked: Correcting, answer: str, *, pin: bool, reason: str) -> None:
    pinned = " It is pinned." if pin or asked.pinned else ""
    actions.perform(
        RESULT,
        lambda: corrections().correct(
            asked.namespace, asked.key, answer, pin=pin, reason=reason, seen_at=asked.seen_at
        ),
        lambda entry: f"Corrected: lookups that lead to this entry get this answer now.{pinned} {ELSEWHERE}",
    )
    _look_again()


def _look_again() -> None:
    st.session_state.pop("entries-snapshot", None)
    context.readings().renew()


# Versions


def versions(found: FoundEntry, *, may: bool) -> None:
    """Draws what stood here before it was corrected, folded; nothing for an answer that was not."""
    known = versions_of(found.entry)
    if not known:
        return
    folded = st.expander(
        f"{many(len(known), 'version')} before this one", icon=":material/history:", key="entry-versions"
    )
    with folded:
        st.caption(
            "Never served. They are deleted with the answer: when it expires, is invalidated or is generated again."
        )
        for number, version in enumerate(known):
            _version(found, version, number, may=may)


def _version(found: FoundEntry, version: Version, number: int, *, may: bool) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            why = f": {literal(version.reason, 200)}" if version.reason else ""
            st.caption(
                f"Stored {clock(version.created_at)}, replaced {clock(version.replaced_at)} "
                f"by {literal(version.actor, 40)}{why}",
                width="stretch",
            )
            st.button(
                "Restore",
                key=f"entry-restore-{number}",
                icon=":material/settings_backup_restore:",
                on_click=_restore,
                args=(found, version),
                disabled=not may,
            )
        text = readable(version.body)
        with st.container(height="content" if len(text) < 800 else 200):
            show_answer(text[:LONGEST_ANSWER])


def _restore(found: FoundEntry, version: Version) -> None:
    header = found.entry.header
    actions.perform(
        RESULT,
        lambda: corrections().restore(header.namespace, found.key, version.replaced_at, seen_at=header.created_at),
        lambda entry: f"Restored: lookups that lead to this entry get this answer now. {ELSEWHERE}",
    )
    _look_again()
