"""Which pools of workers are alive: each pool writes a heartbeat every few seconds.

Knows nothing of what workers do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import msgspec
import redis

from ..keys import names
from ..stores.redis import reading, writing

BEAT_SECONDS = 5.0
SILENT_SECONDS = 20.0
"""A pool counts as gone when its last beat is longer ago."""

_FORGET_SECONDS = 86_400.0


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """One pool, as it was `at` (Unix seconds): on which machine, with how many worker processes.

    `failing`: they keep ending as soon as they start; `workers` are then those that do not.
    """

    id: str
    host: str
    pid: int
    workers: int
    at: float
    failing: bool = False


class WorkerPools:
    """The pools of a queue's Redis."""

    def __init__(self, client: redis.Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock

    def beat(self, pool_id: str, *, host: str, pid: int, workers: int, failing: bool = False) -> None:
        """Writes a pool's heartbeat. One round trip. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        now = self._clock()
        with writing():
            pool = Pool(id=pool_id, host=host, pid=pid, workers=workers, at=now, failing=failing)
            self._client.hset(names.POOLS.decode(), pool_id, msgspec.json.encode(pool))
            gone = [known.id for known in self._known() if now - known.at > _FORGET_SECONDS]
            if gone:
                self._client.hdel(names.POOLS.decode(), *gone)

    def leave(self, pool_id: str) -> None:
        """Removes a pool that has ended. One round trip. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        with writing():
            self._client.hdel(names.POOLS.decode(), pool_id)

    def alive(self) -> list[Pool]:
        """The pools with a heartbeat at most SILENT_SECONDS old, by id. Raises StoreUnavailable."""
        now = self._clock()
        with reading():
            return [pool for pool in self._known() if now - pool.at <= SILENT_SECONDS]

    def alive_workers(self) -> int:
        """Number of worker processes of all pools that are alive. Raises StoreUnavailable."""
        return sum(pool.workers for pool in self.alive())

    def _known(self) -> list[Pool]:
        values = cast("dict[bytes, bytes]", self._client.hgetall(names.POOLS.decode()))
        found = []
        for value in values.values():
            try:
                found.append(msgspec.json.decode(value, type=Pool))
            except msgspec.MsgspecError:
                continue  # another version's
        return sorted(found, key=lambda pool: pool.id)
