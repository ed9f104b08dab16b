"""The threshold lab: recorded lookups replayed at other thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.models import SemanticMode
from core.semantic.quality import ReplayPoint, Threshold
from pages.components.data import semantic
from pages.components.data.view import EvidenceView
from pages.components.display import charts, tables
from pages.components.display.figures import UNKNOWN, many, money, number, sentence, share
from pages.components.quality import charts as quality_charts
from pages.components.quality import tables as quality_tables
from pages.components.quality.report import judged_from, served_from

MOST_WRONG = 200


def lab(view: EvidenceView, threshold: Threshold) -> None:
    """Draws what recorded lookups would have given at another threshold."""
    st.subheader("What if", anchor=False)
    st.caption("Replays the recorded lookups without a judge, with another cosine to serve from.")
    st.fragment(what_if)(view, threshold)


def what_if(view: EvidenceView, threshold: Threshold) -> None:
    """Draws the slider, its figures, the curve over all thresholds and the table."""
    points = semantic.replay_at_thresholds(view).value
    if not points or not points[0].lookups:
        st.caption("No lookup was recorded in this range.")
        return
    by_threshold = {point.threshold: point for point in points}
    choices = sorted(by_threshold)
    begin = min(choices, key=lambda choice: abs(choice - (threshold.serve or 0.9)))
    chosen = st.select_slider(
        "Serve from the cosine", choices, value=begin, format_func=lambda choice: f"{choice:.3f}", key="what-if"
    )
    point = by_threshold[chosen]
    with st.grid(4, min_column_width=150):
        with st.container(gap=None):
            st.metric("Would have saved", sentence(money(point.saved_usd)))
            st.caption(sentence(_beside_now(points, point, threshold)))
        with st.container(gap=None):
            st.metric("Would have hit", share(point.hit_rate))
            st.caption(f"{number(point.hits)} of {many(point.lookups, 'lookup')}")
        with st.container(gap=None):
            st.metric("Wrong, of those labelled", share(point.errors / point.labelled) if point.labelled else UNKNOWN)
            st.caption(f"{point.errors} of {point.labelled}; {point.hits - point.labelled} have no label")
        with st.container(gap=None):
            st.metric("Wrong at most", share(point.bound) if point.labelled else UNKNOWN)
            st.caption("with 95 % confidence")
    if threshold.mode is not SemanticMode.OFF and chosen < threshold.grey:
        st.caption(
            f":material/info: Below {threshold.grey:.3f} no entries were examined: there would be more hits than these."
        )
    st.plotly_chart(
        quality_charts.what_if(points, served_from(threshold), judged_from(threshold)),
        key="chart-what-if",
        config=charts.CONFIG,
        alt="Share of lookups answered, and of wrong answers, by the cosine to serve from",
    )
    _wrong(view, point)
    with st.expander("As a table", icon=":material/table:"):
        if point.estimated:
            st.caption(
                "Money: what the miss of the same question cost, if that is among the latest requests; otherwise the "
                "average miss. Answers labelled wrong save nothing."
            )
        table = quality_tables.replayed(points)
        st.dataframe(
            tables.in_figures(table),
            column_config=quality_tables.REPLAY_COLUMNS,
            hide_index=True,
            height=320,
            key="replay",
            placeholder=UNKNOWN,
            alt="Threshold lab",
        )
        st.download_button(
            "Download CSV",
            tables.csv(table),
            "thresholds.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _beside_now(points: Sequence[ReplayPoint], point: ReplayPoint, threshold: Threshold) -> str:
    """What would have been saved more, or less, than from the cosine in force on."""
    if point.saved_usd is None:
        return "the latest requests have no miss with a price"
    served = served_from(threshold)
    now = 0.0
    if served is not None:
        now = min(points, key=lambda one: abs(one.threshold - served)).saved_usd or 0.0
    more = point.saved_usd - now
    if not more:
        return "as much as now, without the judge"
    return f"{money(abs(more))} {'more' if more > 0 else 'less'} than now, without the judge"


def _wrong(view: EvidenceView, point: ReplayPoint) -> None:
    """Draws the pairs that would be served wrongly."""
    found = semantic.wrong_hits(view, point.threshold).value
    if not found:
        if point.labelled:
            st.caption("No pair that would have been served is labelled wrong.")
        return
    st.markdown(f"**Would have been wrong: {many(len(found), 'pair')}**")
    st.dataframe(
        quality_tables.wrong(found[:MOST_WRONG]),
        column_config=quality_tables.WRONG_COLUMNS,
        hide_index=True,
        height=min(260, 38 + 35 * min(len(found), MOST_WRONG)),
        key="wrong-hits",
        placeholder=UNKNOWN,
        alt="Pairs labelled wrong that would have been served",
    )
