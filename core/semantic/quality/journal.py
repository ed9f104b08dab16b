"""A bounded journal of records: a Redis stream that all processes add to, or this process' memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

import redis

from ...concurrency import Command, Outbox
from ...stores.redis import reading

_PAGE = 1000
_FIELD = b"r"


class Journal:
    """The latest `keep` records, roughly. `add` never waits and never raises.

    Without `ttl_seconds` the stream stays: labels made by hand must not expire because there was no traffic.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        outbox: Outbox | None,
        name: bytes,
        *,
        keep: int,
        ttl_seconds: int | None = None,
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._name = name
        self._keep = keep
        self._ttl_seconds = ttl_seconds
        self._here: deque[bytes] = deque(maxlen=keep)
        self._count = 0

    def add(self, record: bytes) -> None:
        """Adds a record. Returns at once, never raises."""
        if self._outbox is None:
            self._here.append(record)
            self._count += 1
            return
        commands: list[Command] = [(b"XADD", self._name, b"MAXLEN", b"~", self._keep, b"*", _FIELD, record)]
        if self._ttl_seconds is not None:
            commands.append((b"EXPIRE", self._name, self._ttl_seconds))
        self._outbox.put(*commands)

    def after(self, place: str) -> Iterator[tuple[str, bytes]]:
        """The records that came after a place, oldest first, each with its place; all after "".

        Places are of the form `number-number`. Raises StoreUnavailable.
        """
        if self._client is None:
            begin = int(place.partition("-")[0] or 0)
            first = self._count - len(self._here)
            yield from (
                (f"{first + number + 1}-0", record)
                for number, record in enumerate(list(self._here))
                if first + number + 1 > begin
            )
            return
        while True:
            with reading():
                rows = self._client.xrange(self._name, min=f"({place}" if place else "-", count=_PAGE) or []
            for name, fields in rows:
                place = name.decode() if isinstance(name, bytes) else str(name)
                if fields and _FIELD in fields:
                    yield place, cast("bytes", fields[_FIELD])
            if len(rows) < _PAGE:
                return

    def newest_first(self) -> Iterator[bytes]:
        """All records, read page by page. Raises StoreUnavailable."""
        if self._client is None:
            yield from list(reversed(self._here))
            return
        before = "+"
        while True:
            with reading():
                rows = self._client.xrevrange(self._name, max=before, count=_PAGE) or []
            for _, fields in rows:
                if fields and _FIELD in fields:
                    yield cast("bytes", fields[_FIELD])
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]
            before = f"({last.decode() if isinstance(last, bytes) else last}"
