"""How long a history is, how much happens in it, and with which faults."""

from __future__ import annotations

import random
import time
from multiprocessing.context import BaseContext
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event, Semaphore

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One round. Durations in seconds but where they say milliseconds.

    A generation takes `generation_ms`, one in ten `slow_ms`: longer than many a hold. `callers`: processes that ask,
    each with `fast` threads that never wait, with up to `at_once` answers being generated, and `threads` that wait for
    each answer and `pause_ms` at most after it; `l1_seconds` is how long they may serve copies of their own.
    `timeout_seconds`: of Redis on the request path. `invalidators` pause between two invalidations, faults between two
    of them; `burst_processes` together invalidate `tags_a_second` beside them, through the operations API with
    `over_http`.
    """

    seconds: float = 10.0
    seed: int = 1
    callers: int = 2
    fast: int = 1
    at_once: int = 100
    threads: int = 2
    pause_ms: float = 5.0
    l1_seconds: float = 0.0
    generation_ms: tuple[float, float] = (2.0, 60.0)
    slow_ms: tuple[float, float] = (60.0, 500.0)
    timeout_seconds: float = 0.25
    invalidators: int = 2
    invalidation_pause: tuple[float, float] = (0.01, 0.1)
    tags_a_second: float = 0.0
    burst_processes: int = 3
    over_http: bool = False
    faults: bool = True
    fault_pause: tuple[float, float] = (0.3, 1.2)

    def generation_seconds(self, chance: random.Random) -> float:
        """How long the next generation takes."""
        return chance.uniform(*(self.slow_ms if chance.random() < 0.1 else self.generation_ms)) / 1000


class Signals:
    """All processes of a round begin together, once the slowest of them has been started."""

    def __init__(self, context: BaseContext, expected: int) -> None:
        self._ready: Semaphore = context.Semaphore(0)
        self._go: Event = context.Event()
        self._deadline: Synchronized[float] = context.Value("d", 0.0)
        self._expected = expected

    def wait(self) -> float:
        """In a process: when to end (monotonic clock), told when all are there. At once for one that comes later."""
        self._ready.release()
        self._go.wait()
        return self._deadline.value

    def start(self, seconds: float) -> float:
        """Waits for all and lets them begin: when they end."""
        for _ in range(self._expected):
            if not self._ready.acquire(timeout=120):
                raise SystemExit("a process of the history did not start")
        self._deadline.value = deadline = time.monotonic() + seconds
        self._go.set()
        return deadline
