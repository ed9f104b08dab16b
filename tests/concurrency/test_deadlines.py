"""A call is waited for until its deadline, and late calls do not pile up."""

from __future__ import annotations

import threading
import time

import pytest

from core.concurrency.deadlines import LATE, TimedCalls
from tests.processes import in_child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PATIENCE_SECONDS = 30


@pytest.fixture
def calls():
    made = TimedCalls(2, "encore-test")
    yield made
    made.close()


def test_a_call_in_time_gives_what_the_function_gives_or_raises(calls):
    assert calls.call(lambda: "done", PATIENCE_SECONDS) == "done"
    with pytest.raises(KeyError):
        calls.call(lambda: {}["absent"], PATIENCE_SECONDS)


def test_a_late_call_goes_on_and_keeps_its_place(calls):
    gate, done = threading.Event(), threading.Event()

    def slow() -> None:
        assert gate.wait(PATIENCE_SECONDS)
        done.set()

    assert calls.call(slow, 0) is LATE
    assert calls.call(slow, 0) is LATE
    assert calls.call(lambda: "refused at once", PATIENCE_SECONDS) is LATE
    gate.set()
    assert done.wait(PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while calls.call(lambda: "there is room", PATIENCE_SECONDS) is LATE:
        assert time.monotonic() < deadline


def test_closing_ends_the_threads_and_a_later_call_gets_new_ones(calls):
    calls.call(threading.current_thread, PATIENCE_SECONDS)
    ending = calls.call(threading.current_thread, PATIENCE_SECONDS)
    calls.close()
    ending.join(PATIENCE_SECONDS)
    assert not ending.is_alive()
    assert calls.call(threading.current_thread, PATIENCE_SECONDS) is not ending


def test_a_forked_child_has_all_its_places_and_threads(calls):
    gate = threading.Event()
    for _ in range(2):
        assert calls.call(lambda: gate.wait(PATIENCE_SECONDS), 0) is LATE

    def check() -> None:
        assert calls.call(lambda: "in time", PATIENCE_SECONDS) == "in time"

    in_child(check)
    gate.set()
