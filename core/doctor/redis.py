"""Checks of the Redis servers: versions with known holes, rights, distance, memory, persistence, clocks."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence

from redis import Redis

from ..bootstrap import Services
from ..configuration import redis_url
from ..errors import NotPermitted, StoreUnavailable
from ..monitoring import HeaderBoard, NamedHeader, Why, enough_seconds
from ..stores import Persistence, StoreInfo
from ..stores.redis import OLDEST_VERSION, WRONG_SECONDS, embedded, has_older, losses, remedy, wrong_clocks
from ..text import milliseconds, share
from .findings import Finding, Level

FULL_SHARE = 0.9
SYNCED_VERSION = (7, 2, 0)
"""The first that can be asked what is on its disk."""
NEAR_SHARE = 0.5
"""The part of the time that a request waits for Redis which one answer may take: the rest is for busy moments."""

HOLES = {
    "Redis": (
        ("CVE-2024-31228", "a long pattern ends the server", {(6, 2): 16, (7, 2): 6, (7, 4): 1}),
        ("CVE-2025-49844", "a script runs foreign code", {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2}),
    ),
    "Valkey": (
        ("CVE-2024-31228", "a long pattern ends the server", {(7, 2): 7, (8, 0): 1}),
        ("CVE-2025-49844", "a script runs foreign code", {(7, 2): 11, (8, 0): 6, (8, 1): 4}),
    ),
}
"""Known holes of each product, and the patch release of each branch that closes them, as of October 2025.

Other branches: see `_is_open`. Nothing is said of products that are not here.
"""


def cache_findings(services: Services) -> Iterator[Finding]:
    """Findings on the cache's Redis. Raises StoreUnavailable."""
    if services.redis is None:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="There is no Redis: entries live in each process' own memory and are shared with no other.",
            remedy="Start everything with `make run`, or name a server in ENCORE_REDIS_URL.",
        )
        return
    info = services.store.info()
    settings = services.settings
    round_trip_ms = info.round_trip_ms
    after = "" if round_trip_ms is None else f" in {milliseconds(round_trip_ms)}"
    yield Finding(
        area="redis",
        level=Level.OK,
        text=f"{' '.join((info.product or 'Redis', info.version)).strip()} answers{after}.",
    )
    yield from _cluster_findings(info)
    yield from rights_findings(info.missing_rights, info.user)
    yield from distance_findings(round_trip_ms, 1000 * settings.redis_timeout_seconds)
    yield from info_findings(
        info,
        replicas=settings.invalidation_replicas,
        synced=settings.invalidation_synced,
        own=embedded.running_url(settings.home) == redis_url(settings),
    )
    yield from _clock_findings(services, info)
    yield from _border_findings(services.redis)


def _border_findings(redis: Redis) -> Iterator[Finding]:
    """What an older version left, and headers of callers; nothing where Redis' user may not look.

    Nothing too where the server of a cluster does not answer that has the one or the other: that is said already.
    """
    try:
        headers, is_older = HeaderBoard(redis).all(), has_older(redis)
    except (NotPermitted, StoreUnavailable):
        return
    yield from _header_findings(headers)
    if is_older:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="An older version of Encore has left answers and records here, which no lookup finds any more.",
            remedy="When no older version uses this Redis any more: python -m core clean",
        )


def _cluster_findings(info: StoreInfo) -> Iterator[Finding]:
    if info.silent_servers:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"{len(info.silent_servers)} of the cluster's {info.servers} servers do not answer "
            f"({', '.join(info.silent_servers)}): what they hold is not served, stored or invalidated.",
            remedy="Start them, or let the cluster replace them by replicas.",
        )


