"""Entries of all namespaces: how many each has, what matches in each, and the way into one."""

from __future__ import annotations

import streamlit as st

from core.entries import NamespaceEntries
from core.keys import parse_readable_key
from pages.components.data import actions, context, queries
from pages.components.data import everywhere as reads
from pages.components.data.entry_filters import Filters
from pages.components.display.figures import clock, many
from pages.components.display.namespaces import named
from pages.components.display.placeholder import placeholder
from pages.components.display.selectable import selectable, unselect
from pages.components.entries import tables
from pages.components.entries.detail import detail
from pages.components.entries.listing import clear_all
from pages.components.shell import next_steps
from pages.components.shell.address import ID, given, put
from pages.components.shell.frame import nothing_yet

NAMESPACES = "entries-namespaces"
MATCHES = "entries-matches"
MOST_SHOWN = 50


def everywhere(chosen: Filters) -> None:
    """Draws what each namespace has and, where something is looked for, what matches in all of them."""
    key = chosen.text if parse_readable_key(chosen.text) else given(ID)
    if key:
        _by_key(key)
        return
    reading = reads.entries_by_namespace(chosen)
    if reading.value is None:
        nothing_yet(reading)
        return
    found = reading.value
    is_search = chosen.choose
    _summary(found, is_search, reading.read_at)
    columns = [
        name
        for name in tables.NAMESPACE_COLUMNS
        if name not in ("namespace", *(() if is_search else ("matches",)))
        and (name != "problem" or any(one.problem for one in found))
    ]
    opened = selectable(
        tables.namespaces(found, queries.naming(one.namespace for one in found), is_search=is_search),
        [one.namespace for one in found],
        name=NAMESPACES,
        alt="Namespaces and how many entries each has; select one to see its entries",
        column_config=tables.NAMESPACE_COLUMNS,
        column_order=columns,
        height=min(35 * len(found) + 38, 320),
    )
    if opened:
        _way_into(opened[0])
    if is_search:
        _matches(found)
    elif not opened:
        st.caption("Select a namespace to see its entries, or search all of them.")
    actions.show_last("entry")
    next_steps.show("entry")


def _by_key(key: str) -> None:
    """The entry at a key, in whatever namespace it is."""
    reading = reads.entry_anywhere(key)
    if reading.value is not None:
        detail(reading.value)
    elif reading.error:
        nothing_yet(reading)
    else:
        placeholder(
            ":material/key_off: **No entry has this key**", "It may have expired, been evicted or deleted.", _clear_key
        )


def _clear_key() -> None:
    st.button("Show all entries", key="entries-clear", icon=":material/filter_alt_off:", on_click=clear_all)


def _summary(found: list[NamespaceEntries], is_search: bool, read_at: float) -> None:
    words = f"{many(sum(one.listed for one in found), 'entry', 'entries')} in {many(len(found), 'namespace')}"
    if is_search:
        looked, matching = sum(one.scanned for one in found), sum(len(one.found) for one in found)
        words = f"{matching:,} of {looked:,} searched entries match, in {many(len(found), 'namespace')}"
        if not all(one.is_all for one in found):
            words += ". Not all entries were searched: open a namespace to go on"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{words}, read at {clock(read_at)}.", width="content")
        if is_search:
            st.button(
                "Clear filters",
                key="entries-clear",
                icon=":material/filter_alt_off:",
                type="tertiary",
                on_click=clear_all,
            )


def _way_into(namespace: str) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{named(namespace, queries.naming([namespace]))}**", width="content")
        st.button(
            "Show its entries",
            key="entries-open-namespace",
            icon=":material/arrow_forward:",
            type="primary",
            on_click=_open,
            args=(namespace,),
        )


def _open(namespace: str) -> None:
    unselect(NAMESPACES)
    put("namespace", namespace)


def _matches(found: list[NamespaceEntries]) -> None:
    """The newest of what matches, in all namespaces, and the one that is selected."""
    every = NamespaceEntries.newest(found)
    if not every:
        placeholder(":material/search_off: **Nothing matches**", "No entry of any namespace matches the filters.")
        return
    shown = every[:MOST_SHOWN]
    ids = [f"{one.entry.header.namespace}/{one.key}" for one in shown]
    selected = selectable(
        tables.entries(shown, context.now(), queries.naming(one.namespace for one in found)),
        ids,
        name=MATCHES,
        alt="Entries of all namespaces that match; select one to read or change it",
        column_config=tables.ENTRY_COLUMNS,
        column_order=("namespace", *tables.ENTRIES_SHOWN),
        height=min(35 * len(shown) + 38, 460),
    )
    if len(every) > MOST_SHOWN:
        st.caption(f"The newest {MOST_SHOWN} of {len(every):,}. To see the others, open a namespace.")
    for one, identity in zip(shown, ids, strict=True):
        if identity in selected:
            detail(one)
