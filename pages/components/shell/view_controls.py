"""The controls of a view: a window of time, a model and a namespace. The URL has what they choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import streamlit as st

from pages.components.data import queries
from pages.components.data.view import DEFAULT_RANGE, RANGES, View, window_of
from pages.components.display.text import one_line
from pages.components.shell.address import follow, given

ALL = "all"


def choose_view() -> View:
    """Draws the controls, inside a horizontal container; returns the view they choose."""
    ranges = list(RANGES)
    if (asked := given("range")) not in RANGES and window_of(asked) is not None:
        ranges.append(asked)
    write = follow("range", DEFAULT_RANGE, ranges)
    chosen = st.segmented_control(
        "Range", ranges, key="range", required=True, on_change=write, format_func=_range_in_words
    )
    models = [ALL, *queries.known_models()]
    write = follow("model", ALL, models)
    model = st.selectbox("Model", models, key="model", width=125, format_func=_all_models, on_change=write)
    namespaces = [ALL, *queries.namespaces()]
    write = follow("namespace", ALL, namespaces)
    namespace = st.selectbox(
        "Namespace", namespaces, key="namespace", width=145, format_func=_all_namespaces, on_change=write
    )
    return View(
        range=chosen or DEFAULT_RANGE,
        namespace=None if namespace == ALL else namespace,
        model=None if model == ALL else model,
    )


def choose_namespace(*, also: Iterable[str] = (), width: Literal["stretch"] | int = "stretch") -> str:
    """Draws the control of a page about one namespace; returns it. Without one in the URL it is one in use.

    `also` names namespaces to choose from that have no entries. One that is asked for is taken, though it has none.
    """
    default = queries.namespace_in_use()
    namespaces = list(dict.fromkeys([*queries.namespaces(), *also, *filter(None, [given("namespace")])]))
    write = follow("namespace", default, namespaces)
    chosen = st.selectbox(
        "Namespace", namespaces, key="namespace", width=width, accept_new_options=True, on_change=write
    )
    return chosen or default


def _range_in_words(name: str) -> str:
    if name in RANGES:
        return name
    window = window_of(name)
    return window.words if window is not None else name


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)


def _all_namespaces(name: str) -> str:
    return "All namespaces" if name == ALL else name
