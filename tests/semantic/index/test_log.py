"""Rows in Redis and what has changed in them: what one process stores, every other finds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.embedding.embedders import EmbedderIdentity, Vector, normalized
from core.semantic.index.log import (
    BUCKET_SECONDS,
    STREAM_SECONDS,
    Addition,
    IndexFollower,
    Position,
    Removal,
    VectorLog,
)
from core.semantic.index.numpy_index import NumpyIndex, Partition, Row

EMBEDDER = EmbedderIdentity(name="e", version="1", dimension=16)
OTHER_EMBEDDER = EmbedderIdentity(name="e", version="2", dimension=16)


class Clock:
    """Real time at first, since Redis has its own clock; a test may move it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(request: pytest.FixtureRequest, redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, protocol=request.param) as made:
        yield made


@pytest.fixture
def log(client: redis.Redis, clock: Clock) -> VectorLog:
    return VectorLog(client, EMBEDDER, kept_events=100, read_events=50, clock=clock)


@pytest.fixture
def partition(namespace: str) -> Partition:
    return Partition(namespace=namespace, scope=b"scope", embedder=EMBEDDER)


class Process:
    """An index that follows the log, as every process has one."""

    def __init__(self, log: VectorLog, clock: Clock, namespace: str) -> None:
        self.index = NumpyIndex(clock=clock)
        self.follower = IndexFollower(log, self.index, clock=clock)
        self.namespace = namespace
        self.follower.catch_up(namespace)

    def found(self) -> set[bytes]:
        return {
            candidate.key
            for partition in list(self.index._matrices)
            for candidate in self.index.search(partition, vector_of(0), 10_000, -1.0)
        }


@pytest.fixture
def process(log: VectorLog, clock: Clock, namespace: str) -> Process:
    return Process(log, clock, namespace)


def vector_of(number: int) -> Vector:
    return normalized(np.random.default_rng(number).standard_normal(16))


def row(number: int, *, seconds: float = 7_200.0) -> Row:
    return Row(key=b"key-%d" % number, vector=vector_of(number), expires_at=time.time() + seconds)


def test_a_stored_row_is_news_to_every_other_process(log, clock, namespace, partition, process):
    other = Process(log, clock, namespace)
    stored = row(1)
    log.append(partition, stored)
    for follower in (process, other):
        follower.follower.catch_up(namespace)
        (candidate,) = follower.index.search(partition, stored.vector, 1, 0.9)
        assert candidate.key == stored.key
        assert candidate.similarity == pytest.approx(1.0, abs=1e-6)


def test_news_can_be_read_beside_another_command(log, client, namespace, partition, process):
    log.append(partition, row(1))
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get("some entry")
        pipeline.execute_command(*process.follower.command(namespace))
        _, reply = pipeline.execute()
    assert process.follower.absorb(namespace, reply)
    assert process.found() == {b"key-1"}


def test_news_can_be_read_from_a_bare_connection(log, client, namespace, partition, process):
    log.append(partition, row(1))
    connection = client.connection_pool.get_connection()
    connection.send_command(*process.follower.command(namespace))
    assert process.follower.absorb(namespace, connection.read_response())
    client.connection_pool.release(connection)
    assert process.found() == {b"key-1"}


def test_no_news_cost_nothing_and_change_nothing(log, client, namespace, process):
    reply = client.execute_command(*process.follower.command(namespace))
    assert process.follower.absorb(namespace, reply)
    assert process.found() == set()


def test_events_that_two_threads_read_are_applied_once(log, client, namespace, partition, process):
    stored = row(1)
    log.append(partition, stored)
    command = process.follower.command(namespace)
    early = client.execute_command(*command)
    log.remove(partition, stored.key, stored.expires_at)
    late = client.execute_command(*command)
    assert process.follower.absorb(namespace, late)
    assert process.follower.absorb(namespace, early)
    assert process.found() == set()


def test_a_removed_row_leaves_every_process_and_does_not_come_back(log, clock, namespace, partition, process):
    stored = row(1)
    log.append_many([(partition, stored), (partition, row(2))])
    process.follower.catch_up(namespace)
    assert log.remove(partition, stored.key, stored.expires_at)
    process.follower.catch_up(namespace)
    assert process.found() == {b"key-2"}
    assert Process(log, clock, namespace).found() == {b"key-2"}


def test_removing_twice_announces_once(log, partition):
    stored = row(1)
    log.append(partition, stored)
    assert log.remove(partition, stored.key, stored.expires_at)
    assert not log.remove(partition, stored.key, stored.expires_at)


