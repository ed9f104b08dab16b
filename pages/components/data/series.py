"""The steps of charts over time: figures, and what was sampled of the store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.metrics import Bucket, GaugeBucket
from pages.components.data import context
from pages.components.data.context import readings
from pages.components.data.queries import STEP_SECONDS
from pages.components.data.readings import shared
from pages.components.data.view import View


@shared(readings, max_age=STEP_SECONDS)
def buckets_of(view: View, windows: int) -> list[Bucket]:
    """The buckets of the latest `windows` windows, the oldest first, the present one last."""
    window = view.window
    return context.services().metrics.series(
        window.seconds * windows, window.step, ends_at=window.ends_at, namespace=view.namespace, model=view.model
    )


def series(view: View, compare: bool) -> tuple[Sequence[Bucket], Sequence[Bucket]]:
    """The buckets of the window, and of each the one a window before (none without `compare`).

    The present one has none: it would be compared with a whole one.
    """
    buckets = buckets_of(view, 2 if compare else 1).value or []
    if not compare:
        return buckets, ()
    count = len(buckets) // 2  # the present step comes on top
    shown = buckets[count:]
    return shown, buckets[: sum(bucket.is_complete for bucket in shown)]


@shared(readings, max_age=STEP_SECONDS)
def gauge_buckets(view: View) -> list[GaugeBucket]:
    """What was stored and evicted during a window; empty without Redis, where nothing is sampled."""
    window = view.window
    kept, now = context.services().gauges, context.now()
    ends_at = now if window.ends_at is None else min(window.ends_at, now)
    return kept.series(window.seconds, window.step, ends_at=ends_at) if kept is not None else []


def gauges(view: View) -> Sequence[GaugeBucket]:
    """What was stored and evicted during the window; empty where nothing is sampled."""
    # It is of all namespaces and models: one reading for all views of a range.
    return gauge_buckets(msgspec.structs.replace(view, namespace=None, model=None)).value or ()
