"""A Redis connection that fails as networks do: before the server has a command, or before its reply has come."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class Fault(Enum):
    """What happens to the next script that is sent."""

    REFUSED = auto()
    REPLY_LOST = auto()
    CRASH = auto()
    NONE = auto()


class FaultyConnection(redis.UnixDomainSocketConnection):
    """Takes a fault from the plan for each script call; everything else passes."""

    def __init__(self, *, plan: deque[Fault], **options: Any) -> None:
        super().__init__(**options)
        self._plan = plan
        self._losing = False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        packed = command if isinstance(command, bytes) else b"".join(command)
        fault = self._plan.popleft() if self._plan and b"EVALSHA" in packed else Fault.NONE
        if fault is Fault.REFUSED:
            self.disconnect()
            raise redis.ConnectionError("Error while writing to socket")
        if fault is Fault.CRASH:
            raise RuntimeError("a mistake in the client")
        super().send_packed_command(command, check_health=check_health)
        self._losing = fault is Fault.REPLY_LOST

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        if not self._losing:
            return super().read_response(*arguments, **options)
        self._losing = False
        # The server has done it: its reply is read, and then it is as if it had never come.
        super().read_response(*arguments, **options)
        self.disconnect()
        raise redis.TimeoutError("Timeout reading from socket")


def faulty_client(url: str) -> tuple[redis.Redis, deque[Fault]]:
    """A client of a server on a unix socket, and its plan of faults."""
    plan: deque[Fault] = deque()
    pool = redis.ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0))
    pool.connection_class = FaultyConnection
    pool.connection_kwargs["plan"] = plan
    return redis.Redis.from_pool(pool), plan
