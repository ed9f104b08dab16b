"""AlertBoard: which alerts fire and since when, shared by all consoles and scrapes.

Firing alerts are kept in Redis, because the next evaluation depends on them (see RELIEF) and because a process that has
just started must not report that an hour of trouble began now.
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
from .alerts import Alert, AlertRules, Health, alerts


class AlertBoard:
    """Evaluates the alert rules, for all processes together with a client, for this one without."""

    def __init__(
        self, client: redis.Redis | None, rules: AlertRules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self.rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._own: dict[str, float] = {}
        self._announced: set[str] = set()

    def look(self, summary: Summary | None, health: Health) -> list[Alert]:
        """The alerts that fire now, with their beginnings, the most urgent first.

        One round trip, one more when something has changed. Never raises: while the store does not answer, it uses what
        this process has seen.
        """
        with self._lock:
            shared = self._shared() if health.store_up else None
            if shared is None:
                known = self._own
            else:  # what was announced and is no longer there has ended meanwhile
                known = {name: at for name, at in self._own.items() if name not in self._announced} | shared
            found = alerts(summary, health, self.rules, known)
            now = self._clock()
            self._own = {alert.name: known.get(alert.name, now) for alert in found}
            if shared is not None:
                self._share(shared)
            return [msgspec.structs.replace(alert, since=self._own[alert.name]) for alert in found]

    def _shared(self) -> dict[str, float] | None:
        """The alerts that fired at the latest look of any process; None when they cannot be read."""
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
        """Announces what has begun and what has ended to other processes.

        A failed write is repeated at the next look.
        """
        if self._client is None:
            return
        self._announced = self._own.keys() & shared.keys()
        # Each by itself: a full server still takes the second.
        with suppress(CacheError), writing():
            for name in self._own.keys() - shared.keys():
                self._client.hsetnx(names.ALERTS.decode(), name, repr(self._own[name]))
                self._announced.add(name)
        ended = shared.keys() - self._own.keys()
        with suppress(CacheError), writing():
            if ended:
                self._client.hdel(names.ALERTS.decode(), *ended)
