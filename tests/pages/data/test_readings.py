"""Readings: one read for all, the last value when a read fails, one probe while a server is away."""

from __future__ import annotations

import threading

import pytest

from core.errors import InvalidInput, OutcomeUnknown, StoreUnavailable, WriteRefused
from pages.components.data.readings import MAX_READINGS, PAUSE_SECONDS, Readings, shared
from tests.samples import Clock


class Server:
    """Gives 1, 2, 3 ... to those who read; raises while it is down; `takes` is how long an answer takes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.problem: Exception | None = None
        self.takes = 0.0
        self.reads = 0
        self.probes = 0

    def read(self) -> int:
        self.reads += 1
        return self._answer(self.reads)

    def probe(self) -> int:
        self.probes += 1
        return self._answer(0)

    def _answer(self, value: int) -> int:
        self.clock.forward(self.takes)
        if self.problem is not None:
            raise self.problem
        return value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock) -> Server:
    return Server(clock)


@pytest.fixture
def readings(server, clock) -> Readings:
    return Readings(server.probe, clock)


def test_a_value_is_read_once_while_it_is_young(readings, server, clock):
    assert [readings.get("a", server.read, 2).value for _ in range(3)] == [1, 1, 1]
    clock.forward(2)
    assert readings.get("a", server.read, 2).value == 2
    assert readings.get("b", server.read, 2).value == 3


def test_threads_that_want_the_same_wait_for_one_read(readings):
    begun, go, reads = threading.Event(), threading.Event(), []

    def slow() -> str:
        reads.append(1)
        begun.set()
        assert go.wait(120)
        return "value"

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(readings.get("a", slow).value)) for _ in range(8)]
    threads[0].start()
    assert begun.wait(120)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(120)
    assert found == ["value"] * 8
    assert len(reads) == 1


def test_the_last_value_stays_with_the_reason_why_it_is_not_newer(readings, server, clock):
    began = clock()
    readings.get("a", server.read, 2)
    clock.forward(5)
    server.problem = StoreUnavailable("Redis cannot be reached")
    stale = readings.get("a", server.read, 2)
    assert (stale.value, stale.read_at, stale.error) == (1, began, "Redis cannot be reached")
    never = readings.get("never read", server.read, 2)
    assert (never.value, never.read_at, never.error) == (None, 0.0, "Redis cannot be reached")
    assert readings.failing_since == clock()


@pytest.mark.parametrize("error", [StoreUnavailable("a"), WriteRefused("b"), OutcomeUnknown("c")])
def test_a_server_that_is_away_is_probed_once_a_pause_and_asked_nothing_else(readings, server, clock, error):
    server.problem = error
    for name in range(10):
        assert readings.get(name, server.read).error == str(error)
    assert (server.reads, server.probes) == (1, 0)
    clock.forward(PAUSE_SECONDS)
    for name in range(10):
        readings.get(name, server.read)
    assert (server.reads, server.probes) == (1, 1)


def test_a_server_that_hangs_is_probed_less_often(readings, server, clock):
    server.problem, server.takes = StoreUnavailable("Redis did not answer in time"), 1.0
    readings.get("a", server.read)
    server.takes = 0.0
    clock.forward(3.9)
    readings.get("a", server.read)
    assert server.probes == 0
    clock.forward(0.2)
    readings.get("a", server.read)
    assert server.probes == 1


def test_a_server_that_is_back_is_read_again(readings, server, clock):
    readings.get("a", server.read)
    server.problem = StoreUnavailable("away")
    clock.forward(5)
    readings.get("a", server.read)
    server.problem = None
    clock.forward(5)
    fresh = readings.get("a", server.read)
    assert fresh.error == readings.error == ""
    assert fresh.read_at == clock()


def test_the_time_it_began_to_fail_is_kept_while_it_fails(readings, server, clock):
    server.problem = StoreUnavailable("away")
    readings.get("a", server.read)
    since = clock()
    clock.forward(60)
    readings.get("a", server.read)
    assert readings.failing_since == since


def test_after_a_change_everything_is_read_anew(readings, server):
    readings.get("a", server.read, 100)
    readings.renew()
    assert readings.get("a", server.read, 100).value == 2


def test_a_read_that_began_before_a_change_is_not_taken_for_one_after_it(readings):
    def overtaken() -> str:
        readings.renew()
        return "old"

    assert readings.get("a", overtaken, 100).value == "old"
    assert readings.get("a", lambda: "new", 100).value == "new"


def test_a_mistake_of_the_caller_is_not_taken_for_an_outage(readings):
    def wrong() -> None:
        raise InvalidInput("window", "give seconds")

    with pytest.raises(InvalidInput):
        readings.get("a", wrong)
    assert readings.error == ""


def test_only_so_many_readings_are_kept(readings, server):
    for name in range(MAX_READINGS + 10):
        readings.get(name, server.read, 1000)
    assert readings.get(MAX_READINGS + 9, server.read, 1000).value == MAX_READINGS + 10
    assert readings.get(0, server.read, 1000).value == MAX_READINGS + 11


def test_functions_with_the_same_arguments_share_no_reading(readings, server):
    @shared(lambda: readings)
    def one(number: int) -> tuple[str, int]:
        return "one", server.read()

    @shared(lambda: readings)
    def other(number: int) -> tuple[str, int]:
        return "other", server.read()

    assert (one(1).value, other(1).value, one(1).value) == (("one", 1), ("other", 2), ("one", 1))


def test_each_set_of_arguments_has_a_reading_of_its_own(readings, server):
    @shared(lambda: readings)
    def read(*numbers: int, last: int = 0) -> int:
        return server.read()

    assert [reading.value for reading in (read(1), read(2), read(1, 2), read(1, last=3), read(1))] == [1, 2, 3, 4, 1]


def test_how_old_a_reading_may_be_can_depend_on_the_arguments(readings, server, clock):
    @shared(lambda: readings, max_age=lambda seconds: seconds)
    def read(seconds: int) -> int:
        return server.read()

    read(5), read(50)
    clock.forward(10)
    assert (read(50).value, read(5).value) == (2, 3)
