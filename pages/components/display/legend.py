"""What the series of a chart are called, above it.

Plotly's own legend takes its room from the chart, most of it on a phone, and boxes of a hover lie over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamlit.components.v2 import component

_BAR, _LINE = "■", "━"
_LINES = {"dash": "╍", "dot": "┅", "dashdot": "╍"}

_legend = component(
    "encore_legend",
    html='<div class="names"></div>',
    css="""
      .names { display: flex; flex-wrap: wrap; gap: 0 0.9em; font-size: 0.78rem; line-height: 1.35; }
      .names span { white-space: nowrap; }
    """,
    js="""export default function ({ data, parentElement }) {
      const names = parentElement.querySelector(".names");
      names.replaceChildren(...data.map(([sign, colour, name]) => {
        const [one, mark] = [document.createElement("span"), document.createElement("span")];
        mark.style.color = colour;
        mark.textContent = sign;
        mark.ariaHidden = "true";
        one.append(mark, " ", name);
        return one;
      }));
    }""",
)


def draw(plain: Mapping[str, Any], key: str) -> None:
    """Draws the legend of a plain figure; nothing for one with a single series."""
    names = names_in(plain)
    if len(names) > 1:
        _legend(data=names, key=key)


def names_in(plain: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Sign, colour and name of each series that has a name to be told."""
    names = []
    for trace in plain["data"]:
        if not trace.get("name") or trace.get("showlegend") is False:
            continue
        is_bar = trace["type"] == "bar"
        look = trace["marker"] if is_bar else trace["line"]
        names.append((_BAR if is_bar else _LINES.get(look.get("dash", ""), _LINE), look["color"], trace["name"]))
    return names
