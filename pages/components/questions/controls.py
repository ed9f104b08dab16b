"""What the viewer chooses on the Questions page: a namespace and a model."""

from __future__ import annotations

import msgspec
import streamlit as st

from pages.components.data import queries
from pages.components.display.text import one_line
from pages.components.shell.namespace_choice import choose_namespace

ALL = "all"


class Chosen(msgspec.Struct, frozen=True):
    """The viewer's choice; None for all."""

    namespace: str | None
    model: str | None


def choose() -> Chosen:
    """Draws the controls; returns what they choose."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        models = [ALL, *queries.known_models()]
        model = st.selectbox("Model", models, key="asked_model", bind="query-params", width=160, format_func=_models)
        namespace = choose_namespace(queries.namespaces(), key="asked_namespace", everything=ALL, width=215)
    return Chosen(None if namespace == ALL else namespace, None if model == ALL else model)


def _models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)
