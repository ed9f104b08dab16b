"""SharedVectors: keeps this process' index current with the log of all processes.

Changes are read with every lookup, in one round trip. A namespace that was not met yet is loaded beside the requests:
they wait a moment for it, and then do without what is not there yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

import redis

from ...concurrency import begin_in_each_process
from ...errors import CacheError
from ...stores.redis import reading, writing
from ..embedding import Vector
from .log import IndexFollower, VectorLog
from .numpy_index import NumpyIndex, Partition, Row

logger = logging.getLogger("encore.semantic")

WAIT_SECONDS = 0.05
"""How long a lookup waits for a namespace to be loaded, counted from when the loading began."""

LOADERS = 2

MOST_FOLLOWED = 1000
"""Namespaces whose changes are followed at the same time."""


class SharedVectors:
    """`Vectors` over a log in Redis and an index in this process. Thread-safe; a forked child loads anew."""

    def __init__(
        self,
        client: redis.Redis,
        log: VectorLog,
        index: NumpyIndex,
        *,
        wait_seconds: float = WAIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._log = log
        self._index = index
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = Lock()
        # One a namespace: while one is loaded, lookups in the others go on.
        self._followers: dict[str, IndexFollower] = {}
        self._loading: dict[str, tuple[Future[None], float]] = {}
        self._loaders = _new_loaders()

    def catch_up(self, partition: Partition) -> bool:
        """Applies what other processes changed. False while the namespace is being loaded. Raises StoreUnavailable."""
        namespace = partition.namespace
        follower = self._follower(namespace)
        command = follower.command(namespace)
        if command is not None:
            with reading():
                if follower.absorb(namespace, self._client.execute_command(*command)):
                    return True
        return self._loaded(namespace, self._wait_seconds)

    def load(self, namespace: str) -> None:
        """Waits until the namespace is loaded, if it is not. Raises StoreUnavailable."""
        if self._follower(namespace).command(namespace) is None:
            self._loaded(namespace, None)

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Stores a row in the log. One round trip. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        with writing():
            self._log.append(partition, Row(key=row_key, vector=vector, expires_at=expires_at))

    def remove(self, partition: Partition, row_key: bytes) -> None:
        """Removes a row that leads nowhere, if the index still holds it. One round trip. Raises StoreUnavailable."""
        expires_at = self._index.expires_at(partition, row_key)
        if expires_at is not None:
            with reading():
                self._log.remove(partition, row_key, expires_at)

    def close(self) -> None:
        """Ends the loaders without waiting for loading under way."""
        with self._lock:
            loaders, self._loaders = self._loaders, _new_loaders()
        loaders.shutdown(wait=False, cancel_futures=True)

    def _follower(self, namespace: str) -> IndexFollower:
        with self._lock:
            follower = self._followers.get(namespace)
            if follower is None:
                while len(self._followers) >= MOST_FOLLOWED:  # who comes back is loaded again
                    oldest = next(iter(self._followers))
                    del self._followers[oldest]
                    self._loading.pop(oldest, None)
                follower = self._followers[namespace] = IndexFollower(self._log, self._index)
            return follower

    def _loaded(self, namespace: str, seconds: float | None) -> bool:
        """Whether the namespace is loaded within `seconds` of when its loading began; None has no limit."""
        with self._lock:
            loading = self._loading.get(namespace)
            if loading is None:
                loading = (self._loaders.submit(self._load, namespace), self._monotonic())
                self._loading[namespace] = loading
        future, began = loading
        left = None if seconds is None else max(0.0, began + seconds - self._monotonic())
        done, _ = wait([future], timeout=left)
        if not done:
            return False
        if seconds is None:
            future.result()
        return future.exception() is None

    def _load(self, namespace: str) -> None:
        try:
            with reading():
                self._followers[namespace].catch_up(namespace)
        except CacheError as error:
            logger.warning("near questions of a namespace cannot be loaded: %s", error)
            raise
        finally:
            with self._lock:
                self._loading.pop(namespace, None)


def _new_loaders() -> ThreadPoolExecutor:
    """A pool that starts its threads with the first loading."""
    return ThreadPoolExecutor(LOADERS, thread_name_prefix="encore-vectors")
