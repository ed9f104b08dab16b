"""One connection per thread for the one command of the hit path, and for the many of a sweep.

The library's pool checks a connection out, polls it for stray data, wraps the call in a retry closure and records its
duration: together as dear as the round trip itself. A `Connection` kept per thread and a command packed by hand skip
all that. Whatever goes wrong, the connection is dropped, so that no one can read another's reply.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import redis

from ...concurrency import begin_in_each_process


def packed(words: Sequence[bytes]) -> bytes:
    """A command as it goes over the wire."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class ThreadConnections:
    """Commands over a connection of the calling thread's own, made from a client's settings.

    A forked child opens its own: two processes on one connection would read each other's replies.
    """

    def __init__(self, client: redis.Redis) -> None:
        pool = client.connection_pool
        self._class = pool.connection_class
        self._settings = pool.connection_kwargs
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        # Weakly: with its thread a connection goes too. A console draws each page in a thread of its own.
        self._all: WeakSet[Any] = WeakSet()

    def ask(self, command: bytes) -> Any:
        """The reply to a packed command. Raises redis.RedisError.

        A connection that the server closed while it was idle is opened again once; nothing else is tried twice.
        """
        [reply] = self.ask_all(command, 1)
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply

    def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """The replies to `count` packed commands, in order, in one round trip; an error reply is in its place.

        When they were sent, the connection closed and no other can be had, they may have been done: the error is that
        of a connection closed, not of one refused.
        """
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connection()
        is_new = connection._sock is None
        try:
            return _talk(connection, commands, count)
        except redis.TimeoutError:
            raise
        except redis.ConnectionError as error:
            if is_new:
                raise
            unanswered = error
        try:
            return _talk(connection, commands, count)
        except redis.ConnectionError:
            if "while writing" in str(unanswered):
                raise  # nobody has heard the first time
            raise unanswered from None

    def _connection(self) -> Any:
        """The calling thread's first connection."""
        connection = self._local.connection = self._class(**self._settings)
        with self._lock:
            self._all.add(connection)
        return connection

    def close(self) -> None:
        """Closes every thread's connection."""
        with self._lock:
            connections, self._all = list(self._all), WeakSet()
        for connection in connections:
            connection.disconnect()


def _talk(connection: Any, commands: bytes, count: int) -> list[Any]:
    replies: list[Any] = []
    try:
        if connection._sock is None:
            connection.connect()  # sending would connect too, but not ask a Sentinel where
        connection.send_packed_command((commands,), check_health=False)
        for _ in range(count):
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                # A whole reply was read: the connection is clean.
                replies.append(error)
    except BaseException:
        connection.disconnect()
        raise
    return replies
