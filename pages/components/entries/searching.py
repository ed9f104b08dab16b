"""A search goes on by itself, batch by batch, as long as its page is open: what it found, how far it is, and Stop.

Each batch is a run of a fragment, which the browser asks for: a search ends with its tab.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from core.entries import PAGE_SIZE, EntryPage
from pages.components.data import queries
from pages.components.data.entry_filters import ANY_TIME, Filters
from pages.components.data.held import replace
from pages.components.display.figures import many, sentence
from pages.components.display.selectable import selected
from pages.components.display.text import plain
from pages.components.entries.detail import SNAPSHOT, TABLE
from pages.components.shell.address import ID, given

PAUSE_SECONDS = 0.5
"""From the begin of a batch to that of the next, which leaves other sessions about half of the time."""
REDRAW_SECONDS = 2.0
"""Rows that were found come into the table at most this often: the table loses its place when it is drawn anew."""
_STOPPED = "entries-search-stopped"
_DRAWN_AT = "entries-search-drawn-at"


def is_unfinished(page: EntryPage) -> bool:
    """Whether the page has room for more, and not all entries were searched."""
    return page.last is not None and len(page.entries) < PAGE_SIZE


def begin() -> None:
    """Lets a new search go on, where the one before was stopped."""
    st.session_state.pop(_STOPPED, None)


def progress(chosen: Filters, before: int) -> Callable[[], None]:
    """Makes room for how far the search is. What is returned draws it there, and searches on: to be called last of all.

    `before` entries were searched for the pages before.
    """
    room = st.container()
    st.session_state[_DRAWN_AT] = time.monotonic()
    shown = len(_so_far()[0].entries)
    is_stopped = bool(st.session_state.get(_STOPPED))

    def carry_on() -> None:
        with room:
            st.fragment(_carry_on, run_every=None if is_stopped else PAUSE_SECONDS)(chosen, before, shown, is_stopped)

    return carry_on


def _so_far() -> tuple[EntryPage, int]:
    found: tuple[EntryPage, int] = st.session_state[SNAPSHOT].reading.value
    return found


def _carry_on(chosen: Filters, before: int, shown: int, was_stopped: bool) -> None:
    """Searches one batch and draws how far it is; has the whole page drawn when rows were found."""
    is_stopped = bool(st.session_state.get(_STOPPED))
    if SNAPSHOT not in st.session_state or is_stopped is not was_stopped:
        st.rerun()
    page, listed = _so_far()
    error = ""
    if is_unfinished(page) and not is_stopped:
        more = queries.entry_page(chosen, page.last, PAGE_SIZE - len(page.entries))
        error = more.error
        if not error and more.value is not None:
            page = page.followed_by(more.value[0])
            replace(SNAPSHOT, (page, listed))
            if _may_redraw(page, shown):
                st.rerun()
    words = in_words(chosen, page, before, listed)
    if error:
        words += f" {sentence(plain(error))}. The search continues as soon as it can."
    if hidden := len(page.entries) - shown:
        words += f" {many(hidden, 'row')} more as soon as no entry is selected."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(_share(chosen, page, before, listed), text=words, width="stretch")
        st.button(
            "Continue" if is_stopped else "Stop",
            key="entries-search-go",
            icon=":material/play_arrow:" if is_stopped else ":material/stop:",
            disabled=not is_unfinished(page),
            on_click=_stop_or_go_on,
        )


def _stop_or_go_on() -> None:
    st.session_state[_STOPPED] = not st.session_state.get(_STOPPED)


def _may_redraw(page: EntryPage, shown: int) -> bool:
    """Whether the whole page may be drawn anew: never under the pointer of someone who has selected a row."""
    if selected(TABLE) or given(ID) or st.session_state.get("entries-pending"):
        return False
    has_waited = time.monotonic() - st.session_state[_DRAWN_AT] >= REDRAW_SECONDS
    return not is_unfinished(page) or (len(page.entries) > shown and (has_waited or not shown))


def in_words(chosen: Filters, page: EntryPage, before: int, listed: int) -> str:
    """How far the search is and what it found, as a sentence."""
    what, of = _searched_in(chosen, listed)
    searched = before + page.scanned
    found = len(page.entries)
    matches = "1 matches" if found == 1 else f"{found or 'none'} match"
    if before:
        matches += " on this page"
    if page.last is None:
        return f"Searched all {searched:,} {what}: {matches}."
    part = f"{searched:,}" if of is None else f"{searched:,} of {max(of, searched):,}"
    if not is_unfinished(page):
        return f"Searched {part} {what}: {matches}. Next continues the search."
    if st.session_state.get(_STOPPED):
        return f"Stopped after {part} {what}: {matches} so far."
    return f"Searched {part} {what}: {matches} so far."


def _searched_in(chosen: Filters, listed: int) -> tuple[str, int | None]:
    """What is searched, and how many there are of it; None where that is not known before."""
    where = chosen.where(0.0)
    if where.pinned:
        return "pinned entries", None
    if where.fewest_hits:
        return "entries that were served", None
    return "entries of this model and age" if chosen.model or chosen.age != ANY_TIME else "entries", listed


def _share(chosen: Filters, page: EntryPage, before: int, listed: int) -> float:
    of = _searched_in(chosen, listed)[1]
    return min(1.0, (before + page.scanned) / of) if of else 0.0
