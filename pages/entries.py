"""Entries: what is stored, to be searched, read, exported, imported and mended."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

import msgspec
import pandas as pd
import streamlit as st

from core.entries import (
    LOOKED_THROUGH,
    LOOKING_SECONDS,
    PAGE_SIZE,
    EntryPage,
    FoundEntry,
    Place,
)
from core.errors import InvalidInput
from core.keys import Slot, parse_readable_key
from pages.components.data import actions, queries
from pages.components.data.entry_filters import Filters
from pages.components.data.readings import Reading
from pages.components.display.figures import UNKNOWN, clock, duration, many
from pages.components.display.text import error_sentence, literal, one_line
from pages.components.entries.detail import (
    SNAPSHOT,
    ask_to_invalidate,
    detail,
    dialog,
    export_button,
    look_again,
    looks,
    may_edit,
)
from pages.components.entries.filters import clear, fill_from_link, filters
from pages.components.entries.intake import intake
from pages.components.shell.frame import frame, nothing_yet

_column = st.column_config

COLUMNS: dict[str, Any] = {
    "prompt": _column.TextColumn("Prompt", width=300),
    "state": _column.TextColumn("State", width=95),
    "hits": _column.NumberColumn("Hits", format="localized", width=50),
    "age": _column.TextColumn("Age", width=92),
    "left": _column.TextColumn("TTL left", width=95),
    "model": _column.TextColumn("Model", width=145),
    "last_hit": _column.TextColumn("Last hit", width=105),
    "bytes": _column.NumberColumn("Bytes", format="localized", width=75),
    "cost_usd": _column.NumberColumn("Cost, $", format="%.6f", width=90),
    "ttl_class": _column.TextColumn("TTL class", width=130),
    "tags": _column.ListColumn("Tags", width="small"),
    "key": _column.TextColumn("Key", width=130),
}
SHOWN = ("prompt", "state", "hits", "age", "left", "model")
"""What fits beside one another; the table's menu shows the others, and the detail all of them."""

KEPT_SECONDS = 30
"""A page stays as it was read while rows are selected, else for so long: rows must not move under the pointer."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A page as this session sees it, and when it was read."""

    chosen: Filters
    place: Place | None
    page: EntryPage
    listed: int
    at: float
    error: str = ""


def page() -> None:
    if not frame("Entries", "What the cache has stored: search it, read it, take it out of service, put answers in."):
        return
    fill_from_link()
    chosen = filters()
    if elsewhere := st.session_state.pop("entries-leave-for", ""):
        st.switch_page(elsewhere, query_params={})
    try:
        Slot(chosen.namespace, 0)
    except InvalidInput as error:
        st.error(error_sentence(error), icon=":material/error:")
        return
    listing(chosen)
    intake(chosen.namespace)
    dialog()


def listing(chosen: Filters) -> None:
    """One page of what is found, and the entry that is looked at."""
    if parse_readable_key(chosen.text):
        st.query_params["key"] = chosen.text
        shown_by_key(chosen.namespace, chosen.text)
        return
    place = _place(chosen)
    shown = snapshot(chosen, place)
    if isinstance(shown, Reading):
        nothing_yet(shown)
        return
    result = shown.page
    if not result.entries and place is None and result.last is None:
        nothing_found(chosen)
        actions.show_last("entry")
        return
    summary(shown)
    selected = table(result.entries)
    st.session_state["entries-selected"] = bool(selected)
    turn(chosen, result)
    linked = st.query_params.get("key", "")
    if len(selected) == 1:
        if linked != selected[0].key:
            st.query_params["key"] = selected[0].key
        detail(selected[0])
    elif selected:
        st.query_params.pop("key", None)
        many_selected(chosen, selected)
    elif linked:
        shown_by_key(chosen.namespace, linked)
    else:
        actions.show_last("entry")


