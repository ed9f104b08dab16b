"""Questions: what people ask, in groups and on a map, and where caching would pay most."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from core.semantic.questions import QuestionReport
from pages.components.data import actions, context, queries, semantic
from pages.components.display.figures import clock, many, number
from pages.components.display.placeholder import placeholder
from pages.components.display.text import plain
from pages.components.questions.controls import Chosen, choose
from pages.components.questions.groups import chosen_group, groups
from pages.components.questions.question_map import question_map
from pages.components.questions.tiles import figures
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.job_card import job_card
from pages.components.shell.permissions import read_only
from workers.queue import JobState, JobView

SECONDS = 3
"""How often it is looked whether a grouping has ended; the figures are read less often."""


def page() -> None:
    if not frame("Questions", "What people ask, in groups: what misses cost, and where caching would pay most."):
        return
    st.fragment(body, run_every=SECONDS)(choose())


def body(chosen: Chosen) -> None:
    """Draws the groups and their map, or what stands in their place."""
    job = queries.job("group").value
    reading = semantic.questions(chosen.namespace, chosen.model, job.ended_at if job is not None else None)
    report = reading.value
    if report is None:
        nothing_yet(reading)
        return
    heading(report, _under_way(job))
    if (last := actions.last("questions")) is not None and last.ending is not actions.Ending.DONE:
        actions.show_last("questions")  # that it was done is seen above
    if job is not None and job.state is JobState.FAILED:
        job_card(job)
    if report.empty:
        empty(report, chosen)
        return
    figures(report, stale=bool(reading.error))
    chosen_one = chosen_group(report)
    question_map(report, chosen_one, stale=bool(reading.error))
    groups(report, chosen_one)


def _under_way(job: JobView | None) -> str:
    """What becomes of a wish to group; empty without one."""
    if job is not None and job.state is JobState.RUNNING:
        return "A worker groups the questions."
    if not (job is not None and job.state.is_live) and not semantic.is_grouping_asked().value:
        return ""
    if queries.alive_workers().value == 0:
        return "The questions wait for a worker, and none is alive."
    return "The questions wait for a worker."


def heading(report: QuestionReport, under_way: str) -> None:
    """Draws of which requests the groups are, when they were made, and the button that makes them anew."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if report.groups and report.at is not None and report.since is not None:
            words = [f"The latest {many(report.looked_at, 'request')}, since {clock(report.since)}"]
            words.append(f"grouped at {clock(report.at)}")
            for count, what in (
                (report.newer, "not in a group"),
                (report.without_prompt, "without a recorded prompt"),
            ):
                if count:
                    words.append(f"{number(count)} {what}")
            st.caption(f"{'; '.join(words)}.", width="content")
        if report.groups or report.groupable:
            st.button(
                "Group again" if report.at is not None else "Group now",
                key="group",
                icon=":material/bubble_chart:",
                type="tertiary" if report.groups else "primary",
                disabled=not context.actor().may(Action.MANAGE_JOBS) or context.services().redis is None,
                help=f"A worker reads up to 2,000 questions with a model on this machine{_left_out(report)}.",
                on_click=actions.group_questions,
            )
            if under_way:
                st.caption(f":material/hourglass_empty: {under_way}", width="content")
            read_only(Action.MANAGE_JOBS)


def _left_out(report: QuestionReport) -> str:
    parts = [
        f"{number(count)} {what}"
        for count, what in ((report.unread, "could not be read"), (report.left_out, "did not fit"))
        if count
    ]
    return f"; last time {', '.join(parts)}" if parts else ""


def empty(report: QuestionReport, chosen: Chosen) -> None:
    """Draws the page without groups: why, and what to do."""
    words = plain(report.empty)
    if context.services().redis is None:
        words += " Grouping needs Redis and a worker: start everything with `make run`."
    elif chosen.namespace or chosen.model:
        words += " Or choose another namespace or model above."
    placeholder(":material/bubble_chart: **No groups**", words)


page()
