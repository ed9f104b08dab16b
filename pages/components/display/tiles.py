"""A tile: one figure with its label, its change and its trend."""

from __future__ import annotations

from typing import Literal

import msgspec
import streamlit as st

from pages.components.display.figures import sentence


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `change` is "+3.1 %", 0 for none or None for nothing to compare with; `below` is Markdown."""

    label: str
    value: str
    below: str
    explained: str
    change: str | int | None = None
    more_is_better: bool = True
    trend: tuple[float, ...] = ()


def draw(tile: Tile, *, stale: bool = False) -> None:
    """Draws one tile; a `stale` one is grey."""
    with st.container(gap="xxsmall"):
        colour: Literal["normal", "inverse", "off"] = "normal" if tile.more_is_better else "inverse"
        st.metric(
            tile.label,
            f":gray[{sentence(tile.value)}]" if stale else sentence(tile.value),
            delta=tile.change,
            delta_color="off" if stale else colour,
            chart_data=tile.trend if len(tile.trend) > 1 else None,
            chart_type="area",
            help=tile.explained,
        )
        st.caption(tile.below)


def draw_boxed(label: str, value: str, below: str) -> None:
    """Draws a figure in a frame; `below` is Markdown."""
    with st.container(border=True, gap=None, height="stretch"):
        st.metric(label, value)
        st.caption(below)
