"""What MetricsRecorder takes in reaches the ledger once, over processes and failures."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StoreUnavailable
from core.metrics import CacheMetrics, Sender
from core.metrics.recorder import MAX_QUEUED
from core.models import OutcomeKind
from tests.conftest import RedisFactory, RedisServer
from tests.metrics.faulty import Fault, faulty_client
from tests.metrics.outcomes import a_hit, a_miss, an_outcome
from tests.samples import NOW, Clock

CANARY = "canary-5f2c"


def test_nothing_is_lost_when_very_many_come_between_flushes(metrics: CacheMetrics) -> None:
    for _ in range(10_000):
        metrics.record(a_hit())
    assert len(metrics._queue) < MAX_QUEUED
    assert metrics.summary(60).hits == 10_000
    assert metrics.dropped_requests == 9_800


def test_threads_lose_no_request(metrics: CacheMetrics) -> None:
    start = threading.Barrier(9)

    def work() -> None:
        start.wait()
        for _ in range(2000):
            metrics.record(a_hit())

    def read() -> None:
        start.wait()
        for _ in range(20):
            metrics.summary(60)

    threads = [threading.Thread(target=work) for _ in range(8)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.summary(60).hits == 16_000


# Processes and failures

NETWORK_FAULTS = (Fault.REFUSED, Fault.REPLY_LOST, Fault.NONE)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 2), st.sampled_from(OutcomeKind)),
        st.tuples(st.just("count"), st.integers(0, 2)),
        st.tuples(st.just("flush"), st.integers(0, 2)),
        st.tuples(
            st.just("break"), st.integers(0, 2), st.lists(st.sampled_from(NETWORK_FAULTS), min_size=1, max_size=4)
        ),
        st.tuples(st.just("restart"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(1, 100)),
    ),
    max_size=60,
)


@given(steps=steps)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_requests_are_hits_misses_bypasses_and_errors_over_processes_restarts_and_failures(
    metrics_server: RedisServer, client: redis.Redis, steps: list[tuple[Any, ...]]
) -> None:
    """Each is counted once, whether a flush failed before the server had it or its reply was lost."""
    client.flushall()
    clock = Clock(NOW)
    clients, plans = zip(*(faulty_client(metrics_server.url) for _ in range(3)), strict=True)
    recorders = [CacheMetrics(each, flush_seconds=1000, clock=clock) for each in clients]
    recorded: Counter[str] = Counter()
    for step in steps:
        match step:
            case ("record", process, kind):
                recorders[process].record(an_outcome(kind, at=clock()))
                recorded[kind] += 1
            case ("count", process):
                recorders[process].count("takeovers")
                recorded["takeovers"] += 1
            case ("flush", process):
                recorders[process].flush()
            case ("break", process, faults):
                plans[process].extend(faults)
            case ("restart", process):
                plans[process].clear()
                recorders[process].close()
                recorders[process] = CacheMetrics(clients[process], flush_seconds=1000, clock=clock)
            case ("wait", seconds):
                clock.forward(seconds)
    for each, plan, recorder in zip(clients, plans, recorders, strict=True):
        plan.clear()
        recorder.close()
        each.close()
    with CacheMetrics(client, flush_seconds=1000, clock=clock) as reader:
        for summary in (reader.summary(6500), *reader.totals().cells.values()):
            counted = (summary.hits, summary.misses, summary.bypasses, summary.errors)
            assert counted == tuple(recorded[kind] for kind in OutcomeKind)
            assert summary.requests == sum(counted)
        assert reader.totals().events.get("takeovers", 0) == recorded["takeovers"]


def test_all_processes_are_summed(recorder: Callable[[], CacheMetrics]) -> None:
    one, two = recorder(), recorder()
    one.record(a_hit())
    two.record(a_miss())
    two.flush()
    assert one.summary(60).requests == 2


def test_counts_reach_redis_by_themselves(client: redis.Redis) -> None:
    subscriber = client.pubsub()
    client.config_set("notify-keyspace-events", "Eh")
    subscriber.psubscribe("__keyevent@0__:hset")
    with CacheMetrics(client, flush_seconds=0.01) as metrics:
        metrics.record(a_hit(at=0.0))
        assert any(subscriber.get_message(timeout=40, ignore_subscribe_messages=True) for _ in range(3))
    subscriber.close()


def test_a_process_writes_what_waits_when_it_ends(metrics_server: RedisServer, recorder: Any) -> None:
    program = (
        "import redis; from core.metrics import CacheMetrics; from tests.metrics.outcomes import a_hit\n"
        f"metrics = CacheMetrics(redis.Redis.from_url({metrics_server.url!r}), flush_seconds=1000)\n"
        "metrics.record(a_hit(at=0.0)); metrics.count('takeovers')\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)
    totals = recorder().totals()
    assert [summary.hits for summary in totals.cells.values()] == [1]
    assert totals.events == {"takeovers": 1}


def in_child(work: Callable[[], object]) -> None:
    """Runs it in a fork of this process, as RQ runs a job."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(timeout=120)
    child.kill()
    child.join()
    assert child.exitcode == 0


