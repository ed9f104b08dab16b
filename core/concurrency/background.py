"""Background work: a thread that works in rounds, and state that each forked process begins anew.

A forked child has its parent's memory without its parent's threads: a lock that one of them held stays locked in it,
and what one of them was about to send would be sent twice.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakMethod

logger = logging.getLogger("encore.background")

IDLE_ROUNDS: Final = 10
"""Rounds in a row that find nothing to do after which a worker's thread ends; the next `start` begins another."""


def begin_in_each_process(begin: Callable[[], None]) -> None:
    """Calls a bound method now, and in every forked child before anything else runs there.

    The method sets all state that belongs to one process, locks and threads included, as if nothing had happened yet.
    The object is not kept alive. In a child the replaced values are never taken apart, since that may wait for a lock
    or a thread that only the parent has.
    """
    begin()
    method = cast("MethodType", begin)
    _beginnings[method.__self__] = method.__func__


# Global, because what os.register_at_fork is given stays for ever: one hook, however many objects come and go.
_beginnings: WeakKeyDictionary[object, Callable[[Any], None]] = WeakKeyDictionary()
_inherited: list[dict[str, Any]] = []


def _begin_in_child() -> None:
    for owner, begin in list(_beginnings.items()):
        _inherited.append(dict(vars(owner)))
        begin(owner)


os.register_at_fork(after_in_child=_begin_in_child)


class BackgroundWorker:
    """Calls `work`, a bound method, on a daemon thread: every `every_seconds`, and at once when it is woken.

    `work` returns whether it found something to do. The thread begins with the first `start` and ends after IDLE_ROUNDS
    rounds without work, when the worker is stopped, or when nobody uses the object of `work` any more: a worker does
    not keep it alive. An error in a round is logged by its class, and the next round comes as usual. Thread-safe; in a
    forked child nothing has been started or stopped yet.
    """

    def __init__(self, work: Callable[[], bool], *, name: str, every_seconds: float) -> None:
        self._work = WeakMethod(work)
        self._name = name
        self._every_seconds = every_seconds
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may end a request on a thread that is in here
        self._due: queue.SimpleQueue[None] = queue.SimpleQueue()  # the garbage collector may wake it in its own midst
        self._is_stopped = False
        self._idle_rounds = 0
        self._failing = ""
        self.thread: threading.Thread | None = None
        """The thread while there is one."""

    def start(self) -> None:
        """Starts the thread unless it runs or the worker has been stopped. Returns at once."""
        with self._lock:
            self._idle_rounds = 0
            if self.thread is None and not self._is_stopped:
                thread = threading.Thread(target=self._keep_working, name=self._name, daemon=True)
                thread.start()
                self.thread = thread

    def wake(self) -> None:
        """Has a round begin now instead of when it is due; starts the thread if there is none. Returns at once."""
        self._due.put(None)
        self.start()

    def stop(self, seconds: float) -> None:
        """Begins no further round, for good. Waits at most `seconds` for one under way, which is not interrupted."""
        with self._lock:
            self._is_stopped = True
            thread = self.thread
        self._due.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _keep_working(self) -> None:
        while self._goes_on():
            self._wait_until_due()
            if not self._is_stopped:
                self._idle_rounds = 0 if self._found_work() else self._idle_rounds + 1

    def _wait_until_due(self) -> None:
        with suppress(queue.Empty):
            self._due.get(timeout=self._every_seconds)
            while True:  # one round is enough, however often it was woken
                self._due.get_nowait()

    def _goes_on(self) -> bool:
        with self._lock:
            if self._is_stopped or self._idle_rounds >= IDLE_ROUNDS:
                self.thread = None
            return self.thread is not None

    def _found_work(self) -> bool:
        """One round. Nothing refers to the object of `work` between rounds, so that it can go."""
        work = self._work()
        if work is None:
            self._is_stopped = True
            return False
        try:
            found, failing = work(), ""
        except Exception as error:  # noqa: BLE001 - a mistake in one round must not end those that follow
            found, failing = True, type(error).__name__
        if failing and failing != self._failing:  # one line per change, not one a round
            logger.error("%s: a round failed: %s", self._name, failing)
        self._failing = failing
        return found
