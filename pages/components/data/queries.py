"""The figures of the window that the viewer looks at, each read once for all sessions that look at the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from core.invalidation import Invalidation, InvalidationState
from core.metrics import Bucket, Comparison, Frequent, GaugeBucket, RequestFilter, Summary
from core.models import OutcomeKind
from core.semantic.quality import Pair
from pages.components.data import context
from pages.components.data.readings import Reading
from pages.components.data.view import View
from pages.components.display.charts import Mark

CLOSED_SECONDS = 9
"""How long closed buckets count as the latest: just less than charts are drawn anew."""
SLOW_SECONDS = 300
MOST_FREQUENT = 15
MARKED = 100


def summary(view: View) -> Reading[Summary]:
    """The figures of the window."""
    metrics = context.services().metrics
    return context.readings().get(
        ("summary", *view.name),
        lambda: metrics.summary(view.window.seconds, namespace=view.namespace, model=view.model),
    )


def previous(view: View) -> Summary | None:
    """The figures of the window before, if it had requests."""
    metrics = context.services().metrics
    compared: Reading[Comparison] = context.readings().get(
        ("comparison", *view.name),
        lambda: metrics.comparison(view.window.seconds, namespace=view.namespace, model=view.model),
        max_age=CLOSED_SECONDS,
    )
    return compared.value.previous if compared.value and compared.value.previous.requests else None


def series(view: View, compare: bool) -> tuple[Sequence[Bucket], Sequence[Bucket]]:
    """The closed buckets of the window, and those of the window before (none without `compare`)."""
    metrics = context.services().metrics
    window, step = view.window.seconds, view.window.step
    reading: Reading[list[Bucket]] = context.readings().get(
        ("series", compare, *view.name),
        lambda: metrics.series(
            window * 2 if compare else window, step, namespace=view.namespace, model=view.model, closed_only=True
        ),
        max_age=CLOSED_SECONDS,
    )
    buckets = reading.value or []
    count = window // step
    return buckets[-count:], buckets[:-count]


def gauges(view: View) -> Sequence[GaugeBucket]:
    """What was stored and evicted during the window; nothing where nobody samples."""
    kept = context.services().gauges
    if kept is None:
        return ()
    reading: Reading[list[GaugeBucket]] = context.readings().get(
        ("gauges", view.range),
        lambda: kept.series(view.window.seconds, view.window.step, ends_at=time.time()),
        max_age=CLOSED_SECONDS,
    )
    return reading.value or ()


def breakdown(view: View, by: Literal["model", "namespace"]) -> dict[str, Summary]:
    """The figures by model or namespace, the busiest first. In long windows they are read less often."""
    metrics = context.services().metrics
    reading: Reading[dict[str, Summary]] = context.readings().get(
        (by, *view.name),
        lambda: metrics.breakdown(view.window.seconds, by, namespace=view.namespace, model=view.model),
        max_age=min(SLOW_SECONDS, view.window.step),
    )
    return reading.value or {}


def slow_summary(view: View) -> Summary | None:
    """The figures of the window as charts without a time line show them: read once a step."""
    metrics = context.services().metrics
    reading: Reading[Summary] = context.readings().get(
        ("slow-summary", *view.name),
        lambda: metrics.summary(view.window.seconds, namespace=view.namespace, model=view.model),
        max_age=min(SLOW_SECONDS, view.window.step),
    )
    return reading.value


def most_frequent(view: View, kind: OutcomeKind) -> list[Frequent]:
    """What is hit or missed most among the latest requests."""
    metrics = context.services().metrics
    where = RequestFilter(namespace=view.namespace, model=view.model)
    reading: Reading[list[Frequent]] = context.readings().get(
        ("top", kind, view.namespace, view.model), lambda: metrics.top(kind, MOST_FREQUENT, where), max_age=10
    )
    return reading.value or []


def marks(view: View) -> list[Mark]:
    """Invalidations as marks for time lines."""
    history: Reading[list[Invalidation]] = context.readings().get(
        "history", lambda: context.services().invalidation.history(limit=MARKED)
    )
    return [
        Mark(at=done.applied_at, words=f"{done.state.value}: {done.criteria}")
        for done in history.value or ()
        if view.namespace in (None, done.namespace) and done.state is not InvalidationState.REFUSED
    ]


PAIRS = 1000
"""The latest near matches are looked through, so many at most."""


def pairs_of(namespace: str) -> Reading[list[Pair]]:
    """The latest near matches of a namespace."""
    evidence = context.services().evidence
    return context.readings().get(("pairs", namespace), lambda: evidence.pairs(namespace, limit=PAIRS), max_age=5)
