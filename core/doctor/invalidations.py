"""Checks of invalidations: overdue sweeps, too many bans, local copies; and of the switches that bypass the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..bans import MOST_LISTED, BanState, changes
from ..bootstrap import Services
from ..cache import EVERYTHING
from .findings import Finding, Level

OVERDUE_SECONDS = 600.0
MANY_BANS = MOST_LISTED * 3 // 4


def invalidation_findings(services: Services, now: float) -> Iterator[Finding]:
    """Findings on overdue sweeps, the number of bans, local copies, and namespaces that bypass the cache.

    Raises StoreUnavailable.
    """
    active = services.invalidation.active()
    yield Finding(
        area="invalidations",
        level=Level.OK,
        text=f"{len(active)} {'invalidation is' if len(active) == 1 else 'invalidations are'} active.",
    )
    yield from _copies_findings(services, now)
    yield from _bypass_findings(services)
    overdue = [ban for _, ban in active if _is_overdue(ban.state, ban.due_at, now)]
    if overdue:
        waiting = now - min(ban.due_at for ban in overdue)
        yield Finding(
            area="invalidations",
            level=Level.WARNING,
            text=f"{len(overdue)} of them should have been swept, the first {waiting / 60:.0f} minutes ago.",
            remedy="Check that workers are alive, and why sweeps fail: the Workers page lists the jobs.",
        )
    for namespace, count in _counted(namespace for namespace, _ in active):
        if count >= MANY_BANS:
            yield Finding(
                area="invalidations",
                level=Level.WARNING,
                text=f"{namespace} has {count} active invalidations; {MOST_LISTED} is the most.",
                remedy="End holds, undo what is not needed, or invalidate by broader criteria.",
            )


def _bypass_findings(services: Services) -> Iterator[Finding]:
    """Namespaces whose requests bypass the cache."""
    for switch in services.switch.all(services.store.namespaces()):
        whose = "all namespaces" if switch.namespace == EVERYTHING else switch.namespace
        marked = "" if switch.kept else " Redis takes no writes, so it keeps that in memory only."
        yield Finding(
            area="bypass",
            level=Level.WARNING,
            text=f"Requests of {whose} bypass the cache: the switch is on.{marked}",
            remedy=f"When the cache may be used again: python -m core bypass --off {_option(switch.namespace)}",
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
            remedy="Set ENCORE_L1_SECONDS alike everywhere.",
        )
    elif own:
        yield Finding(
            area="invalidations",
            level=Level.OK,
            text=f"Processes may serve local copies for {own:g} s: an invalidation returns that much later, and is "
            "then effective everywhere.",
        )


def _is_overdue(state: BanState, due_at: float, now: float) -> bool:
    return state in (BanState.HELD, BanState.SWEEPING) and due_at < now - OVERDUE_SECONDS


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items())
