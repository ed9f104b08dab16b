"""The bypass switch on every page: where it is on, who turned it, and the dialog that turns it, at any time."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.access import Action
from core.cache import EVERYTHING, Bypassed
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, many
from pages.components.display.namespaces import named, shown
from pages.components.display.text import literal
from pages.components.shell.address import given
from pages.components.shell.notices import Notice
from pages.components.shell.permissions import read_only

OPEN = "Bypass the cache…"
_ASKED = "bypass-asked"


def whose(namespace: str) -> str:
    """A namespace, or all of them, as Markdown for the middle of a sentence."""
    return "all namespaces" if namespace == EVERYTHING else named(namespace, queries.naming())


def notices() -> list[Notice]:
    """A notice for each namespace whose requests bypass the cache."""
    return [
        Notice(
            words=_in_words(switch), icon=":material/alt_route:", act=partial(_off_button, switch.namespace, "notice")
        )
        for switch in queries.bypassed().value or ()
    ]


def badge() -> None:
    """Draws the state of the switch, small."""
    found = queries.bypassed()
    if found.value is None or found.error:
        st.badge("Bypass unknown", icon=":material/help:", color="gray")
    elif not found.value:
        st.badge("Bypass off", icon=":material/alt_route:", color="gray")
    else:
        everywhere = any(switch.namespace == EVERYTHING for switch in found.value)
        where = "all namespaces" if everywhere else many(len(found.value), "namespace")
        st.badge(f"Bypass on: {where}", icon=":material/alt_route:", color="orange")


def control() -> None:
    """Draws the button in the sidebar; and the dialog while it is asked for, wherever on the page."""
    st.button(OPEN, key="bypass-open", icon=":material/alt_route:", help=_HELP, on_click=_ask)
    if st.session_state.get(_ASKED):
        _dialog()


def _ask() -> None:
    st.session_state[_ASKED] = True


def _close() -> None:
    st.session_state.pop(_ASKED, None)


_HELP = "Send requests straight to the provider, for one namespace or all. Works also while Redis refuses writes."


def button_in_banner() -> None:
    """Draws the button that opens the dialog from a part of the page that is renewed by itself."""
    _opening("bypass-open-banner")


def section() -> None:
    """Draws the switch for the Health page: where it is on, since when, by whom and why."""
    st.subheader("Bypass switch", anchor=False)
    st.caption(f"{_HELP} Stored answers stay stored, and are served again when it is off.")
    found = queries.bypassed()
    if found.value is None:
        st.caption("Unknown: it could not be read yet.")
    elif not found.value:
        st.badge("off in all namespaces", icon=":material/check_circle:", color="green")
    for switch in found.value or ():
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(_in_words(switch), width="stretch")
            _off_button(switch.namespace, "health")
    _opening("bypass-open-health")
    read_only(Action.BYPASS)


def _opening(key: str) -> None:
    if st.button(OPEN, key=key, icon=":material/alt_route:", disabled=not context.actor().may(Action.BYPASS)):
        _ask()
        st.rerun()  # all of the page: a dialog of a part would close when that part is renewed


@st.dialog("Bypass the cache", icon=":material/alt_route:", on_dismiss=_close)
def _dialog() -> None:
    st.markdown(
        "Requests then go straight to the provider: they get no stored answer, and each one costs money. Nothing is "
        "deleted. Every process obeys within a second, also while Redis refuses writes. It lasts until somebody turns "
        "it off."
    )
    names = [EVERYTHING, *queries.namespaces()]
    linked = given("namespace")
    chosen = st.selectbox(
        "Namespace",
        names,
        index=names.index(linked) if linked in names else None,
        format_func=lambda name: "All namespaces" if name == EVERYTHING else shown(name, queries.naming()),
        placeholder="Choose one, or all",
        key="bypass-namespace",
    )
    on = {switch.namespace: switch for switch in queries.bypassed().value or ()}
    note = ""
    if chosen in on:
        st.markdown(_in_words(on[chosen]))
    else:
        note = st.text_input("Reason, shown to others", max_chars=200, key="bypass-note") or ""
    may = context.actor().may(Action.BYPASS)
    turns_on = chosen not in on
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="bypass-cancel"):
            _close()
            st.rerun()
        is_asked = st.button(
            "Bypass the cache" if turns_on else "Use the cache again",
            key="bypass-turn",
            type="primary",
            icon=":material/alt_route:" if turns_on else ":material/undo:",
            disabled=not may or chosen is None,
        )
    if is_asked:
        if chosen and actions.turn_bypass(chosen, turns_on, note=note) is not None:
            _close()
            st.rerun()
        actions.show_last("bypass")
    read_only(Action.BYPASS)


def _in_words(switch: Bypassed) -> str:
    words = f"**Requests of {whose(switch.namespace)} bypass the cache.** "
    if switch.at:
        words += f"Since {clock(switch.at)}, by {literal(switch.actor, 40)}. "
    if switch.note:
        words += f"{literal(switch.note, 200)}. "
    if not switch.kept:
        words += "Redis takes no writes, so it keeps this in memory only. "
    return words


def _off_button(namespace: str, where: str) -> None:
    st.button(
        "Use the cache again",
        key=f"bypass-off-{namespace}" + ("" if where == "notice" else f"-{where}"),
        icon=":material/undo:",
        disabled=not context.actor().may(Action.BYPASS),
        on_click=_turn,
        args=(namespace, False),
    )


def offer(namespace: str) -> None:
    """Draws a button that turns the bypass on, for when Redis refuses the writes of an invalidation."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"Let requests of {whose(namespace)} bypass the cache",
            key="bypass-on",
            icon=":material/alt_route:",
            disabled=not context.actor().may(Action.BYPASS),
            on_click=_turn,
            args=(namespace, True),
        )
        st.caption("Works without writes. Until it is turned off, they get no stored answers.")


def _turn(namespace: str, on: bool) -> None:
    actions.turn_bypass(namespace, on)
