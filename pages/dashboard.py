"""Dashboard: what the cache does and saves, live. The figures of the tiles tick, charts are drawn on closed buckets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st

from core.access import Action
from core.metrics import RequestRecord, Summary
from core.models import OutcomeKind
from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard import series_table, tables, tiles
from pages.components.data import actions, context
from pages.components.data import queries as window
from pages.components.data.readings import Reading
from pages.components.data.view import ON_DASHBOARD, ON_REQUESTS, View, choose_view
from pages.components.display import charts
from pages.components.display.chart_cache import drawings
from pages.components.display.figures import UNKNOWN, clock, duration, sentence
from pages.components.shell.frame import START_WORKERS, frame, nothing_yet, state
from pages.components.shell.job_card import figures as figures_of_job
from workers.queue import job_id

TILE_SECONDS = 2
CHART_SECONDS = 10


def page() -> None:
    if not frame("Dashboard", "Requests, hits and savings of all processes together."):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = choose_view(ON_DASHBOARD)
        with st.container(width="content", gap="xxsmall"):
            compare = st.toggle(
                "Compare",
                value=True,
                key="compare",
                bind="query-params",
                help="With the window before: as changes on the tiles, and as thin grey lines in the charts.",
            )
            live = st.toggle("Live", value=True, key="live", bind="query-params")
    st.fragment(tick, run_every=TILE_SECONDS if live else None)(view, compare)
    st.fragment(panels, run_every=CHART_SECONDS if live else None)(view, compare)
    st.fragment(behind, run_every=CHART_SECONDS if live else None)(view)


def tick(view: View, compare: bool) -> None:
    """What changes all the time: one part of the page, for each one costs a run of its own."""
    replay_progress()
    figures(view, compare)


def figures(view: View, compare: bool) -> None:
    """The tiles, or what there is to do while there is nothing to show."""
    reading = window.summary(view)
    if reading.value is None:
        nothing_yet(reading)
        return
    if not reading.value.requests:
        empty(view)
        return
    stale = bool(reading.error)
    said = f"Last {view.window.words}, updated {clock(reading.read_at)}"
    before = window.previous(view) if compare else None
    counted: Reading[int] = context.readings().get(
        ("entries", view.namespace, view.model),
        lambda: context.count_entries(view.namespace, view.model),
        max_age=5,
    )
    sampled = () if view.model else window.gauges(view)
    buckets, _ = window.series(view, compare)
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall"):
            st.caption(f":material/cloud_off: {said}: the last values that could be read" if stale else said)
            st.space("stretch")
            for way in tiles.ways(reading.value):
                tiles.lead(way, view)
        with st.grid(5, min_column_width=130, gap=("xsmall", "small")):
            for tile in (
                *tiles.of_requests(reading.value, before, buckets),
                *tiles.of_store(counted.value, state().facts, sampled, view.namespace),
            ):
                tiles.draw(tile, stale=stale)


def empty(view: View) -> None:
    """No request in the window: what to do first, or where to look instead."""
    recent: Reading[list[RequestRecord]] = context.readings().get("any", lambda: context.services().metrics.recent(1))
    if recent.value:
        with st.container(border=True, horizontal_alignment="center"):
            st.space("small")
            st.markdown(f":material/hourglass_empty: **No requests in the last {view.window.words}**")
            st.caption(
                f"The latest one was {duration(time.time() - recent.value[0].at)} ago. Choose a longer range, or other "
                "filters.",
                text_alignment="center",
            )
            st.space("small")
        return
    workers = context.alive_workers().value
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown("### :material/rocket_launch: No requests yet", text_alignment="center")
        st.caption(
            "Send a prompt twice in the playground: first a miss, then a hit. Or replay real questions that customers "
            "asked their bank, and watch the cache fill.",
            text_alignment="center",
            width=560,
        )
        with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
            if st.button("Open the playground", key="to-playground", icon=":material/chat:"):
                st.switch_page("pages/playground.py", query_params={})
            st.button(
                "Replay sample questions",
                key="replay",
                icon=":material/play_arrow:",
                type="primary",
                on_click=actions.replay_sample,
                disabled=not workers or not context.actor().may(Action.ASK),
            )
        if not workers:
            st.caption(
                f"The replay runs on a worker, and none is alive. Start a pool: `{START_WORKERS}`",
                text_alignment="center",
            )
        actions.show_last("replay")
        st.space("small")


def panels(view: View, compare: bool) -> None:
    """The charts: over time on closed buckets, and by name and by waiting."""
    buckets, before = window.series(view, compare)
    reading = window.summary(view)
    if not any(bucket.summary.requests for bucket in buckets):
        if reading.value is not None and reading.value.requests:
            st.caption("The charts begin when their first step has ended, within a minute.")
        return
    marks = window.marks(view)
    draw = partial(panel, view, stale=bool(reading.error))
    with st.grid(2, min_column_width=400):
        draw("Requests by outcome", "outcomes", dashboard_charts.outcomes_over_time, buckets, marks, before)
        draw("Hit rate", "hit-rate", dashboard_charts.hit_rate_over_time, buckets, marks, before)
        draw("Latency of hits and misses", "latency", dashboard_charts.latency_over_time, buckets, marks, before)
        draw("Money saved and spent", "savings", dashboard_charts.savings_over_time, buckets, marks, before)
        sampled = () if view.model else window.gauges(view)
        if any(bucket.last is not None for bucket in sampled):
            gauges = (sampled, marks, view.namespace)
            draw("Entries, memory and evictions", "stored", dashboard_charts.stored_over_time, *gauges)
        by_model = window.breakdown(view, "model")
        if any(one.hit_rate is not None for one in by_model.values()):
            draw("Hit rate by model", "by-model", dashboard_charts.hit_rate_by_name, by_model)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download the series as CSV",
            lambda: series_table.csv(buckets, sampled, view.namespace),
            f"encore-{view.range}.csv",
            "text/csv",
            key="series-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        notes = ["Select a bar of the first chart to see the requests of its time."]
        if any(mark.at >= buckets[0].starts_at for mark in marks):
            notes.append("⊘ and a dotted line mark an invalidation.")
        st.caption(" ".join(notes), width="stretch")


def panel(
    view: View, title: str, key: str, draw: Callable[..., go.Figure], *values: object, stale: bool = False
) -> None:
    """A chart of values as a card; a bar that stands for requests leads to them."""
    name = f"chart-{key}"
    # Asked before it is drawn: a chart of other values is another one, and knows nothing of a click on the one before.
    chosen: Any = st.session_state.get(name) if key in _LEADING else None
    if chosen and (parameters := _LEADING[key](chosen["selection"]["points"])):
        _to_requests(view, parameters)
    drawing = drawings().get(draw, *values, stale=stale)
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{title}**")
        st.plotly_chart(
            drawing,
            key=name,
            config=charts.CONFIG,
            alt=title,
            on_select="rerun" if key in _LEADING else "ignore",
            selection_mode="points",
        )


def _to_requests(view: View, parameters: dict[str, str]) -> None:
    st.switch_page("pages/requests.py", query_params={**view.parameters(ON_REQUESTS), **parameters})


def _behind_bars(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The time of a bar. Not its outcome: a click takes any of the bars at its time."""
    match points:
        case [{"customdata": [since, until]}, *_]:
            return {"since": str(int(since)), "until": str(int(until))}
        case _:
            return {}


