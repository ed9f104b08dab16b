"""Whether the index of near questions is to be rebuilt, as after another embedder, and how far a rebuild is."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from pages.components.data import actions, context, queries, semantic
from pages.components.display.text import plain
from pages.components.shell.job_card import job_card
from pages.components.shell.permissions import read_only
from workers.queue import JobState

SECONDS = 3
"""How often it is looked how far a rebuild is."""


def near_index() -> None:
    """Draws what is to be done about rows of other embedders; nothing where there is nothing to do."""
    job = queries.job("rebuild").value
    state = semantic.near_index(job.ended_at if job is not None else None).value
    is_wanting = state is not None and state.wanting
    is_live = job is not None and job.state.is_live
    is_asked = state is not None and state.asked
    if not (is_wanting or is_live or is_asked or actions.last("rebuild")):
        return
    st.fragment(_notice, run_every=SECONDS)()


def _notice() -> None:
    job = queries.job("rebuild").value
    reading = semantic.near_index(job.ended_at if job is not None else None)
    state = reading.value
    if state is not None and state.wanting and not (job is not None and job.state.is_live):
        with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/database_upload: {plain(state.words)}", width="stretch")
            st.button(
                "Rebuild index",
                key="rebuild-index",
                icon=":material/autorenew:",
                type="primary",
                disabled=state.asked or not context.actor().may(Action.MANAGE_JOBS),
                help="A worker reads what is stored and embeds each question by the embedder in use. What there is "
                "stays as it is. 100,000 questions take minutes; a server that embeds costs its price.",
                on_click=actions.rebuild_near_index,
            )
            read_only(Action.MANAGE_JOBS)
        if state.asked:
            is_alone = queries.alive_workers().value == 0
            st.caption(
                ":material/hourglass_empty: The rebuild waits for a worker"
                + (", and none is alive: start `python -m workers`." if is_alone else ".")
            )
    if (last := actions.last("rebuild")) is not None and last.ending is not actions.Ending.DONE:
        actions.show_last("rebuild")  # that it was asked for is seen above
    if job is not None and (job.state.is_live or job.state is JobState.FAILED or actions.last("rebuild")):
        job_card(job)
