"""Rejected pairs: questions that an operator, or a judge afterwards, called different. They are not served again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import msgspec
import redis

from ...keys import names
from ...stores.redis import reading, writing

COPY_SECONDS = 1.0
"""How old a process' copy may be."""

MAX_COPIES = 10_000


class _Copy(msgspec.Struct, frozen=True):
    read_at: float
    pairs: frozenset[str]


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
        self._monotonic = monotonic
        self._here: dict[str, frozenset[str]] = {}
        self._copies: dict[str, _Copy] = {}

    def reject(self, namespace: str, pair: str) -> None:
        """Adds a pair: from now on it is not served. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        if self._client is None:
            self._here[namespace] = self._here.get(namespace, frozenset()) | {pair}
            return
        with writing():
            self._client.sadd(_name(namespace), bytes.fromhex(pair))
        self._copies.pop(namespace, None)

    def allow(self, namespace: str, pair: str) -> None:
        """Removes a pair: it may be served again. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        if self._client is None:
            self._here[namespace] = self._here.get(namespace, frozenset()) - {pair}
            return
        with writing():
            self._client.srem(_name(namespace), bytes.fromhex(pair))
        self._copies.pop(namespace, None)

    def current(self, namespace: str) -> frozenset[str]:
        """The rejected pairs of a namespace, at most COPY_SECONDS old. Raises StoreUnavailable."""
        if self._reader is None:
            return self._here.get(namespace, frozenset())
        now = self._monotonic()
        known = self._copies.get(namespace)
        if known is not None and now < known.read_at + COPY_SECONDS:
            return known.pairs
        with reading():
            members = cast("set[bytes]", self._reader.smembers(_name(namespace)))
        pairs = frozenset(member.hex() for member in members)
        if len(self._copies) >= MAX_COPIES:
            self._copies = {}
        self._copies[namespace] = _Copy(now, pairs)
        return pairs


def _name(namespace: str) -> str:
    return f"{names.REJECTED_PAIRS}{namespace}"
