"""The groups of questions as a table, and the selected one with its questions."""

from __future__ import annotations

import streamlit as st

from core.semantic.questions import QuestionGroup, QuestionReport
from pages.components.display.figures import many, money, sentence, share
from pages.components.display.selectable import selectable, selected, unselect
from pages.components.display.tables import csv
from pages.components.display.text import visible
from pages.components.questions import tables
from pages.components.questions.leading import open_requests
from pages.components.shell.address import ID, close, follow_selection, given, select

TABLE = "question-groups"
QUESTIONS = "questions-of-group"
MOST_QUESTIONS = 100


def chosen_group(report: QuestionReport) -> QuestionGroup | None:
    """The group that is selected, else the one that the URL names; None for none."""
    follow_selection(TABLE)
    names = selected(TABLE) or [given(ID)]
    return next((one for one in report.groups if one.id in names), None)


def groups(report: QuestionReport, card: QuestionGroup | None) -> None:
    """Draws the groups, the dearest first, and the chosen one beside them."""
    st.subheader("Groups", anchor=False)
    beside = st.columns([3, 2] if card is not None else [1])
    with beside[0]:
        table = tables.groups(report.groups)
        chosen = selectable(
            table,
            [one.id for one in report.groups],
            name=TABLE,
            alt="Groups of questions, the most expensive misses first",
            column_config=tables.GROUP_COLUMNS,
            column_order=tables.GROUPS_SHOWN,
            height=min(420, 38 + 35 * len(report.groups)),
        )
        select(TABLE, chosen)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                "Download CSV", csv(table), "questions.csv", "text/csv", icon=":material/download:", on_click="ignore"
            )
            if card is None:
                st.caption("The most expensive misses come first. Select a row to see its questions.")
    if card is not None:
        with beside[1]:
            _card(card, report)


def _card(one: QuestionGroup, report: QuestionReport) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Group {one.number}**", width="stretch")
            st.button(
                "Close", key="group-close", icon=":material/close:", type="tertiary", on_click=close, args=(TABLE,)
            )
        st.code(visible(one.question), language=None, wrap_lines=True)
        facts = [
            many(one.requests, "request"),
            f"{share(one.hit_rate)} hits",
            f"{money(one.spent_usd)} spent on {many(one.misses, 'miss', 'misses')}",
            f"{money(one.repeated_usd)} of it on {many(one.repeats, 'repeat')}",
            f"{money(one.saved_usd)} saved",
        ]
        st.caption(sentence(" · ".join(facts)))
        of = [question for question in report.questions if question.group == one.number][:MOST_QUESTIONS]
        chosen = selectable(
            tables.questions(of),
            [question.id for question in of],
            name=QUESTIONS,
            alt="The questions of the group, the most expensive misses first",
            column_config=tables.QUESTION_COLUMNS,
            height=min(320, 38 + 35 * len(of)),
        )
        more = f"The first {MOST_QUESTIONS} of {one.questions:,}. " if one.questions > len(of) else ""
        st.caption(f"{more}Select a row to see its requests.")
    for question in of:
        if question.id in chosen:
            unselect(QUESTIONS)
            open_requests(question.question)
