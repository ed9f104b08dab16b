"""The controls of a view: a window of time, a model and a namespace. The URL has what they choose."""

from __future__ import annotations

import streamlit as st

from pages.components.data import queries
from pages.components.data.view import DEFAULT_RANGE, RANGES, View, window_of
from pages.components.display.namespaces import named
from pages.components.display.text import literal, one_line
from pages.components.shell.address import follow, given, put
from pages.components.shell.custom_range import RANGE, choose_custom
from pages.components.shell.namespace_choice import ALL, choose_namespace

MODEL_PIXELS = 170
"""Room for `encore-demo-large`, with which the controls stand in one row. What is chosen is said whole below them."""


def choose_view() -> View:
    """Draws the controls, inside a horizontal container; returns the view they choose."""
    chosen = _choose_range()
    model = choose_model()
    namespace = choose_namespace(everything=True, width=215)
    return View(
        range=chosen,
        namespace=None if namespace == ALL else namespace,
        model=model,
    )


def say_filter(view: View) -> None:
    """Draws, below the controls, that the page is of a part of the requests only, and the button that ends it."""
    only = []
    if view.model is not None:
        only.append(f"model **{literal(view.model, 100)}**")
    if view.namespace is not None:
        only.append(f"namespace **{named(view.namespace, queries.naming())}**")
    if not only:
        return
    with st.container(key="filtered", border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/filter_alt: **Filtered.** Only {' in '.join(only)}.", width="content")
        st.button("Show all requests", key="show-all", icon=":material/filter_alt_off:", on_click=_show_all)


def _show_all() -> None:
    put("model", None)
    put("namespace", None)


def _choose_range() -> str:
    """Draws the ranges that end now; in their place the one of two moments that the URL names, which takes as much."""
    asked = given(RANGE)
    window = window_of(asked)
    if asked not in RANGES and window is not None:
        choose_custom(window, asked)
        return asked
    write = follow(RANGE, DEFAULT_RANGE, RANGES)
    chosen: str | None = st.segmented_control("Range", list(RANGES), key=RANGE, required=True, on_change=write)
    chosen = chosen or DEFAULT_RANGE
    choose_custom(RANGES[chosen], chosen)
    return chosen


def choose_model() -> str | None:
    """Draws the control of a model, of those that had requests; None for all of them."""
    models = [ALL, *queries.known_models()]
    write = follow("model", ALL, models)
    chosen = st.selectbox("Model", models, key="model", width=MODEL_PIXELS, format_func=_all_models, on_change=write)
    return None if chosen == ALL else chosen


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)