def _header_findings(headers: list[NamedHeader]) -> Iterator[Finding]:
    """Headers of the gateway's callers that are not sent, or that keep every request apart."""
    named = {why: ", ".join(header.name for header in headers if header.why is why) for why in Why}
    if dropped := named[Why.DROPPED]:
        yield Finding(
            area="gateway",
            level=Level.WARNING,
            text=f"Headers of callers that the gateway does not know are not sent to the provider: {dropped}.",
            remedy="Name those that change answers in ENCORE_KEYED_HEADERS: they are then sent, and are part of the "
            "key.",
        )
    if differing := named[Why.DIFFERS]:
        yield Finding(
            area="gateway",
            level=Level.WARNING,
            text="Headers that are part of the key differ in nearly every request, so no answer is shared: "
            f"{differing}.",
            remedy="Remove them in the callers, or in the proxy before the gateway.",
        )


def rights_findings(missing: Sequence[str], user: str) -> Iterator[Finding]:
    """A finding for each part that works in part or not at all, because Redis' user may not run its commands. Pure."""
    remedy_of_all = f"{remedy(missing, user)} (docs/production.md has the whole line)" if missing else ""
    for loss in losses(missing):
        refused = ", ".join(loss.commands) if loss.commands else "use its keys"
        yield Finding(
            area="redis",
            level=Level.ERROR if loss.feature in NEEDED else Level.WARNING,
            text=f"Redis' user {user or 'default'} may not {'run ' if loss.commands else ''}{refused}. "
            f"In part or wholly off: {loss.feature} ({loss.without}).",
            remedy=remedy_of_all,
        )


NEEDED = ("hits", "stores", "invalidations", "bypass switch", "marks of the bypass switch", "jobs")
"""Parts whose loss is an error: answers are not served, or what an operator does has no effect."""


def distance_findings(round_trip_ms: float | None, patience_ms: float) -> Iterator[Finding]:
    """Whether an answer of Redis comes within the time that requests wait for it. Pure."""
    if round_trip_ms is None or round_trip_ms <= NEAR_SHARE * patience_ms:
        return
    is_too_far = round_trip_ms >= patience_ms
    yield Finding(
        area="redis",
        level=Level.ERROR if is_too_far else Level.WARNING,
        text=f"Redis takes {milliseconds(round_trip_ms)} to answer, and requests wait {milliseconds(patience_ms)} for "
        + (
            "it: nothing is served from the cache or stored."
            if is_too_far
            else "it: in busy moments answers are not served."
        ),
        remedy=f"Run Encore near its Redis, or set ENCORE_REDIS_TIMEOUT_SECONDS={enough_seconds(round_trip_ms):g}: a "
        "hit takes at least one round trip.",
    )


def _clock_findings(services: Services, info: StoreInfo) -> Iterator[Finding]:
    ahead = info.clock_ahead_seconds
    here = set()
    if ahead is not None and abs(ahead) > WRONG_SECONDS:
        here = {socket.gethostname()}
        yield _clock_finding("this machine", ahead)
    try:
        reported = wrong_clocks(services.redis, services.clock()) if services.redis is not None else ()
    except (NotPermitted, StoreUnavailable):
        return
    for clock in reported:
        if clock.machine not in here:
            yield _clock_finding(f"the machine {clock.machine}", clock.ahead_seconds)


def _clock_finding(machine: str, ahead: float) -> Finding:
    return Finding(
        area="redis",
        level=Level.WARNING,
        text=f"The clock of {machine} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Redis'. Stored "
        "answers go by Redis' clock; logs, logins and jobs do not.",
        remedy="Synchronize the clocks (NTP) of both.",
    )


def info_findings(info: StoreInfo, *, replicas: int = 0, synced: bool = False, own: bool = False) -> Iterator[Finding]:
    """Findings on a Redis, given its info. Pure.

    `replicas` is the number of replicas that must have each invalidation; `synced`: its disk must have it too. `own`:
    it is the one that `make run` started.
    """
    product = info.product or "Redis"
    version = _version(info.version)
    if version is not None:
        yield from _version_findings(product, info.version, version, own=own)
    yield from _memory_findings(info)
    yield from _write_findings(info)
    yield from _promise_findings(info, version, replicas=replicas, synced=synced)
    yield from _persistence_findings(info)