def test_a_late_removal_spares_a_row_that_was_stored_anew(log, clock, namespace, partition):
    span = (time.time() // BUCKET_SECONDS + 2) * BUCKET_SECONDS
    old = Row(key=b"k", vector=vector_of(1), expires_at=span + 100)
    new = Row(key=b"k", vector=vector_of(2), expires_at=span + 200)
    log.append_many([(partition, old), (partition, new)])
    assert not log.remove(partition, old.key, old.expires_at)
    assert Process(log, clock, namespace).found() == {b"k"}


def test_a_new_process_loads_what_was_stored_before_it(log, clock, namespace, partition):
    log.append_many([(partition, row(number, seconds=600 * number)) for number in range(1, 200)])
    assert Process(log, clock, namespace).found() == {b"key-%d" % number for number in range(1, 200)}


def test_what_is_stored_while_a_process_loads_is_not_missed(log, namespace, partition, clock):
    log.append(partition, row(1))
    position = log.begin(namespace)
    log.append(partition, row(2))
    loaded = {stored.key for batch in log.load(namespace) for rows in batch.values() for stored in rows}
    assert loaded == {b"key-1", b"key-2"}
    events = log.read_since(namespace, position).events
    assert [event.row.key for event in events] == [b"key-2"]


def test_a_reader_further_behind_than_the_stream_reaches_loads_again(log, namespace, partition, process):
    log.append_many([(partition, row(number)) for number in range(700)])
    changes = log.read_since(namespace, process.follower._positions[namespace])
    assert not changes.complete
    process.follower.catch_up(namespace)
    assert len(process.found()) == 700


def test_a_reader_a_little_behind_reads_all_its_news(log, namespace, partition, process):
    log.append(partition, row(0))
    process.follower.catch_up(namespace)
    log.append_many([(partition, row(number)) for number in range(1, 95)])
    first = log.read_since(namespace, process.follower._positions[namespace])
    assert (first.complete, first.more, len(first.events)) == (True, True, 50)
    process.follower.catch_up(namespace)
    assert len(process.found()) == 95


def test_a_full_reply_from_a_trimmed_stream_is_refused_by_absorb(log, client, namespace, partition, process):
    log.append_many([(partition, row(number)) for number in range(700)])
    reply = client.execute_command(*process.follower.command(namespace))
    assert not process.follower.absorb(namespace, reply)
    assert process.follower.command(namespace) is None
    process.follower.catch_up(namespace)
    assert len(process.found()) == 700


def test_a_reader_away_for_longer_than_a_stream_lives_loads_again(log, namespace, partition, process, clock):
    clock.ahead = STREAM_SECONDS / 2 + 1
    changes = log.read_since(namespace, process.follower._positions[namespace])
    assert not changes.complete


def test_a_namespace_can_be_forgotten_and_loaded_again(log, namespace, partition, process):
    log.append(partition, row(1))
    process.follower.catch_up(namespace)
    process.follower.forget(namespace)
    assert process.found() == set()
    assert process.follower.command(namespace) is None
    assert not process.follower.absorb(namespace, None)
    process.follower.catch_up(namespace)
    assert process.found() == {b"key-1"}


def test_a_flushed_server_leaves_readers_working(redis_server, clock, namespace):
    server = redis_server()
    with server.client() as client:
        log = VectorLog(client, EMBEDDER, clock=clock)
        partition = Partition(namespace=namespace, scope=b"s", embedder=EMBEDDER)
        process = Process(log, clock, namespace)
        log.append(partition, row(1))
        process.follower.catch_up(namespace)
        client.flushall()
        # Ids are times: an event of the very millisecond in which the last one was read would be missed.
        while b"key-2" not in process.found():
            log.append(partition, row(2))
            process.follower.catch_up(namespace)
        assert process.found() == {b"key-1", b"key-2"}  # the first leads nowhere, which the checked fetch finds out
        assert Process(log, clock, namespace).found() == {b"key-2"}


def test_namespaces_do_not_mix(log, clock, namespace, partition):
    log.append(partition, row(1))
    assert Process(log, clock, namespace + "-2").found() == set()


def test_scopes_come_back_as_they_were(log, clock, namespace):
    scopes = [b"", b"\x00" * 32, b"\xff" * 200]
    for number, scope in enumerate(scopes):
        log.append(Partition(namespace=namespace, scope=scope, embedder=EMBEDDER), row(number))
    process = Process(log, clock, namespace)
    assert {partition.scope for partition in process.index._matrices} == set(scopes)


def test_rows_of_another_embedder_are_not_read(log, client, clock, namespace, partition, process):
    other = VectorLog(client, OTHER_EMBEDDER, clock=clock)
    other.append(Partition(namespace=namespace, scope=b"scope", embedder=OTHER_EMBEDDER), row(1))
    process.follower.catch_up(namespace)
    assert process.found() == set()
    assert Process(log, clock, namespace).found() == set()
    assert Process(other, clock, namespace).found() == {b"key-1"}


def test_a_row_that_is_dead_already_is_not_stored(log, clock, namespace, partition):
    log.append(partition, row(1, seconds=-1))
    assert log.append_commands(partition, row(1, seconds=-1)) == []
    assert Process(log, clock, namespace).found() == set()


def test_expired_rows_are_not_loaded(log, clock, namespace, partition):
    log.append_many([(partition, row(1, seconds=10)), (partition, row(2))])
    clock.ahead = 11
    assert [stored.key for batch in log.load(namespace) for rows in batch.values() for stored in rows] == [b"key-2"]
    assert Process(log, clock, namespace).found() == {b"key-2"}


def test_dead_rows_go_away_by_themselves(log, client, clock, namespace, partition):
    log.append_many([(partition, row(1, seconds=10)), (partition, row(2, seconds=3 * BUCKET_SECONDS))])
    names = [name for name in client.scan_iter(b"encore:4:vs:*") if b":rows:" in name and log._base(namespace) in name]
    expiries = sorted(client.pttl(name) / 1000 for name in names)
    assert len(expiries) == 2
    assert 10 < expiries[0] <= 10 + BUCKET_SECONDS + 1
    assert 3 * BUCKET_SECONDS < expiries[1] <= 4 * BUCKET_SECONDS + 1
    assert 0 < client.ttl(log._stream(namespace)) <= STREAM_SECONDS
    clock.ahead = 2 * BUCKET_SECONDS
    log.append(partition, row(3, seconds=4 * BUCKET_SECONDS))
    assert client.zcard(log._spans(namespace)) == 2  # the first span left with the addition


def test_a_stream_keeps_to_its_length(log, client, namespace, partition):
    log.append_many([(partition, row(number)) for number in range(1_000)])
    assert 100 <= client.xlen(log._stream(namespace)) <= 200


def test_no_name_can_be_reached_by_a_selection_over_entries_or_tells_the_namespace(log, client, namespace, partition):
    log.append(partition, row(1))
    names = [command[1] for command in log.append_commands(partition, row(1))]
    assert all(name.startswith(b"encore:4:vs:{") for name in names)
    assert not any(namespace.encode() in name for name in names)


def test_clearing_removes_the_rows_of_one_namespace(log, clock, namespace, partition):
    neighbour = Partition(namespace=namespace + "-2", scope=b"scope", embedder=EMBEDDER)
    log.append_many([(partition, row(1)), (neighbour, row(2))])
    log.clear(namespace)
    assert Process(log, clock, namespace).found() == set()
    assert Process(log, clock, neighbour.namespace).found() == {b"key-2"}


HOSTILE = [b"", b"\x00", b"\x01", b"\x01" * 10, b"\x02" * 47, b"x" * 10_000]


@pytest.mark.parametrize("value", HOSTILE, ids=len)
def test_unreadable_rows_and_events_are_skipped_and_counted(log, client, clock, namespace, partition, process, value):
    log.append(partition, row(1))
    rows = log.append_commands(partition, row(1))[0][1]
    client.hset(rows, b"hostile", value)
    client.xadd(log._stream(namespace), {b"e": value})
    client.xadd(log._stream(namespace), {b"other": value})
    process.follower.catch_up(namespace)
    assert process.found() == {b"key-1"}
    assert Process(log, clock, namespace).found() == {b"key-1"}
    assert log.unreadable >= 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0, 60_000.0])
def test_a_stored_vector_without_length_one_is_not_used(log, client, clock, namespace, partition, number):
    log.append(partition, row(1))
    name, value = log.append_commands(partition, row(1))[0][1], log.append_commands(partition, row(1))[0][3]
    client.hset(name, b"key-1", value[:-32] + np.full(16, number, dtype="<f2").tobytes())
    assert Process(log, clock, namespace).found() == set()
    assert log.unreadable == 1


@given(data=st.binary(max_size=80))
def test_no_bytes_in_a_stream_can_raise(data):
    log = VectorLog(redis.Redis(), EMBEDDER)
    before = Position(last_id=b"0-0", read_at=time.time())
    for event in (data, b"\x01\x03" + EMBEDDER.digest + data, b"\x02\x03" + EMBEDDER.digest + data):
        changes = log.changes("n", before, [[b"stream", [[b"1-1", [b"e", event]]]]])
        assert all(isinstance(event, Addition | Removal) for event in changes.events)
        assert changes.position.last_id == b"1-1"
