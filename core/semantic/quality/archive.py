"""The archive of evidence: labels and lookups of all processes, or of this one without a client.

Records are written by a thread of their own: adding one never waits and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import redis

from ...concurrency import Outbox
from ...keys import names
from .journal import Journal
from .records import LookupRecord, PairRecord, decoder, encode

KEPT_LABELS = 50_000
KEPT_LOOKUPS = 20_000
LOOKUP_SECONDS = 30 * 86_400

_Record = TypeVar("_Record", PairRecord, LookupRecord)

_read_label = decoder(PairRecord)
_read_lookup = decoder(LookupRecord)


class Archive:
    """Labels and lookups, each of them bounded. Reading raises StoreUnavailable."""

    def __init__(self, client: redis.Redis | None, outbox: Outbox | None) -> None:
        self._outbox = outbox
        # Labels stay however long nobody asks: they are work. 50,000 of them take about 20 MB.
        self._labels = Journal(client, outbox, names.EVIDENCE, keep=KEPT_LABELS)
        self._lookups = Journal(client, outbox, names.LOOKUPS, keep=KEPT_LOOKUPS, ttl_seconds=LOOKUP_SECONDS)

    def add_label(self, record: PairRecord) -> None:
        """Adds a label. Returns at once, never raises."""
        self._labels.add(encode(record))

    def add_lookup(self, record: LookupRecord) -> None:
        """Adds a lookup record. Returns at once, never raises."""
        self._lookups.add(encode(record))

    def labels(self, namespace: str | None = None, since: float | None = None) -> Iterator[PairRecord]:
        """Labels of a namespace or of all, newest first, from `since` on (Unix seconds)."""
        return self._newest_first(self._labels, _read_label, namespace, since)

    def labels_after(self, place: str) -> Iterator[tuple[str, PairRecord | None]]:
        """Labels that came after a place, oldest first, each with its place; None for one that cannot be read."""
        self.flush()
        for name, value in self._labels.after(place):
            yield name, _read_label(value)

    def lookups(self, namespace: str | None = None, since: float | None = None) -> Iterator[LookupRecord]:
        """Lookups of a namespace or of all, newest first, from `since` on (Unix seconds)."""
        return self._newest_first(self._lookups, _read_lookup, namespace, since)

    def _newest_first(
        self,
        journal: Journal,
        read: Callable[[bytes], _Record | None],
        namespace: str | None,
        since: float | None,
    ) -> Iterator[_Record]:
        self.flush()
        for value in journal.newest_first():
            record = read(value)
            if record is None or (namespace is not None and record.namespace != namespace):
                continue
            if since is not None and record.at < since:
                return
            yield record

    @property
    def dropped(self) -> int:
        """Number of commands that Redis did not take so far."""
        return self._outbox.dropped if self._outbox is not None else 0

    def flush(self) -> None:
        """Writes all records added so far. Blocks until Redis has them or has refused them."""
        if self._outbox is not None:
            self._outbox.flush()

    def close(self) -> None:
        """Writes all records added and ends the thread."""
        if self._outbox is not None:
            self._outbox.close()
