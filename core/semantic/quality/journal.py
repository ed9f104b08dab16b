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

    def add(self, record: bytes) -> None:
        """Adds a record. Returns at once, never raises."""
        if self._outbox is None:
            self._here.append(record)
            return
        commands: list[Command] = [(b"XADD", self._name, b"MAXLEN", b"~", self._keep, b"*", _FIELD, record)]
        if self._ttl_seconds is not None:
            commands.append((b"EXPIRE", self._name, self._ttl_seconds))
        self._outbox.put(*commands)

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
