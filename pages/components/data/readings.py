"""Readings: what the console last read, shared by all its tabs, kept when a read fails.

N tabs that show the same figure cost one read. When Redis goes away the last good value stays on screen, with the time
it is from and the reason why it is not newer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from cachetools import LRUCache

from core.errors import CacheError, NotPermitted, OutcomeUnknown, StoreUnavailable, WriteRefused

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

FAILURES = (StoreUnavailable, WriteRefused, OutcomeUnknown)

MAX_READINGS = 256
PAUSE_SECONDS = 1.0
"""Pause in seconds after a failed read: a page of ten figures waits for a dead server once."""
PAUSE_FACTOR = 4.0
"""The pause is at least this many times as long as the failure took: a server that hangs costs a fifth of the time."""


class Reading(Generic[Value]):
    """A value, when it was read, and what is wrong if it could not be read again. Times are Unix seconds."""

    __slots__ = ("error", "generation", "read_at", "value")

    def __init__(self, value: Value | None, read_at: float, generation: int, error: str = "") -> None:
        self.value = value
        self.read_at = read_at
        self.generation = generation
        self.error = error


class _Place:
    """The latest reading of one name, and the lock of the thread that reads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reading: Reading[Any] | None = None


class Readings:
    """The latest readings by name from one server. Threads share it; one of them reads, the others wait for it.

    `probe` asks the server the least there is to ask; after a failure nothing else is asked before it succeeds.
    """

    def __init__(self, probe: Callable[[], object], clock: Callable[[], float] = time.time) -> None:
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._places: LRUCache[Hashable, _Place] = LRUCache(MAX_READINGS)
        self._generation = 0
        self._pause_until = 0.0
        self.error = ""
        """Why the latest read failed; empty when it did not."""
        self.failing_since = 0.0
        """When reads began to fail."""

    def get(self, name: Hashable, read: Callable[[], Value], max_age: float = 2.0) -> Reading[Value]:
        """The value not older than `max_age` seconds if it can be read, else the last one with the error."""
        with self._lock:
            place = self._places.setdefault(name, _Place())
        with place.lock:
            kept, generation = place.reading, self._generation
            now = self._clock()
            if kept is not None and kept.generation == generation and 0 <= now - kept.read_at < max_age:
                return kept
            if self.error and not self._is_back():
                return _stale(kept, self.error)
            try:
                fresh = Reading(read(), now, generation)
            except NotPermitted as error:  # the server answers, and all else may be read
                return _stale(kept, str(error))
            except FAILURES as error:
                self._failed(error, now)
                return _stale(kept, str(error))
            place.reading = fresh
            return fresh

    def _is_back(self) -> bool:
        """Whether the server answers again; asks it once a pause, for all threads together."""
        with self._probing:
            if not self.error:
                return True
            now = self._clock()
            if now < self._pause_until:
                return False
            try:
                self._probe()
            except FAILURES as error:
                self._failed(error, now)
                return False
            self.error = ""
            return True

    def renew(self) -> None:
        """Lets everything be read anew, after something was changed; values stay for the case that it fails."""
        with self._lock:
            self._generation += 1
            self._pause_until = 0.0

    def _failed(self, error: CacheError, began: float) -> None:
        now = self._clock()
        if not self.error:
            self.failing_since = now
        self.error = str(error)
        self._pause_until = now + max(PAUSE_SECONDS, PAUSE_FACTOR * (now - began))


def shared(
    readings: Callable[[], Readings], *, max_age: float | Callable[..., float] = 2.0
) -> Callable[[Callable[Arguments, Value]], Callable[Arguments, Reading[Value]]]:
    """Makes a function that reads a server return a shared Reading of its value.

    The reading is kept by the function itself and all its arguments, which must be hashable: no two reads share one.
    It is at most `max_age` seconds old, a number or a function of the arguments.
    """

    def decorate(read: Callable[Arguments, Value]) -> Callable[Arguments, Reading[Value]]:
        @wraps(read)
        def reading(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Reading[Value]:
            name = (read, args, tuple(sorted(kwargs.items())))
            age = max_age(*args, **kwargs) if callable(max_age) else max_age
            return readings().get(name, lambda: read(*args, **kwargs), age)

        return reading

    return decorate


def _stale(kept: Reading[Any] | None, error: str) -> Reading[Any]:
    return Reading(kept.value if kept else None, kept.read_at if kept else 0.0, -1, error)
