"""Workers: which are alive, which jobs wait or run, what failed and why."""

from __future__ import annotations

import time

import streamlit as st

from core.access import Action
from pages.components.data import actions, context, queries
from pages.components.display import tables
from pages.components.display.figures import UNKNOWN, duration, many, number
from pages.components.display.placeholder import placeholder
from pages.components.display.text import literal
from pages.components.display.tiles import draw_boxed
from pages.components.schedules import tables as schedule_tables
from pages.components.shell.address import visit
from pages.components.shell.alert_banner import FAILING_WORKERS, START_WORKERS
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.job_card import job_card
from pages.components.shell.permissions import read_only
from workers.queue import JobState, QueueView

SECONDS = 2
SLOW_SECONDS = 10
SHOWN = 30

FILTERS: dict[str, tuple[JobState, ...]] = {
    "all": tuple(JobState),
    "waiting": (JobState.QUEUED, JobState.RETRYING),
    "running": (JobState.RUNNING,),
    "failed": (JobState.FAILED,),
    "stopped": (JobState.STOPPED, JobState.CANCELLED),
    "finished": (JobState.FINISHED,),
}


def page() -> None:
    lead = "Background jobs free memory, replay questions and tidy up. Requests never wait for them."
    if not frame("Workers", lead):
        return
    st.fragment(overview, run_every=SECONDS)()
    st.fragment(jobs, run_every=SECONDS)()
    st.fragment(schedules, run_every=SLOW_SECONDS)()


def overview() -> None:
    """Draws the queue in numbers and the workers one by one."""
    queue = queries.queue()
    if queue.value is None:
        nothing_yet(queue)
        return
    now = queue.value
    with st.grid(4, min_column_width=150):
        draw_boxed("Workers alive", number(now.alive_workers), "with a heartbeat in the last 30 seconds")
        waits = (
            f"the first for {duration(now.oldest_age_seconds)}"
            if now.oldest_age_seconds is not None
            else "nothing waits"
        )
        draw_boxed("Waiting", number(now.waiting), waits)
        draw_boxed("Running", number(now.running), f"{many(now.retrying, 'job')} will be tried again")
        ended = f"{number(now.finished)} finished, {number(now.stopped + now.cancelled)} stopped"
        draw_boxed("Failed", number(now.failed), ended)
    if now.suspended:
        st.warning("Workers are paused: they take no new jobs.", icon=":material/pause_circle:")
    _controls(now)
    if failing := queries.failing_pools():
        where = ", ".join(literal(pool.host, 40) for pool in failing)
        st.caption(f":material/engineering: {FAILING_WORKERS}. On {where}.")
    found = queries.workers()
    if not found.value and failing:
        return
    if not found.value and (refusal := queries.queue_refusal().value) is not None:
        placeholder(
            ":material/hourglass_empty: **Workers wait**",
            f"Redis refuses writes: {refusal.cause}. They continue by themselves when it takes writes again.",
        )
        return
    if not found.value:
        placeholder(
            ":material/engineering: **No worker**",
            "Lookups and invalidations work without one: hidden answers stay hidden, but their memory is not freed. "
            "Start workers with this command:",
            _start_command,
        )
        return
    st.dataframe(
        tables.in_figures(tables.workers(found.value, time.time())),
        column_config=tables.WORKER_COLUMNS,
        hide_index=True,
        key="workers",
        placeholder=UNKNOWN,
        alt="Workers with their heartbeat",
    )
    pools = queries.pools()
    if pools.value:
        words = "; ".join(
            f"{literal(pool.host, 40)}, process {pool.pid}: {many(pool.workers, 'worker')}, "
            f"heartbeat {duration(max(0.0, context.now() - pool.at))} ago"
            for pool in pools.value
        )
        st.caption(f"{many(len(pools.value), 'pool')}: {words}.")
    if any(worker.lost for worker in found.value):
        st.caption(
            "A worker without a heartbeat for 30 seconds may have been killed. Its job is started again within two "
            "minutes."
        )


def _start_command() -> None:
    st.code(START_WORKERS, language="shell", width="content")


def _controls(now: QueueView) -> None:
    may = context.actor().may(Action.MANAGE_WORKERS)
    if now.suspended:
        st.button(
            "Resume all workers",
            key="resume",
            icon=":material/play_arrow:",
            disabled=not may,
            on_click=actions.resume,
        )
    else:
        st.button(
            "Pause all workers",
            key="suspend",
            icon=":material/pause:",
            disabled=not may,
            on_click=actions.suspend,
            help="Each finishes its current job and takes no new one.",
        )
    read_only(Action.MANAGE_WORKERS)
    actions.show_last("workers")


def jobs() -> None:
    """Draws the jobs, the latest first."""
    st.subheader("Jobs", anchor=False)
    found = queries.jobs()
    if found.value is None:
        nothing_yet(found)
        return
    actions.show_last("job")
    if not found.value:
        text = "A job appears when an invalidation is swept, and when sample questions are replayed."
        placeholder(":material/inbox: **No jobs**", text)
        return
    chosen = st.pills("Show", list(FILTERS), default="all", key="jobs-state", required=True)
    shown = [job for job in found.value if job.state in FILTERS[chosen or "all"]]
    if not shown:
        st.caption("None match.")
    for job in shown[:SHOWN]:
        job_card(job)
    if len(shown) > SHOWN:
        st.caption(f"And {many(len(shown) - SHOWN, 'older job')}.")


def schedules() -> None:
    """Draws the schedules with their next run."""
    st.subheader("Schedules", anchor=False)
    if context.services().schedules is None:
        st.caption("There is no Redis, so there are no schedules.")
        return
    found = queries.schedules()
    if found.value is None:
        nothing_yet(found)
        return
    if found.value:
        st.dataframe(
            schedule_tables.schedules(found.value, queries.naming(one.namespace for one in found.value)),
            column_config=schedule_tables.SCHEDULE_COLUMNS,
            hide_index=True,
            key="schedules-of-workers",
            placeholder=UNKNOWN,
            alt="Schedules with their next run",
        )
    else:
        st.caption("No schedule.")
    if st.button("Open Schedules", key="to-schedules", icon=":material/event_repeat:"):
        visit("pages/schedules.py")


page()
