"""One thread does the work, in every process its own, and none is left at the end."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core.concurrency.background import IDLE_ROUNDS, BackgroundWorker, begin_in_each_process
from tests.processes import in_child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PATIENCE_SECONDS = 30
NEVER = 3600.0


class Desk:
    """Finds work as long as there is some; a round waits at a gate."""

    def __init__(self, every_seconds: float = 0.005) -> None:
        self.worker = BackgroundWorker(self.round, name="encore-desk", every_seconds=every_seconds)
        self.gate = threading.Event()
        self.gate.set()
        self.finds_work = True
        self.error: Exception | None = None
        self.rounds = 0
        self.began, self.ended = threading.Event(), threading.Event()

    def round(self) -> bool:
        self.began.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        self.rounds += 1
        if self.error is not None:
            raise self.error
        self.ended.set()
        return self.finds_work


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.gate.set()
    made.worker.stop(PATIENCE_SECONDS)
    assert made.worker.thread is None


def until(condition: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        pause.wait(0.002)


def desks() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "encore-desk"]


def test_there_is_no_thread_before_the_first_work(desk):
    assert desk.worker.thread is None
    assert not desks()
    desk.worker.start()
    assert desks() == [desk.worker.thread]
    assert desk.worker.thread.daemon


def test_rounds_follow_each_other_while_there_is_work(desk):
    desk.worker.start()
    until(lambda: desk.rounds > 2 * IDLE_ROUNDS)


def test_a_round_that_is_far_off_begins_when_the_worker_is_woken():
    desk = Desk(every_seconds=NEVER)
    desk.worker.start()
    assert desk.rounds == 0
    desk.worker.wake()
    assert desk.ended.wait(PATIENCE_SECONDS)
    desk.worker.stop(PATIENCE_SECONDS)
    assert desk.rounds == 1


def test_a_wake_during_a_round_is_followed_by_another():
    desk = Desk(every_seconds=NEVER)
    desk.gate.clear()
    desk.worker.wake()
    assert desk.began.wait(PATIENCE_SECONDS)
    desk.worker.wake()
    desk.gate.set()
    until(lambda: desk.rounds == 2)
    desk.worker.stop(PATIENCE_SECONDS)


def test_many_who_start_it_at_once_get_one_thread(desk):
    desk.gate.clear()
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        desk.worker.wake()

    starting = [threading.Thread(target=begin) for _ in range(8)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    assert desks() == [desk.worker.thread]


def test_an_idle_thread_ends_and_the_next_start_begins_another(desk):
    desk.finds_work = False
    desk.worker.start()
    first = desk.worker.thread
    first.join(PATIENCE_SECONDS)
    assert not first.is_alive()
    assert desk.worker.thread is None
    assert desk.rounds >= IDLE_ROUNDS
    desk.worker.start()
    assert desk.worker.thread is not first


def test_a_start_in_the_last_idle_round_is_not_lost(desk):
    desk.finds_work = False
    desk.gate.clear()
    desk.worker.start()
    assert desk.began.wait(PATIENCE_SECONDS)
    desk.worker._idle_rounds = IDLE_ROUNDS - 1
    desk.worker.start()  # something came after the round had looked
    thread, before = desk.worker.thread, desk.rounds
    desk.gate.set()
    until(lambda: desk.rounds > before + 1)
    assert thread is not None


def test_a_busy_worker_is_stopped_after_its_round(desk):
    desk.gate.clear()
    desk.worker.start()
    assert desk.began.wait(PATIENCE_SECONDS)
    thread = desk.worker.thread
    desk.worker.stop(0.01)
    assert thread.is_alive(), "a round is not interrupted, and waited for no longer than said"
    desk.gate.set()
    desk.worker.stop(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert desk.rounds == 1


def test_a_stopped_worker_does_not_start_again(desk):
    desk.worker.stop(0)
    desk.worker.start()
    desk.worker.wake()
    assert desk.worker.thread is None
    assert not desks()


def test_a_round_may_stop_its_own_worker():
    class Once:
        def __init__(self) -> None:
            self.worker = BackgroundWorker(self.round, name="encore-desk", every_seconds=0.001)
            self.rounds = 0

        def round(self) -> bool:
            self.rounds += 1
            self.worker.stop(PATIENCE_SECONDS)
            return True

    once = Once()
    once.worker.start()
    until(lambda: once.worker.thread is None)
    assert once.rounds == 1


def test_an_error_is_logged_by_its_class_once_and_the_thread_goes_on(desk, caplog):
    desk.error = ValueError("a secret")
    with caplog.at_level(logging.ERROR, "encore.background"):
        desk.worker.start()
        until(lambda: desk.rounds > IDLE_ROUNDS)
        desk.error = None
        assert desk.ended.wait(PATIENCE_SECONDS)
        desk.error = KeyError("another secret")
        until(lambda: len(caplog.messages) > 1)
    assert caplog.messages == [
        "encore-desk: a round failed: ValueError",
        "encore-desk: a round failed: KeyError",
    ]


def test_the_thread_ends_when_nobody_uses_its_object_any_more():
    desk = Desk()
    desk.worker.start()
    thread = desk.worker.thread
    while desk.rounds == 0:
        thread.join(0.002)
    del desk
    gc.collect()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


# Forks


def test_a_forked_child_has_no_thread_and_starts_its_own(desk):
    desk.worker.start()
    parents = desk.worker.thread
    until(lambda: desk.rounds > 0)

    def check() -> None:
        assert desk.worker.thread is None
        before = desk.rounds
        desk.worker.start()
        assert desk.worker.thread is not parents
        until(lambda: desk.rounds > before + 1)
        desk.worker.stop(PATIENCE_SECONDS)
        assert not desks()

    in_child(check)
    assert desks() == [parents], "the parent's goes on"


def test_a_fork_while_a_lock_is_held_does_not_hang_the_child(desk):
    desk.worker.start()
    until(lambda: desk.rounds > 0)

    def check() -> None:
        desk.worker.start()
        desk.worker.stop(PATIENCE_SECONDS)

    with desk.worker._lock:
        in_child(check)


def test_a_fork_in_the_midst_of_a_round_does_not_repeat_it():
    desk = Desk(every_seconds=NEVER)
    desk.gate.clear()
    desk.worker.wake()
    assert desk.began.wait(PATIENCE_SECONDS)

    def check() -> None:
        desk.gate = threading.Event()
        desk.gate.set()
        desk.worker.start()
        assert desk.worker._due.empty()
        desk.worker.stop(PATIENCE_SECONDS)
        assert desk.rounds == 0

    in_child(check)
    desk.gate.set()
    desk.worker.stop(PATIENCE_SECONDS)


def test_a_child_of_a_stopped_worker_may_start_it_again(desk):
    desk.worker.stop(0)

    def check() -> None:
        desk.worker.start()
        assert desks()

    in_child(check)


def test_a_child_of_a_child_begins_anew_too(desk):
    desk.worker.start()

    def check_grandchild() -> None:
        assert desk.worker.thread is None
        desk.worker.start()
        assert desk.worker.thread is not None

    def check() -> None:
        desk.worker.start()
        in_child(check_grandchild)
        desk.worker.stop(PATIENCE_SECONDS)

    in_child(check)


class Counter:
    """State of one process."""

    def __init__(self) -> None:
        self.begun = 0
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self.begun += 1
        self.lock = threading.Lock()
        self.things: list[object] = []


def test_what_belongs_to_a_process_is_begun_at_once_and_in_each_child():
    counter = Counter()
    assert counter.begun == 1
    counter.things.append("the parent's")

    def check() -> None:
        assert counter.begun == 2
        assert counter.things == []
        assert counter.lock.acquire(blocking=False)

    with counter.lock:
        in_child(check)
    assert (counter.begun, counter.things) == (1, ["the parent's"])


class HangsAtItsEnd:
    """As a pool of threads that a child does not have."""

    def __del__(self) -> None:
        if os.getpid() != PARENT:
            os._exit(9)


PARENT = os.getpid()


def test_a_child_does_not_take_apart_what_its_parent_made():
    counter = Counter()
    counter.things.append(HangsAtItsEnd())

    def check() -> None:
        assert counter.things == []
        gc.collect()

    in_child(check)


def test_an_object_that_is_gone_is_not_begun():
    begun = []

    class Noted(Counter):
        def _begin(self) -> None:
            super()._begin()
            begun.append(self.begun)

    noted = Noted()
    del noted
    gc.collect()

    def check() -> None:
        assert begun == [1]

    in_child(check)
