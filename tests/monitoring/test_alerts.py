from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.metrics import Summary
from core.monitoring.alerts import ALERT_NAMES, AlertRules, Health, Severity, alerts
from core.stores.refusal import Refusal

WELL = Health(
    store_up=True, workers=2, memory_bytes=50, memory_limit_bytes=100, listed_bans=3, ban_limit=64, entries=10
)


def a_summary(**fields: Any) -> Summary:
    return Summary(starts_at=0, ends_at=300, **fields)


def names(summary: Summary | None, health: Health, **rules: Any) -> list[str]:
    return [alert.name for alert in alerts(summary, health, AlertRules(**rules))]


def told_of_judge(firing: tuple[str, ...] = (), **events: int) -> list[str]:
    return [alert.name for alert in alerts(a_summary(events=events), WELL, firing=firing)]


def test_a_judge_whose_replies_are_no_verdicts_is_told_with_what_to_do() -> None:
    [alert] = alerts(a_summary(events={"judge_unreadable": 5, "judge_no": 1}), WELL)
    assert (alert.name, alert.severity) == ("judge", Severity.WARNING)
    assert alert.sentence.startswith("5 of 6 replies of the judge are no verdicts")
    assert "ENCORE_JUDGE_MODEL" in alert.sentence


def test_a_few_replies_that_cannot_be_read_are_no_alert() -> None:
    assert told_of_judge(judge_unreadable=2) == []
    assert told_of_judge(judge_unreadable=9, judge_yes=5, judge_no=4) == []
    assert told_of_judge(judge_unreadable=2, sample_unreadable=2) == ["judge"]


def test_it_goes_on_while_the_few_probes_fail_and_ends_with_a_verdict() -> None:
    assert told_of_judge(("judge",), judge_unreadable=1) == ["judge"]
    assert told_of_judge(("judge",), judge_unreadable=1, judge_no=1) == []
    assert told_of_judge(("judge",)) == []


def test_when_all_is_well_there_is_nothing_to_say() -> None:
    assert alerts(a_summary(hits=90, misses=10), WELL) == []


def test_what_is_unknown_raises_no_alert() -> None:
    assert alerts(None, Health()) == []


@pytest.mark.parametrize(
    ("health", "name"),
    [
        (Health(store_up=False), "store-down"),
        (Health(workers=0), "no-worker"),
        (Health(workers=2, failing_workers=True), "no-worker"),
        (Health(memory_bytes=91, memory_limit_bytes=100), "memory"),
        (Health(listed_bans=52, ban_limit=64), "bans"),
        (Health(active_bans=800_001, active_limit=1_000_000), "bans"),
    ],
)
def test_a_part_that_is_not_well_is_told(health: Health, name: str) -> None:
    [alert] = alerts(None, health)
    assert alert.name == name
    assert alert.sentence.endswith(".")


@pytest.mark.parametrize(
    "health",
    [
        Health(workers=1),
        Health(memory_bytes=90, memory_limit_bytes=100),
        Health(memory_bytes=10**12),
        Health(listed_bans=51, ban_limit=64),
        Health(active_bans=800_000, active_limit=1_000_000, listed_bans=0, ban_limit=64),
    ],
)
def test_a_part_at_its_limit_is_still_well(health: Health) -> None:
    assert alerts(None, health) == []


def test_one_cause_is_one_alert() -> None:
    full = Health(memory_bytes=99, memory_limit_bytes=100, workers=0)
    assert names(None, full) == ["no-worker", "memory"]
    assert names(None, msgspec.structs.replace(full, refusal=Refusal.OOM, queue_refusal=Refusal.OOM)) == [
        "writes-refused"
    ]
    apart = msgspec.structs.replace(full, refusal=Refusal.READONLY)
    assert names(None, apart) == ["writes-refused", "no-worker", "memory"], "the queue is well, and has no worker"


def test_bans_that_nothing_sweeps_are_told_with_the_reason() -> None:
    full = Health(active_bans=900_000, active_limit=1_000_000, listed_bans=64, ban_limit=64, workers=0)
    _, alert = alerts(None, full)
    assert "900,000 of 1,000,000 invalidations are active in one namespace: no worker is alive" in alert.sentence
    [alert] = alerts(None, msgspec.structs.replace(full, workers=2))
    assert "faster than they are swept" in alert.sentence
    [alert] = alerts(None, msgspec.structs.replace(full, workers=2, active_bans=64))
    assert "64 of 64 invalidations by pattern, keywords or age" in alert.sentence


