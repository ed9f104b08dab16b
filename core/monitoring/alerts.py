"""Alerts: rules over the figures of a window and the health of the parts. Pure: others gather, show and export."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from enum import StrEnum

import msgspec

from ..metrics import Summary, reasons
from ..stores import Refusal
from ..stores.redis import losses
from ..text import milliseconds, share


class Severity(StrEnum):
    """`critical`: something does not work now. `warning`: it will not for long, or works badly."""

    CRITICAL = "critical"
    WARNING = "warning"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the parts. None is unknown, and no rule applies to it.

    `workers` are those alive; `failing_workers`: some keep ending as soon as they start. `memory_limit_bytes` is None
    without a limit. Bans are those of the namespace that has most: `active_bans` of `active_limit` that there may be,
    and of them `listed_bans`, with which every entry is compared, of `ban_limit`. `missing_rights` are the rules that
    Redis' user lacks, `remedy` the command that grants them. `clocks` are the machines whose clocks are wrong: by how
    many seconds they are ahead of Redis'. `refusal` is why the cache's Redis takes no writes, `queue_refusal` why the
    job queue's takes none.
    """

    store_up: bool = True
    servers: int = 1
    silent_servers: int = 0
    refusal: Refusal | None = None
    queue_refusal: Refusal | None = None
    missing_rights: tuple[str, ...] = ()
    remedy: str = ""
    round_trip_ms: float | None = None
    clocks: Mapping[str, float] = {}
    workers: int | None = None
    failing_workers: bool = False
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    active_bans: int | None = None
    active_limit: int | None = None
    listed_bans: int | None = None
    ban_limit: int | None = None
    entries: int | None = None


