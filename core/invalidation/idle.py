"""Records of namespaces that nobody uses any more: removed, so that their number does not grow for ever.

A record is made at a caller's first miss, and has no TTL: entries are nothing without it. A namespace is idle as long
as it has neither an entry nor a ban; after IDLE_SECONDS no one can still be writing to it by what was read then.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..bans import InvalidationRecord
from ..keys import Slot
from ..stores import Store

IDLE_SECONDS = 7200.0


class IdleNamespaces:
    """The namespaces that this process has seen idle, and since when. `clock` is monotonic, in seconds."""

    def __init__(self, store: Store, *, buckets: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._buckets = buckets
        self._clock = clock
        self._since: dict[str, float] = {}

    def clean(self) -> int:
        """Removes the records of all that were idle at every look for IDLE_SECONDS. Returns how many namespaces.

        Three round trips for each namespace. Raises CacheError.
        """
        since, self._since = self._since, {}
        removed = 0
        for namespace in self._store.namespaces():
            records = self._idle_records(namespace)
            if records is None:
                continue
            began = since.get(namespace, self._clock())
            if self._clock() - began < IDLE_SECONDS:
                self._since[namespace] = began
            elif all(self._store.forget_record(slot, record) for slot, record in records):
                self._store.unlist(namespace, self._buckets)
                removed += 1
        return removed

    def _idle_records(self, namespace: str) -> list[tuple[Slot, InvalidationRecord]] | None:
        """The records of an idle namespace; None for one that is used."""
        found = []
        for bucket in range(self._buckets):
            slot = Slot(namespace, bucket)
            record = self._store.record(slot)
            if record is not None:
                found.append((slot, record))
                if record.active or any(self._store.models(slot).values()):
                    return None
        return found
