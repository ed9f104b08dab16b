"""A Redis far away: with the usual patience nothing is a hit, which is said with the setting to change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.bootstrap import Services, bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.models import ChatRequest, OutcomeKind
from core.monitoring import RecentHealth, prometheus
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.relay import Relay, relay_to

FAR_SECONDS = 0.12
"""More than requests wait here."""


@pytest.fixture
def relay(redis_server) -> Iterator[Relay]:
    with relay_to(redis_server().url) as relay:
        yield relay


def started(relay: Relay, patience_seconds: float) -> Services:
    settings = Settings(redis_url=relay.impatient_url, redis_timeout_seconds=patience_seconds)
    return bootstrap(settings, provider=CountingProvider())


def ask(services: Services):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is an owl?"}])
    return services.cache.complete(request).outcome


@pytest.mark.slow
def test_a_redis_too_far_away_is_told_with_the_setting_to_change(relay):
    relay.distance_seconds = FAR_SECONDS
    with started(relay, FAR_SECONDS / 3) as services:
        assert {ask(services).reason for _ in range(5)} == {"store-timeout"}
        findings = [finding for finding in diagnose(services, outside=()).findings if "to answer" in finding.text]
        [finding] = findings
        assert finding.level is Level.ERROR
        assert "nothing is served from the cache or stored" in finding.text
        health = services.health.check()
        assert health.store_up
        [alert] = [alert for alert in services.alert_board.look(None, health) if alert.name == "distance"]
        named = finding.remedy.partition("ENCORE_REDIS_TIMEOUT_SECONDS=")[2].partition(":")[0]
        assert f"ENCORE_REDIS_TIMEOUT_SECONDS={named}," in alert.sentence or float(named) > FAR_SECONDS
        collector = prometheus.MetricsCollector(services.metrics, RecentHealth(services.health.check))
        lines = prometheus.render(collector).decode().splitlines()
        [line] = [line for line in lines if line.startswith("encore_redis_round_trip_seconds ")]
        assert float(line.split()[1]) >= FAR_SECONDS
    with started(relay, float(named)) as services:
        ask(services)
        assert ask(services).kind is OutcomeKind.HIT
        texts = [finding.text for finding in diagnose(services, outside=()).findings]
        assert not any("requests wait" in text for text in texts)


def test_of_one_that_is_near_only_the_time_it_takes_is_told(relay):
    with started(relay, 5) as services:
        findings = diagnose(services, outside=()).findings
        [answers] = [finding for finding in findings if " answers in " in finding.text]
        assert answers.level is Level.OK
        assert not any("requests wait" in finding.text for finding in findings)
