"""Small state that all processes share: a hash in Redis, changed a field at a time by compare-and-swap.

Without a client it is kept in this process. Requests go by copies that are at most a second old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar, cast

import redis

from .cluster import ClusterClient
from .connection import packed
from .failures import reading, writing
from .script import load_script

COPY_SECONDS = 1.0
"""Greatest age of a copy, and so how long other processes may still go by a value that was just changed."""
MAX_COPIES = 10_000

T = TypeVar("T")

_SWAP_FIELD = load_script(__file__, "swap_field")


class SharedHash(Protocol):
    """Values by field, never empty. Raises StoreUnavailable; `swap` also WriteRefused or OutcomeUnknown."""

    def get(self, field: str) -> bytes:
        """The value of a field; empty when there is none. One round trip."""
        ...

    def get_many(self, fields: Sequence[str]) -> list[bytes]:
        """The value of each field; empty where there is none. One round trip."""
        ...

    def fields(self) -> list[str]:
        """All fields, sorted. One round trip."""
        ...

    def all(self) -> dict[str, bytes]:
        """All fields with their values. One round trip."""
        ...

    def swap(self, field: str, before: bytes, after: bytes) -> bool:
        """Replaces `before` by `after` in one step; empty is no value. False when the value was another by then.

        Works when the server's memory is full. One round trip.
        """
        ...


class RedisHash:
    """The hash at a key of Redis. With `keep_seconds` it goes so long after its latest change. Threads may share it.

    In a cluster its server is asked straight: the client would sleep while the cluster is down, and requests read this.
    """

    def __init__(self, client: redis.Redis, key: bytes, keep_seconds: int = 0) -> None:
        self._client = client
        self._keep_seconds = keep_seconds
        self._cluster = client.servers if isinstance(client, ClusterClient) else None
        self._key = key.decode()
        self._swap = client.register_script(_SWAP_FIELD)

    def get(self, field: str) -> bytes:
        """The value of a field."""
        return self.get_many([field])[0]

    def get_many(self, fields: Sequence[str]) -> list[bytes]:
        """The value of each field."""
        with reading():
            if self._cluster is not None:
                key = self._key.encode()
                values = self._cluster.ask(key, packed([b"HMGET", key, *(field.encode() for field in fields)]))
            else:
                values = cast("list[bytes | None]", self._client.hmget(self._key, list(fields)))
        return [value or b"" for value in values]

    def fields(self) -> list[str]:
        """All fields, sorted."""
        with reading():
            return sorted(
                field.decode("utf-8", "replace") for field in cast("list[bytes]", self._client.hkeys(self._key))
            )

    def all(self) -> dict[str, bytes]:
        """All fields with their values."""
        with reading():
            values = cast("dict[bytes, bytes]", self._client.hgetall(self._key))
        return {field.decode("utf-8", "replace"): value for field, value in values.items()}

    def swap(self, field: str, before: bytes, after: bytes) -> bool:
        """Replaces a value by one script."""
        with writing():
            return bool(self._swap(keys=[self._key], args=[field, before, after, self._keep_seconds]))


class LocalHash:
    """The hash of one process, without Redis. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}

    def get(self, field: str) -> bytes:
        """The value of a field."""
        return self._values.get(field, b"")

    def get_many(self, fields: Sequence[str]) -> list[bytes]:
        """The value of each field."""
        with self._lock:
            return [self.get(field) for field in fields]

    def fields(self) -> list[str]:
        """All fields, sorted."""
        return sorted(self.all())

    def all(self) -> dict[str, bytes]:
        """All fields with their values."""
        with self._lock:
            return dict(self._values)

    def swap(self, field: str, before: bytes, after: bytes) -> bool:
        """Replaces a value under a lock."""
        with self._lock:
            if self.get(field) != before:
                return False
            if after:
                self._values[field] = after
            else:
                self._values.pop(field, None)
            return True


def shared_hash(client: redis.Redis | None, key: bytes, *, keep_seconds: int = 0) -> SharedHash:
    """The hash at a key of Redis; one in this process without a client.

    With `keep_seconds` Redis drops it so long after its latest change; without it never does.
    """
    return RedisHash(client, key, keep_seconds) if client is not None else LocalHash()


class RecentReads(Generic[T]):
    """Results of reads by name, each given again until it is COPY_SECONDS old. Threads may share it.

    The age counts from before the read, so that COPY_SECONDS after a change no process uses
    the old value. `monotonic` gives seconds on a clock that does not jump.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._copies: dict[str, tuple[float, T]] = {}  # plain, since every request reads one without a lock

    def get(self, name: str) -> T | None:
        """The copy; None when there is none that may be used."""
        copy = self._copies.get(name)
        return copy[1] if copy is not None and self._monotonic() - copy[0] < COPY_SECONDS else None

    def read(self, name: str, read: Callable[[], T]) -> T:
        """The result of a read made now; kept. What it raises passes through."""
        read_at = self._monotonic()
        value = read()
        with self._lock:
            if len(self._copies) >= MAX_COPIES:
                self._copies.clear()
            self._copies[name] = (read_at, value)
        return value

    def current(self, name: str, read: Callable[[], T]) -> T:
        """The copy, or the result of a read made now. What that raises passes through."""
        known = self.get(name)
        return self.read(name, read) if known is None else known

    def forget(self, name: str | None = None) -> None:
        """Drops the copy of a name; of all names without one."""
        with self._lock:
            if name is None:
                self._copies.clear()
            else:
                self._copies.pop(name, None)
