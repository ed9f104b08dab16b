"""One connection per thread for the one command of the hit path.

The library's pool checks a connection out, polls it for stray data, wraps the call in a retry closure and records its
duration: together as dear as the round trip itself. A `Connection` kept per thread and a command packed by hand skip
all that. Whatever goes wrong, the connection is dropped, so that no one can read another's reply.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import redis


def packed_mget(names: Sequence[bytes]) -> list[bytes]:
    """MGET of these names, as it goes over the wire."""
    parts = [b"*%d\r\n$4\r\nMGET\r\n" % (len(names) + 1)]
    parts.extend(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)
    return [b"".join(parts)]


class ThreadConnections:
    """Commands over a connection of the calling thread's own. Made from a client's settings; forks are noticed."""

    def __init__(self, client: redis.Redis) -> None:
        pool = client.connection_pool
        self._class = pool.connection_class
        self._settings = pool.connection_kwargs
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[Any] = []

    def ask(self, command: list[bytes]) -> list[bytes | None]:
        """What a packed command gives. Raises redis.RedisError.

        A connection that the server closed while it was idle is opened again once; nothing else is tried twice.
        """
        connection, is_new = self._connection()
        try:
            return self._ask(connection, command)
        except redis.TimeoutError:
            raise
        except redis.ConnectionError:
            if is_new:
                raise
        return self._ask(connection, command)

    @staticmethod
    def _ask(connection: Any, command: list[bytes]) -> list[bytes | None]:
        try:
            connection.send_packed_command(command, check_health=False)
            values: list[bytes | None] = connection.read_response()
        except redis.ResponseError:
            # A whole reply was read: the connection is clean.
            raise
        except BaseException:
            connection.disconnect()
            raise
        return values

    def _connection(self) -> tuple[Any, bool]:
        local = self._local
        process = os.getpid()
        if getattr(local, "process", None) == process:
            return local.connection, local.connection._sock is None
        connection = self._class(**self._settings)
        local.connection = connection
        local.process = process
        with self._lock:
            self._all.append(connection)
        return connection, True

    def close(self) -> None:
        """Closes every thread's connection."""
        with self._lock:
            connections, self._all = self._all, []
        for connection in connections:
            connection.disconnect()