def snapshot(chosen: Filters, place: Place | None) -> Snapshot | Reading[tuple[EntryPage, int]]:
    """The page to be shown; a reading without a value when there is none."""
    now = time.time()
    kept: Snapshot | None = st.session_state.get(SNAPSHOT)
    if kept is not None and (kept.chosen, kept.place) == (chosen, place):
        is_held = st.session_state.get("entries-selected", False)
        if not kept.error and (is_held or now - kept.at < KEPT_SECONDS):
            return kept
    found = queries.entry_page(chosen, place)
    if found.value is None:
        return found
    page, listed = found.value
    shown = Snapshot(chosen=chosen, place=place, page=page, listed=listed, at=found.read_at, error=found.error)
    st.session_state[SNAPSHOT] = shown
    return shown


def shown_by_key(namespace: str, key: str) -> None:
    """The entry that a link or the search field names."""
    found = queries.entry(namespace, key)
    if found.value is not None:
        detail(found.value)
    elif found.error:
        nothing_yet(found)
    else:
        with st.container(border=True, horizontal_alignment="center"):
            st.space("small")
            st.markdown(":material/key_off: **No entry has this key**", text_alignment="center")
            st.caption(
                "It may have expired, been evicted or deleted, or be in another namespace.", text_alignment="center"
            )
            st.button("Show all entries", key="entries-clear", on_click=_clear)
            st.space("small")


# Paging: a stack of places, since a list that grows at its head has no page numbers.


def _place(chosen: Filters) -> Place | None:
    """Where the page begins; at the head again when the filters have changed."""
    if st.session_state.get("entries-listed") != chosen:
        st.session_state["entries-listed"] = chosen
        st.session_state["entries-places"] = []
    places: list[Place] = st.session_state["entries-places"]
    return places[-1] if places else None


def _next(place: Place) -> None:
    st.session_state["entries-places"] = [*st.session_state["entries-places"], place]


def _previous() -> None:
    st.session_state["entries-places"] = st.session_state["entries-places"][:-1]


def _clear() -> None:
    clear()
    st.query_params.pop("key", None)


def order(chosen: Filters) -> str:
    """What comes first."""
    where = chosen.where(0.0)
    return "the last pinned first" if where.pinned else "most served first" if where.fewest_hits else "newest first"


def turn(chosen: Filters, result: EntryPage) -> None:
    """Next and previous, when there is more than one page."""
    number = len(st.session_state["entries-places"]) + 1
    if number == 1 and result.last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Previous", key="entries-previous", icon=":material/chevron_left:", disabled=number == 1, on_click=_previous
        )
        st.button(
            "Continue" if result.last is not None and len(result.entries) < PAGE_SIZE else "Next",
            key="entries-next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=result.last is None,
            on_click=_next,
            args=(result.last,),
        )
        st.caption(f"Page {number}, {order(chosen)}" + ("" if result.last else ", the last one"))


def summary(shown: Snapshot) -> None:
    """How many there are, as far as is known, and as of when."""
    chosen, result = shown.chosen, shown.page
    listed = many(shown.listed, "entry", "entries")
    where = chosen.where(shown.at)
    if where.by_index:
        words = f"The index lists {listed}" + (" like this" if chosen.choose else " in this namespace")
    elif where.pinned or where.fewest_hits:
        words = f"{len(result.entries)} of the {result.scanned:,} looked at for this page match"
    else:
        words = (
            f"{len(result.entries)} of the {result.scanned:,} looked through for this page match; the index lists "
            f"{listed} of this model and age"
        )
    if result.last is not None and len(result.entries) < PAGE_SIZE:
        words += f". A page looks through {LOOKED_THROUGH:,} at most, for {LOOKING_SECONDS:g} s: go on with Continue"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{words}.", help="It may still list some that have expired within the last hour.", width="content")
        st.button(
            f"Read at {clock(shown.at)}",
            key="entries-refresh",
            icon=":material/refresh:",
            type="tertiary",
            help="Reads it again.",
            on_click=look_again,
        )
        if chosen.choose:
            st.button(
                "Clear filters", key="entries-clear", icon=":material/filter_alt_off:", type="tertiary", on_click=_clear
            )
        criteria = chosen.criteria()
        if criteria is not None:
            st.button(
                "Invalidate all that match…",
                key="entries-invalidate-all",
                icon=":material/block:",
                type="tertiary",
                disabled=not may_edit(),
                help="Opens Invalidations with these criteria filled in. Nothing is changed before you confirm there.",
                on_click=_leave_for,
                args=("pages/invalidations.py", criteria),
            )


