"""The control that chooses a namespace: it offers names, and the URL keeps the id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.keys import NAMESPACE_PATTERN
from pages.components.data import queries
from pages.components.display.namespaces import shown, told_of

LONGEST = 200
"""Of a text in the URL that is no namespace no more is shown."""


def choose_namespace(
    offered: Sequence[str], *, key: str, everything: str | None = None, others: bool = False, width: Any = "stretch"
) -> str:
    """Draws the control; returns the id that it chooses, at first the one in the URL, else the first of `offered`.

    `everything` is a first choice that stands for all namespaces; with `others` one may be typed that is not offered.
    Streamlit would keep the words of a choice in the URL, and a label can change.
    """
    choices = [*([everything] if everything is not None else []), *offered]
    _follow_url(key, choices, others=others)
    chosen: str | None = st.session_state.get(key)
    if chosen and chosen not in choices:  # of a link, or typed: it has a name like the others
        choices.append(chosen)
    namespaces = [one for one in choices if one != everything]
    naming = queries.naming(namespaces)
    named: str | None = st.selectbox(
        "Namespace",
        choices,
        key=key,
        format_func=lambda one: "All namespaces" if one == everything else shown(one, naming),
        accept_new_options=others,
        on_change=_keep_in_url,
        args=(key, choices[0]),
        help=told_of(namespaces, naming),
        width=width,
    )
    return named or choices[0]


def _follow_url(key: str, choices: Sequence[str], *, others: bool) -> None:
    """Has the control choose what the URL names, when that is new or the control is; with `others`, whatever it is."""
    linked = st.query_params.get(key)
    if key in st.session_state and linked == st.session_state.get(_followed(key)):
        return
    st.session_state[_followed(key)] = linked
    is_choice = linked and (others or linked in choices or re.fullmatch(NAMESPACE_PATTERN, linked))
    st.session_state[key] = linked[:LONGEST] if linked and is_choice else choices[0]


def _keep_in_url(key: str, first: str) -> None:
    chosen = st.session_state.get(key) or first
    if chosen == first:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = chosen
    st.session_state[_followed(key)] = st.query_params.get(key)


def _followed(key: str) -> str:
    """Where a session keeps what the URL named when it was followed last."""
    return f"{key}-in-url"