def test_errors_are_told_with_their_most_frequent_reason() -> None:
    summary = a_summary(hits=80, errors=20, reasons={"error": {"APITimeoutError": 15, "RateLimitError": 5}})
    [alert] = alerts(summary, WELL)
    assert (alert.name, alert.severity) == ("error-rate", Severity.CRITICAL)
    assert alert.sentence == "20.0 % of requests failed, most often: provider did not answer in time."


def test_a_low_hit_rate_is_told_where_one_is_aimed_at() -> None:
    summary = a_summary(hits=10, misses=90, reasons={"miss": {"absent": 80, "expired": 10}})
    assert names(summary, WELL) == []
    [alert] = alerts(summary, WELL, AlertRules(min_hit_rate=0.3))
    assert alert.sentence == "Only 10.0 % of lookups found an answer, the target is 30 %; most misses: nothing stored."


def test_few_requests_prove_nothing() -> None:
    assert names(a_summary(errors=49), WELL) == []
    assert names(a_summary(errors=50), WELL) == ["error-rate"]
    assert names(a_summary(misses=10, bypasses=90), WELL, min_hit_rate=0.3) == []


def test_a_rule_can_be_switched_off() -> None:
    health = Health(workers=0, memory_bytes=99, memory_limit_bytes=100, listed_bans=64, ban_limit=64)
    summary = a_summary(errors=100)
    off = {"min_workers": None, "max_memory_share": None, "max_ban_share": None, "max_error_rate": None}
    assert names(summary, health, **off) == []


def test_the_most_urgent_comes_first() -> None:
    health = Health(
        store_up=False,
        refusal=Refusal.NOREPLICAS,
        workers=0,
        memory_bytes=99,
        memory_limit_bytes=100,
        listed_bans=64,
        ban_limit=64,
        servers=3,
        silent_servers=1,
        missing_rights=("+info",),
        round_trip_ms=70.0,
        clocks={"web-1": 3000.0},
    )
    summary = a_summary(hits=1, misses=99, errors=100, events={"judge_unreadable": 3})
    found = alerts(summary, health, AlertRules(min_hit_rate=0.5, patience_ms=50))
    assert tuple(alert.name for alert in found) == ALERT_NAMES
    critical = {alert.name for alert in found if alert.severity is Severity.CRITICAL}
    assert critical == {"store-down", "writes-refused", "servers-down", "distance", "error-rate"}


SAID = {
    "rights": (
        Health(missing_rights=("+info",), remedy="ACL SETUSER encore +info"),
        "Redis' user lacks rights; in part or wholly off: state of Redis. Grant them: ACL SETUSER encore +info",
    ),
    "near enough": (Health(round_trip_ms=49), ""),
    "too far": (
        Health(round_trip_ms=70),
        (
            "Redis takes 70 ms to answer and requests wait 50 ms for it, so nothing is served from the cache. Set "
            "ENCORE_REDIS_TIMEOUT_SECONDS=0.21, or run Encore near its Redis."
        ),
    ),
    "a server of a cluster": (
        Health(servers=3, silent_servers=1),
        "1 of the cluster's 3 servers do not answer: what they hold is not served, kept or invalidated; the rest is.",
    ),
    "a clock": (
        Health(clocks={"web-1": 3000.0}),
        (
            "The clock of web-1 is 3000 s ahead of Redis'. Stored answers go by Redis' clock; logs, logins and jobs do "
            "not."
        ),
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_keeps_a_redis_that_answers_from_being_of_use_is_said_with_the_way_out(case) -> None:
    health, sentence = SAID[case]
    assert [alert.sentence for alert in alerts(None, health, AlertRules(patience_ms=50))] == [sentence] * bool(sentence)


def test_missing_rights_are_critical_when_nothing_is_served_for_them() -> None:
    [alert] = alerts(None, Health(missing_rights=("+mget",)))
    assert alert.severity is Severity.CRITICAL
