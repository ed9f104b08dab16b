"""The menu of pages in the sidebar. Its links carry the context; those that Streamlit draws itself would drop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import streamlit as st
from streamlit.components.v2 import component
from streamlit.navigation.page import StreamlitPage

from pages.components.shell.address import carried


class Entry(msgspec.Struct, frozen=True):
    """One page of the menu: its file in `pages`, title, icon, and what it is for."""

    file: str
    title: str
    icon: str
    purpose: str


_fold = component(
    "encore_fold",
    js="""export default function () {
      const isOpen = !document.querySelector("[data-testid=stExpandSidebarButton]");
      if (isOpen && window.innerWidth <= 768)
        document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
      for (const link of document.querySelectorAll(".st-key-menu a"))
        if (new URL(link.href).pathname === location.pathname) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }""",
)
"""Folds the sidebar away where it lies upon the page, and marks the present page, once for each that is opened."""


def draw(groups: Mapping[str, Sequence[Entry]], page: StreamlitPage) -> None:
    """Draws the menu, by the titles of its groups, for the page that is open."""
    with st.sidebar, st.container(key="menu", gap="xxsmall"):
        for words, entries in groups.items():
            if words:
                st.caption(words)
            for entry in entries:
                st.page_link(
                    # The first page has two URLs: the present one is marked.
                    page if entry.title == page.title else f"pages/{entry.file}.py",
                    label=entry.title,
                    icon=entry.icon,
                    help=entry.purpose,
                    width="stretch",
                    query_params=carried(),
                )
        _fold(key=f"fold-{page.url_path}")
