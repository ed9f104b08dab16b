"""The dashboard's tiles: figures of a window in words, with the change from the window before and the trend inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Literal

import msgspec
import streamlit as st

from core.metrics.gauges import GaugeBucket
from core.metrics.histogram import Histogram
from core.metrics.summary import Bucket, Summary
from core.models import HitDetail, OutcomeKind
from core.stores.base import StoreFacts
from pages.components.text import literal
from pages.components.view import ON_REQUESTS, View
from pages.components.wording import duration, many, milliseconds, money, number, sentence, share, size

REQUESTS = "pages/requests.py"


class Way(msgspec.Struct, frozen=True):
    """Where a click leads: the button's words, the page, and what it is to show."""

    words: str
    page: str = REQUESTS
    parameters: dict[str, str] = {}


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `change` is "+3.1 %", 0 for none or None for nothing to compare with; `below` is Markdown.

    `way` leads to what is behind it.
    """

    label: str
    value: str
    below: str
    explained: str
    change: str | int | None = None
    more_is_better: bool = True
    trend: tuple[float, ...] = ()
    way: Way | None = None


def draw(tile: Tile, view: View | None = None, *, stale: bool = False) -> None:
    """One tile as a card. Its way leads to the requests of the same view, if there is one; `stale` ones are greyed."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        colour: Literal["normal", "inverse", "off"] = "normal" if tile.more_is_better else "inverse"
        st.metric(
            tile.label,
            f":gray[{sentence(tile.value)}]" if stale else sentence(tile.value),
            delta=tile.change,
            delta_color="off" if stale else colour,
            delta_description="vs before" if isinstance(tile.change, str) else None,
            chart_data=tile.trend if len(tile.trend) > 1 else None,
            chart_type="area",
            help=tile.explained,
        )
        st.caption(tile.below)
        way = tile.way
        if way is not None and st.button(
            way.words, key=f"see-{tile.label}", type="tertiary", icon=":material/arrow_forward:", icon_position="right"
        ):
            seen = view.parameters(ON_REQUESTS) if view is not None and way.page == REQUESTS else {}
            st.switch_page(way.page, query_params={**seen, **way.parameters})


def of_requests(now: Summary, before: Summary | None, buckets: Sequence[Bucket]) -> list[Tile]:
    """Tiles of a window: `before` is the window of the same length before it, if it had requests."""

    def trend(figure: Callable[[Summary], float | None]) -> tuple[float, ...]:
        return tuple(figure(bucket.summary) or 0.0 for bucket in buckets)

    def change(figure: Callable[[Summary], float | None]) -> str | int | None:
        return relative(figure(now), figure(before) if before else None)

    def waiting(
        label: str,
        explained: str,
        measured: Callable[[Summary], Histogram],
        *,
        outcome: str = "all",
        leads: bool = True,
    ) -> Tile:
        latency = measured(now)
        slowest = None
        if latency.p95_ms is not None:
            # A percentile is up to a quarter off: rather a few requests too many than none.
            slowest = {"outcome": outcome, "slower": f"{latency.p95_ms / 1.25:.3f}"}
        return Tile(
            label=label,
            value=milliseconds(latency.p50_ms),
            below=_tail(latency),
            change=change(lambda summary: measured(summary).p50_ms),
            more_is_better=False,
            trend=trend(lambda summary: measured(summary).p50_ms),
            explained=explained,
            way=Way("The slowest", parameters=slowest) if leads and slowest else None,
        )

    return [
        Tile(
            label="Hit rate",
            value=share(now.hit_rate),
            below=_hit_parts(now),
            change=points(now.hit_rate, before.hit_rate if before else None),
            trend=trend(lambda summary: summary.hit_rate),
            explained="Hits of all lookups. Bypasses and errors are not lookups.",
            way=Way("Hits", parameters={"outcome": "hit"}),
        ),
        Tile(
            label="Money saved",
            value=money(now.net_saved_usd),
            below=_money_parts(now),
            change=change(lambda summary: summary.net_saved_usd),
            trend=tuple(accumulate(trend(lambda summary: summary.net_saved_usd))),
            explained="What the served answers had cost when they were generated, less what judging and embedding cost "
            "(known for all models and namespaces together only). The line adds it up.",
            way=Way("Misses, which cost it", parameters={"outcome": "miss"}) if now.misses else None,
        ),
        Tile(
            label="Time saved",
            value=duration(now.saved_seconds),
            below=f"{number(now.saved_tokens)} tokens not spent",
            change=change(lambda summary: summary.saved_seconds),
            trend=tuple(accumulate(trend(lambda summary: summary.saved_seconds))),
            explained="What callers did not wait, because the answer was there. The line adds it up.",
        ),
        Tile(
            label="Requests",
            value=number(now.requests),
            below=_request_parts(now),
            change=change(lambda summary: summary.requests),
            trend=trend(lambda summary: summary.requests),
            explained="Hits, misses, bypasses and errors together.",
            way=Way("All requests"),
        ),
        waiting(
            "With the cache",
            "What half of the callers waited at most (p50), hits, misses and bypasses together.",
            lambda summary: summary.with_cache,
        ),
        waiting(
            "Without the cache",
            "What half of the same callers would have waited at most: a hit as long as its answer took to generate, "
            "everything else as long as the provider took.",
            lambda summary: summary.without_cache,
            leads=False,
        ),
        waiting(
            "A hit takes",
            "What half of the callers with a hit waited at most (p50).",
            lambda summary: summary.hit_latency,
            outcome="hit",
        ),
        waiting(
            "A miss takes",
            "What half of the callers with a miss waited at most (p50); mostly the provider.",
            lambda summary: summary.miss_latency,
            outcome="miss",
        ),
        Tile(
            label="Errors",
            value=number(now.errors),
            below=_error_parts(now),
            change=change(lambda summary: summary.errors),
            more_is_better=False,
            trend=trend(lambda summary: summary.errors) if now.errors else (),
            explained="Requests that ended without an answer: the provider failed, or the caller went away.",
            way=Way("Failed requests", parameters={"outcome": "error"}) if now.errors else None,
        ),
    ]