def _behind_class(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    match points:
        case [{"customdata": str(name) | [str(name)]}, *_] if name:
            return {"ttl_class": name}
        case _:
            return {}


_LEADING: dict[str, Callable[[Sequence[Mapping[str, Any]]], dict[str, str]]] = {
    "outcomes": _behind_bars,
    "ttl-classes": _behind_class,
}
"""Charts whose bars lead to the requests behind them: from the selected points to the filters of that page."""


def replay_progress() -> None:
    """How far the replay of sample questions has come, in every tab, while it runs."""
    settings = context.services().settings
    name = job_id("replay", settings.namespace)
    job = context.job(name, max_age=TILE_SECONDS).value
    if job is None or not job.state.is_live:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        told = figures_of_job(job.kind, job.progress)
        words = f"Replaying sample questions: {told}" if told else "The replay begins."
        st.progress(job.share or 0.0, text=sentence(words))
        st.button("Stop", key="stop-replay", icon=":material/stop:", on_click=actions.stop, args=(name,))


def behind(view: View) -> None:
    """What is asked most, and the figures by name."""
    now = window.summary(view).value
    if now is None or not now.requests:
        return
    st.subheader("Behind the figures", anchor=False)
    parts: dict[str, Callable[[], None]] = {
        "Missed most": lambda: _frequent(view, OutcomeKind.MISS),
        "Hit most": lambda: _frequent(view, OutcomeKind.HIT),
        "By model": lambda: _breakdown(view, "model"),
        "By namespace": lambda: _breakdown(view, "namespace"),
        "Waiting": lambda: _waiting(view),
        "TTL classes": lambda: _ttl_classes(view),
        "Reasons": lambda: _reasons(view, now),
    }
    for tab, draw in zip(st.tabs(list(parts), key="behind", on_change="rerun"), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _frequent(view: View, kind: OutcomeKind) -> None:
    found = window.most_frequent(view, kind)
    if not found:
        st.caption("Nothing yet.")
        return
    event: Any = st.dataframe(
        tables.frequent(found),
        column_config=tables.FREQUENT_COLUMNS,
        hide_index=True,
        key=f"top-{kind}",
        placeholder=UNKNOWN,
        alt="Most frequent prompts among the latest requests",
        on_select="rerun",
        selection_mode="single-row",
    )
    told = "Counted among the latest requests, whatever the range. Select a row to see its requests."
    if not context.services().settings.record_prompts:
        told += " Prompts are not shown: `ENCORE_RECORD_PROMPTS` is off."
    st.caption(told)
    if (rows := event.selection.rows) and (key := found[rows[0]].key):
        st.switch_page(
            "pages/requests.py", query_params={**view.parameters(ON_REQUESTS), ON_REQUESTS.range: "30d", "key": key}
        )


def _breakdown(view: View, by: Literal["model", "namespace"]) -> None:
    found = window.breakdown(view, by)
    if by == "namespace" and any(summary.hit_rate is not None for summary in found.values()):
        panel(view, "Hit rate by namespace", "by-namespace", dashboard_charts.hit_rate_by_name, found)
    st.dataframe(
        tables.breakdown(found),
        column_config=tables.breakdown_columns(by.capitalize()),
        hide_index=True,
        key=f"by-{by}",
        placeholder=UNKNOWN,
        alt=f"Figures by {by}",
    )


def _waiting(view: View) -> None:
    if (now := window.slow_summary(view)) is not None:
        latencies = (now.hit_latency, now.miss_latency)
        panel(view, "How long callers waited", "distribution", dashboard_charts.latency_distribution, *latencies)


def _ttl_classes(view: View) -> None:
    now = window.slow_summary(view)
    kinds = now.ttl_classes if now else {}
    if kinds:
        panel(view, "Requests by TTL class", "ttl-classes", dashboard_charts.ttl_class_mix, kinds)
    st.dataframe(
        tables.ttl_classes(kinds),
        column_config=tables.TTL_COLUMNS,
        hide_index=True,
        key="ttl-classes",
        placeholder=UNKNOWN,
        alt="Requests by TTL class",
    )


def _reasons(view: View, now: Summary) -> None:
    rows = tables.reasons(now)
    event: Any = st.dataframe(
        rows,
        column_config=tables.REASON_COLUMNS,
        hide_index=True,
        key="reasons",
        placeholder=UNKNOWN,
        alt="Why requests were not hits, and why answers were not stored",
        on_select="rerun",
        selection_mode="single-row",
    )
    st.caption("Select a row to see its requests.")
    if chosen := event.selection.rows:
        st.switch_page(
            "pages/requests.py", query_params={**view.parameters(ON_REQUESTS), "reason": rows["reason"].iloc[chosen[0]]}
        )


page()
