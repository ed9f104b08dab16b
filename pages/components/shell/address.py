"""The URL of a page: the only place where what a viewer has chosen is written down, so that Back, a reload and a link
say the same.

Range, namespace and model are one context for all pages, and go along from page to page; `tab` and `id` (what is
selected) are the page's own. What may name a person or quote a prompt stays out of it: URLs are in logs and histories.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NoReturn

import streamlit as st

from pages.components.display.selectable import unselect

CONTEXT = ("range", "namespace", "model")
TAB = "tab"
ID = "id"
_FOLLOWED = "followed"
"""In the session: the controls that follow the URL, and their values when it does not name them."""
LONGEST = 256
"""Characters of a value that are taken from a URL."""


def given(name: str) -> str:
    """The value of a parameter; empty when there is none."""
    return st.query_params.get(name, "")[:LONGEST]


def put(name: str, value: str | None) -> None:
    """Writes a parameter, or takes it out."""
    if value:
        if st.query_params.get(name) != value:
            st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def carried(parameters: dict[str, str] | None = None) -> dict[str, str]:
    """The parameters of a link to another page: the context, and what the link says itself."""
    return {name: value for name in CONTEXT if (value := given(name))} | (parameters or {})


def visit(page: str, parameters: dict[str, str] | None = None) -> NoReturn:
    """Opens another page with the context."""
    st.switch_page(page, query_params=carried(parameters))


def follow(name: str, default: str | None, options: Container[str] | None = None) -> Callable[[], None]:
    """Gives the control whose key is `name` the value that the URL has, before it is drawn.

    Returns what its `on_change` must be: it writes the choice into the URL. A value that is no option is taken for
    `default`, which the URL does not name.
    """
    value: str | None = given(name) or default
    if options is not None and value is not None and value not in options:
        value = default
    st.session_state[name] = value
    followed: dict[str, str | None] = st.session_state.setdefault(_FOLLOWED, {})
    followed[name] = default
    return _write


def select(table: str, chosen: str | None) -> None:
    """Notes in the URL what is selected in a table, when that is another one than before."""
    if st.session_state.get(_selected(table)) != chosen:
        st.session_state[_selected(table)] = chosen
        put(ID, chosen)


def follow_selection(table: str) -> None:
    """Takes back what is selected in a table, before it is drawn, when the URL says another id, as after Back."""
    chosen = st.session_state.get(_selected(table))
    if chosen and given(ID) != chosen:
        st.session_state[_selected(table)] = None
        unselect(table)


def _selected(table: str) -> str:
    return f"{table}-in-url"


def _write() -> None:
    """Writes all choices: with that of a click a moment ago, which the browser did not have in its URL yet."""
    followed: dict[str, str | None] = st.session_state[_FOLLOWED]
    for name, default in followed.items():
        if name in st.session_state:  # else it is a control of another page
            value = st.session_state[name]
            put(name, None if value == default else value)
