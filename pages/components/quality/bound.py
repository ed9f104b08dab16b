"""The bound of what is served unjudged: its state in words, and its line over time."""

from __future__ import annotations

import streamlit as st

from core.semantic.quality import BoundState, Standing
from pages.components.display import charts
from pages.components.display.figures import clock, many, share
from pages.components.display.outcomes import Colour
from pages.components.quality import charts as quality_charts

LOOKS: dict[BoundState, tuple[str, Colour]] = {
    BoundState.BEGINNING: (":material/hourglass_top:", "blue"),
    BoundState.HOLDING: (":material/check_circle:", "green"),
    BoundState.UNPROVED: (":material/help:", "orange"),
    BoundState.BROKEN: (":material/error:", "red"),
    BoundState.DRIFTING: (":material/trending_up:", "red"),
}


def bound(known: Standing) -> None:
    """Draws the state, the line and what it is made of."""
    icon, colour = LOOKS[known.state]
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("**Wrong hits since the threshold was published**", width="content")
            st.badge(known.state.value, icon=icon, color=colour)
        st.markdown(known.words)
        if len(known.line) > 1:
            st.plotly_chart(
                quality_charts.bound_over_time(known.line, known.budget),
                key="chart-bound",
                config=charts.CONFIG,
                alt="The bound on the share of wrong hits over time, with the budget",
            )
        st.caption(made_of(known))


def made_of(known: Standing) -> str:
    """The labels that the bound is made of, and whose word they are."""
    words = (
        f"Served from {known.serve:.3f}. {many(known.labels, 'label')} since {clock(known.since)}, for "
        f"{many(known.hits, 'match', 'matches')}: {known.wrong} wrong, and "
        f"{known.recent_wrong} of the latest {known.recent}. The bound holds with 95 % confidence at every moment"
    )
    if known.caught is None:
        return f"{words}, as judged: people have not labelled enough to know what the judge misses."
    return f"{words}; the judge finds at least {share(known.caught)} of what is wrong, by the labels of people."
