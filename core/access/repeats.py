"""What was done for ids that callers gave their requests, kept for a day: a repeated request is recognized by its id.

Each id has a key of its own with its own TTL: recognizing one takes one read, however many came in between. Losing one
is harmless where doing a thing twice is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import redis
from cachetools import TTLCache

from ..keys import names
from ..stores.redis import reading, writing

KEPT_SECONDS = 86_400
MOST_HERE = 10_000
"""How many are kept without Redis."""


class Repeats:
    """A value for each id of a day: of all processes, or of this one without a client.

    Who keeps different things gives them ids that differ. All methods raise StoreUnavailable; those that write also
    WriteRefused or OutcomeUnknown.
    """

    def __init__(self, client: redis.Redis | None, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._here: TTLCache[bytes, bytes] = TTLCache(MOST_HERE, KEPT_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def get(self, request_id: str) -> bytes | None:
        """What is kept for an id; None for one that is new, or older than a day. One round trip."""
        return self.get_many([request_id])[0]

    def get_many(self, request_ids: Sequence[str]) -> list[bytes | None]:
        """What is kept for each id. One round trip."""
        wanted = [names.repeated(request_id) for request_id in request_ids]
        if self._client is None:
            with self._lock:
                return [self._here.get(name) for name in wanted]
        if not wanted:
            return []
        with reading(), self._client.pipeline(transaction=False) as pipeline:
            for name in wanted:
                pipeline.get(name)
            return list(pipeline.execute())

    def claim(self, request_id: str, value: bytes) -> bytes | None:
        """Keeps a value unless there is one already, which is returned. One round trip, two for one that is there."""
        name = names.repeated(request_id)
        if self._client is None:
            with self._lock:
                found = self._here.setdefault(name, value)
            return None if found is value else found
        with writing():
            if self._client.set(name, value, nx=True, ex=KEPT_SECONDS):
                return None
        return self.get(request_id)

    def keep(self, request_id: str, value: bytes) -> None:
        """Keeps a value for a day from now, in the place of another. One round trip."""
        name = names.repeated(request_id)
        if self._client is None:
            with self._lock:
                self._here[name] = value
            return
        with writing():
            self._client.set(name, value, ex=KEPT_SECONDS)

    def forget(self, request_id: str) -> None:
        """Keeps nothing for an id. One round trip."""
        name = names.repeated(request_id)
        if self._client is None:
            with self._lock:
                self._here.pop(name, None)
            return
        with writing():
            self._client.unlink(name)
