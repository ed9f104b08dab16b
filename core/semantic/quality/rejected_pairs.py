"""Rejected pairs: questions that an operator, or a judge afterwards, called different. They are not served again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import redis

from ...keys import names
from ...stores.redis import RecentReads, reading, writing


class RejectedPairs:
    """Rejected pairs by namespace, shared by all processes through Redis, or kept in this process without a client.

    `reader` is the client of the request path. The sets have no TTL: what was called wrong stays so.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        *,
        reader: redis.Redis | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._reader = reader or client
        self._here: dict[str, frozenset[str]] = {}
        self._recent: RecentReads[frozenset[str]] = RecentReads(monotonic)

    def reject(self, namespace: str, pair: str) -> None:
        """Adds a pair: from now on it is not served. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        if self._client is None:
            self._here[namespace] = self._here.get(namespace, frozenset()) | {pair}
        else:
            with writing():
                self._client.sadd(_name(namespace), bytes.fromhex(pair))
        self._recent.forget(namespace)

    def allow(self, namespace: str, pair: str) -> None:
        """Removes a pair: it may be served again. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        if self._client is None:
            self._here[namespace] = self._here.get(namespace, frozenset()) - {pair}
        else:
            with writing():
                self._client.srem(_name(namespace), bytes.fromhex(pair))
        self._recent.forget(namespace)

    def current(self, namespace: str) -> frozenset[str]:
        """The rejected pairs of a namespace, at most COPY_SECONDS old. Raises StoreUnavailable."""
        return self._recent.current(namespace, lambda: self._read(namespace))

    def _read(self, namespace: str) -> frozenset[str]:
        if self._reader is None:
            return self._here.get(namespace, frozenset())
        with reading():
            members = cast("set[bytes]", self._reader.smembers(_name(namespace)))
        return frozenset(member.hex() for member in members)


def _name(namespace: str) -> str:
    return f"{names.REJECTED_PAIRS}{namespace}"
