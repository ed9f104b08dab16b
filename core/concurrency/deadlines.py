"""Calls that may take too long: made on another thread, and waited for until a deadline."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from enum import Enum
from threading import BoundedSemaphore
from typing import Literal, TypeVar

from .background import begin_in_each_process

Result = TypeVar("Result")


class Late(Enum):
    """The result of a call that was not done in time."""

    LATE = "late"


LATE: Literal[Late.LATE] = Late.LATE


class TimedCalls:
    """At most `count` calls at once, late ones that still run included: one more is refused at once, as late.

    Thread-safe. A forked child has threads of its own.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        # One value, so that a call never takes a place beside the threads of another pool. The pool starts its threads
        # with the calls.
        pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
        self._threads = (pool, BoundedSemaphore(self._count))

    def call(self, function: Callable[[], Result], seconds: float) -> Result | Literal[Late.LATE]:
        """The function's result; LATE when it takes longer, and then it goes on by itself.

        Raises what it raises in time.

        Blocks for at most `seconds`.
        """
        pool, places = self._threads
        if not places.acquire(blocking=False):
            return LATE
        try:
            future = pool.submit(function)
        except RuntimeError:  # closed meanwhile, or the interpreter is shutting down
            places.release()
            return LATE
        future.add_done_callback(lambda _: places.release())
        done, _ = wait([future], timeout=max(0.0, seconds))
        return future.result() if done and not future.cancelled() else LATE

    def close(self) -> None:
        """Ends the threads without waiting for calls under way. Later calls get new threads."""
        pool, _ = self._threads
        self._begin()
        pool.shutdown(wait=False, cancel_futures=True)
