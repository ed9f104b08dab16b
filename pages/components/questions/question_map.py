"""The map of the question space: a point a question, near ones close together, coloured by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.models import OutcomeKind
from core.semantic.questions import Question, QuestionGroup, QuestionReport
from pages.components.display import charts, outcomes
from pages.components.display.chart_cache import drawings
from pages.components.display.charts import blank
from pages.components.display.figures import many, money, share
from pages.components.display.text import one_line
from pages.components.questions.leading import open_requests

NAME = "chart-questions"
HEIGHT = 440
LARGE = 30
"""Requests with a question from which on its point is large: where each was asked once or twice all are small."""
MOST_NUMBERS = 10
"""Groups whose number stands on the map: the rest would cover each other."""

KINDS = (
    (OutcomeKind.HIT, outcomes.HIT_EXACT, "mostly hits", "circle"),
    (OutcomeKind.MISS, outcomes.MISS, "mostly misses", "diamond"),
    (OutcomeKind.BYPASS, outcomes.BYPASS, "mostly bypasses", "square"),
    (OutcomeKind.ERROR, outcomes.ERROR, "mostly errors", "x"),
)


def question_map(report: QuestionReport, group: QuestionGroup | None, *, stale: bool) -> None:
    """Draws the map, with the chosen group before the others; a click on a point leads to its requests."""
    chosen: Any = st.session_state.get(NAME)
    if chosen and (points := chosen["selection"]["points"]):
        data = points[0].get("customdata")
        name = data[0] if isinstance(data, list) else data
        if (one := next((one for one in report.questions if one.id == name), None)) is not None:
            open_requests(one.question)
    drawing = drawings().get(draw, report.questions, group.number if group is not None else 0, stale=stale)
    with st.container(border=True, gap="xsmall"):
        st.markdown("**Map of the questions**")
        st.plotly_chart(
            drawing,
            key=NAME,
            config=charts.CONFIG,
            alt="A point for each question, near ones close together, coloured by the most frequent outcome of its "
            "requests",
            on_select="rerun",
            selection_mode="points",
        )
        st.caption(
            "Near questions stand close together; the larger a point, the more requests. Numbers are those of the "
            "groups below. Select a point to see its requests."
        )


def draw(questions: Sequence[Question], group: int) -> go.Figure:
    """The map, with the group of this number before the others; 0 for none."""
    figure = blank("")
    most = max(LARGE, *(one.requests for one in questions))
    for kind, look, words, symbol in KINDS:
        of = [one for one in questions if one.most is kind]
        if not of:
            continue
        figure.add_scatter(
            x=[one.x for one in of],
            y=[one.y for one in of],
            customdata=[[one.id] for one in of],
            name=words,
            showlegend=False,
            mode="markers",
            marker={
                "color": look.hexadecimal,
                "symbol": symbol,
                "size": [7 + 23 * (one.requests / most) ** 0.5 for one in of],
                "opacity": [0.75 if group in (0, one.group) else 0.12 for one in of],
                "line": {"width": 0},
            },
            hovertext=[told(one) for one in of],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        # The legend would take the look of the first point, which may be faint.
        figure.add_scatter(
            x=[None],
            y=[None],
            name=words,
            mode="markers",
            marker={"color": look.hexadecimal, "symbol": symbol, "size": 10},
        )
    for number in range(1, MOST_NUMBERS + 1) if not group else (group,):
        of_group = [one for one in questions if one.group == number]
        if of_group:
            weight = sum(one.requests for one in of_group)
            figure.add_annotation(
                x=sum(one.x * one.requests for one in of_group) / weight,
                y=sum(one.y * one.requests for one in of_group) / weight,
                text=f"<b>{number}</b>",
                showarrow=False,
                font={"size": 14, "color": "#FFFFFF"},
                bgcolor="rgba(49, 51, 63, 0.85)",
                borderpad=2,
            )
    figure.update_layout(
        height=HEIGHT,
        hovermode="closest",
        legend={"itemclick": False, "itemdoubleclick": False},
        clickmode="event+select",
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(showticklabels=False, showgrid=False, zeroline=False, range=[-1.1, 1.1], fixedrange=True)
    return figure


def told(one: Question) -> str:
    """What a point says on hover; the text of the question as Plotly shows it literally."""
    line = one_line(one.question, 120)
    lines = [escape(line[begin : begin + 60]) for begin in range(0, len(line), 60)]
    facts = f"Group {one.group} · {many(one.requests, 'request')} · {share(one.hit_rate)} hits"
    return "<br>".join([*lines, facts, f"{money(one.spent_usd)} spent on misses"])
