"""Drawings: a chart is drawn once for all sessions that see the same values in the same time zone.

Drawing costs tens of milliseconds, and open dashboards all draw at once whenever a bucket closes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

import msgspec
import plotly.graph_objects as go
import streamlit as st

from pages.components.wording import zone

MAX_DRAWINGS = 64


class Drawings:
    """The latest charts by what they were drawn from. Nobody changes them. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, go.Figure] = OrderedDict()

    def get(self, draw: Callable[..., go.Figure], *values: object) -> go.Figure:
        """What `draw` makes of the values, which msgspec must know how to encode."""
        told = msgspec.msgpack.encode((draw.__qualname__, str(zone()), values))
        name = sha256(told).digest()
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        # Two may draw the same at once: one of them would have waited as long.
        drawn = draw(*values)
        with self._lock:
            self._kept[name] = drawn
            while len(self._kept) > MAX_DRAWINGS:
                self._kept.popitem(last=False)
        return drawn


@st.cache_resource(show_spinner=False)
def drawings() -> Drawings:
    """Those of this console."""
    return Drawings()
