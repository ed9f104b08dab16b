"""The controls of a view: a window of time, a model and a namespace."""

from __future__ import annotations

import streamlit as st

from pages.components.data import queries
from pages.components.data.view import RANGES, Names, View
from pages.components.display.text import one_line
from pages.components.shell.namespace_choice import choose_namespace

ALL = "all"


def choose_view(names: Names) -> View:
    """Draws the controls, inside a horizontal container; returns the view they choose."""
    chosen = st.segmented_control(
        "Range", list(RANGES), default="15m", key=names.range, bind="query-params", required=True
    )
    models = [ALL, *queries.known_models()]
    model = st.selectbox("Model", models, key=names.model, bind="query-params", width=125, format_func=_all_models)
    namespace = choose_namespace(queries.namespaces(), key=names.namespace, everything=ALL, width=215)
    return View(
        range=chosen or "15m",
        namespace=None if namespace == ALL else namespace,
        model=None if model == ALL else model,
    )


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)
