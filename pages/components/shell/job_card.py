"""Jobs as cards: state, progress, what it has done so far, and what can be done with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import streamlit as st

from core.access import Action
from core.semantic import RebuildProgress
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, duration, many, money, number, sentence, share, size
from pages.components.display.namespaces import named, told
from pages.components.display.outcomes import Colour
from pages.components.display.text import literal
from workers.queue import JobState, JobView

STATES: dict[JobState, tuple[str, Colour]] = {
    JobState.QUEUED: (":material/schedule:", "gray"),
    JobState.RUNNING: (":material/play_circle:", "blue"),
    JobState.RETRYING: (":material/replay:", "orange"),
    JobState.FINISHED: (":material/check_circle:", "green"),
    JobState.FAILED: (":material/error:", "red"),
    JobState.STOPPED: (":material/stop_circle:", "orange"),
    JobState.CANCELLED: (":material/cancel:", "gray"),
    JobState.UNKNOWN: (":material/help:", "gray"),
}
"""Icon and colour of each state; its word is its value."""

KINDS = {
    "sweep": "Sweep",
    "replay": "Replay of sample questions",
    "prune": "Pruning of indexes",
    "refresh": "Refresh of a stale answer",
    "judge": "Judging of served near matches",
    "group": "Grouping of questions",
    "rebuild": "Rebuild of the index of near questions",
    "unknown": "Job of another program",
}


def job_card(job: JobView, more: Callable[[], None] = lambda: None) -> None:
    """Draws one job with its progress and buttons; `more` draws further buttons."""
    icon, colour = STATES[job.state]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(job.state.value, icon=icon, color=colour)
            st.markdown(f"**{KINDS.get(job.kind, KINDS['unknown'])}**", width="content")
            if job.namespace:
                naming = queries.naming()
                st.caption(f"in {named(job.namespace, naming)}", width="content", help=told(job.namespace, naming))
            st.caption(_when(job), width="stretch")
            _buttons(job)
            more()
        if job.state.is_live:
            st.progress(job.share or 0.0, text=_progress(job))
        elif done := progress_in_words(job.kind, job.result or job.progress):
            st.caption(sentence(done))
        if job.error:
            st.error(literal(job.error, 400), icon=":material/error:")


def _buttons(job: JobView) -> None:
    may = context.actor().may(Action.MANAGE_JOBS)
    if job.state.is_live:
        st.button(
            "Stop" if job.state is JobState.RUNNING else "Cancel",
            key=f"stop-{job.id}",
            icon=":material/stop:",
            disabled=not may,
            on_click=actions.stop,
            args=(job.id,),
        )
    if job.state in (JobState.FAILED, JobState.STOPPED, JobState.CANCELLED):
        st.button(
            "Run again",
            key=f"retry-{job.id}",
            icon=":material/replay:",
            disabled=not may or job.kind == "unknown",
            on_click=actions.retry,
            args=(job.id,),
        )
    if not job.state.is_live:
        st.button(
            "Delete",
            key=f"delete-{job.id}",
            icon=":material/delete:",
            type="tertiary",
            disabled=not may,
            on_click=actions.delete,
            args=(job.id,),
            help="Deletes the job's record; its effects stay.",
        )


def _when(job: JobView) -> str:
    now = time.time()
    if job.state is JobState.RUNNING and job.started_at:
        return f"running for {duration(now - job.started_at)}"
    if job.ended_at and not job.state.is_live:
        took = f", took {duration(job.ended_at - job.started_at)}" if job.started_at else ""
        return f"ended {clock(job.ended_at)}{took}"
    if job.enqueued_at:
        return f"waiting for {duration(now - job.enqueued_at)}"
    return ""


def _progress(job: JobView) -> str:
    if job.state is JobState.RUNNING:
        part = f"{share(job.share, 0)}: " if job.share is not None else ""
        return sentence(part + (progress_in_words(job.kind, job.progress) or "starting"))
    if job.state is JobState.RETRYING:
        return f"failed, tried again soon; {job.retries_left} attempts left"
    if queries.alive_workers().value == 0:
        return "waiting: no worker is alive"
    return "waiting for a worker"


def progress_in_words(kind: str, progress: Mapping[str, Any]) -> str:
    """What a job of a kind has done, in words, from its progress or result; empty while it has reported none."""
    if not progress:
        return ""
    match kind:
        case "sweep":
            return (
                f"{number(progress.get('scanned'))} entries looked at, {number(progress.get('deleted'))} deleted, "
                f"{size(progress.get('freed_bytes'))} freed"
            )
        case "replay":
            return (
                f"{number(progress.get('sent'))} sent, "
                f"{number(progress.get('hits'))} hits ({share(progress.get('hit_rate'))}), "
                f"{number(progress.get('errors'))} errors, {money(progress.get('saved_usd'))} saved"
            )
        case "prune":
            return f"{number(progress.get('dropped'))} rows of expired entries dropped"
        case "judge":
            hidden = f", {number(left)} not shown to the judge" if (left := progress.get("not_shown")) else ""
            return (
                f"{number(progress.get('judged'))} hits judged, {number(progress.get('wrong'))} of them wrong{hidden}"
            )
        case "group":
            made = f", in {many(groups, 'group')}" if (groups := progress.get("groups")) else ""
            return f"{number(progress.get('done'))} of {many(progress.get('total') or 0, 'question')} read{made}"
        case "rebuild":
            return _rebuilt(progress)
        case _:
            return ""


def _rebuilt(progress: Mapping[str, Any]) -> str:
    try:
        return msgspec.convert(progress, RebuildProgress).words
    except msgspec.ValidationError:
        return ""
