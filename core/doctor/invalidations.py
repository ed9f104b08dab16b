"""Checks of invalidations: overdue sweeps, too many bans, local copies; and of the switches that bypass the cache."""

from __future__ import annotations

from collections.abc import Iterator

from ..bans import MOST_ACTIVE, MOST_LISTED, changes
from ..bootstrap import Services
from ..cache import EVERYTHING
from ..namespaces import Naming
from .findings import Finding, Level

OVERDUE_SECONDS = 600.0
MANY_LISTED = MOST_LISTED * 3 // 4
MANY_ACTIVE = MOST_ACTIVE * 3 // 4


def invalidation_findings(services: Services, now: float) -> Iterator[Finding]:
    """Findings on overdue sweeps, the number of bans, local copies, and namespaces that bypass the cache.

    Raises StoreUnavailable.
    """
    counts = services.invalidation.counts()
    active = sum(count.active for count in counts.values())
    yield Finding(
        area="invalidations",
        level=Level.OK,
        text=f"{active:,} {'invalidation is' if active == 1 else 'invalidations are'} active.",
    )
    yield from _copies_findings(services, now)
    yield from _bypass_findings(services)
    if overdue := services.invalidation.overdue(now - OVERDUE_SECONDS):
        waiting = now - min(one.due_at for one in overdue)
        yield Finding(
            area="invalidations",
            level=Level.WARNING,
            text=f"Some of them should have been swept, the first {waiting / 60:.0f} minutes ago.",
            remedy="Check that workers are alive, and why sweeps fail: the Workers page lists the jobs.",
        )
    naming = Naming(services.labels.known())
    for namespace, count in sorted(counts.items()):
        whose = naming.whole(namespace)
        if count.listed >= MANY_LISTED:
            yield Finding(
                area="invalidations",
                level=Level.WARNING,
                text=f"{whose} has {count.listed} active invalidations by pattern, keywords or age; "
                f"{MOST_LISTED} is the most.",
                remedy="End holds, undo what is not needed, or invalidate by tags, keys or models.",
            )
        if count.active >= MANY_ACTIVE:
            yield Finding(
                area="invalidations",
                level=Level.WARNING,
                text=f"{whose} has {count.active:,} active invalidations; {MOST_ACTIVE:,} is the most.",
                remedy="Check that workers are alive to sweep them, or make holds shorter.",
            )


def _bypass_findings(services: Services) -> Iterator[Finding]:
    """Namespaces whose requests bypass the cache."""
    naming = Naming(services.labels.known())
    for switch in services.switch.all(services.store.namespaces()):
        whose = "all namespaces" if switch.namespace == EVERYTHING else naming.whole(switch.namespace)
        marked = "" if switch.kept else " Redis takes no writes, so it keeps this in memory only."
        yield Finding(
            area="bypass",
            level=Level.WARNING,
            text=f"Requests of {whose} bypass the cache: the switch is on.{marked}",
            remedy=f"To use the cache again: python -m core bypass --off {_option(switch.namespace)}",
        )


def _option(namespace: str) -> str:
    return "--everything" if namespace == EVERYTHING else f"--namespace {namespace}"


def _copies_findings(services: Services, now: float) -> Iterator[Finding]:
    """Whether processes serve copies of their own, and whether the settings of this one say so."""
    own = services.settings.l1_seconds if services.redis is not None else 0.0
    records = services.invalidation.records()
    most = max((known.copies_seconds for known in records if changes.may_have_copies(known, now)), default=0.0)
    if most > own:
        yield Finding(
            area="invalidations",
            level=Level.WARNING,
            text=f"Some processes serve copies of their own for {most:g} s, and ENCORE_L1_SECONDS is {own:g} here: "
            "when Redis has just lost its data, an invalidation made from here returns too early for them.",
            remedy="Set the same ENCORE_L1_SECONDS everywhere.",
        )
    elif own:
        yield Finding(
            area="invalidations",
            level=Level.OK,
            text=f"Processes may serve local copies for {own:g} s: an invalidation returns that much later, and is "
            "then effective everywhere.",
        )