def test_a_fork_leaves_the_parents_counts_to_the_parent(recorder: Callable[[], CacheMetrics]) -> None:
    metrics = recorder()
    metrics.record(a_hit())
    metrics.count("takeovers")

    def work() -> None:
        metrics.record(a_miss())
        assert metrics.flush()

    in_child(work)
    assert metrics.summary(60).misses == 1
    assert metrics.summary(60).hits == 1
    assert metrics.summary(60).events == {"takeovers": 1}


def test_a_fork_in_the_middle_of_a_flush_does_not_hang(recorder: Callable[[], CacheMetrics]) -> None:
    metrics = recorder()
    metrics.record(a_hit())

    def work() -> None:
        metrics.record(a_miss())
        metrics.count("takeovers")
        assert metrics.flush()

    with metrics._flushing, metrics._counting:
        in_child(work)
    assert metrics.summary(60).requests == 2


def test_a_fork_flushes_by_itself_again(client: redis.Redis) -> None:
    with CacheMetrics(client, flush_seconds=0.01) as metrics:
        metrics.record(a_hit(at=0.0))
        parents_thread = metrics._worker.thread

        def work() -> None:
            metrics.record(a_miss(at=0.0))
            assert metrics._worker.thread is not None
            assert metrics._worker.thread is not parents_thread
            assert metrics._worker.thread.is_alive()

        in_child(work)


def test_requests_are_recorded_without_waiting_for_a_server_that_hangs(redis_server: RedisFactory) -> None:
    server = redis_server()
    with server.client(socket_timeout=30) as client, CacheMetrics(client, flush_seconds=1000) as metrics:
        metrics.record(a_hit(at=0.0))
        metrics.flush()
        server.pause()
        metrics.record(a_hit(at=0.0))
        flushing = threading.Thread(target=metrics.flush)
        flushing.start()
        for _ in range(10_000):
            metrics.record(a_hit(at=0.0))
        metrics.count("takeovers")
        assert flushing.is_alive()
        server.resume()
        flushing.join()
        assert metrics.summary(60).hits == 10_002


def test_counts_wait_for_a_server_that_is_down_and_reading_says_so(redis_server: RedisFactory, clock: Clock) -> None:
    server = redis_server()
    with server.client(socket_timeout=30) as client, CacheMetrics(client, flush_seconds=1000, clock=clock) as metrics:
        metrics.record(a_hit())
        server.kill()
        assert not metrics.flush()
        assert metrics.flush_error
        for read in (metrics.totals, metrics.recent, lambda: metrics.summary(60), lambda: metrics.series(60, 10)):
            with pytest.raises(StoreUnavailable):
                read()
        server.start()
        assert metrics.flush()
        assert metrics.flush_error == ""
        assert metrics.summary(60).hits == 1


def test_counts_wait_for_a_server_that_takes_no_writes(redis_server: RedisFactory, clock: Clock) -> None:
    with redis_server().client() as client, CacheMetrics(client, flush_seconds=1000, clock=clock) as metrics:
        client.config_set("maxmemory", 1)
        metrics.record(a_hit())
        assert not metrics.flush()
        assert "takes no writes" in metrics.flush_error
        client.config_set("maxmemory", 0)
        assert metrics.summary(60).hits == 1


