"""Pages of entries: the page of this session, its summary, and the buttons to the next one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import streamlit as st

from core.entries import EntryPage, Place
from pages.components.data import queries
from pages.components.data.entry_filters import Filters, HandedOver
from pages.components.data.held import held
from pages.components.data.readings import Reading
from pages.components.display.figures import clock, many
from pages.components.display.selectable import selected
from pages.components.entries import searching
from pages.components.entries.detail import SNAPSHOT, TABLE, look_again, may_edit
from pages.components.entries.filters import clear
from pages.components.shell.address import ID, put
from pages.components.shell.criteria_form import fill


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A page as this session sees it, and when it was read."""

    chosen: Filters
    page: EntryPage
    listed: int
    at: float


def snapshot(chosen: Filters, place: Place | None) -> Snapshot | Reading[tuple[EntryPage, int]]:
    """The page to show; a reading without a value when there is none."""
    found = held(
        SNAPSHOT, (chosen, place), lambda: queries.entry_page(chosen, place), is_selected=bool(selected(TABLE))
    )
    if found.value is None:
        return found
    page, listed = found.value
    return Snapshot(chosen=chosen, page=page, listed=listed, at=found.read_at)


# Paging is a stack of places: a list that grows at its head has no page numbers.


def place_of(chosen: Filters) -> Place | None:
    """The place after which the page begins; None for the first page, also when the filters have changed."""
    if st.session_state.get("entries-listed") != chosen:
        st.session_state["entries-listed"] = chosen
        st.session_state["entries-places"] = []
        searching.begin()
    return _places()[-1][0] if _places() else None


def _places() -> list[tuple[Place, int]]:
    """Of each page but the first: where it begins, and how many entries were searched before it."""
    places: list[tuple[Place, int]] = st.session_state["entries-places"]
    return places


def _searched_before() -> int:
    return _places()[-1][1] if _places() else 0


def _next(place: Place, searched: int) -> None:
    st.session_state["entries-places"] = [*_places(), (place, searched)]
    searching.begin()


def _previous() -> None:
    st.session_state["entries-places"] = _places()[:-1]
    searching.begin()


def clear_all() -> None:
    clear()
    put(ID, None)


def order(chosen: Filters) -> str:
    """The order of the entries in words."""
    where = chosen.where(0.0)
    return "last pinned first" if where.pinned else "most served first" if where.fewest_hits else "newest first"


def page_buttons(chosen: Filters, result: EntryPage) -> None:
    """Draws Next and Previous, when there is more than one page."""
    number = len(_places()) + 1
    if number == 1 and result.last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Previous", key="entries-previous", icon=":material/chevron_left:", disabled=number == 1, on_click=_previous
        )
        st.button(
            "Next",
            key="entries-next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=result.last is None or searching.is_unfinished(result),
            on_click=_next,
            args=(result.last, _searched_before() + result.scanned),
        )
        st.caption(f"Page {number}, {order(chosen)}" + ("" if result.last else ", the last one"))


def summary(shown: Snapshot) -> Callable[[], None] | None:
    """Draws the known number of entries, and when it was read. Returns what searches on, where not all was searched."""
    chosen, result = shown.chosen, shown.page
    going = None
    if searching.is_unfinished(result):
        going = searching.progress(chosen, _searched_before())
        words = ""
    elif chosen.where(shown.at).by_index:
        listed = many(shown.listed, "entry", "entries")
        words = f"The index lists {listed}{' that match' if chosen.choose else ' in this namespace'}."
    else:
        words = searching.in_words(chosen, result, _searched_before(), shown.listed)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if words:
            st.caption(words, help="Entries that expired within the last hour may be counted.", width="content")
        st.button(
            f"Read at {clock(shown.at)}",
            key="entries-refresh",
            icon=":material/refresh:",
            type="tertiary",
            help="Read the page again.",
            on_click=look_again,
        )
        if chosen.choose:
            st.button(
                "Clear filters",
                key="entries-clear",
                icon=":material/filter_alt_off:",
                type="tertiary",
                on_click=clear_all,
            )
        handed_over = chosen.handed_over()
        if handed_over is not None:
            st.button(
                "Invalidate all that match…",
                key="entries-invalidate-all",
                icon=":material/block:",
                type="tertiary",
                disabled=not may_edit(),
                help="Opens Invalidations with these criteria filled in. Nothing is changed before you confirm there.",
                on_click=_invalidate,
                args=(handed_over,),
            )
    return going


def leave_for(page_path: str, parameters: dict[str, str]) -> None:
    """Goes to another page."""
    st.session_state["entries-leave-for"] = (page_path, parameters)


def _invalidate(handed_over: HandedOver) -> None:
    fill(handed_over.keyword)
    leave_for("pages/invalidations.py", handed_over.parameters)
