"""What the viewer chooses on the Questions page: a namespace and a model."""

from __future__ import annotations

import msgspec
import streamlit as st

from pages.components.shell.namespace_choice import ALL, choose_namespace
from pages.components.shell.view_controls import choose_model


class Chosen(msgspec.Struct, frozen=True):
    """The viewer's choice; None for all."""

    namespace: str | None
    model: str | None


def choose() -> Chosen:
    """Draws the controls; returns what they choose."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        model = choose_model()
        namespace = choose_namespace(everything=True, width=215)
    return Chosen(None if namespace == ALL else namespace, model)
