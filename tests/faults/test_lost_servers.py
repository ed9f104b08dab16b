"""A cluster that loses a server: what the others hold goes on, no request waits, and all that is lost is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.crc import key_slot

from core.bootstrap import Services, bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.keys import Slot, names
from core.models import ChatRequest, OutcomeKind
from core.monitoring import RecentHealth, prometheus
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.stores.clusters import SLOTS, RunningCluster, a_cluster

pytestmark = pytest.mark.slow

BUCKETS = 32
QUESTIONS = [f"What is owl {number}?" for number in range(60)]


@pytest.fixture
def cluster(tmp_path_factory, redis_binary) -> Iterator[RunningCluster]:
    with a_cluster(tmp_path_factory.mktemp("lost"), redis_binary) as running:
        yield running


def place(cluster: RunningCluster, name: bytes) -> int:
    return key_slot(name) // (SLOTS // len(cluster.nodes) + 1)


def ask(services: Services, text: str):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return services.cache.complete(request).outcome


def started(cluster: RunningCluster) -> Services:
    return bootstrap(Settings(redis_url=cluster.url, buckets=BUCKETS), provider=CountingProvider())


def covers_in_part(cluster: RunningCluster) -> None:
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("cluster-require-full-coverage", "no")


@contextmanager
def nobody_sleeps() -> Iterator[None]:
    """Fails a request of this thread that sleeps."""
    slept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redis.cluster.time.sleep", lambda seconds: slept.append(threading.current_thread()))
        yield
    assert threading.current_thread() not in slept


def bucket_of(services: Services, text: str) -> Slot:
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])
    keyed = services.cache.identify(request).keyed
    assert keyed is not None
    return keyed.slot


def test_the_others_serve_on_and_what_is_lost_is_said(cluster):
    covers_in_part(cluster)
    with started(cluster) as services:
        assert all(ask(services, text).stored for text in QUESTIONS)
        lost = (place(cluster, names.BYPASS) + 1) % len(cluster.nodes)
        cluster.nodes[lost].kill()
        with nobody_sleeps():
            outcomes = [(text, ask(services, text)) for text in QUESTIONS * 2]
        for text, outcome in outcomes:
            if place(cluster, bucket_of(services, text).record) == lost:
                assert (outcome.kind, outcome.reason) == (OutcomeKind.MISS, "store-down")
            else:
                assert outcome.kind is OutcomeKind.HIT, "another server's failures are not its own"
        health = services.health.check()
        assert (health.store_up, health.servers, health.silent_servers) == (True, 3, 1)
        assert "servers-down" in {alert.name for alert in services.alert_board.look(None, health)}
        told = [finding for finding in diagnose(services, outside=()).findings if "do not answer" in finding.text]
        assert [finding.level for finding in told] == [Level.ERROR]
        assert f":{cluster.nodes[lost].port}" in told[0].text
        collector = prometheus.MetricsCollector(services.metrics, RecentHealth(services.health.check))
        assert "encore_redis_servers_silent 1.0" in prometheus.render(collector).decode().splitlines()


def test_a_cluster_that_is_down_is_no_server_that_sleeps(cluster):
    with started(cluster) as services:
        assert all(ask(services, text).stored for text in QUESTIONS[:10])
        cluster.nodes[0].kill()
        with cluster.nodes[1].client() as client:
            deadline = time.monotonic() + 120
            while client.execute_command("CLUSTER INFO")["cluster_state"] == "ok":
                assert time.monotonic() < deadline
        with nobody_sleeps():
            reasons = {ask(services, text).reason for text in QUESTIONS[:10]}
        assert reasons == {"store-down"}
        cluster.nodes[0].start()
        cluster.wait()
        deadline = time.monotonic() + 120
        while ask(services, QUESTIONS[0]).kind is not OutcomeKind.HIT:
            assert time.monotonic() < deadline
