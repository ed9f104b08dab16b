"""Pages of entries: the page of this session, its summary, and the buttons to the next one."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.entries import (
    PAGE_SIZE,
    EntryPage,
    Place,
)
from pages.components.data import queries
from pages.components.data.entry_filters import Filters, HandedOver
from pages.components.data.held import held
from pages.components.data.readings import Reading
from pages.components.display.figures import clock, many
from pages.components.display.selectable import selected
from pages.components.entries.detail import (
    SNAPSHOT,
    TABLE,
    look_again,
    may_edit,
)
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
    places: list[Place] = st.session_state["entries-places"]
    return places[-1] if places else None


def _next(place: Place) -> None:
    st.session_state["entries-places"] = [*st.session_state["entries-places"], place]


def _previous() -> None:
    st.session_state["entries-places"] = st.session_state["entries-places"][:-1]


def clear_all() -> None:
    clear()
    put(ID, None)


def order(chosen: Filters) -> str:
    """The order of the entries in words."""
    where = chosen.where(0.0)
    return "the last pinned first" if where.pinned else "most served first" if where.fewest_hits else "newest first"


def page_buttons(chosen: Filters, result: EntryPage) -> None:
    """Draws Next and Previous, when there is more than one page."""
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
    """Draws the known number of entries, and when it was read."""
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
        words += ". Not all are looked through yet: go on with Continue"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{words}.", help="It may still list entries that expired within the last hour.", width="content")
        st.button(
            f"Read at {clock(shown.at)}",
            key="entries-refresh",
            icon=":material/refresh:",
            type="tertiary",
            help="Reads the page again.",
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


def leave_for(page_path: str, parameters: dict[str, str]) -> None:
    """Goes to another page."""
    st.session_state["entries-leave-for"] = (page_path, parameters)


def _invalidate(handed_over: HandedOver) -> None:
    fill(handed_over.keyword)
    leave_for("pages/invalidations.py", handed_over.parameters)
