"""Dashboard: what the cache does and saves, live. The figures of the tiles tick, charts are drawn on closed buckets."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
import streamlit as st

from core.invalidation import Invalidation, InvalidationState
from core.metrics.summary import Bucket, Comparison, Summary
from core.models import HitDetail, OutcomeKind
from core.request_log import Frequent, RequestFilter, RequestRecord
from pages.components import actions, charts, context, tables, tiles
from pages.components.charts import Mark
from pages.components.frame import START_WORKERS, frame, nothing_yet, state
from pages.components.jobs import figures as figures_of_job
from pages.components.readings import Reading
from pages.components.text import one_line
from pages.components.wording import clock, duration, sentence
from workers.queue.jobs import job_id

TILE_SECONDS = 2
CHART_SECONDS = 10
RECENT = 200


class Range(msgspec.Struct, frozen=True):
    """A window and the step of its charts, in seconds."""

    words: str
    seconds: int
    step: int


RANGES = {
    "15m": Range("15 minutes", 900, 20),
    "1h": Range("hour", 3600, 30),
    "6h": Range("6 hours", 6 * 3600, 300),
    "24h": Range("24 hours", 86_400, 1200),
    "7d": Range("7 days", 7 * 86_400, 3 * 3600),
    "30d": Range("30 days", 30 * 86_400, 12 * 3600),
}
ALL = "all"


class View(msgspec.Struct, frozen=True):
    """What the viewer chose to look at."""

    window: Range
    namespace: str | None
    model: str | None

    @property
    def name(self) -> tuple[object, ...]:
        """For shared readings."""
        return (self.window.seconds, self.namespace, self.model)


def page() -> None:
    if not frame("Dashboard", "Requests, hits and savings of all processes together."):
        return
    view, live = controls()
    st.fragment(replay_progress, run_every=1 if live else None)()
    st.fragment(figures, run_every=TILE_SECONDS if live else None)(view)
    st.fragment(panels, run_every=CHART_SECONDS if live else None)(view)
    st.fragment(requests, run_every=CHART_SECONDS if live else None)(view)


def controls() -> tuple[View, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.segmented_control(
            "Range", list(RANGES), default="15m", key="range", bind="query-params", required=True
        )
        models = [ALL, *known_models()]
        model = st.selectbox("Model", models, key="for_model", bind="query-params", width=170, format_func=_all_models)
        namespaces = [ALL, *context.namespaces()]
        namespace = st.selectbox(
            "Namespace", namespaces, key="for_namespace", bind="query-params", width=160, format_func=_all_namespaces
        )
        live = st.toggle("Live", value=True, key="live", bind="query-params", help="Off: the page stays as it is.")
    window = RANGES[chosen or "15m"]
    return View(window, None if namespace == ALL else namespace, None if model == ALL else model), live


def _all_models(name: str) -> str:
    return "All models" if name == ALL else one_line(name, 60)


def _all_namespaces(name: str) -> str:
    return "All namespaces" if name == ALL else name


def known_models() -> list[str]:
    """Models that had a request in the last thirty days."""
    metrics = context.services().metrics
    known: Reading[dict[str, Summary]] = context.readings().get(
        "models", lambda: metrics.breakdown(30 * 86_400, "model"), max_age=30
    )
    return list(known.value or ())


def figures(view: View) -> None:
    """The tiles, or what there is to do while there is nothing to show."""
    reading = summary(view)
    if reading.value is None:
        nothing_yet(reading)
        return
    if not reading.value.requests:
        empty(view)
        return
    st.caption(f"Last {view.window.words}, updated {clock(reading.read_at)}")
    metrics = context.services().metrics
    compared: Reading[Comparison] = context.readings().get(
        ("comparison", *view.name),
        lambda: metrics.comparison(view.window.seconds, namespace=view.namespace, model=view.model),
        max_age=CHART_SECONDS,
    )
    before = compared.value.previous if compared.value and compared.value.previous.requests else None
    counted: Reading[int] = context.readings().get(
        ("entries", view.namespace, view.model),
        lambda: context.count_entries(view.namespace, view.model),
        max_age=5,
    )
    with st.grid(4, min_column_width=160):
        for tile in tiles.of_requests(reading.value, before, series(view).value or []):
            tiles.draw(tile)
        tiles.draw(tiles.of_entries(counted.value, state().facts))


def summary(view: View) -> Reading[Summary]:
    """The figures of the window."""
    metrics = context.services().metrics
    return context.readings().get(
        ("summary", *view.name),
        lambda: metrics.summary(view.window.seconds, namespace=view.namespace, model=view.model),
    )


def series(view: View) -> Reading[list[Bucket]]:
    """The closed buckets of the window."""
    metrics = context.services().metrics
    return context.readings().get(
        ("series", *view.name),
        lambda: metrics.series(
            view.window.seconds, view.window.step, namespace=view.namespace, model=view.model, closed_only=True
        ),
        max_age=CHART_SECONDS - 1,
    )


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
                disabled=not workers,
            )
        if not workers:
            st.caption(
                f"The replay runs on a worker, and none is alive. Start a pool: `{START_WORKERS}`",
                text_alignment="center",
            )
        actions.show_last("replay")
        st.space("small")


def panels(view: View) -> None:
    """Charts, tables and the requests behind them."""
    buckets = series(view).value
    if not buckets or not any(bucket.summary.requests for bucket in buckets):
        if (now := summary(view).value) is not None and now.requests:
            st.caption("The charts begin when their first step has ended, within a minute.")
        return
    marks = invalidation_marks(view)
    with st.grid(2, min_column_width=400):
        _chart("Requests by outcome", charts.outcomes_over_time(buckets, marks), "chart-outcomes")
        _chart("Hit rate", charts.hit_rate_over_time(buckets, marks), "chart-hit-rate")
        _chart("Latency of hits and misses", charts.latency_over_time(buckets, marks), "chart-latency")
        _chart("Money saved and spent", charts.savings_over_time(buckets, marks), "chart-savings")
    if any(mark.at >= buckets[0].starts_at for mark in marks):
        st.caption("⊘ and a dotted line mark an invalidation.")


def _chart(title: str, figure: object, key: str) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{title}**")
        st.plotly_chart(figure, key=key, config=charts.CONFIG, alt=f"{title} over time")


def invalidation_marks(view: View) -> list[Mark]:
    """Invalidations as marks for time lines."""
    history: Reading[list[Invalidation]] = context.readings().get(
        "history", lambda: context.services().invalidation.history(limit=100)
    )
    return [
        Mark(at=done.applied_at, words=f"{done.state.value}: {done.criteria}")
        for done in history.value or ()
        if view.namespace in (None, done.namespace) and done.state is not InvalidationState.REFUSED
    ]


def replay_progress() -> None:
    """How far the replay of sample questions has come, in every tab, while it runs."""
    settings = context.services().settings
    name = job_id("replay", settings.namespace)
    job = context.job(name).value
    if job is None or not job.state.is_live:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        told = figures_of_job(job.kind, job.progress)
        words = f"Replaying sample questions: {told}" if told else "The replay begins."
        st.progress(job.share or 0.0, text=sentence(words))
        st.button("Stop", key="stop-replay", icon=":material/stop:", on_click=actions.stop, args=(name,))


def requests(view: View) -> None:
    """The latest requests one by one, and what is asked most."""
    now = summary(view).value
    if now is None or not now.requests:
        return
    st.subheader("Behind the figures", anchor=False)
    parts = {
        "Latest requests": lambda: _recent(view),
        "Missed most": lambda: _frequent(view, OutcomeKind.MISS),
        "Hit most": lambda: _frequent(view, OutcomeKind.HIT),
        "By model": lambda: _breakdown(view, "model"),
        "By namespace": lambda: _breakdown(view, "namespace"),
        "Latency": lambda: _latency(now),
        "TTL classes": lambda: _ttl_classes(now),
    }
    for tab, draw in zip(st.tabs(list(parts), key="behind", on_change="rerun"), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()


OUTCOME_FILTERS: dict[str, RequestFilter] = {
    "all": RequestFilter(),
    "hit, exact": RequestFilter(kind=OutcomeKind.HIT, detail=HitDetail.EXACT),
    "hit, normalized": RequestFilter(kind=OutcomeKind.HIT, detail=HitDetail.NORMALIZED),
    "hit, semantic": RequestFilter(kind=OutcomeKind.HIT, detail=HitDetail.SEMANTIC),
    "miss": RequestFilter(kind=OutcomeKind.MISS),
    "bypass": RequestFilter(kind=OutcomeKind.BYPASS),
    "error": RequestFilter(kind=OutcomeKind.ERROR),
}


def _recent(view: View) -> None:
    chosen = st.pills(
        "Outcome", list(OUTCOME_FILTERS), default="all", key="outcome", bind="query-params", required=True
    )
    where = msgspec.structs.replace(
        OUTCOME_FILTERS[chosen or "all"],
        namespace=view.namespace,
        model=view.model,
        starts_at=float(int(time.time() - view.window.seconds) // 60 * 60),
    )
    metrics = context.services().metrics
    reading: Reading[list[RequestRecord]] = context.readings().get(
        ("recent", chosen, *view.name), lambda: metrics.recent(RECENT, where)
    )
    if not reading.value:
        st.caption("No request like this among the latest ones. Choose another outcome or a longer range.")
        return
    table = tables.requests(reading.value)
    st.dataframe(
        table, column_config=tables.REQUEST_COLUMNS, hide_index=True, height=380, key="requests", alt="Latest requests"
    )
    st.download_button(
        "Download CSV", tables.csv(table), "requests.csv", "text/csv", icon=":material/download:", on_click="ignore"
    )


def _frequent(view: View, kind: OutcomeKind) -> None:
    metrics = context.services().metrics
    where = RequestFilter(namespace=view.namespace, model=view.model)
    reading: Reading[list[Frequent]] = context.readings().get(
        ("top", kind, view.namespace, view.model), lambda: metrics.top(kind, 15, where), max_age=10
    )
    if not reading.value:
        st.caption("Nothing yet.")
        return
    st.dataframe(
        tables.frequent(reading.value),
        column_config=tables.FREQUENT_COLUMNS,
        hide_index=True,
        key=f"top-{kind}",
        alt="Most frequent prompts among the latest requests",
    )
    st.caption("Counted among the latest requests, whatever the range.")


def _breakdown(view: View, by: Literal["model", "namespace"]) -> None:
    metrics = context.services().metrics
    reading: Reading[dict[str, Summary]] = context.readings().get(
        (by, *view.name),
        lambda: metrics.breakdown(view.window.seconds, by, namespace=view.namespace, model=view.model),
        max_age=10,
    )
    st.dataframe(
        tables.breakdown(reading.value or {}),
        column_config=tables.breakdown_columns(by.capitalize()),
        hide_index=True,
        key=f"by-{by}",
        alt=f"Figures by {by}",
    )


def _latency(now: Summary) -> None:
    st.plotly_chart(
        charts.latency_distribution(now.hit_latency, now.miss_latency),
        key="chart-distribution",
        config=charts.CONFIG,
        alt="How many callers waited how long",
    )


def _ttl_classes(now: Summary) -> None:
    st.dataframe(
        tables.ttl_classes(now.ttl_classes),
        column_config=tables.TTL_COLUMNS,
        hide_index=True,
        key="ttl-classes",
        alt="Requests by TTL class",
    )


page()
