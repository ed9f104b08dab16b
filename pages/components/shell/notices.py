"""A notice: what an operator should know, in one box beside a page's title.

The most urgent is shown, the others are a click away. The room beside the title is there with and without a notice, so
that none moves what stands below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import streamlit as st

from core.monitoring import Severity


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, as Markdown, and a button that helps: `act` draws it."""

    words: str
    icon: str
    severity: Severity = Severity.WARNING
    act: Callable[[], None] | None = None


WIDTHS = (5, 2)
"""Of the words and of what helps."""


def draw(notices: Sequence[Notice]) -> None:
    """Draws the first notice, and the others in a box that opens."""
    if not notices:
        return
    first, *rest = notices
    if first.act is None and not rest:
        _box(first)
        return
    words, help_beside = st.columns(WIDTHS, gap="small", vertical_alignment="center")
    with words:
        _box(first)
    with help_beside, st.container(gap="xsmall"):
        if first.act is not None:
            first.act()
        if rest:
            with st.popover(f"{len(rest)} more", icon=":material/notifications:"):
                for notice in rest:
                    _box(notice)
                    if notice.act is not None:
                        notice.act()


def _box(notice: Notice) -> None:
    show = st.error if notice.severity is Severity.CRITICAL else st.warning
    show(f":small[{notice.words.strip()}]", icon=notice.icon)
