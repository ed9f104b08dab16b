"""Doctor: the effective configuration, what is reachable, and what is wrong with it, with the remedy of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ..bans import MAX_ACTIVE_BANS, BanState, may_have_copies
from ..bootstrap import Services, queue_url, redis_url
from ..cache import EVERYTHING
from ..errors import CacheError
from ..monitoring import WorkerPools
from ..text import masked
from .configuration import EffectiveSetting, effective_settings
from .findings import Finding, Level
from .provider import embedder_findings, provider_findings, semantic_findings
from .redis import cache_findings

OVERDUE_SECONDS = 600.0
MANY_BANS = MAX_ACTIVE_BANS * 3 // 4


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the doctor has to say."""

    settings: tuple[EffectiveSetting, ...]
    findings: tuple[Finding, ...]
    at: float

    @property
    def worst(self) -> Level:
        """The worst of the findings."""
        return max((finding.level for finding in self.findings), key=list(Level).index, default=Level.OK)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"worst": self.worst.value}


def diagnose(services: Services, *, now: float | None = None, outside: Iterable[Finding] | None = None) -> Diagnosis:
    """Looks at everything; takes seconds where something does not answer, and never raises a CacheError.

    `outside` is what `outside_findings` said before: they are not asked again then.
    """
    settings = services.settings
    at = time.time() if now is None else now
    findings = _reached("redis", redis_url(settings), lambda: cache_findings(services, at))
    is_reached = not any(finding.remedy == _REACH for finding in findings)
    if is_reached or settings.queue_redis_url is not None:
        findings += _reached("queue", queue_url(settings), lambda: queue_findings(services))
    findings += outside_findings(services) if outside is None else outside
    findings += semantic_findings(settings)
    if is_reached:
        findings += _reached("redis", redis_url(settings), lambda: invalidation_findings(services, at))
    return Diagnosis(settings=tuple(effective_settings(settings)), findings=tuple(findings), at=at)


_REACH = "Start it, or correct its address, password or certificate."


def _reached(area: str, url: str | None, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look at a server found, or that it cannot be reached."""
    try:
        return list(look())
    except CacheError as error:
        return [Finding(area=area, level=Level.ERROR, text=f"{masked(url or '')}: {error}.", remedy=_REACH)]


# Settings


# The cache's Redis


# The queue and its workers


def queue_findings(services: Services) -> Iterator[Finding]:
    """Whether anyone does the slow part. Raises StoreUnavailable."""
    if services.queue_redis is None:
        if services.redis is not None:
            yield Finding(
                area="queue",
                level=Level.WARNING,
                text="Beside a cluster there is no job queue: invalidations are in force all the same, but memory is "
                "not given back and schedules do not run.",
                remedy="Name a single Redis for it: ENCORE_QUEUE_REDIS_URL.",
            )
        return
    workers = WorkerPools(services.queue_redis).alive_workers()
    if services.settings.queue_redis_url is not None:
        yield Finding(area="queue", level=Level.OK, text="The queue's own Redis answers.")
    if workers:
        yield Finding(
            area="workers", level=Level.OK, text=f"{workers} {'worker is' if workers == 1 else 'workers are'} alive."
        )
    else:
        yield Finding(
            area="workers",
            level=Level.WARNING,
            text="No worker is alive: invalidations are in force all the same, but memory is not given back and "
            "schedules do not run.",
            remedy="Start workers: python -m workers",
        )


# The provider and the embedder


def outside_findings(services: Services) -> Iterator[Finding]:
    """Whether they can be asked. That costs a request to each, or the loading of a model."""
    yield from provider_findings(services)
    yield from embedder_findings(services)


# The embedder


# Settings that do not do what they seem to


# Invalidations


def invalidation_findings(services: Services, now: float) -> Iterator[Finding]:
    """Whether invalidations are swept in time and their number stays small. Raises StoreUnavailable."""
    active = services.invalidation.active()
    yield Finding(
        area="invalidations",
        level=Level.OK,
        text=f"{len(active)} {'invalidation is' if len(active) == 1 else 'invalidations are'} active.",
    )
    yield from _copies_findings(services, now)
    for switch in services.switch.all(services.store.namespaces()):
        whose = "all namespaces" if switch.namespace == EVERYTHING else switch.namespace
        marked = "" if switch.kept else " Redis takes no writes, so it keeps that in memory only."
        yield Finding(
            area="bypass",
            level=Level.WARNING,
            text=f"Requests of {whose} bypass the cache: the switch is on.{marked}",
            remedy=f"When the cache may be used again: python -m core bypass --off {_option(switch.namespace)}",
        )
    overdue = [ban for _, ban in active if _is_overdue(ban.state, ban.due_at, now)]
    if overdue:
        waiting = now - min(ban.due_at for ban in overdue)
        yield Finding(
            area="invalidations",
            level=Level.WARNING,
            text=f"{len(overdue)} of them should have been swept, the first {waiting / 60:.0f} minutes ago.",
            remedy="See that workers are alive, and why sweeps fail: the Workers page lists the jobs.",
        )
    for namespace, count in _counted(namespace for namespace, _ in active):
        if count >= MANY_BANS:
            yield Finding(
                area="invalidations",
                level=Level.WARNING,
                text=f"{namespace} has {count} active invalidations; {MAX_ACTIVE_BANS} is the most.",
                remedy="End holds, undo what is not needed, or invalidate by broader criteria.",
            )


def _option(namespace: str) -> str:
    return "--everything" if namespace == EVERYTHING else f"--namespace {namespace}"


def _copies_findings(services: Services, now: float) -> Iterator[Finding]:
    """Whether processes serve copies of their own, and whether this one was told so."""
    own = services.settings.l1_seconds if services.redis is not None else 0.0
    records = services.invalidation.records()
    most = max((known.copies_seconds for known in records if may_have_copies(known, now)), default=0.0)
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
            text=f"Processes may serve copies of their own for {own:g} s: an invalidation returns as much later, and "
            "is effective everywhere then.",
        )


def _is_overdue(state: BanState, due_at: float, now: float) -> bool:
    return state in (BanState.HELD, BanState.SWEEPING) and due_at < now - OVERDUE_SECONDS


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items())


def unusable(problems: Iterable[str]) -> tuple[Finding, ...]:
    """What there is to say when the settings cannot be used."""
    return tuple(Finding(area="settings", level=Level.ERROR, text=problem) for problem in problems)
