"""Gauges over time: sampled once a slot, read in steps, forgotten when old."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from core.bootstrap import bootstrap
from core.metrics.gauges import Gauges, Sample, buckets
from core.metrics.timeline import RESOLUTIONS
from core.models import ChatRequest, Controls
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.samples import Clock

NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def client(redis_server) -> Iterator[redis.Redis]:
    with redis_server().client() as client:
        yield client


@pytest.fixture
def gauges(client: redis.Redis, clock: Clock) -> Gauges:
    return Gauges(client, clock=clock)


def a_sample(at: float, entries: int = 1, **more: object) -> Sample:
    return Sample(at=at, entries=entries, **more)


def test_a_series_has_all_its_steps_and_the_last_sample_of_each(gauges, clock):
    for seconds, entries in ((0, 1), (30, 2), (59, 3), (130, 4)):
        gauges.write(a_sample(NOW + seconds, entries))
    series = gauges.series(180, 60, ends_at=NOW + 180)
    assert [bucket.starts_at for bucket in series] == [NOW, NOW + 60, NOW + 120]
    assert [bucket.last and bucket.last.entries for bucket in series] == [3, None, 4]


def test_a_slot_that_is_sampled_twice_holds_the_later_sample(gauges, client, clock):
    gauges.write(a_sample(NOW, 1))
    gauges.write(a_sample(NOW + 5, 2))
    [bucket] = gauges.series(10, 10, ends_at=NOW + 10)
    assert bucket.last == a_sample(NOW + 5, 2)
    assert client.zcard("encore:{gauges}:s") == 1


def test_one_of_several_pools_samples(gauges, client, clock):
    assert gauges.is_due()
    gauges.write(a_sample(NOW))
    assert not Gauges(client, clock=clock).is_due()
    clock.forward(RESOLUTIONS[0].seconds)
    assert gauges.is_due()


def test_evictions_are_those_of_a_step_over_a_restart_of_the_server(gauges):
    for seconds, evicted in ((-30, 100), (10, 110), (50, 115), (70, 5), (130, 5)):
        gauges.write(a_sample(NOW + seconds, evicted=evicted))
    assert [bucket.evicted for bucket in gauges.series(180, 60, ends_at=NOW + 180)] == [15, 5, 0]


def test_a_longer_window_is_read_in_longer_slots(gauges, client, clock):
    for hours in range(72):
        gauges.write(a_sample(NOW - hours * 3600, hours))
    clock.now = NOW + 3600
    series = gauges.series(72 * 3600, 6 * 3600, ends_at=NOW + 3600)
    assert len(series) == 13, "the present step too"
    assert all(bucket.last is not None for bucket in series)
    clock.now = NOW
    gauges.write(a_sample(NOW))
    assert client.zcount("encore:{gauges}:s", "-inf", "+inf") <= 1 + RESOLUTIONS[0].keep_seconds // 10
    assert 0 < client.ttl("encore:{gauges}:s") <= RESOLUTIONS[0].ttl_seconds


def test_what_another_version_wrote_is_left_out(gauges, client):
    client.zadd("encore:{gauges}:s", {b"\xff": NOW // 10})
    gauges.write(a_sample(NOW + 10, 7))
    [bucket] = gauges.series(20, 20, ends_at=NOW + 20)
    assert bucket.last is not None
    assert bucket.last.entries == 7


def test_without_samples_there_are_steps_without_figures():
    assert [bucket.last for bucket in buckets([], range(0, 60, 20))] == [None] * 3


def test_a_sample_is_of_the_parts_and_counts_the_largest_namespaces_one_by_one(client, redis_server, monkeypatch):
    server = redis_server("maxmemory 100mb")
    monkeypatch.setattr("core.monitoring.health.MAX_NAMESPACES", 1)
    with bootstrap(Settings(redis_url=server.url), provider=CountingProvider()) as services:
        for prompt, namespace in (("a?", "farm"), ("b?", "farm"), ("c?", "zoo")):
            request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": prompt}])
            services.cache.complete(request, Controls(namespace=namespace))
        services.health.keep_sample()
        services.health.keep_sample()
        [sample] = [
            bucket.last
            for bucket in services.gauges.series(60, 10, ends_at=time.time() + 10)
            if bucket.last is not None
        ]
    assert (sample.entries, sample.namespaces) == (3, {"farm": 2})
    assert (sample.entries_of(None), sample.entries_of("farm"), sample.entries_of("zoo")) == (3, 2, 0)
    assert sample.max_bytes == 100 * 1024 * 1024
    assert 0 < sample.used_bytes < sample.max_bytes
