"""Dashboard: what the cache does and saves, live. Tiles are renewed every two seconds, charts every ten."""

from __future__ import annotations

import streamlit as st

from core.access import Action
from pages.components.dashboard import tiles
from pages.components.dashboard.breakdowns import breakdowns
from pages.components.dashboard.changed import changed
from pages.components.dashboard.panels import panels
from pages.components.dashboard.zoom import zoom
from pages.components.data import actions, context, queries, series
from pages.components.data.view import View
from pages.components.display.figures import clock, duration, sentence
from pages.components.display.placeholder import placeholder
from pages.components.display.tiles import draw as draw_tiles
from pages.components.shell.address import visit
from pages.components.shell.alert_banner import START_WORKERS
from pages.components.shell.frame import frame, nothing_yet, state
from pages.components.shell.job_card import progress_in_words
from pages.components.shell.view_controls import choose_view, say_filter

TILE_SECONDS = 2
CHART_SECONDS = 10


def page() -> None:
    if not frame("Dashboard", "Requests, hits and savings of all processes together."):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = choose_view()
        with st.container(width="content", gap="xxsmall"):
            compare = st.toggle(
                "Compare",
                value=True,
                key="compare",
                bind="query-params",
                help="Compare with the window before: changes on the tiles, thin grey lines in the charts.",
                disabled=not view.window.has_one_before,
            )
            live = st.toggle("Live", value=True, key="live", bind="query-params", disabled=view.window.has_ended)
    compare = compare and view.window.has_one_before
    live = live and not view.window.has_ended
    say_filter(view)
    zoom()
    explain = st.fragment(changed, run_every=CHART_SECONDS if live else None)
    explain(view, compare, first=True)
    st.fragment(tick, run_every=TILE_SECONDS if live else None)(view, compare)
    explain(view, compare, first=False)
    st.fragment(panels, run_every=CHART_SECONDS if live else None)(view, compare)
    st.fragment(breakdowns, run_every=CHART_SECONDS if live else None)(view, compare)


def tick(view: View, compare: bool) -> None:
    """Draws all that ticks, in one fragment: each fragment costs a run of its own."""
    replay_progress()
    figures(view, compare)


def figures(view: View, compare: bool) -> None:
    """Draws the tiles, or what to do while there is nothing to show."""
    reading = queries.summary(view)
    if reading.value is None:
        nothing_yet(reading)
        return
    if not reading.value.requests:
        empty(view)
        return
    stale = bool(reading.error)
    said = f"{view.window.sentence}, updated {clock(reading.read_at)}"
    before = queries.previous(view) if compare else None
    counted = queries.entry_count(view.namespace, view.model)
    sampled = () if view.model else series.gauges(view)
    steps, _ = series.series(view, compare)
    buckets = [step for step in steps if step.is_complete]  # a line that ends in a part of a step would seem to fall
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall"):
            st.caption(f":material/cloud_off: {said}: the last values read" if stale else said)
            st.space("stretch")
            for link in tiles.links_to_requests(reading.value):
                tiles.draw_link(link)
        with st.grid(5, min_column_width=130, gap=("xsmall", "small")):
            draw_tiles(
                [
                    *tiles.of_requests(reading.value, before, buckets),
                    *tiles.of_store(counted.value, state().store, sampled, view.namespace),
                ],
                stale=stale,
            )


def empty(view: View) -> None:
    """Draws the page without requests: what to do first, or where to look instead."""
    latest = queries.latest_request().value
    if latest is not None:
        placeholder(
            f":material/hourglass_empty: **No requests {view.window.within}**",
            f"The latest one was {duration(context.now() - latest.at)} ago. Choose another range, or other filters.",
        )
        return
    placeholder(
        "### :material/rocket_launch: No requests yet",
        "Send a prompt twice in the playground: first a miss, then a hit. Or replay real questions that customers "
        "asked their bank, and watch the cache fill.",
        _first_steps,
    )


def _first_steps() -> None:
    workers = queries.alive_workers().value
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
        if st.button("Open the playground", key="to-playground", icon=":material/chat:"):
            visit("pages/playground.py")
        st.button(
            "Replay sample questions",
            key="replay",
            icon=":material/play_arrow:",
            type="primary",
            on_click=actions.replay_sample,
            disabled=not workers or not context.actor().may(Action.ASK),
        )
    if not workers and queries.queue_refusal().value is None:
        st.caption(
            f"The replay needs a worker, and none is alive. Start workers: `{START_WORKERS}`", text_alignment="center"
        )
    actions.show_last("replay")


def replay_progress() -> None:
    """Draws how far the replay of sample questions has come, while it runs."""
    job = queries.replay().value
    if job is None or not job.state.is_live:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        progress = progress_in_words(job.kind, job.progress)
        words = f"Replaying sample questions: {progress}" if progress else "The replay begins."
        st.progress(job.share or 0.0, text=sentence(words))
        st.button("Stop", key="stop-replay", icon=":material/stop:", on_click=actions.stop, args=(job.id,))


page()
