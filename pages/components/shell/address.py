"""The URL of a page: the only place where what a viewer has chosen is written down, so that Back, a reload and a link
say the same.

Range, namespace and model are one context for all pages, and go along from page to page; `tab` and `id` (what is
selected) are the page's own. What may name a person or quote a prompt stays out of it: URLs are in logs and histories.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NoReturn

import streamlit as st

from pages.components.display.selectable import is_drawn, selected, unselect

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


def follow_selection(table: str) -> None:
    """Before a table is drawn: where the URL says another id than in the last run, as after Back, the URL counts.

    Unless a row was clicked in the meantime: then the browser did not have our id in its URL yet.
    """
    url, before = st.session_state.get(_seen(table), ("", ()))
    if not is_drawn(table):  # as after a visit to another page
        st.session_state[_seen(table)] = (given(ID), ())
    elif url != given(ID) and before == tuple(selected(table)):
        unselect(table)
        st.session_state[_seen(table)] = (given(ID), ())


def select(table: str, chosen: Sequence[str]) -> None:
    """After a table is drawn: writes its selection into the URL, when it has changed. Several have no id."""
    _, before = st.session_state[_seen(table)]
    if before != tuple(chosen):
        put(ID, chosen[0] if len(chosen) == 1 else None)
    st.session_state[_seen(table)] = (given(ID), tuple(chosen))


def close(table: str) -> None:
    """Has nothing selected any more, be it by a row or by the URL."""
    unselect(table)
    put(ID, None)


def _seen(table: str) -> str:
    """In the session: the id in the URL and the selected rows, as the last run left them."""
    return f"{table}-seen"


def _write() -> None:
    """Writes all choices: with that of a click a moment ago, which the browser did not have in its URL yet."""
    followed: dict[str, str | None] = st.session_state[_FOLLOWED]
    for name, default in followed.items():
        if name in st.session_state:  # else it is a control of another page
            value = st.session_state[name]
            put(name, None if value == default else value)
