"""Doctor: the effective configuration, what is reachable, and what is wrong with it, with the remedy of each."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
import openai
from pydantic import SecretStr

from ..access.roles import Role
from ..bans.record import MAX_ACTIVE_BANS, BanState, may_have_copies
from ..bootstrap import Services, queue_url, redis_url
from ..cache.bypass import EVERYTHING
from ..errors import CacheError, EmbedderError
from ..launcher import masked
from ..models import CacheStrategy
from ..monitoring.worker_pools import Pools
from ..settings import ProviderChoice, SemanticMode, Settings
from ..stores.base import Persistence, StoreFacts
from ..stores.redis.embedded import OLDEST_VERSION

PROVIDER_SECONDS = 5.0
PROBE = "Is anybody there?"
OVERDUE_SECONDS = 600.0
MANY_BANS = MAX_ACTIVE_BANS * 3 // 4
FULL_SHARE = 0.9
SYNCED_VERSION = (7, 2, 0)
"""The first that can be asked what is on its disk."""
SKEW_SECONDS = 5.0

HOLES = (
    ("CVE-2024-31228", "a long pattern ends the server", {(6, 2): 16, (7, 2): 6, (7, 4): 1}),
    ("CVE-2025-49844", "a script runs foreign code", {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2}),
)
"""Known holes of Redis, and the patch release of each branch that closes them. Other branches: see `_is_open`."""


Value = TypeVar("Value")


class Level(StrEnum):
    """How bad it is. Nothing but an error makes the doctor's exit status 1."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: what was found, and what to do about it."""

    area: str
    level: Level
    text: str
    remedy: str = ""


class EffectiveSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it is in force, secrets masked. `is_set`: given by a variable or `.env`, not the default."""

    variable: str
    value: str
    is_set: bool
    description: str


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


def effective_settings(settings: Settings) -> Iterator[EffectiveSetting]:
    """All settings in the order they are documented in."""
    for name, field in Settings.model_fields.items():
        yield EffectiveSetting(
            variable=name.upper() if name.startswith("openai_") else f"ENCORE_{name.upper()}",
            value=_shown(name, getattr(settings, name)),
            is_set=name in settings.model_fields_set,
            description=field.description or "",
        )


def _shown(name: str, value: Any) -> str:
    match value:
        case None | ():
            return ""
        case dict() if all(isinstance(part, Role) for part in value.values()):
            return msgspec.json.encode({name: role.word for name, role in value.items()}).decode() if value else ""
        case dict():
            return msgspec.json.encode(value).decode() if value else ""
        case SecretStr():
            return masked(value.get_secret_value()) if name.endswith("_url") else "********"
        case tuple() if all(isinstance(part, SecretStr) for part in value):
            return f"{len(value)} set"
        case tuple() if name in ("admins", "operators", "viewers"):
            return f"{len(value)} set"  # a diagnosis is sent to others: whose addresses is not their business
        case tuple():
            return f"{len(value)} rules" if name.endswith("_rules") else ", ".join(map(str, value))
        case bool():
            return "true" if value else "false"
        case str() if name.endswith("_url"):
            return masked(value)
        case StrEnum():
            return value.value
        case Role():
            return value.word
        case _:
            return str(value)


# The cache's Redis


def cache_findings(services: Services, now: float) -> Iterator[Finding]:
    """What the cache's Redis says of itself. Raises StoreUnavailable."""
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
    facts = services.store.facts()
    yield Finding(area="redis", level=Level.OK, text=f"Redis {facts.version} answers in {milliseconds:.1f} ms.")
    settings = services.settings
    yield from facts_findings(facts, replicas=settings.invalidation_replicas, synced=settings.invalidation_synced)
    seconds, microseconds = services.redis.time()
    skew = now - (seconds + microseconds / 1e6)
    if abs(skew) > SKEW_SECONDS:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"The clocks of this machine and of Redis are {abs(skew):.0f} s apart: ages are off by as much.",
            remedy="Synchronize the clocks.",
        )


def facts_findings(facts: StoreFacts, *, replicas: int = 0, synced: bool = False) -> Iterator[Finding]:
    """What is wrong with a Redis that describes itself so. Pure.

    So many `replicas` are to have each invalidation, and its disk when `synced`.
    """
    version = _version(facts.version)
    if version is not None:
        yield from _version_findings(facts.version, version)
    if facts.policy.startswith("allkeys"):
        yield Finding(
            area="redis",
            level=Level.ERROR if facts.max_bytes else Level.WARNING,
            text=f"Its eviction policy is {facts.policy}: when memory is full, invalidation records, the audit log and "
            "jobs are evicted like any entry.",
            remedy="Set maxmemory-policy to volatile-lru, volatile-lfu or noeviction.",
        )
    if facts.max_bytes and facts.used_bytes is not None and facts.used_bytes > FULL_SHARE * facts.max_bytes:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text=f"Its memory is {facts.used_bytes / facts.max_bytes:.0%} full.",
            remedy="Give it more, shorten TTLs, or set maxmemory-policy to volatile-lru.",
        )
    if facts.role not in ("", "master"):
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="It is a replica: nothing can be stored or invalidated.",
            remedy="Name the primary in ENCORE_REDIS_URL.",
        )
    elif not facts.writable:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="It takes no writes, because its last save failed: nothing can be stored or invalidated.",
            remedy="Give it room on its disk, or set stop-writes-on-bgsave-error to no.",
        )
    if facts.replicas < replicas:
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text=f"Its replicas are {facts.replicas} and ENCORE_INVALIDATION_REPLICAS is {replicas}: the outcome of "
            "every invalidation is reported as unknown.",
            remedy="Connect replicas, or ask for fewer.",
        )
    if synced and (facts.persistence is not Persistence.LOG or (version is not None and version < SYNCED_VERSION)):
        yield Finding(
            area="redis",
            level=Level.ERROR,
            text="ENCORE_INVALIDATION_SYNCED is set, and it cannot say what is on its disk: the outcome of every "
            "invalidation is reported as unknown.",
            remedy="Set appendonly to yes on Redis 7.2 or later, or unset it.",
        )
    if facts.persistence is Persistence.SNAPSHOTS:
        yield Finding(
            area="redis",
            level=Level.WARNING,
            text="It keeps snapshots alone: after a crash it is as of the latest one, and serves again what was "
            "invalidated since.",
            remedy="Set appendonly to yes.",
        )
    elif facts.persistence is Persistence.NOTHING:
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
    workers = Pools(services.queue_redis).alive_workers()
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