class AlertRules(msgspec.Struct, frozen=True, kw_only=True):
    """When alerts fire: shares in [0, 1]. None switches a rule off.

    `patience_ms` is how long requests wait for Redis. Rates are not judged below `min_requests` in the window: three
    requests prove nothing, and an idle cache is well.
    """

    min_hit_rate: float | None = None
    max_error_rate: float | None = 0.05
    max_memory_share: float | None = 0.90
    max_ban_share: float | None = 0.80
    min_workers: int | None = 1
    patience_ms: float | None = None
    min_requests: int = 50
    window_seconds: float = 300


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something an operator should know, in one sentence. `name` is stable: for dashboards and Prometheus.

    `since` is when it began, in Unix seconds; 0 while unknown.
    """

    name: str
    severity: Severity
    sentence: str
    since: float = 0.0


ALERT_NAMES = (
    *("store-down", "writes-refused", "servers-down", "distance", "rights", "error-rate", "no-worker", "memory"),
    *("bans", "clock", "judge", "hit-rate"),
)
"""All there are, the most urgent first."""

MANY_UNREADABLE = 3
"""Replies of the judge in the window that are no verdicts, more than those that are, from which it is no judge."""

RELIEF = 0.1
"""By what part of its limit a figure must have recovered before an alert that fires ends: else it would flicker."""

DEFAULT_RULES = AlertRules()


def alerts(
    summary: Summary | None, health: Health, rules: AlertRules = DEFAULT_RULES, firing: Container[str] = ()
) -> list[Alert]:
    """The alerts that fire now, the most urgent first. `summary` is None when it cannot be read.

    `firing` names the alerts that fired at the last look: they go on until their figure has recovered by RELIEF.
    """
    found = [*_of_parts(health, rules, firing), *(_of_figures(summary, rules, firing) if summary else ())]
    return sorted(found, key=lambda alert: ALERT_NAMES.index(alert.name))


def _of_parts(health: Health, rules: AlertRules, firing: Container[str]) -> Iterator[Alert]:
    if not health.store_up:
        yield Alert(
            name="store-down",
            severity=Severity.CRITICAL,
            sentence="Redis does not answer: every request goes to the provider, and nothing can be invalidated.",
        )
    yield from _of_redis(health, rules, firing)
    # Where the queue takes no writes, no heartbeat can be written: the workers that wait cannot be told from none.
    if rules.min_workers is not None and health.workers is not None and health.queue_refusal is None:
        count = ""
        if health.failing_workers:
            count = "Workers keep stopping right after they start: their log says why"
        elif health.workers < rules.min_workers:
            number = f"Only {health.workers} of {rules.min_workers} workers are" if health.workers else "No worker is"
            count = f"{number} alive"
        if count:
            yield Alert(
                name="no-worker",
                severity=Severity.WARNING,
                sentence=f"{count}: invalidations hide entries at once, but their memory is not freed, and no "
                "schedule runs.",
            )
    memory = _share(health.memory_bytes, health.memory_limit_bytes)
    is_said = health.refusal is Refusal.OOM
    if not is_said and memory is not None and _is_above(memory, rules.max_memory_share, "memory" in firing):
        yield Alert(
            name="memory",
            severity=Severity.WARNING,
            sentence=f"Redis uses {share(memory, 0)} of its memory limit: entries will be evicted or no longer stored.",
        )
    if sentence := _of_bans(health, rules, firing):
        yield Alert(name="bans", severity=Severity.WARNING, sentence=sentence)


def _of_bans(health: Health, rules: AlertRules, firing: Container[str]) -> str:
    """What is wrong with the number of bans; empty when nothing is."""
    active = _share(health.active_bans, health.active_limit)
    if active is not None and _is_above(active, rules.max_ban_share, "bans" in firing):
        why = "no worker is alive to sweep them" if health.workers == 0 else "they come faster than they are swept"
        return (
            f"{health.active_bans:,} of {health.active_limit:,} invalidations are active in one namespace: {why}, and "
            "at the limit the next is refused."
        )
    listed = _share(health.listed_bans, health.ban_limit)
    if listed is not None and _is_above(listed, rules.max_ban_share, "bans" in firing):
        return (
            f"{health.listed_bans} of {health.ban_limit} invalidations by pattern, keywords or age are active in one "
            "namespace: at the limit the next is refused until one is swept."
        )
    return ""


def _of_redis(health: Health, rules: AlertRules, firing: Container[str]) -> Iterator[Alert]:
    """What keeps a Redis that answers from being of use."""
    if sentence := _of_writes(health):
        yield Alert(name="writes-refused", severity=Severity.CRITICAL, sentence=sentence)
    if health.silent_servers:
        yield Alert(
            name="servers-down",
            severity=Severity.CRITICAL,
            sentence=f"{health.silent_servers} of the cluster's {health.servers} servers do not answer: what they hold "
            "is not served, kept or invalidated; the rest is.",
        )
    distance = health.round_trip_ms
    if distance is not None and _is_above(distance, rules.patience_ms, "distance" in firing):
        yield Alert(
            name="distance",
            severity=Severity.CRITICAL,
            sentence=f"Redis takes {milliseconds(distance)} to answer and requests wait "
            f"{milliseconds(rules.patience_ms)} for it, so nothing is served from the cache. Set "
            f"ENCORE_REDIS_TIMEOUT_SECONDS={enough_seconds(distance):g}, or run Encore near its Redis.",
        )
    if lost := losses(health.missing_rights):
        parts = ", ".join(loss.feature for loss in lost)
        yield Alert(
            name="rights",
            severity=Severity.CRITICAL if lost[0].feature == "hits" else Severity.WARNING,
            sentence=f"Redis' user lacks rights; in part or wholly off: {parts}. Grant them: {health.remedy}",
        )
    for machine, ahead in health.clocks.items():
        yield Alert(
            name="clock",
            severity=Severity.WARNING,
            sentence=f"The clock of {machine} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Redis'. "
            "Stored answers go by Redis' clock; logs, logins and jobs do not.",
        )
        break  # one says enough; the doctor has them all


def _of_writes(health: Health) -> str:
    """Which Redis refuses writes, why, what works all the same, and what to do; empty when none does."""
    refusal, queue = health.refusal, health.queue_refusal
    if refusal is None:
        return f"The job queue's Redis refuses writes: {queue.cause}. Workers wait. {queue.remedy}" if queue else ""
    works = "Nothing is stored or invalidated; the bypass switch works"
    if refusal.allows_invalidations:
        works = "Nothing is stored; invalidations and the bypass switch work"
    return f"Redis refuses writes: {refusal.cause}. {works}. {refusal.remedy}"


def enough_seconds(round_trip_ms: float) -> float:
    """How long to wait for a Redis that takes so long to answer: three times that, in full hundredths of a second."""
    return math.ceil(0.3 * round_trip_ms) / 100


def _of_figures(summary: Summary, rules: AlertRules, firing: Container[str]) -> Iterator[Alert]:
    errors = summary.error_rate
    if (
        errors is not None
        and summary.requests >= rules.min_requests
        and _is_above(errors, rules.max_error_rate, "error-rate" in firing)
    ):
        reason = next(iter(summary.reasons.get("error", {})), "")
        yield Alert(
            name="error-rate",
            severity=Severity.CRITICAL,
            sentence=f"{share(errors)} of requests failed"
            + (f", most often: {reasons.in_few_words(reason)}." if reason else "."),
        )
    if sentence := _of_judge(summary.events, "judge" in firing):
        yield Alert(name="judge", severity=Severity.WARNING, sentence=sentence)
    hits = summary.hit_rate
    if (
        hits is not None
        and summary.hits + summary.misses >= rules.min_requests
        and _is_below(hits, rules.min_hit_rate, "hit-rate" in firing)
    ):
        reason = next(iter(summary.reasons.get("miss", {})), "")
        yield Alert(
            name="hit-rate",
            severity=Severity.WARNING,
            sentence=f"Only {share(hits)} of lookups found an answer, the target is {share(rules.min_hit_rate, 0)}"
            + (f"; most misses: {reasons.in_few_words(reason)}." if reason else "."),
        )


def _of_judge(events: Mapping[str, int], is_firing: bool) -> str:
    """That the judge's replies cannot be read; empty when they can, or when it was hardly asked."""
    unreadable, verdicts = (
        sum(events.get(f"{asked}_{word}", 0) for asked in ("judge", "sample") for word in told)
        for told in (("unreadable",), ("yes", "no"))
    )
    if unreadable < (1 if is_firing else MANY_UNREADABLE) or unreadable <= verdicts:
        return ""
    return (
        f"{unreadable} of {unreadable + verdicts} replies of the judge are no verdicts, so near questions are misses "
        "and it is hardly asked any more. Set ENCORE_JUDGE_MODEL to a model that follows its prompt, or mend "
        "ENCORE_JUDGE_PARAMETERS: a reasoning model needs more max_tokens."
    )


def _is_above(value: float, limit: float | None, is_firing: bool) -> bool:
    return limit is not None and value > limit * (1 - RELIEF * is_firing)


def _is_below(value: float, limit: float | None, is_firing: bool) -> bool:
    return limit is not None and value < limit * (1 + RELIEF * is_firing)


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None
