"""Quality: how often near matches were wrong, what judging costs, and from which cosine on they may be served."""

from __future__ import annotations

import time

import streamlit as st

from core.models import SemanticMode
from pages.components.data import actions, context
from pages.components.quality.lab import lab
from pages.components.quality.mode import mode, off
from pages.components.quality.publish import confirm, history, proposals
from pages.components.quality.queries import SECONDS, WINDOWS, View, namespaces, read_report, read_state
from pages.components.quality.report import figures
from pages.components.quality.review import review
from pages.components.shell.frame import frame, nothing_yet


def page() -> None:
    if not frame("Quality", "How often near matches were wrong, what judging them costs, and when they may be served."):
        return
    view = controls()
    state = read_state(view.namespace)
    if state.value is None:
        nothing_yet(state)
        return
    threshold, versions = state.value
    mode(view.namespace, threshold, versions)
    actions.show_last("threshold")
    report = read_report(view)
    if report.value is None:
        nothing_yet(report)
    elif threshold.mode is SemanticMode.OFF and not report.value.labels:
        off()
    elif not report.value.lookups and not report.value.labels:
        empty(view)
    else:
        st.fragment(figures, run_every=SECONDS)(view)
        st.subheader("Review", anchor=False)
        st.caption("Each pair that you check counts for more than the judge's word, and says how far to trust it.")
        st.fragment(review)(view.namespace)
        lab(view, threshold)
    proposals(view, threshold, report.value)
    history(view.namespace, threshold, versions)
    if change := st.session_state.get("threshold-change"):
        confirm(change)


# What is read


def controls() -> View:
    """Which namespace, how far back."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        namespace = st.selectbox("Namespace", namespaces(), key="quality_namespace", bind="query-params", width=220)
        window = st.segmented_control(
            "Evidence",
            list(WINDOWS),
            default="all",
            key="quality_window",
            bind="query-params",
            required=True,
        )
    seconds = WINDOWS[window or "all"][1]
    return View(
        namespace=namespace or context.services().settings.namespace,
        window=window or "all",
        since=None if seconds is None else time.time() - seconds,
    )


# How the namespace looks up near questions


def empty(view: View) -> None:
    """No evidence: where it comes from."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        if view.since is None:
            st.markdown(":material/hourglass_empty: **No evidence yet**", text_alignment="center")
            st.caption(
                "It comes with requests that nobody asked before to the letter. Ask the same thing in two wordings in "
                "the playground: what was near, what the guards and the judge said is noted and shown here.",
                text_alignment="center",
                width=560,
            )
            if st.button("Open the playground", key="to-playground", icon=":material/chat:"):
                st.switch_page("pages/playground.py", query_params={})
        else:
            st.markdown(
                f":material/hourglass_empty: **No evidence in the {WINDOWS[view.window][0]}**",
                text_alignment="center",
            )
            st.caption("Choose a longer range.", text_alignment="center")
        st.space("small")


# What evidence says


# Threshold lab


# Putting a threshold in force


# Looking back


page()
