"""How the Savings page is printed: one sheet, black on white, without the sidebar, the controls and the banners."""

from __future__ import annotations

import streamlit as st

_STYLE = """<style>
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


def printable() -> None:
    """Lets the browser print the page as one sheet."""
    st.html(_STYLE)
