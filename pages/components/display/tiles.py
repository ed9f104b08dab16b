"""A tile: one figure with its label, its change and its trend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import streamlit as st

from pages.components.display.figures import UNKNOWN, sentence

PIXELS, COMPARED_PIXELS = 138, 165
"""The height of tiles of which some have a line, and of such of which some have a change too."""


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `change` is "+3.1 %", 0 for none or None for nothing to compare with; `below` is Markdown."""

    label: str
    value: str
    below: str
    explained: str
    change: str | int | None = None
    more_is_better: bool = True
    trend: tuple[float, ...] = ()


def draw(tiles: Sequence[Tile], *, stale: bool = False) -> None:
    """Draws tiles that stand beside each other, their lines at one height; `stale` ones are grey."""
    is_compared = any(tile.change is not None for tile in tiles)
    height: int | Literal["content"] = "content"
    if any(len(tile.trend) > 1 for tile in tiles):
        height = COMPARED_PIXELS if is_compared else PIXELS
    for tile in tiles:
        with st.container(gap="xxsmall"):
            better: Literal["normal", "inverse"] = "normal" if tile.more_is_better else "inverse"
            st.metric(
                tile.label,
                f":gray[{sentence(tile.value)}]" if stale else sentence(tile.value),
                # Without a change there is still its place.
                delta=UNKNOWN if tile.change is None and is_compared else tile.change,
                delta_color="off" if stale or tile.change is None else better,
                delta_arrow="off" if tile.change is None else "auto",
                chart_data=tile.trend if len(tile.trend) > 1 else None,
                chart_type="area",
                help=tile.explained,
                height=height,
            )
            st.caption(tile.below)


def draw_boxed(label: str, value: str, below: str) -> None:
    """Draws a figure in a frame; `below` is Markdown."""
    with st.container(border=True, gap=None, height="stretch"):
        st.metric(label, value)
        st.caption(below)