def _memory_findings(info: StoreInfo) -> Iterator[Finding]:
    if info.policy.startswith("allkeys"):
        yield Finding(
            area="redis",
            level=Level.ERROR if info.max_bytes else Level.WARNING,
            text=f"Its eviction policy is {info.policy}: when memory is full, invalidation records, the audit log and "
            "jobs are evicted like any entry.",
            remedy="Set maxmemory-policy to volatile-lru, volatile-lfu or noeviction.",
        )
    if info.max_bytes and info.used_bytes is not None and info.used_bytes > FULL_SHARE * info.max_bytes:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"Its memory is {share(info.used_bytes / info.max_bytes, 0)} full.",
            remedy="Give it more memory, shorten TTLs, or set maxmemory-policy to volatile-lru.",
        )


def _write_findings(info: StoreInfo) -> Iterator[Finding]:
    if info.refusal is not None:
        what = "stored, what is invalidated is hidden" if info.refusal.allows_invalidations else "stored or invalidated"
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"It refuses writes, because {info.refusal.cause}: nothing can be {what}. The bypass switch works.",
            remedy=info.refusal.remedy,
        )


def _promise_findings(
    info: StoreInfo, version: tuple[int, int, int] | None, *, replicas: int, synced: bool
) -> Iterator[Finding]:
    """Settings of what must have an invalidation before it is acknowledged, which this server cannot keep."""
    if info.persistence is Persistence.UNKNOWN:
        return  # it does not say: see the rights
    if info.replicas < replicas:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"It has {info.replicas} of the {replicas} replicas that ENCORE_INVALIDATION_REPLICAS asks for: the "
            "outcome of every invalidation is reported as unknown.",
            remedy="Connect replicas, or ask for fewer.",
        )
    if synced and (info.persistence is not Persistence.LOG or (version is not None and version < SYNCED_VERSION)):
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="ENCORE_INVALIDATION_SYNCED is set, and it cannot report what is on its disk: the outcome of every "
            "invalidation is reported as unknown.",
            remedy="Set appendonly to yes on Redis 7.2 or later, or unset it.",
        )


def _persistence_findings(info: StoreInfo) -> Iterator[Finding]:
    if info.persistence is Persistence.SNAPSHOTS:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="It keeps snapshots only: after a crash answers that were invalidated since the latest one are "
            "served again.",
            remedy="Set appendonly to yes.",
        )
    elif info.persistence is Persistence.NOTHING:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="It keeps nothing on disk: after a restart answers, queued jobs and the audit log are gone.",
            remedy="Set appendonly to yes.",
        )


def _version(text: str) -> tuple[int, int, int] | None:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _version_findings(product: str, text: str, version: tuple[int, int, int], *, own: bool) -> Iterator[Finding]:
    if version < OLDEST_VERSION:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"{product} {text} is older than {'.'.join(map(str, OLDEST_VERSION))}, the oldest that works.",
            remedy="Upgrade it.",
        )
        return
    holes = [f"{name} ({what})" for name, what, fixed in HOLES.get(product, ()) if _is_open(version, fixed)]
    if holes:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"{product} {text} has known security holes: {', '.join(holes)}.",
            remedy="`make run` started it for your user alone: good enough for a trial. A newer redis-server on the "
            "PATH is used instead. In production, name a server in ENCORE_REDIS_URL."
            if own
            else "Upgrade it, unless its packager has patched it; let nobody but Encore connect to it until then.",
        )


def _is_open(version: tuple[int, int, int], fixed: dict[tuple[int, int], int]) -> bool:
    """Whether a version has a hole: its branch has a later patch for it, or is old and never got one."""
    branch = version[:2]
    return version[2] < fixed[branch] if branch in fixed else branch < max(fixed)
