"""The alert board: what fires goes on until it has recovered, and began when it began, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from core.configuration import alert_rules
from core.keys.names import ALERTS
from core.metrics import Summary
from core.monitoring.alert_board import AlertBoard
from core.monitoring.alerts import AlertRules, Health
from core.settings import Settings
from tests.samples import Clock

WELL = Health(workers=1)
NOBODY = Health(workers=0)


@pytest.fixture
def client(redis_server) -> Iterator[redis.Redis]:
    with redis_server().client() as client:
        yield client


def board(client: redis.Redis | None, clock: Clock, **rules: float) -> AlertBoard:
    return AlertBoard(client, AlertRules(**rules), clock=clock)


def full(share: int) -> Health:
    return Health(workers=1, memory_bytes=share, memory_limit_bytes=100)


def test_an_alert_keeps_its_beginning_over_processes_and_restarts(client):
    clock = Clock(1000.0)
    assert [alert.since for alert in board(client, clock).look(None, NOBODY)] == [1000]
    clock.now = 1300.0
    assert [alert.since for alert in board(client, clock).look(None, NOBODY)] == [1000]


def test_what_has_ended_begins_anew(client):
    clock = Clock(1000.0)
    one, other = board(client, clock), board(client, clock)
    one.look(None, NOBODY)
    clock.now = 1100.0
    assert other.look(None, WELL) == []
    assert client.hgetall(ALERTS) == {}
    clock.now = 1200.0
    assert [alert.since for alert in one.look(None, NOBODY)] == [1200]
    assert [alert.since for alert in other.look(None, NOBODY)] == [1200]


def test_a_share_at_its_limit_does_not_make_it_flicker(client):
    watch = board(client, Clock(1000.0), max_memory_share=0.9)
    told = [[alert.name for alert in watch.look(None, full(share))] for share in (90, 91, 89, 82, 81, 89, 91)]
    assert told == [[], ["memory"], ["memory"], ["memory"], [], [], ["memory"]]


def test_a_rate_that_is_too_low_must_rise_well_above_it():
    watch = board(None, Clock(1000.0), min_hit_rate=0.5)

    def told(hits: int) -> list[str]:
        return [a.name for a in watch.look(Summary(starts_at=0, ends_at=1, hits=hits, misses=100 - hits), WELL)]

    assert [told(hits) for hits in (50, 49, 54, 55, 50)] == [[], ["hit-rate"], ["hit-rate"], [], []]


def test_an_idle_cache_ends_the_alerts_of_rates():
    watch = board(None, Clock(1000.0))
    failing = Summary(starts_at=0, ends_at=1, errors=100)
    assert [alert.name for alert in watch.look(failing, WELL)] == ["error-rate"]
    assert watch.look(Summary(starts_at=0, ends_at=1, errors=10), WELL) == []


def test_without_a_server_a_process_goes_by_what_it_saw_itself(redis_server):
    server = redis_server()
    clock = Clock(1000.0)
    with server.client() as client:
        watch = board(client, clock)
        watch.look(None, NOBODY)
        server.kill()
        clock.now = 1010.0
        down = Health(store_up=False, workers=0)
        assert [(alert.name, alert.since) for alert in watch.look(None, down)] == [
            ("store-down", 1010),
            ("no-worker", 1000),
        ]
        clock.now = 1020.0
        assert [alert.since for alert in watch.look(None, NOBODY)] == [1000], "health may be older than the failure"


def test_a_full_server_does_not_take_the_beginning_and_this_process_remembers_it(redis_server):
    with redis_server().client() as client:
        client.config_set("maxmemory", 1)
        clock = Clock(1000.0)
        watch = board(client, clock)
        watch.look(None, full(99))
        clock.now = 1100.0
        assert [alert.since for alert in watch.look(None, full(99))] == [1000]
        client.config_set("maxmemory", 0)
        watch.look(None, full(99))
        assert client.hget(ALERTS, "memory") == b"1000.0"


def test_rows_of_another_version_do_no_harm(client):
    client.hset(ALERTS, mapping={"no-worker": "yesterday", "other": "1"})
    assert [alert.since for alert in board(client, Clock(1000.0)).look(None, NOBODY)] == [1000]
    assert client.hgetall(ALERTS) == {b"no-worker": b"yesterday"}


def test_rules_come_from_the_settings_and_can_be_switched_off():
    assert alert_rules(Settings(redis_timeout_seconds=0.05)) == AlertRules(patience_ms=50)
    off = Settings(alert_hit_rate=0, alert_error_rate=1, alert_memory=1, alert_workers=0)
    rules = alert_rules(off)
    assert (rules.min_hit_rate, rules.max_error_rate, rules.max_memory_share, rules.min_workers) == (None,) * 4
    given = Settings(alert_hit_rate=0.4, alert_error_rate=0.01, alert_workers=4, alert_window_seconds=60)
    rules = alert_rules(given)
    assert (rules.min_hit_rate, rules.max_error_rate, rules.min_workers, rules.window_seconds) == (0.4, 0.01, 4, 60)
