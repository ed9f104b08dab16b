"""The bypass switch on every page: where it is on, and buttons that turn it off or, when writes are refused, on."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from core.cache import EVERYTHING, Bypassed
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock
from pages.components.display.namespaces import named
from pages.components.display.text import literal


def whose(namespace: str) -> str:
    """A namespace, or all of them, as Markdown for the middle of a sentence."""
    return "all namespaces" if namespace == EVERYTHING else named(namespace, queries.naming())


def banner() -> None:
    """Draws a warning for each namespace whose requests bypass the cache."""
    found = queries.bypassed()
    for switch in found.value or ():
        _draw(switch)
    if found.value or (last := actions.last("bypass")) is None or last.ending is not actions.Ending.DONE:
        actions.show_last("bypass")


def _draw(switch: Bypassed) -> None:
    words = f"**Requests of {whose(switch.namespace)} bypass the cache.** "
    if switch.at:
        words += f"Since {clock(switch.at)}, by {literal(switch.actor, 40)}. "
    if switch.note:
        words += f"{literal(switch.note, 200)}. "
    if not switch.kept:
        words += "Redis takes no writes, so it keeps this in memory only. "
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.warning(words, icon=":material/alt_route:", width="stretch")
        st.button(
            "Use the cache again",
            key=f"bypass-off-{switch.namespace}",
            icon=":material/undo:",
            disabled=not context.actor().may(Action.BYPASS),
            on_click=_turn,
            args=(switch.namespace, False),
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
