"""Entries: search, read, export, import and change what is stored."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.entries import FoundEntry
from core.errors import InvalidInput
from core.keys import Slot, parse_readable_key
from pages.components.data import actions, context, queries
from pages.components.data.entry_filters import Filters
from pages.components.data.readings import Reading
from pages.components.display.figures import many
from pages.components.display.namespaces import named
from pages.components.display.placeholder import placeholder
from pages.components.display.selectable import selectable
from pages.components.display.text import error_sentence
from pages.components.entries import tables
from pages.components.entries.detail import TABLE, ask_to_invalidate, detail, dialog, export_button, may_edit
from pages.components.entries.everywhere import everywhere
from pages.components.entries.filters import filters
from pages.components.entries.intake import intake
from pages.components.entries.listing import clear_all, leave_for, page_buttons, place_of, snapshot, summary
from pages.components.entries.tags import known_tags
from pages.components.shell import next_steps
from pages.components.shell.address import ID, follow_selection, given, select, visit
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.namespace_choice import ALL


def page() -> None:
    if not frame("Entries", "What the cache has stored: search, read, invalidate and add answers."):
        return
    chosen = filters()
    if elsewhere := st.session_state.pop("entries-leave-for", None):
        visit(*elsewhere)
    if chosen.namespace == ALL:
        everywhere(chosen)
        dialog()
        return
    try:
        Slot(chosen.namespace, 0)
    except InvalidInput as error:
        st.error(error_sentence(error), icon=":material/error:")
        return
    search_on = listing(chosen)
    known_tags(chosen.namespace)
    intake(chosen.namespace)
    dialog()
    if search_on is not None:
        search_on()


def listing(chosen: Filters) -> Callable[[], None] | None:
    """Draws one page of the entries that match, and the selected entry. Returns what searches on for more of them."""
    if parse_readable_key(chosen.text):
        shown_by_key(chosen.namespace, chosen.text)
        return None
    place = place_of(chosen)
    shown = snapshot(chosen, place)
    if isinstance(shown, Reading):
        nothing_yet(shown)
        return None
    result = shown.page
    if not result.entries and place is None and result.last is None:
        nothing_found(chosen)
        actions.show_last("entry")
        next_steps.show("entry")
        return None
    above = st.container()
    search_on = summary(shown)
    follow_selection(TABLE)
    selected = table(result.entries)
    page_buttons(chosen, result)
    select(TABLE, [one.key for one in selected])
    if len(selected) == 1:
        detail(selected[0])
    elif selected:
        many_selected(chosen, selected)
    elif linked := given(ID):
        with above:  # whoever comes by a link has come for this entry
            shown_by_key(chosen.namespace, linked)
    else:
        actions.show_last("entry")
        next_steps.show("entry")
    return search_on


def shown_by_key(namespace: str, key: str) -> None:
    """Draws the entry that a link or the search field names."""
    found = queries.entry(namespace, key)
    if found.value is not None:
        detail(found.value)
    elif found.error:
        nothing_yet(found)
    else:
        placeholder(
            ":material/key_off: **No entry has this key**",
            "It may have expired, been evicted or deleted, or be in another namespace.",
            lambda: _clear_button("Show all entries"),
        )


def table(entries: tuple[FoundEntry, ...]) -> list[FoundEntry]:
    """Draws the page's entries; returns the selected ones."""
    if not entries:
        return []
    chosen = selectable(
        tables.entries(entries, context.now()),
        [one.key for one in entries],
        name=TABLE,
        alt="Stored entries; select rows to read or change them",
        several=True,
        column_config=tables.ENTRY_COLUMNS,
        column_order=tables.ENTRIES_SHOWN,
        height=min(35 * len(entries) + 38, 460),
    )
    return [one for one in entries if one.key in chosen]


def many_selected(chosen: Filters, selected: list[FoundEntry]) -> None:
    """Draws the buttons for several selected entries."""
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
    next_steps.show("entry")


def nothing_found(chosen: Filters) -> None:
    """Draws the page without entries: nothing is stored, or nothing matches."""
    if chosen.choose:
        placeholder(
            ":material/search_off: **Nothing matches**",
            "No stored entry matches the filters.",
            lambda: _clear_button("Clear filters"),
        )
        return
    text = (
        "An entry appears when the provider answers a request and the answer may be stored. Ask a question, or add "
        "answers below."
    )
    others = [name for name in queries.namespaces() if name != chosen.namespace]
    if others:
        naming = queries.naming()
        listed = ", ".join(named(name, naming) for name in others[:8])
        text = f"None in {named(chosen.namespace, naming)}. Other namespaces: {listed}. {text}"
    placeholder(":material/database: **No entries yet**", text, _playground_button)


def _clear_button(words: str) -> None:
    st.button(words, key="entries-clear", icon=":material/filter_alt_off:", on_click=clear_all)


def _playground_button() -> None:
    st.button(
        "Open the playground",
        key="entries-playground",
        icon=":material/chat:",
        type="primary",
        on_click=leave_for,
        args=("pages/playground.py", {}),
    )


page()
