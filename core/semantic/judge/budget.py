"""How often a judge may be asked: calls per namespace and clock hour, of all processes together or of this one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast

import redis
from cachetools import LRUCache

from ...keys import names

logger = logging.getLogger("encore.semantic")

HOUR_SECONDS = 3600
MAX_SPENT = 10_000
"""Namespaces whose budget is known to be spent; others are counted in Redis once more."""
MAX_BUDGETS = 10_000
"""Namespaces that may ask a judge within an hour, where one process counts."""


class Budget(Protocol):
    """Judge calls per namespace and clock hour."""

    def take(self, namespace: str) -> bool:
        """Takes one call from the budget; False when none is left this hour. Never raises."""
        ...


class SharedBudget:
    """The budget of all processes together. Without Redis there is none left: what cannot be counted is not spent."""

    def __init__(self, client: redis.Redis, calls_per_hour: int, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._calls_per_hour = calls_per_hour
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: LRUCache[str, int] = LRUCache(MAX_SPENT)

    def take(self, namespace: str) -> bool:
        """Takes one call from the budget; False when none is left this hour.

        One round trip; none once the budget is known to be
        spent. Never raises."""
        hour = int(self._clock() // HOUR_SECONDS)
        with self._lock:
            is_spent = self._spent.get(namespace) == hour
        if is_spent or self._calls_per_hour < 1:
            return False
        name = names.JUDGE_BUDGET + f"{namespace}:{hour}".encode()
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.incr(cast("str", name))
                pipeline.expire(name, 2 * HOUR_SECONDS)
                taken = pipeline.execute()[0]
        except redis.RedisError as error:
            logger.debug("no judge: its budget cannot be counted (%s)", type(error).__name__)
            return False
        if taken <= self._calls_per_hour:
            return True
        with self._lock:
            self._spent[namespace] = hour
        return False


class JudgeBudget:
    """The budget of this process alone. Thread-safe."""

    def __init__(self, calls_per_hour: int, *, clock: Callable[[], float] = time.time) -> None:
        self._calls_per_hour = calls_per_hour
        self._clock = clock
        self._hour = -1
        self._taken: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, namespace: str) -> bool:
        """Takes one call from the budget; False when none is left this hour."""
        with self._lock:
            self._turn()
            taken = self._taken.get(namespace, 0)
            if taken >= self._calls_per_hour or (not taken and len(self._taken) >= MAX_BUDGETS):
                return False
            self._taken[namespace] = taken + 1
            return True

    def left(self, namespace: str) -> int:
        """Calls left this hour."""
        with self._lock:
            self._turn()
            return max(self._calls_per_hour - self._taken.get(namespace, 0), 0)

    def _turn(self) -> None:
        hour = int(self._clock() // HOUR_SECONDS)
        if hour != self._hour:
            self._hour = hour
            self._taken.clear()
