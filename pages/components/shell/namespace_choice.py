"""The control that chooses a namespace: it offers names, and the URL keeps the id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

from core.keys import EVERYWHERE, NAMESPACE_PATTERN
from pages.components.data import queries
from pages.components.display.figures import many
from pages.components.display.namespaces import named, shown, told_of
from pages.components.shell.address import follow, given, put

ALL = EVERYWHERE


def choose_namespace(
    *, also: Iterable[str] = (), everything: bool = False, or_all: bool = False, width: Any = "stretch"
) -> str:
    """Draws the control; returns the id that it chooses: the one in the URL, else one in use.

    With `everything` the first choice stands for all namespaces, `ALL`; with `or_all` it is offered, and one in use is
    chosen. `also` are further ones to choose from. One that the URL names is taken though it has nothing yet; without
    `everything` one may be typed, so the page has to say what is wrong with one that cannot be.
    """
    asked = given("namespace")
    if asked == ALL or (everything and not re.fullmatch(NAMESPACE_PATTERN, asked)):
        asked = ""
    default = ALL if everything else queries.namespace_in_use()
    found = [*queries.namespaces(), *also, default, asked]
    namespaces = [name for name in dict.fromkeys(found) if name and name != ALL]
    choices = [ALL, *namespaces] if everything or or_all else namespaces
    naming = queries.naming(namespaces)
    write = follow("namespace", default, choices)
    chosen: str | None = st.selectbox(
        "Namespace",
        choices,
        key="namespace",
        format_func=lambda one: "All namespaces" if one == ALL else shown(one, naming),
        accept_new_options=not everything,
        on_change=write,
        help=told_of(namespaces, naming),
        width=width,
    )
    return chosen or default


def others_stay(namespace: str, *, or_all: bool) -> None:
    """Says under the control of a form that acts on one namespace that others stay as they are, and offers all.

    The namespace may be the one of the page before.
    """
    others = set(queries.namespaces()) - {namespace}
    if namespace == ALL or not others:
        return
    st.caption(f"Only in **{named(namespace, queries.naming())}**: {many(len(others), 'other')} stay as they are.")
    if or_all:
        st.button(":primary[Choose all namespaces]", key="everywhere", type="tertiary", on_click=_choose_all)


def _choose_all() -> None:
    st.session_state["namespace"] = ALL
    put("namespace", ALL)
