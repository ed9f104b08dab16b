"""Which server has a key, on a single server. `core.stores.redis.cluster` does it for many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

import redis

from .connection import ThreadConnections

SCAN_COUNT = 1000


class Servers(Protocol):
    """Packed commands to the server that has a key, over a connection of the calling thread's own.

    All raise redis.RedisError.
    """

    def ask(self, name: bytes, command: bytes) -> Any:
        """The reply to a packed command sent to the server that has the key `name`."""
        ...

    def ask_all(self, name: bytes, commands: bytes, count: int) -> list[Any]:
        """The replies to `count` packed commands, in order, in one round trip; an error reply is in its place."""
        ...

    def names(self, prefix: bytes) -> Iterator[list[bytes]]:
        """Names of keys with this prefix, which holds a hash tag: all that are there from start to end, perhaps twice.

        Raises StoreUnavailable when it cannot be sure of that.
        """
        ...

    def each(self) -> list[redis.Redis]:
        """A client of every server."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


class OneServer:
    """A single server, which has all keys."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._connections = ThreadConnections(client)

    def ask(self, name: bytes, command: bytes) -> Any:
        """The reply to a packed command sent to the server that has the key `name`."""
        return self._connections.ask(command)

    def ask_all(self, name: bytes, commands: bytes, count: int) -> list[Any]:
        """The replies to `count` packed commands, in order, in one round trip; an error reply is in its place."""
        return self._connections.ask_all(commands, count)

    def names(self, prefix: bytes) -> Iterator[list[bytes]]:
        """Names of keys with this prefix, by a full SCAN."""
        return scan(self._client, prefix)

    def each(self) -> list[redis.Redis]:
        """The client of the single server."""
        return [self._client]

    def close(self) -> None:
        """Closes all connections."""
        self._connections.close()
        self._client.close()


def scan(client: redis.Redis, prefix: bytes) -> Iterator[list[bytes]]:
    """A full SCAN over a prefix of our own making; no caller's text reaches the server."""
    cursor = 0
    while True:
        cursor, names = cast("tuple[int, list[bytes]]", client.scan(cursor, match=prefix + b"*", count=SCAN_COUNT))
        yield names
        if cursor == 0:
            return
