"""The dashboard's tiles: figures of a window in words, with the change from the window before and the trend inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec
import streamlit as st

from core.metrics.histogram import Histogram
from core.metrics.summary import Bucket, Summary
from core.models import HitDetail, OutcomeKind
from core.stores.base import StoreFacts
from pages.components.text import literal
from pages.components.wording import duration, many, milliseconds, money, number, sentence, share, size


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `change` is "+3.1 %", 0 for none or None for nothing to compare with; `below` is Markdown."""

    label: str
    value: str
    below: str
    explained: str
    change: str | int | None = None
    more_is_better: bool = True
    trend: tuple[float, ...] = ()


def draw(tile: Tile) -> None:
    """One tile as a card."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        st.metric(
            tile.label,
            tile.value,
            delta=tile.change,
            delta_color="normal" if tile.more_is_better else "inverse",
            delta_description="vs before" if isinstance(tile.change, str) else None,
            chart_data=tile.trend if len(tile.trend) > 1 else None,
            chart_type="area",
            help=tile.explained,
        )
        st.caption(tile.below)


def of_requests(now: Summary, before: Summary | None, buckets: Sequence[Bucket]) -> list[Tile]:
    """Tiles of a window: `before` is the window of the same length before it, if it had requests."""

    def trend(figure: Callable[[Summary], float | None]) -> tuple[float, ...]:
        return tuple(figure(bucket.summary) or 0.0 for bucket in buckets)

    def change(figure: Callable[[Summary], float | None]) -> str | int | None:
        return relative(figure(now), figure(before) if before else None)

    money_below = f"spent {money(now.cost_usd)}"
    if now.unpriced_hits:
        money_below += f" · {many(now.unpriced_hits, 'hit')} of unknown price"
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
            value=money(now.saved_cost_usd),
            below=sentence(money_below),
            change=change(lambda summary: summary.saved_cost_usd),
            trend=tuple(accumulate(trend(lambda summary: summary.saved_cost_usd))),
            explained="What the served answers had cost when they were generated. The line adds it up.",
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
        ),
        Tile(
            label="A hit takes",
            value=milliseconds(now.hit_latency.p50_ms),
            below=_tail(now.hit_latency),
            change=change(lambda summary: summary.hit_latency.p50_ms),
            more_is_better=False,
            trend=trend(lambda summary: summary.hit_latency.p50_ms),
            explained="What half of the callers with a hit waited at most (p50).",
        ),
        Tile(
            label="A miss takes",
            value=milliseconds(now.miss_latency.p50_ms),
            below=_tail(now.miss_latency),
            change=change(lambda summary: summary.miss_latency.p50_ms),
            more_is_better=False,
            trend=trend(lambda summary: summary.miss_latency.p50_ms),
            explained="What half of the callers with a miss waited at most (p50); mostly the provider.",
        ),
        Tile(
            label="Errors",
            value=number(now.errors),
            below=_error_parts(now),
            change=change(lambda summary: summary.errors),
            more_is_better=False,
            trend=trend(lambda summary: summary.errors) if now.errors else (),
            explained="Requests that ended without an answer: the provider failed, or the caller went away.",
        ),
    ]


def of_entries(count: int | None, facts: StoreFacts | None) -> Tile:
    """The tile of what is stored now."""
    below = "memory unknown"
    if facts is not None:
        below = f"{size(facts.used_bytes)} in use"
        below += f" of {size(facts.max_bytes)}" if facts.max_bytes else ""
        below += f" · {number(facts.evicted)} evicted"
    return Tile(
        label="Entries",
        value=number(count),
        below=below,
        explained="Stored answers now, by the index. Memory is that of the whole Redis server.",
    )


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
