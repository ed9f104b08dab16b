"""Hits of each stored answer: counted over processes, bounded, gone with the answer."""

from __future__ import annotations

from hashlib import sha256

import pytest

from core.errors import StoreUnavailable
from core.keys.names import Slot, readable_key
from core.metrics import CacheMetrics
from core.metrics import hits as hits_module
from core.metrics.hits import PART_SECONDS, Hits
from tests.metrics.faulty import Fault, faulty_client
from tests.metrics.outcomes import a_hit, a_miss
from tests.samples import NOW

SLOT = Slot("test", 0)


def digest(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def served(metrics, number, *, times=1, bucket=0, **fields):
    for _ in range(times):
        metrics.record(a_hit(**{"key": readable_key(bucket, digest(number)), "at": NOW, **fields}))


def test_hits_are_counted_by_answer_with_the_time_of_the_last(metrics: CacheMetrics) -> None:
    served(metrics, 1, times=3)
    served(metrics, 1, at=NOW - 5)
    served(metrics, 2, at=NOW - 20)
    metrics.record(a_miss(key=readable_key(0, digest(3)), stored=True))
    assert metrics.hits.of(SLOT, [digest(1), digest(2), digest(3)]) == [
        Hits(total=4, last_at=NOW),
        Hits(total=1, last_at=NOW - 20),
        Hits(),
    ]
    assert metrics.hits.of(SLOT, []) == []


def test_buckets_and_namespaces_are_kept_apart(metrics: CacheMetrics) -> None:
    served(metrics, 1, bucket=1)
    served(metrics, 1, namespace="other", times=2)
    assert [metrics.hits.of(slot, [digest(1)])[0].total for slot in (SLOT, Slot("test", 1), Slot("other", 0))] == [
        0,
        1,
        2,
    ]


def test_a_day_of_hits_forgets_what_is_older(metrics, clock) -> None:
    served(metrics, 1, times=2)
    metrics.flush()
    clock.now += 5 * PART_SECONDS
    served(metrics, 1, at=clock.now)
    served(metrics, 2, at=clock.now)
    assert metrics.hits.in_last_day(SLOT, [digest(1), digest(2), digest(3)]) == [3, 1, 0]
    clock.now += 5 * PART_SECONDS
    assert metrics.hits.in_last_day(SLOT, [digest(1), digest(2)]) == [1, 1]
    assert metrics.hits.of(SLOT, [digest(1)])[0].total == 3


def test_the_most_served_come_first_page_by_page(metrics: CacheMetrics) -> None:
    for number in range(7):
        served(metrics, number, times=1 + number // 2)
    every = metrics.hits.most_hit(SLOT)
    assert [hits for hits, _ in every] == [4, 3, 3, 2, 2, 1, 1]
    paged, before = [], None
    while page := metrics.hits.most_hit(SLOT, before=before, limit=2):
        paged += page
        before = page[-1]
    assert paged == every
    assert [hits for hits, _ in metrics.hits.most_hit(SLOT, fewest=3)] == [4, 3, 3]
    assert (metrics.hits.count(SLOT), metrics.hits.count(SLOT, fewest=3)) == (7, 3)


def test_hits_of_all_processes_add_up(recorder) -> None:
    first, second = recorder(), recorder()
    served(first, 1, times=2)
    served(second, 1)
    first.flush()
    second.flush()
    assert first.hits.of(SLOT, [digest(1)])[0].total == 3


def test_the_hits_of_an_answer_that_is_gone_are_forgotten(client, recorder) -> None:
    metrics = recorder()
    for number in range(450):
        served(metrics, number)
    metrics.flush()
    client.set(SLOT.entry(digest(7)), b"still there")
    assert metrics.hits.prune(SLOT) == 449
    assert metrics.hits.of(SLOT, [digest(7), digest(8)]) == [Hits(total=1, last_at=NOW), Hits()]


def test_every_key_of_hits_has_a_ttl(client, recorder) -> None:
    metrics = recorder()
    served(metrics, 1)
    metrics.flush()
    names = [SLOT.hit_times, *client.scan_iter(SLOT.hits + b"*")]
    assert len(names) == 3
    assert all(client.ttl(name) > 0 for name in names)


def test_no_more_answers_wait_than_there_is_room_for(metrics, monkeypatch) -> None:
    monkeypatch.setattr(hits_module, "MAX_WAITING", 3)
    for number in range(5):
        served(metrics, number, times=2)
    assert [one.total for one in metrics.hits.of(SLOT, [digest(number) for number in range(5)])] == [2, 2, 2, 0, 0]


@pytest.mark.parametrize(("fault", "counted"), [(Fault.REFUSED, 1), (Fault.REPLY_LOST, 3)])
def test_a_failed_write_never_counts_twice_and_the_next_one_goes_through(metrics_server, client, clock, fault, counted):
    broken, plan = faulty_client(metrics_server.url)
    with CacheMetrics(broken, flush_seconds=1000, clock=clock) as metrics:
        served(metrics, 1)
        metrics.flush()
        served(metrics, 1, times=2)
        plan += [Fault.NONE, fault]  # the counts of all requests are written first
        assert not metrics.flush()
        assert metrics.flush()
        assert metrics.hits.of(SLOT, [digest(1)])[0].total == counted


def test_hits_are_not_known_without_redis(metrics_server, redis_server, clock) -> None:
    server = redis_server()
    with CacheMetrics(server.client(), flush_seconds=1000, clock=clock) as metrics:
        server.kill()
        for read in (metrics.hits.of, metrics.hits.in_last_day):
            with pytest.raises(StoreUnavailable):
                read(SLOT, [digest(1)])
        with pytest.raises(StoreUnavailable):
            metrics.hits.most_hit(SLOT)
