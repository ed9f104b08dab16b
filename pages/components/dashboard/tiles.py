"""The tiles of the dashboard: figures of a window, their change from the window before, and links to the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import streamlit as st

from core.metrics import Bucket, GaugeBucket, Histogram, Summary, reasons
from core.models import HitDetail, OutcomeKind
from core.stores import StoreInfo
from pages.components.display import figures
from pages.components.display.figures import duration, many, milliseconds, money, number, sentence, share, size
from pages.components.display.links import Link
from pages.components.display.text import plain
from pages.components.display.tiles import Tile
from pages.components.shell.address import carried


def links_to_requests(now: Summary) -> list[Link]:
    """Links to the requests behind the figures of a window."""
    found = [Link("All requests")]
    if now.hits:
        found.append(Link("Hits", parameters={"outcome": "hit"}))
    if now.misses:
        found.append(Link("Misses", parameters={"outcome": "miss"}))
    if now.errors:
        found.append(Link("Failed", parameters={"outcome": "error"}))
    for words, outcome, latency in (
        ("Slowest hits", "hit", now.hit_latency),
        ("Slowest misses", "miss", now.miss_latency),
    ):
        if latency.p95_ms is not None:
            # A percentile is up to a quarter off: rather a few requests too many than none.
            slower = f"{latency.p95_ms / 1.25:.3f}"
            found.append(Link(words, parameters={"outcome": outcome, "slower": slower}))
    return found


def draw_link(link: Link) -> None:
    """Draws a link, which carries the context."""
    st.page_link(link.page, label=f":small[:blue[{link.words}]]", query_params=carried(link.parameters))


def of_requests(now: Summary, before: Summary | None, buckets: Sequence[Bucket]) -> list[Tile]:
    """Tiles of a window: `before` is the window of the same length before it, if it had requests."""

    def trend(figure: Callable[[Summary], float | None]) -> tuple[float, ...]:
        return tuple(figure(bucket.summary) or 0.0 for bucket in buckets)

    def change(figure: Callable[[Summary], float | None]) -> str | int | None:
        return relative(figure(now), figure(before) if before else None)

    def waiting(label: str, explained: str, measured: Callable[[Summary], Histogram], *, below: str = "") -> Tile:
        latency = measured(now)
        return Tile(
            label=label,
            value=milliseconds(latency.p50_ms),
            below=below or _tail(latency),
            change=change(lambda summary: measured(summary).p50_ms),
            more_is_better=False,
            trend=trend(lambda summary: measured(summary).p50_ms),
            explained=explained,
        )

    return [
        Tile(
            label="Hit rate",
            value=share(now.hit_rate),
            below=_hit_parts(now),
            change=points(now.hit_rate, before.hit_rate if before else None),
            trend=trend(lambda summary: summary.hit_rate),
            explained="Hits of all lookups. Bypasses and errors are not lookups.",
        ),
        Tile(
            label="Money saved",
            value=money(now.net_saved_usd),
            below=_money_parts(now),
            change=change(lambda summary: summary.net_saved_usd),
            trend=tuple(accumulate(trend(lambda summary: summary.net_saved_usd))),
            explained="What the served answers had cost when they were generated, less what judging and embedding cost "
            "(known for all models and namespaces together only). The line adds it up.",
        ),
        Tile(
            label="Time saved",
            value=duration(now.saved_seconds),
            below=f"{number(now.saved_tokens)} tokens not spent",
            change=change(lambda summary: summary.saved_seconds),
            trend=tuple(accumulate(trend(lambda summary: summary.saved_seconds))),
            explained="How much longer callers would have waited without the stored answers. The line adds it up.",
        ),
        Tile(
            label="Requests",
            value=number(now.requests),
            below=_request_parts(now),
            change=change(lambda summary: summary.requests),
            trend=trend(lambda summary: summary.requests),
            explained="Hits, misses, bypasses and errors together.",
        ),
        Tile(
            label="Errors",
            value=number(now.errors),
            below=_error_parts(now),
            change=change(lambda summary: summary.errors),
            more_is_better=False,
            trend=trend(lambda summary: summary.errors),
            explained="Requests that ended without an answer: the provider failed, or the caller went away.",
        ),
        waiting(
            "Callers wait",
            "Median time that callers waited (p50): hits, misses and bypasses together. Without the cache a hit would "
            "have taken as long as its answer took to generate, any other request as long as the provider took.",
            lambda summary: summary.with_cache,
            below=f"{milliseconds(now.without_cache.p50_ms)} without the cache",
        ),
        waiting(
            "A hit takes",
            "Median time that callers with a hit waited (p50).",
            lambda summary: summary.hit_latency,
        ),
        waiting(
            "A miss takes",
            "Median time that callers with a miss waited (p50), mostly for the provider.",
            lambda summary: summary.miss_latency,
        ),
    ]


def of_store(
    count: int | None, store: StoreInfo | None, buckets: Sequence[GaugeBucket], namespace: str | None
) -> list[Tile]:
    """Tiles of what is stored now, and what was evicted in the window. Their trend is of the namespace.

    `buckets` are empty without Redis, where nothing is sampled.
    """
    samples = [bucket.last for bucket in buckets if bucket.last is not None]
    parts = [_fullness(store)]
    if samples:
        parts.append(f"{number(sum(bucket.evicted for bucket in buckets))} evicted")
    elif store:
        parts.append(f"{number(store.evicted)} evicted since Redis started")
    return [
        Tile(
            label="Entries",
            value=number(count),
            below="stored answers now",
            trend=tuple(float(sample.entries_of(namespace)) for sample in samples),
            explained="Stored answers now, by the index. Workers sample the line.",
        ),
        Tile(
            label="Memory",
            value=size(store.used_bytes) if store else size(None),
            below=" · ".join(parts),
            more_is_better=False,
            trend=tuple(float(sample.used_bytes) for sample in samples if sample.used_bytes is not None),
            explained="Memory of the whole Redis server, with everything else that is in it. It evicts keys when "
            "its memory is full.",
        ),
    ]


def _fullness(store: StoreInfo | None) -> str:
    if not store or not store.used_bytes or not store.max_bytes:
        return "no limit set"
    if store.used_bytes > store.max_bytes:
        return f"more than its limit of {size(store.max_bytes)}"
    return f"{share(store.used_bytes / store.max_bytes, 0)} of {size(store.max_bytes)}"


def points(now: float | None, before: float | None) -> str | int | None:
    """The change of a share in percentage points."""
    if now is None or before is None:
        return None
    return 0 if abs(now - before) < 0.0005 else figures.points(now - before)


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
    found = now.reasons.get(OutcomeKind.ERROR, {})
    return " · ".join(f"{plain(reasons.in_few_words(name))}: {count:,}" for name, count in list(found.items())[:2]) or (
        "every request was answered"
    )
