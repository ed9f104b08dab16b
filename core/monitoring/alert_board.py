"""AlertBoard: which alerts fire and since when, the same for every console and every scrape.

What fires is kept in Redis, because how it goes on depends on it (see RELIEF) and because a process that has just
started must not say that an hour of trouble began now.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

import msgspec
import redis

from ..errors import CacheError
from ..keys import names
from ..metrics import Summary
from ..stores.redis import reading, writing
from .alerts import Alert, AlertRules, HealthFacts, alerts


class AlertBoard:
    """The rules, and what fires by them: for all processes together with a client, for this one without."""

    def __init__(
        self, client: redis.Redis | None, rules: AlertRules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self.rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._own: dict[str, float] = {}
        self._told: set[str] = set()

    def look(self, summary: Summary | None, facts: HealthFacts) -> list[Alert]:
        """What fires now, with its beginning, the most urgent first.

        One round trip, one more when something has changed. Never raises: while the store does not answer, this process
        goes by what it saw itself.
        """
        with self._lock:
            shared = self._shared() if facts.store_up else None
            if shared is None:
                known = self._own
            else:  # what the others were told and is no longer there has ended meanwhile
                known = {name: at for name, at in self._own.items() if name not in self._told} | shared
            found = alerts(summary, facts, self.rules, known)
            now = self._clock()
            self._own = {alert.name: known.get(alert.name, now) for alert in found}
            if shared is not None:
                self._share(shared)
            return [msgspec.structs.replace(alert, since=self._own[alert.name]) for alert in found]

    def _shared(self) -> dict[str, float] | None:
        """What fires by the latest look of any process; None when nobody can say."""
        if self._client is None:
            return None
        try:
            with reading():
                kept = cast("Mapping[bytes, bytes]", self._client.hgetall(names.ALERTS.decode()))
        except CacheError:
            return None
        since: dict[str, float] = {}
        for name, at in kept.items():
            with suppress(ValueError):  # another version's
                since[name.decode("utf-8", "replace")] = float(at)
        return since

    def _share(self, shared: Mapping[str, float]) -> None:
        """Tells the others what has begun and what has ended. What cannot be written is written at the next look."""
        if self._client is None:
            return
        self._told = self._own.keys() & shared.keys()
        # Each by itself: a full server still takes the second.
        with suppress(CacheError), writing():
            for name in self._own.keys() - shared.keys():
                self._client.hsetnx(names.ALERTS.decode(), name, repr(self._own[name]))
                self._told.add(name)
        ended = shared.keys() - self._own.keys()
        with suppress(CacheError), writing():
            if ended:
                self._client.hdel(names.ALERTS.decode(), *ended)