def _leave_for(page_path: str, values: dict[str, Any]) -> None:
    """Goes to another page, with values for its controls; what is in the URL belongs to this page and stays behind."""
    clear()
    for name, value in values.items():
        st.session_state[name] = value
    st.session_state["entries-leave-for"] = page_path


def table(entries: tuple[FoundEntry, ...]) -> list[FoundEntry]:
    """The page's entries; those that are selected."""
    if not entries:
        st.info("Nothing among these. Go on with Continue.", icon=":material/search:")
        return []
    now = time.time()
    rows = [
        {
            "prompt": one_line(one.entry.prompt, 300),
            "state": looks(one, now)[0],
            "hits": one.hits.total if one.hits else None,
            "last_hit": _last_hit(one, now),
            "age": duration(max(0.0, now - one.entry.header.created_at)),
            "left": _left(one, now),
            "model": one_line(one.entry.header.model),
            "bytes": one.bytes,
            "cost_usd": one.entry.header.cost_usd,
            "ttl_class": one_line(one.entry.ttl_class),
            "tags": [one_line(tag, 60) for tag in one.entry.tags],
            "key": one.key,
        }
        for one in entries
    ]
    # A selection is of rows: with other rows it must be another table, or it would point at another entry.
    generation = st.session_state.get("entries-table-generation", 0)
    content = sha256("".join(one.key for one in entries).encode()).hexdigest()[:16]
    event = st.dataframe(
        pd.DataFrame(rows),
        column_config=COLUMNS,
        column_order=SHOWN,
        hide_index=True,
        height=min(35 * len(rows) + 38, 460),
        on_select="rerun",
        selection_mode="multi-row",
        key=f"entries-table-{generation}-{content}",
        placeholder=UNKNOWN,
        alt="Stored entries; select rows to read or change them",
    )
    return [entries[row] for row in event.selection.rows if row < len(entries)]


def _last_hit(one: FoundEntry, now: float) -> str:
    if one.hits is None or one.hits.last_at is None:
        return "never"
    return f"{duration(max(0.0, now - one.hits.last_at))} ago"


def _left(one: FoundEntry, now: float) -> str:
    if one.pinned:
        return "pinned"
    left = one.entry.header.fresh_until - now
    return duration(left) if left > 0 else "over"


def many_selected(chosen: Filters, selected: list[FoundEntry]) -> None:
    """What can be done with several entries at once."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{many(len(selected), 'entry', 'entries')} selected**", width="content")
        st.button(
            f"Invalidate {len(selected)}…",
            key="entries-invalidate",
            icon=":material/block:",
            disabled=not may_edit(),
            on_click=ask_to_invalidate,
            args=(chosen.namespace, [one.key for one in selected]),
        )
        export_button(selected, key="entries-export")
    actions.show_last("entry")


def nothing_found(chosen: Filters) -> None:
    """Two different things: nothing is stored, or nothing matches."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        if chosen.choose:
            st.markdown(":material/search_off: **Nothing matches**", text_alignment="center")
            st.caption("Nothing that is stored now is like this.", text_alignment="center")
            st.button("Clear filters", key="entries-clear", icon=":material/filter_alt_off:", on_click=_clear)
        else:
            st.markdown(":material/database: **No entries yet**", text_alignment="center")
            others = [name for name in queries.namespaces() if name != chosen.namespace]
            if others:
                st.caption(
                    f"None in {literal(chosen.namespace)}. Other namespaces: "
                    + ", ".join(literal(name) for name in others[:8]),
                    text_alignment="center",
                )
            st.caption(
                "An entry appears when a request is answered by the provider and may be kept. Ask something, or put "
                "answers in below.",
                text_alignment="center",
            )
            st.button(
                "Open the playground",
                key="entries-playground",
                icon=":material/chat:",
                type="primary",
                on_click=_leave_for,
                args=("pages/playground.py", {}),
            )
        st.space("small")


page()
