"""Checks of the Redis servers: versions with known holes, memory policy, persistence, clock."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from ..bootstrap import Services
from ..stores import Persistence, StoreInfo
from ..stores.redis import OLDEST_VERSION, has_older
from ..text import share
from .findings import Finding, Level

FULL_SHARE = 0.9
SYNCED_VERSION = (7, 2, 0)
"""The first that can be asked what is on its disk."""
SKEW_SECONDS = 5.0

HOLES = (
    ("CVE-2024-31228", "a long pattern ends the server", {(6, 2): 16, (7, 2): 6, (7, 4): 1}),
    ("CVE-2025-49844", "a script runs foreign code", {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2}),
)
"""Known holes of Redis, and the patch release of each branch that closes them. Other branches: see `_is_open`."""


def cache_findings(services: Services, now: float) -> Iterator[Finding]:
    """Findings on the cache's Redis. Raises StoreUnavailable."""
    if services.redis is None:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="There is no Redis: entries live in each process' own memory and are shared with no other.",
            remedy="Start everything with `make run`, or name a server in ENCORE_REDIS_URL.",
        )
        return
    began = time.perf_counter()
    services.store.ping()
    milliseconds = (time.perf_counter() - began) * 1000
    info = services.store.info()
    yield Finding(area="redis", level=Level.OK, text=f"Redis {info.version} answers in {milliseconds:.1f} ms.")
    settings = services.settings
    yield from info_findings(info, replicas=settings.invalidation_replicas, synced=settings.invalidation_synced)
    if has_older(services.redis):
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="An older version of Encore has left answers and records here, which no lookup finds any more.",
            remedy="When no older version uses this Redis any more: python -m core clean",
        )
    seconds, microseconds = services.redis.time()
    skew = now - (seconds + microseconds / 1e6)
    if abs(skew) > SKEW_SECONDS:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"The clocks of this machine and of Redis are {abs(skew):.0f} s apart: ages are off by as much.",
            remedy="Synchronize the clocks.",
        )


def info_findings(info: StoreInfo, *, replicas: int = 0, synced: bool = False) -> Iterator[Finding]:
    """Findings on a Redis, given its info. Pure.

    `replicas` is the number of replicas that must have each invalidation; `synced`: its disk must have it too.
    """
    version = _version(info.version)
    if version is not None:
        yield from _version_findings(info.version, version)
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
    if info.role not in ("", "master"):
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="It is a replica: nothing can be stored or invalidated.",
            remedy="Name the primary in ENCORE_REDIS_URL.",
        )
    elif not info.writable:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="It takes no writes, because its last save failed: nothing can be stored or invalidated.",
            remedy="Free space on its disk, or set stop-writes-on-bgsave-error to no.",
        )


def _promise_findings(
    info: StoreInfo, version: tuple[int, int, int] | None, *, replicas: int, synced: bool
) -> Iterator[Finding]:
    """Settings of what must have an invalidation before it is acknowledged, which this server cannot keep."""
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


def _version_findings(text: str, version: tuple[int, int, int]) -> Iterator[Finding]:
    if version < OLDEST_VERSION:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"Redis {text} is older than {'.'.join(map(str, OLDEST_VERSION))}, the oldest that works.",
            remedy="Upgrade it.",
        )
        return
    holes = [f"{name} ({what})" for name, what, fixed in HOLES if _is_open(version, fixed)]
    if holes:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"Redis {text} has known holes: {', '.join(holes)}.",
            remedy="Upgrade it, and let nobody but Encore connect to it until then.",
        )


def _is_open(version: tuple[int, int, int], fixed: dict[tuple[int, int], int]) -> bool:
    """Whether a version has a hole: its branch has a later patch for it, or is old and never got one."""
    branch = version[:2]
    return version[2] < fixed[branch] if branch in fixed else branch < max(fixed)
