"""What the quality page reads."""

from __future__ import annotations

import msgspec

from core.metrics import Hedging
from core.semantic.quality import EvidenceReport, Published, ReplayPoint, Threshold
from pages.components.data import context
from pages.components.data.readings import Reading

SECONDS = 30
"""How old evidence may be on screen: with 50,000 labels it takes seconds to sum up."""


WINDOWS: dict[str, tuple[str, float | None]] = {
    "24h": ("last 24 hours", 86_400.0),
    "7d": ("last 7 days", 7 * 86_400.0),
    "30d": ("last 30 days", 30 * 86_400.0),
    "all": ("all that is kept", None),
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer chose to look at. `since` is Unix seconds, None for everything."""

    namespace: str
    window: str
    since: float | None


def read_state(namespace: str) -> Reading[tuple[Threshold, list[Published]]]:
    """The threshold in force and all its versions."""
    thresholds = context.services().thresholds
    return context.readings().get(
        ("threshold", namespace),
        lambda: (thresholds.current(namespace), thresholds.versions(namespace)),
        max_age=2,
    )


def read_report(view: View) -> Reading[EvidenceReport]:
    """What evidence says."""
    evidence = context.services().evidence
    return context.readings().get(
        ("evidence", view.namespace, view.window),
        lambda: evidence.report(view.namespace, since=view.since),
        max_age=SECONDS - 1,
    )


def read_reports(view: View) -> Reading[list[EvidenceReport]]:
    """What evidence says of all namespaces."""
    evidence = context.services().evidence
    return context.readings().get(
        ("evidence-of-all", view.window), lambda: evidence.reports(since=view.since), max_age=SECONDS - 1
    )


def read_hedging(view: View) -> Reading[Hedging]:
    """What was dropped for a judge's yes, over all namespaces; of all that is kept, the last thirty days."""
    metrics = context.services().metrics
    seconds = WINDOWS[view.window][1] or WINDOWS["30d"][1] or 0
    return context.readings().get(
        ("hedging", view.window), lambda: metrics.summary(seconds).hedging, max_age=SECONDS - 1
    )


def read_replay(view: View) -> Reading[list[ReplayPoint]]:
    """The recorded lookups at all thresholds."""
    evidence = context.services().evidence
    return context.readings().get(
        ("threshold-lab", view.namespace, view.window),
        lambda: evidence.replay(view.namespace, since=view.since),
        max_age=SECONDS - 1,
    )


def namespaces() -> list[str]:
    """Those that have entries, and those that a threshold was published for."""
    thresholds = context.services().thresholds
    published: Reading[list[str]] = context.readings().get("thresholds", thresholds.namespaces, max_age=5)
    return list(dict.fromkeys([*context.namespaces(), *(published.value or ())]))
