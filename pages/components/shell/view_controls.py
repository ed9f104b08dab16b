"""The controls of a view: a window of time, a model and a namespace. The URL has what they choose."""

from __future__ import annotations

import streamlit as st

from pages.components.data import queries
from pages.components.data.view import DEFAULT_RANGE, RANGES, View, window_of
from pages.components.display.text import one_line
from pages.components.shell.address import follow, given
from pages.components.shell.namespace_choice import ALL, choose_namespace


def choose_view() -> View:
    """Draws the controls, inside a horizontal container; returns the view they choose."""
    ranges = list(RANGES)
    if (asked := given("range")) not in RANGES and window_of(asked) is not None:
        ranges.append(asked)
    write = follow("range", DEFAULT_RANGE, ranges)
    chosen = st.segmented_control(
        "Range", ranges, key="range", required=True, on_change=write, format_func=_range_in_words
    )
    model = choose_model()
    namespace = choose_namespace(everything=True, width=215)
    return View(
        range=chosen or DEFAULT_RANGE,
        namespace=None if namespace == ALL else namespace,
        model=model,
    )


def choose_model() -> str | None:
    """Draws the control of a model, of those that had requests; None for all of them."""
    models = [ALL, *queries.known_models()]
    write = follow("model", ALL, models)
    chosen = st.selectbox("Model", models, key="model", width=125, format_func=_all_models, on_change=write)
    return None if chosen == ALL else chosen


def _range_in_words(name: str) -> str:
    if name in RANGES:
        return name
    window = window_of(name)
    return window.words if window is not None else name


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)
