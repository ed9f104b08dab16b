"""The menu of pages in the sidebar. Its links carry the context; those that Streamlit draws itself would drop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import streamlit as st
from streamlit.components.v2 import component
from streamlit.navigation.page import StreamlitPage

from pages.components.shell.address import carried


class Entry(msgspec.Struct, frozen=True):
    """One page of the menu: its file in `pages`, title and icon."""

    file: str
    title: str
    icon: str


_fold = component(
    "encore_fold",
    js="""export default function ({ data }) {
      const isOpen = !document.querySelector("[data-testid=stExpandSidebarButton]");
      if (isOpen && window.innerWidth <= 768)
        document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
      const mark = () => {
        const links = [...document.querySelectorAll(".st-key-menu a")];
        if (links.length < data.links) return requestAnimationFrame(mark);  // the first time they are drawn later
        // By the URL, not by what is given: that of the page before may come last.
        for (const link of links)
          link.ariaCurrent = new URL(link.href).pathname === location.pathname ? "page" : null;
      };
      mark();
    }""",
)
"""Folds the sidebar away where it lies upon the page, and marks the present page, once for each that is opened."""


def draw(groups: Mapping[str, Sequence[Entry]], pages: Sequence[StreamlitPage], page: StreamlitPage) -> None:
    """Draws the menu, by the titles of its groups, for the one of the pages that is open."""
    named = {one.title: one for one in pages if one.url_path} | {page.title: page}
    with st.sidebar, st.container(key="menu", gap="xxsmall"):
        for words, entries in groups.items():
            if words:
                st.caption(words)
            for entry in entries:
                st.page_link(
                    # The first page has two: it is marked at both, and linked to by its name.
                    named[entry.title],
                    label=entry.title,
                    icon=entry.icon,
                    width="stretch",
                    query_params=carried(),
                )
        _fold(key=f"fold-{page.title}", data={"links": sum(map(len, groups.values()))})
