"""The styles that the theme has no options for. The only place with some: they take no text but these constants."""

from __future__ import annotations

import streamlit as st

_CHOICES = """<style>
[data-testid=stButtonGroup] button[data-variant] { min-height: 2.5rem; }
[data-testid=stButtonGroup] button[data-selected=true], [data-testid=stTab][aria-selected=true] {
  color: light-dark(#005A8F, #7CC4F0) !important;
}
[data-testid=stTextInput]:has(input[type=search]) [data-testid=InputInstructions] { display: none; }
.st-key-filtered { background: light-dark(#FFF4DB, #3A2E12); border-color: light-dark(#B36B00, #E0A63F) !important;
  padding: 0.35rem 0.75rem !important; }
</style>"""
"""Choices in a row are as high as the fields beside them, so that the labels of both stand on one line; what is chosen
has the theme's colour for blue text, which can be read on both backgrounds.
A search
field has no counter upon its text. The line that says that a page is filtered stands out."""

_PRINTED = """<style>
.st-key-savings-sheet :is(td, th):nth-last-child(-n + 5), .st-key-savings-sheet :is(td, th):nth-last-child(-n + 5) * {
  text-align: right !important; justify-content: flex-end;
}
@media print {
  @page { size: A4 portrait; margin: 14mm; }
  [data-testid=stSidebar], [data-testid=stHeader], [data-testid=stToolbar], [data-testid=stStatusWidget],
  [data-testid=stExpandSidebarButton], [data-testid=stAlert], [data-testid=stPageLink], [data-testid=stButton],
  [data-testid=stTooltipIcon], .st-key-savings-controls, .st-key-savings-files { display: none !important; }
  html, body, #root, [data-testid=stApp], [data-testid=stAppViewContainer], [data-testid=stMain] {
    position: static !important; display: block !important; overflow: visible !important;
    height: auto !important; width: auto !important; background: #fff !important;
  }
  [data-testid=stMainBlockContainer] { padding: 0 !important; max-width: none !important; width: 100% !important; }
  [data-testid=stApp] * { color: #000 !important; border-color: #bbb !important; }
  [data-testid=stApp] :is(code, table, td, th) { background: none !important; }
  [data-testid=stPlotlyChart] text { fill: #000 !important; }
  [data-testid=stPlotlyChart] .gridlayer path { stroke: #ddd !important; }
  [data-testid=stPlotlyChart] .main-svg { background: none !important; }
  [data-testid=stPlotlyChart] .legend .bg { fill: none !important; }
  .st-key-savings-tiles [data-testid=stGrid] { grid-template-columns: repeat(5, 1fr) !important; }
  .st-key-savings-sheet { zoom: 0.8; }
  tr, [data-testid=stPlotlyChart] { break-inside: avoid; }
}
</style>"""


def choices() -> None:
    """Draws choices in a row as fields are drawn; for every page."""
    st.html(_CHOICES)


def printable() -> None:
    """Lets the browser print the Savings page: one sheet, black on white, without sidebar, controls and banners."""
    st.html(_PRINTED)
