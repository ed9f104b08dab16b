"""Marking a moment on the charts, such as a deploy, and taking a mark away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from core.access import Action
from core.monitoring import LONGEST_MARK, DeployMark
from pages.components.data import actions, context, queries
from pages.components.data.view import View
from pages.components.display.charts import DEPLOY
from pages.components.display.figures import clock, many, zone
from pages.components.display.namespaces import named
from pages.components.display.text import literal
from pages.components.shell.frame import state
from pages.components.shell.permissions import read_only

MOST_LISTED = 8
_NAME, _WHEN = "mark-name", "mark-when"


def marking(view: View, found: Sequence[DeployMark]) -> None:
    """Draws the button that opens the form; `found` are the marks on the charts, the latest first."""
    with st.popover("Mark a moment", icon=":material/flag:", key="marking"):
        may = context.actor().may(Action.MARK) and state().may_write
        with st.form("mark", border=False):
            st.text_input(
                "What happened", max_chars=LONGEST_MARK, key=_NAME, placeholder="Deploy v1.2", disabled=not may
            )
            st.datetime_input("When (empty: now)", None, key=_WHEN, step=60, format="YYYY-MM-DD", disabled=not may)
            where = named(view.namespace, queries.naming()) if view.namespace else "all namespaces"
            st.form_submit_button(
                "Mark", type="primary", icon=":material/flag:", on_click=_add, args=(view.namespace,), disabled=not may
            )
            st.caption(f"Shown on the charts of {where} for 90 days.")
        read_only(Action.MARK)
        actions.show_last("mark")
        for mark in found[:MOST_LISTED]:
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                whose = (
                    f" in {named(mark.namespace, queries.naming())}" if mark.namespace and not view.namespace else ""
                )
                what = literal(mark.name, LONGEST_MARK)
                st.caption(f"{DEPLOY} {what}{whose} at {clock(mark.at)} by {literal(mark.actor, 40)}")
                st.button(
                    "Remove",
                    key=f"unmark-{mark.id}",
                    icon=":material/close:",
                    type="tertiary",
                    on_click=actions.unmark,
                    args=(mark.id,),
                    disabled=not may,
                )
        if len(found) > MOST_LISTED:
            st.caption(f"{many(len(found) - MOST_LISTED, 'more mark')}: `python -m core marks` lists all.")


def _add(namespace: str | None) -> None:
    when: datetime | None = st.session_state[_WHEN]
    at = context.now() if when is None else when.replace(tzinfo=zone()).timestamp()
    if actions.mark(st.session_state[_NAME] or "", at=at, namespace=namespace) is not None:
        st.session_state[_NAME], st.session_state[_WHEN] = "", None
