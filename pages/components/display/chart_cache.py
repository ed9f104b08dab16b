"""Drawings: a chart is drawn once for all sessions that see the same values in the same time zone.

Drawing costs tens of milliseconds, and open dashboards all draw at once whenever a bucket closes. What is shared goes
by the values alone: a viewer who may see less has other values, and so other drawings.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import plotly.graph_objects as go
import streamlit as st
from cachetools import LRUCache

from pages.components.display.charts import faded
from pages.components.display.figures import zone

MAX_DRAWINGS = 128


class Drawing(go.Figure):  # type: ignore[misc]  # Plotly carries no types
    """A finished chart. Streamlit asks for its plain form whenever it sends one: this one is made once."""

    def __init__(self, figure: go.Figure) -> None:
        super().__init__()
        self._plain: dict[str, Any] = json.loads(figure.to_json())

    def to_dict(self) -> dict[str, Any]:
        """The plain form; must not be changed."""
        return self._plain


class Drawings:
    """The latest charts by what they were drawn from. Threads share it; one of them draws, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: LRUCache[bytes, _Place] = LRUCache(MAX_DRAWINGS)

    def get(self, draw: Callable[..., go.Figure], *values: object, stale: bool = False) -> Drawing:
        """What `draw` makes of the values, which msgspec must know how to encode; faded if they are stale."""
        name = sha256(msgspec.msgpack.encode((draw.__qualname__, stale, str(zone()), values))).digest()
        with self._lock:
            place = self._places.setdefault(name, _Place())
        with place.lock:
            if place.drawing is None:
                figure = draw(*values)
                place.drawing = Drawing(faded(figure) if stale else figure)
            return place.drawing


class _Place:
    """One chart, and the lock of the thread that draws it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.drawing: Drawing | None = None


@st.cache_resource(show_spinner=False)
def drawings() -> Drawings:
    """The drawings of this console."""
    return Drawings()