def provider_findings(services: Services) -> Iterator[Finding]:
    """Whether answers can be had."""
    settings = services.settings
    if settings.uses_demo_model:
        yield Finding(
            area="provider",
            level=Level.WARNING,
            text="Answers come from the demo model: they are made up here.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server.",
        )
        return
    if settings.openai_api_key is None and settings.openai_base_url is None:
        yield Finding(
            area="provider",
            level=Level.ERROR,
            text=f"ENCORE_PROVIDER is {ProviderChoice.OPENAI.value}, but there is no key.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs none.",
        )
        return
    yield _provider_finding(services)


def _provider_finding(services: Services) -> Finding:
    address = masked(services.provider.base_url)
    tried = _tried(services.provider.models)
    if tried.value is not None:
        count = len(tried.value)
        text = (
            f"{address} answers in {tried.milliseconds:.0f} ms and lists {count} {'model' if count == 1 else 'models'}."
        )
        return Finding(area="provider", level=Level.OK, text=text)
    failure = tried.failure
    if isinstance(failure, openai.AuthenticationError | openai.PermissionDeniedError):
        return Finding(
            area="provider",
            level=Level.ERROR,
            text=f"{address} refuses the key.",
            remedy="Correct OPENAI_API_KEY.",
        )
    if isinstance(failure, openai.NotFoundError):
        text = f"{address} answers in {tried.milliseconds:.0f} ms; it does not list its models."
        return Finding(area="provider", level=Level.OK, text=text)
    problem = type(failure).__name__ if failure else f"silent for {PROVIDER_SECONDS:.0f} s"
    return Finding(
        area="provider",
        level=Level.ERROR,
        text=f"{address} cannot be asked ({problem}).",
        remedy="Correct OPENAI_BASE_URL, or see to the network.",
    )


class _Tried(msgspec.Struct, Generic[Value]):
    """What came of asking something outside: its answer or its failure, or neither while it is silent."""

    value: Value | None = None
    failure: Exception | None = None
    milliseconds: float = 0.0


def _tried(ask: Callable[[], Value]) -> _Tried[Value]:
    """Asks on a thread of its own: what is silent may be so for longer than anyone reads a diagnosis."""
    tried: _Tried[Value] = _Tried()

    def run() -> None:
        began = time.perf_counter()
        try:
            value = ask()
        except Exception as error:  # noqa: BLE001 (told in the diagnosis; nobody else would hear of it)
            tried.milliseconds = (time.perf_counter() - began) * 1000
            tried.failure = error
        else:
            tried.milliseconds = (time.perf_counter() - began) * 1000
            tried.value = value

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(PROVIDER_SECONDS)
    return tried


# The embedder


def embedder_findings(services: Services) -> Iterator[Finding]:
    """Whether questions can be compared, if they are to be."""
    if services.semantic is None:
        return
    name = services.settings.embedder

    def embed() -> float:
        from ..semantic.assembly import build_embedder

        embedder = build_embedder(services.settings, services.provider)
        began = time.perf_counter()
        vector = embedder.vector(PROBE)
        if isinstance(vector, str):
            raise EmbedderError(vector)
        return (time.perf_counter() - began) * 1000

    tried = _tried(embed)
    if tried.value is not None:
        yield Finding(area="embedder", level=Level.OK, text=f"{name} embeds a question in {tried.value:.1f} ms.")
        return
    problem = str(tried.failure) if isinstance(tried.failure, CacheError) else type(tried.failure).__name__
    if tried.failure is None:
        problem = f"silent for {PROVIDER_SECONDS:.0f} s"
    yield Finding(
        area="embedder",
        level=Level.ERROR,
        text=f"{name} embeds nothing ({problem}): near questions are misses.",
        remedy="Correct ENCORE_EMBEDDER, or see to its server.",
    )


# Settings that do not do what they seem to


def semantic_findings(settings: Settings) -> Iterator[Finding]:
    """Whether semantic lookup does what the settings seem to say. Pure."""
    is_asked_for = settings.strategy is CacheStrategy.SEMANTIC
    if is_asked_for and settings.semantic is SemanticMode.OFF:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_STRATEGY is semantic, but ENCORE_SEMANTIC is off: it acts as normalized.",
            remedy="Set ENCORE_SEMANTIC to judge or serve, or ENCORE_STRATEGY to normalized.",
        )
    elif not is_asked_for and settings.semantic is not SemanticMode.OFF:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text=f"ENCORE_SEMANTIC is {settings.semantic.value}, but ENCORE_STRATEGY is {settings.strategy.value}: "
            "only requests that ask for it are looked up semantically.",
            remedy="Set ENCORE_STRATEGY to semantic.",
        )
    if settings.semantic is SemanticMode.JUDGE and settings.judge_model is None:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_SEMANTIC is judge, but there is no judge: near matches are misses.",
            remedy="Set ENCORE_JUDGE_MODEL to a small model.",
        )


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
