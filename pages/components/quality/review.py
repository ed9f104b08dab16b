"""The review queue: near matches one by one, for an operator to say whether the stored answer fits."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.access import Action
from core.keys import names
from core.models import CacheEntry
from core.semantic import JUDGE_WORDS
from core.semantic.quality import Pair
from core.wire import readable
from pages.components.data import actions, context, queries, semantic
from pages.components.display.figures import clock, many
from pages.components.display.text import literal, plain, visible
from pages.components.shell.address import visit
from pages.components.shell.permissions import read_only

SHOWN_CHARACTERS = 1200

UNCHECKED = "judged, unchecked"
UNLABELLED = "without a label"
CHECKED = "checked"
KINDS = (UNCHECKED, UNLABELLED, CHECKED)

_SHOWN = "review-shown"
_SKIPPED = "review-skipped"
_REJECTED = "review-rejected"


def queue_of(pairs: Sequence[Pair], kind: str) -> list[Pair]:
    """The pairs of a kind, those first that count as evidence; else by chance, so that what is checked is fair."""
    chosen = [pair for pair in pairs if kind_of(pair) == kind]
    if kind == CHECKED:
        return chosen
    return sorted(chosen, key=lambda pair: (not pair.first or bool(pair.guard), pair.id))


def kind_of(pair: Pair) -> str:
    """Where in the review a pair is."""
    if pair.operator_label is not None:
        return CHECKED
    return UNLABELLED if pair.judge_label is None else UNCHECKED


def review(namespace: str) -> None:
    """Draws one pair at a time, with the keys Y, N and S."""
    reading = semantic.pairs(namespace)
    if reading.value is None:
        st.caption("The near matches appear here when Redis answers.")
        return
    queues = {kind: queue_of(reading.value, kind) for kind in KINDS}
    first = next((kind for kind in KINDS if queues[kind]), UNCHECKED)
    kind = st.pills(
        "Near matches",
        KINDS,
        default=first,
        format_func=lambda kind: f"{kind[:1].upper()}{kind[1:]}: {len(queues[kind])}",
        key="review-kind",
        required=True,
        label_visibility="collapsed",
    )
    actions.show_last("label")
    _served_wrongly()
    skipped: set[str] = st.session_state.setdefault(_SKIPPED, set())
    waiting = [pair for pair in queues[kind or first] if kind == CHECKED or pair.id not in skipped]
    if not waiting:
        _nothing_waits(kind or first, len(queues[kind or first]), skipped)
        return
    if kind == CHECKED:
        place = st.number_input("Checked pair, the latest first", 1, len(waiting), 1, key="review-place", width=220)
        pair = waiting[place - 1]
    else:
        # The pair on screen stays while others come in.
        shown = st.session_state.get(_SHOWN)
        pair = next((one for one in waiting if one.id == shown), waiting[0])
        st.session_state[_SHOWN] = pair.id
    with st.container(border=True):
        _pair(pair)
        _verdict_buttons(pair, can_skip=kind != CHECKED)


def _nothing_waits(kind: str, count: int, skipped: set[str]) -> None:
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        if count:
            st.markdown(f":material/skip_next: **{many(count, 'pair')} skipped**", text_alignment="center")
            st.button("Show them again", key="unskip", icon=":material/undo:", on_click=skipped.clear)
        elif kind == CHECKED:
            st.markdown(":material/rule: **No near match has been checked yet**", text_alignment="center")
        else:
            st.markdown(":material/done_all: **Nothing to review**", text_alignment="center")
            st.caption("New near matches appear here as requests come in.", text_alignment="center")
        st.space("small")


def _pair(pair: Pair) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"cosine {pair.similarity:.3f}", icon=":material/straighten:", color="blue")
        if pair.guard:
            st.badge(f"refused by guard: {literal(pair.guard, 40)}", icon=":material/shield:", color="orange")
        else:
            st.badge("guards passed", icon=":material/shield:", color="gray")
        if pair.judge_label is not None:
            word, icon = ("yes", ":material/thumb_up:") if pair.judge_label else ("no", ":material/thumb_down:")
            st.badge(f"judge: {word}", icon=icon, color="violet")
        elif pair.judge_word:
            word = JUDGE_WORDS.get(pair.judge_word, plain(pair.judge_word))
            st.badge(f"judge: {word}", icon=":material/gavel:", color="gray")
        if pair.served:
            st.badge("was served", icon=":material/bolt:", color="green")
        if pair.operator_label is not None:
            word, icon = ("fits", ":material/check:") if pair.operator_label else ("does not fit", ":material/close:")
            st.badge(f"operator: {word}", icon=icon, color="gray")
        st.caption(clock(pair.at), width="content")
    if pair.judge_reason:
        st.caption("The judge's reason")
        st.text(visible(pair.judge_reason), width="stretch")
    with st.grid(2, min_column_width=280):
        with st.container(gap="xsmall"):
            _question("Asked", pair.question, pair, pair.question_key)
            if not pair.served:
                _answer("Its own answer", pair, pair.question_key)
        with st.container(gap="xsmall"):
            _question("Stored question", pair.stored, pair, pair.key)
            _answer("Stored answer", pair, pair.key)


def _question(title: str, text: str | None, pair: Pair, key: str) -> None:
    st.markdown(f"**{title}**")
    if text is None:
        entry = _entry(pair, key)
        text = entry.prompt if entry is not None else None
    if text is None:
        st.caption("Its text was not kept (`ENCORE_RECORD_PROMPTS`).")
    else:
        st.text(visible(text[:SHOWN_CHARACTERS]), width="stretch")


def _answer(title: str, pair: Pair, key: str) -> None:
    entry = _entry(pair, key)
    st.caption(title if entry is not None else f"{title}: no longer stored")
    if entry is not None:
        text = visible(readable(entry.body))
        st.text(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…", width="stretch")


def _entry(pair: Pair, key: str) -> CacheEntry | None:
    """The entry at a key now; for an alias, the entry it leads to."""
    if not key:
        return None
    found = queries.entry(names.namespace_in(pair.namespace), key).value
    return found.entry if found is not None and found.entry.header.target is None else None


def _verdict_buttons(pair: Pair, *, can_skip: bool) -> None:
    may = context.actor().may(Action.LABEL)
    st.markdown("Does the stored answer answer what was asked?")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Yes, it fits",
            key="accept",
            icon=":material/check:",
            shortcut="Y",
            disabled=not may,
            on_click=_label,
            args=(pair, True),
        )
        st.button(
            "No, it does not",
            key="reject",
            icon=":material/close:",
            shortcut="N",
            disabled=not may,
            on_click=_label,
            args=(pair, False),
        )
        if can_skip:
            st.button("Skip", key="skip", icon=":material/skip_next:", shortcut="S", on_click=_skip, args=(pair.id,))
        read_only(Action.LABEL)


def _label(pair: Pair, fits: bool) -> None:
    done = actions.label(pair.id, fits)
    if done is not None:
        st.session_state[_REJECTED] = pair if pair.served and not fits else None


def _skip(pair_id: str) -> None:
    st.session_state[_SKIPPED].add(pair_id)
    actions.forget_last("label")


def _served_wrongly() -> None:
    """Draws how to take an answer out of service that was served for a rejected pair."""
    pair: Pair | None = st.session_state.get(_REJECTED)
    if pair is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(
            f":material/warning: This wrong answer was served, and may be again: {literal(pair.question or '', 60)}",
            width="stretch",
        )
        if st.button("Hide it…", key="hide", icon=":material/block:", disabled=not pair.question_key):
            st.session_state["criteria-selectors"] = ["key"]
            st.session_state["criteria-key"] = pair.question_key
            visit("pages/invalidations.py", {"namespace": names.namespace_in(pair.namespace)})
        st.button("Close", key="close-rejected", icon=":material/close:", type="tertiary", on_click=_forget_rejected)


def _forget_rejected() -> None:
    st.session_state.pop(_REJECTED, None)
