"""The control that chooses a namespace: it offers names, and the URL keeps the id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from pages.components.data import queries
from pages.components.display.namespaces import shown, told_of
from pages.components.shell.address import follow, given

ALL = "all"


def choose_namespace(*, also: Iterable[str] = (), everything: bool = False, width: Any = "stretch") -> str:
    """Draws the control; returns the id that it chooses: the one in the URL, else one in use.

    With `everything` the first choice stands for all namespaces, `ALL`. `also` are further ones to choose from. One
    that the URL names, or that is typed, is taken though it has nothing yet.
    """
    asked = given("namespace")
    found = [*queries.namespaces(), *also, *([asked] if asked and not (everything and asked == ALL) else [])]
    namespaces = list(dict.fromkeys(found))
    default = ALL if everything else queries.namespace_in_use()
    choices = [ALL, *namespaces] if everything else namespaces
    naming = queries.naming(namespaces)
    write = follow("namespace", default, choices)
    chosen: str | None = st.selectbox(
        "Namespace",
        choices,
        key="namespace",
        format_func=lambda one: "All namespaces" if everything and one == ALL else shown(one, naming),
        accept_new_options=not everything,
        on_change=write,
        help=told_of(namespaces, naming),
        width=width,
    )
    return chosen or default
