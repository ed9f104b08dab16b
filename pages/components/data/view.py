"""What the viewer looks at: a window of time, a model and a namespace, kept in the URL for links."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.metrics import Summary
from pages.components.data import context
from pages.components.data.readings import Reading
from pages.components.display.text import one_line

ALL = "all"


class Range(msgspec.Struct, frozen=True):
    """A window and the step of its charts, in seconds."""

    words: str
    seconds: int
    step: int


RANGES = {
    "15m": Range("15 minutes", 900, 20),
    "1h": Range("hour", 3600, 30),
    "6h": Range("6 hours", 6 * 3600, 300),
    "24h": Range("24 hours", 86_400, 1200),
    "7d": Range("7 days", 7 * 86_400, 3 * 3600),
    "30d": Range("30 days", 30 * 86_400, 12 * 3600),
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer chose to look at; None for all models or namespaces. `range` is a key of RANGES."""

    range: str
    namespace: str | None
    model: str | None

    @property
    def window(self) -> Range:
        """The window of time."""
        return RANGES[self.range]

    @property
    def name(self) -> tuple[object, ...]:
        """For shared readings."""
        return (self.range, self.namespace, self.model)

    def parameters(self, names: Names) -> dict[str, str]:
        """The same for a link to a page whose controls have these names."""
        chosen = {names.range: self.range, names.model: self.model, names.namespace: self.namespace}
        return {name: value for name, value in chosen.items() if value is not None}


class Names(msgspec.Struct, frozen=True):
    """What the controls of a page are called in the URL.

    They differ from page to page: the value that a control had on one page would win over the link to another.
    """

    range: str
    model: str
    namespace: str


ON_DASHBOARD = Names("range", "for_model", "for_namespace")
ON_REQUESTS = Names("within", "of_model", "of_namespace")


def choose_view(names: Names) -> View:
    """The controls, one beside the other: inside a horizontal container."""
    chosen = st.segmented_control(
        "Range", list(RANGES), default="15m", key=names.range, bind="query-params", required=True
    )
    models = [ALL, *known_models()]
    model = st.selectbox("Model", models, key=names.model, bind="query-params", width=125, format_func=_all_models)
    namespaces = [ALL, *context.namespaces()]
    namespace = st.selectbox(
        "Namespace", namespaces, key=names.namespace, bind="query-params", width=145, format_func=_all_namespaces
    )
    return View(
        range=chosen or "15m",
        namespace=None if namespace == ALL else namespace,
        model=None if model == ALL else model,
    )


def known_models() -> list[str]:
    """Models that had a request in the last thirty days."""
    metrics = context.services().metrics
    known: Reading[dict[str, Summary]] = context.readings().get(
        "models", lambda: metrics.breakdown(30 * 86_400, "model"), max_age=30
    )
    return list(known.value or ())


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)


def _all_namespaces(name: str) -> str:
    return "All namespaces" if name == ALL else name
