"""How often each key may call: counted in Redis for all processes, in this one while Redis does not answer."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import redis
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter

from ..keys import names

WITHOUT_REDIS_SECONDS: Final = 10.0
"""How long a Redis that did not answer is not asked again: a call must not wait for it twice."""


class SharedCounts(RedisStorage):
    """The library's counters in Redis, over a client of ours: of a server, of Sentinels' primary or of a cluster."""

    STORAGE_SCHEME: Final = ["encore"]  # type: ignore[misc]

    def __init__(self, client: redis.Redis) -> None:
        Storage.__init__(self)
        self.target_server = "redis"
        self.dependency = redis
        self.key_prefix = names.RATES
        self.storage: Any = client
        self.initialize_storage("")


class Rates:
    """Counts the requests of each key. `most` is how many it may make a minute."""

    def __init__(self, client: redis.Redis | None, most: int) -> None:
        self._limit = RateLimitItemPerMinute(most)
        self._here = FixedWindowRateLimiter(MemoryStorage())
        self._shared = FixedWindowRateLimiter(SharedCounts(client)) if client is not None else None
        self._without_until = 0.0
        self._lock = threading.Lock()

    def wait_seconds(self, name: str) -> float | None:
        """Counts a request of a key. None when it may be made, else the seconds until the next one may.

        Blocks for one round trip. Never raises: a key is counted here when it cannot be counted in Redis.
        """
        shared = self._shared
        if shared is not None and time.monotonic() >= self._without_until:
            try:
                return self._wait(shared, name)
            except redis.RedisError:
                self._without_until = time.monotonic() + WITHOUT_REDIS_SECONDS
        with self._lock:
            return self._wait(self._here, name)

    def _wait(self, counts: FixedWindowRateLimiter, name: str) -> float | None:
        if counts.hit(self._limit, name):
            return None
        return max(1.0, counts.get_window_stats(self._limit, name).reset_time - time.time())
