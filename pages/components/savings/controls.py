"""What the viewer chooses on the Savings page, kept in the URL: the month, what lines tell apart, and of what."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.metrics import DIMENSIONS, Dimension, kept_months
from pages.components.data import context
from pages.components.savings.names import heading
from pages.components.shell.namespace_choice import ALL, choose_namespace
from pages.components.shell.view_controls import choose_model


class Chosen(msgspec.Struct, frozen=True):
    """The viewer's choice: `month` is `2026-11`, `by` what lines tell apart, in the order of the columns."""

    month: str
    by: tuple[Dimension, ...]
    namespace: str | None
    model: str | None


def choose() -> Chosen:
    """Draws the controls; returns what they choose."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="savings-controls"):
        months = [month.name for month in reversed(kept_months(context.now()))]
        month = st.selectbox(
            "Month, in UTC",
            months,
            key="month",
            bind="query-params",
            width=150,
            help="Months begin and end at midnight in UTC, as on the bills of providers, so everyone sees the same "
            "sums. This month and the thirteen before it are kept.",
        )
        by = st.pills(
            "Lines by",
            [heading(name) for name in DIMENSIONS],  # as they are in the URL, which has what a control shows
            selection_mode="multi",
            default=[heading("namespace")],
            key="by",
            bind="query-params",
            help="Choose several to see each combination.",
        )
        model = choose_model()
        namespace = choose_namespace(everything=True, width=215)
    return Chosen(
        month or months[0],
        tuple(name for name in DIMENSIONS if heading(name) in by) or ("namespace",),
        None if namespace == ALL else namespace,
        model,
    )
