"""Drag to zoom: a drag over a chart over time chooses that time for the whole page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from pages.components.display.figures import zone
from pages.components.shell.custom_range import set_range

KEY, CHOSEN = "zoom", "chosen"

_watch = component(
    "encore_zoom",
    # Plotly tells of a zoom only those who ask the chart itself, and Streamlit does not; its own selection of an area
    # would take the clicks on bars. A finger scrolls the page and taps: it does not zoom.
    js="""export default function ({ setTriggerValue }) {
      const tell = (event) => setTriggerValue("chosen", event.detail);
      const watch = (event) => {
        const chart = event.target.closest?.(".js-plotly-plot");
        if (!chart?.on || chart.isWatched) return;
        chart.isWatched = true;
        chart.on("plotly_relayout", (change) => {
          const ends = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
          if (ends.every(Boolean) && chart._fullLayout?.xaxis?.type === "date")
            document.dispatchEvent(new CustomEvent("encore-zoom", { detail: ends.map(String) }));
        });
      };
      const scroll = (event) => {
        if (event.target.closest?.(".js-plotly-plot .draglayer")) event.stopPropagation();
      };
      document.addEventListener("encore-zoom", tell);
      document.addEventListener("pointerdown", watch, true);
      document.addEventListener("touchstart", scroll, true);
      return () => {
        document.removeEventListener("encore-zoom", tell);
        document.removeEventListener("pointerdown", watch, true);
        document.removeEventListener("touchstart", scroll, true);
      };
    }""",
)


def zoom() -> None:
    """Draws nothing, and has drags over the charts of this page choose its range."""
    _watch(key=KEY, on_chosen_change=_choose)


def _choose() -> None:
    """Takes the two moments that the browser says, as the viewer's wall clock shows them."""
    said: Any = st.session_state[KEY]
    try:
        begins, ends = (
            datetime.fromisoformat(text).replace(tzinfo=zone()).timestamp() for text in said.get(CHOSEN) or ()
        )
    except (TypeError, ValueError, OverflowError):
        return
    set_range(min(begins, ends), max(begins, ends))