def of_store(
    count: int | None, facts: StoreFacts | None, buckets: Sequence[GaugeBucket], namespace: str | None
) -> list[Tile]:
    """Tiles of what is stored now. Their trend is of the namespace; `buckets` are empty where nobody samples."""
    samples = [bucket.last for bucket in buckets if bucket.last is not None]
    full = facts.used_bytes / facts.max_bytes if facts and facts.used_bytes and facts.max_bytes else None
    return [
        Tile(
            label="Entries",
            value=number(count),
            below="stored answers now",
            trend=tuple(float(sample.entries_of(namespace)) for sample in samples),
            explained="Stored answers now, by the index. Workers sample the line.",
            way=Way("Browse", "pages/entries.py"),
        ),
        Tile(
            label="Memory",
            value=size(facts.used_bytes) if facts else size(None),
            below=f"{share(full, 0)} of {size(facts.max_bytes)}" if facts and full is not None else "no limit is set",
            trend=tuple(float(sample.used_bytes) for sample in samples if sample.used_bytes is not None),
            more_is_better=False,
            explained="Memory of the whole Redis server, with everything else that is in it.",
        ),
        Tile(
            label="Evicted",
            value=number(sum(bucket.evicted for bucket in buckets)) if samples else number(None),
            below=f"{number(facts.evicted)} since Redis started" if facts else "",
            trend=tuple(float(bucket.evicted) for bucket in buckets) if any(b.evicted for b in buckets) else (),
            more_is_better=False,
            explained="Keys that Redis gave up in this window because its memory was full.",
        ),
    ]


def points(now: float | None, before: float | None) -> str | int | None:
    """The change of a share in percentage points."""
    if now is None or before is None:
        return None
    change = (now - before) * 100
    return 0 if abs(change) < 0.05 else f"{change:+.1f} points"


def relative(now: float | None, before: float | None) -> str | int | None:
    """The change in percent; None where there is nothing to compare with, or the change says nothing any more."""
    if now is None or not before:
        return None
    change = (now - before) / before * 100
    if abs(change) < 0.5:
        return 0
    return f"{change:+.0f} %" if abs(change) < 1000 else None


def _money_parts(now: Summary) -> str:
    parts = []
    if now.overhead_usd:
        parts.append(f"{money(now.saved_cost_usd)} less {money(now.overhead_usd)} for judging and embedding")
    parts.append(f"spent {money(now.cost_usd)}")
    if now.unpriced_hits:
        parts.append(f"{many(now.unpriced_hits, 'hit')} of unknown price")
    return sentence(" · ".join(parts))


def _tail(latency: Histogram) -> str:
    return f"p95 {milliseconds(latency.p95_ms)} · p99 {milliseconds(latency.p99_ms)}"


def _hit_parts(now: Summary) -> str:
    lookups = now.hits + now.misses
    found = [(detail.value, now.details.get(detail, 0)) for detail in HitDetail]
    parts = [f"{word} {share(count / lookups)}" for word, count in found if count]
    return " · ".join(parts) or "no hit yet"


def _request_parts(now: Summary) -> str:
    parts = [many(now.hits, "hit"), many(now.misses, "miss", "misses")]
    if now.bypasses:
        parts.append(many(now.bypasses, "bypass", "bypasses"))
    return " · ".join(parts)


def _error_parts(now: Summary) -> str:
    reasons = now.reasons.get(OutcomeKind.ERROR, {})
    return " · ".join(f"{literal(name, 30)} {count}" for name, count in list(reasons.items())[:2]) or (
        "every request got its answer"
    )