def test_a_long_outage_blurs_times_and_loses_no_count(client: redis.Redis, metrics_server: RedisServer) -> None:
    clock = Clock(NOW)
    lost, plan = faulty_client(metrics_server.url)
    with lost, CacheMetrics(lost, flush_seconds=1000, clock=clock) as metrics:
        plan.extend([Fault.REFUSED] * 1000)
        for _ in range(300):
            metrics.record(a_hit(at=clock()))
            assert not metrics.flush()
            clock.forward(10)
        assert len(metrics._waiting) <= 60
        plan.clear()
        assert metrics.summary(3600).hits == 300
        assert sum(bucket.summary.hits > 0 for bucket in metrics.series(3600, 10)) in range(58, 63)


def test_a_record_after_close_is_counted_by_the_next_flush(metrics: CacheMetrics) -> None:
    metrics.close()
    metrics.record(a_hit())
    assert metrics._worker.thread is None
    assert metrics.summary(60).hits == 1


def test_a_mistake_in_a_flush_loses_no_count_and_does_not_end_the_thread(
    client: redis.Redis, metrics_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    mistaken, plan = faulty_client(metrics_server.url)
    plan.append(Fault.CRASH)
    with mistaken, CacheMetrics(mistaken, flush_seconds=0.01) as metrics:
        metrics.record(a_hit(at=0.0))
        thread = metrics._worker.thread
        assert thread is not None
        while not client.dbsize():
            thread.join(timeout=0.01)
        assert not plan
        assert [record.name for record in caplog.records] == ["encore.background"]
        metrics.record(a_miss(at=0.0))
        assert metrics._worker.thread is thread
        assert thread.is_alive()
        assert metrics.summary(60).requests == 2


def test_a_recorder_nobody_uses_any_more_ends_its_thread(client: redis.Redis) -> None:
    metrics = CacheMetrics(client, flush_seconds=0.01)
    metrics.record(a_hit(at=0.0))
    thread = metrics._worker.thread
    assert thread is not None
    while not client.dbsize():
        thread.join(timeout=0.01)
    del metrics
    thread.join(timeout=120)
    assert not thread.is_alive()


@pytest.mark.parametrize("record_prompts", [True, False])
def test_prompts_are_kept_only_where_they_may_be(client: redis.Redis, clock: Clock, record_prompts: bool) -> None:
    with CacheMetrics(client, flush_seconds=1000, clock=clock, record_prompts=record_prompts) as metrics:
        metrics.record(a_hit(), prompt=f"{CANARY} " + "x" * 1000)
        metrics.flush()
        [record] = metrics.recent()
        assert record.prompt == (f"{CANARY} ".ljust(500, "x") if record_prompts else None)
        everything = b"".join(client.dump(name) for name in client.scan_iter())
        assert (CANARY.encode() in everything) is record_prompts


def test_prompts_that_another_process_kept_are_left_out_where_they_may_not_be(
    client: redis.Redis, clock: Clock
) -> None:
    with CacheMetrics(client, flush_seconds=1000, clock=clock) as keeping:
        keeping.record(a_miss(key="0-1"), "a secret")
    with CacheMetrics(client, flush_seconds=1000, clock=clock, record_prompts=False) as discreet:
        assert [record.prompt for record in discreet.recent()] == [None]
        assert [row.prompt for row in discreet.top(OutcomeKind.MISS)] == [None]


@pytest.mark.parametrize("record_callers", [True, False])
def test_who_asked_is_asked_for_only_as_far_as_it_may_be_kept(
    client: redis.Redis, clock: Clock, record_callers: bool
) -> None:
    def sender(names: bool) -> Sender:
        assert names is record_callers
        return Sender(caller="key-1", user="anna")

    with CacheMetrics(client, flush_seconds=1000, clock=clock, record_callers=record_callers) as metrics:
        metrics.record(a_hit(key="0-1"), None, sender)
        metrics.record(a_hit())
        [_, record] = metrics.recent()
        assert (record.caller, record.user) == ("key-1", "anna" if record_callers else None)
        assert metrics.recipients("test", "0-1").got == (record,)


def test_the_servers_log_of_requests_is_bounded(client: redis.Redis, clock: Clock) -> None:
    with CacheMetrics(client, flush_seconds=1000, clock=clock) as metrics:
        for _ in range(60):
            for _ in range(200):
                metrics.record(a_hit())
            metrics.flush()
    assert client.xlen("encore:requests") < 5200
    assert client.ttl("encore:requests") > 0
