"""Calls that may take too long: made on another thread, waited for so long and no longer."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from enum import Enum
from threading import BoundedSemaphore, Lock
from typing import Literal, TypeVar

Result = TypeVar("Result")


class Late(Enum):
    """What a call comes to that is not done in time."""

    LATE = "late"


LATE: Literal[Late.LATE] = Late.LATE


class TimedCalls:
    """At most `places` calls at once, late ones that still run included: one more is refused at once, as late.

    Thread-safe. After a fork the child has threads of its own.
    """

    def __init__(self, places: int, name: str) -> None:
        self._places = places
        self._name = name
        self._lock = Lock()
        self._workers: _Workers | None = None

    def call(self, function: Callable[[], Result], seconds: float) -> Result | Literal[Late.LATE]:
        """What the function returns, or LATE; then it goes on by itself. Raises what the function raises in time."""
        workers = self._own_workers()
        if not workers.places.acquire(blocking=False):
            return LATE
        try:
            future = workers.pool.submit(function)
        except RuntimeError:  # closed, or the interpreter is shutting down
            workers.places.release()
            return LATE
        future.add_done_callback(lambda _: workers.places.release())
        done, _ = wait([future], timeout=max(0.0, seconds))
        return future.result() if done and not future.cancelled() else LATE

    def close(self) -> None:
        """Ends the threads, without waiting for what is under way."""
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None and workers.process == os.getpid():
            workers.pool.shutdown(wait=False, cancel_futures=True)

    def _own_workers(self) -> _Workers:
        process = os.getpid()
        with self._lock:
            if self._workers is None or self._workers.process != process:
                self._workers = _Workers(process, self._places, self._name)
            return self._workers


class _Workers:
    """Threads of one process, and as many places as there are threads."""

    def __init__(self, process: int, count: int, name: str) -> None:
        self.process = process
        self.pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self.places = BoundedSemaphore(count)
