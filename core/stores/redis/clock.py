"""RedisClock: the clock of Redis, read without asking: the one clock of all processes that share a store.

Redis is asked for its time at first and every half minute, never on the path of a request. In between, seconds are
counted on a clock that does not jump. So it does not matter whether the clock of this machine is right, or is set.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, cast

import msgspec
import redis

from ...concurrency import BackgroundWorker, begin_in_each_process
from ...keys import names
from ...text import printable
from ..clock import Clock, elapsed
from .connection import packed
from .failures import is_denied, reading
from .servers import Servers

logger = logging.getLogger("encore.clock")

CHECK_SECONDS: Final = 30.0
"""How often Redis is asked for its time."""
RETRY_SECONDS: Final = 1.0
"""How often it is asked as long as it has never answered."""
ASKED_AT_ONCE: Final = 3
"""The quickest answer counts: it says most exactly what time it is."""
WRONG_SECONDS: Final = 5.0
"""A machine's clock that differs by more is wrong: logs, provider certificates and logins go by it too."""
_TIME: Final = packed([b"TIME"])
REPORT_SECONDS: Final = 3600
"""How long the report of a wrong clock is kept that nobody repeats."""


class WrongClock(msgspec.Struct, frozen=True, kw_only=True):
    """A machine whose clock is wrong: by how many seconds it is ahead of Redis' (negative: behind), seen at a time."""

    machine: str
    ahead_seconds: float
    at: float


class RedisClock:
    """Unix seconds by Redis' clock; by this machine's clock until Redis has been asked with success. Threads share it.

    The first call asks, with one round trip; from then on a thread does.
    `machine` is this machine's clock, `steady` counts seconds and does not jump.
    """

    def __init__(self, servers: Servers, *, machine: Clock = time.time, steady: Clock = elapsed) -> None:
        self._servers = servers
        self.first = servers
        """Who is asked by the first call, which waits for the answer."""
        self._machine = machine
        self._steady = steady
        self._base: float | None = None
        self._name = printable(socket.gethostname(), 64).encode()
        self._worker = BackgroundWorker(self._check_again, name="encore-clock", every_seconds=RETRY_SECONDS)
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._check_at: float | None = None
        self._is_reported = False

    def __call__(self) -> float:
        """The time now. Asks nothing, but for the first call in a process."""
        if self._check_at is None:
            self._begin_checks()
        base = self._base
        return self._steady() + base if base is not None else self._machine()

    def _begin_checks(self) -> None:
        self._try_to_check(self.first, 1)
        self._worker.start()

    def _check_again(self) -> bool:
        if self._check_at is None or self._steady() >= self._check_at:
            self._try_to_check(self._servers, ASKED_AT_ONCE)
        return True

    def _try_to_check(self, servers: Servers, times: int) -> None:
        seconds = CHECK_SECONDS if self._base is not None else RETRY_SECONDS
        self._check_at = self._steady() + seconds
        try:
            self._check(servers, times)
        except redis.RedisError as error:
            if is_denied(error):
                self._check_at = self._steady() + CHECK_SECONDS
        else:
            self._check_at = self._steady() + CHECK_SECONDS

    def _check(self, servers: Servers, times: int) -> None:
        moment = min(
            (asked_time(servers, self._steady) for _ in range(times)), key=lambda moment: moment.round_trip_seconds
        )
        self._base = moment.base
        self._report(self._machine() - (self._steady() + moment.base))

    def _report(self, ahead: float) -> None:
        """Tells all processes that this machine's clock is wrong, and that it is right again."""
        was_reported, self._is_reported = self._is_reported, abs(ahead) > WRONG_SECONDS
        if not was_reported and not self._is_reported:
            return
        if was_reported != self._is_reported:
            words = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Redis'"
            logger.warning("the clock of this machine is %s", words if self._is_reported else "right again")
        key = names.CLOCKS
        if self._is_reported:
            report = b"%.3f %d" % (ahead, self._steady() + (self._base or 0.0))
            commands = packed([b"HSET", key, self._name, report]) + packed([b"EXPIRE", key, b"%d" % REPORT_SECONDS])
        else:
            commands = packed([b"HDEL", key, self._name]) + packed([b"EXISTS", key])
        with suppress(redis.RedisError):  # the log has it
            self._servers.ask_all(key, commands, 2)

    def close(self) -> None:
        """Asks no more."""
        self._worker.stop(0)


class Moment(msgspec.Struct, frozen=True):
    """What one question for the time has told: how long the answer took, and what makes the time of a steady clock."""

    round_trip_seconds: float
    base: float


def asked_time(servers: Servers, steady: Clock = elapsed) -> Moment:
    """Asks Redis for its time; in a cluster always the same server. Raises redis.RedisError."""
    asked_at = steady()
    seconds, microseconds = servers.ask(names.CLOCKS, _TIME)
    took = steady() - asked_at
    return Moment(took, int(seconds) + int(microseconds) / 1e6 - (asked_at + took / 2))


def wrong_clocks(client: redis.Redis, now: float) -> tuple[WrongClock, ...]:
    """The machines with wrong clocks that processes have reported lately. One round trip. Raises StoreUnavailable."""
    with reading():
        reports = cast("Mapping[bytes, bytes]", client.hgetall(names.CLOCKS.decode()))
    found = []
    for machine, report in reports.items():
        with suppress(ValueError):  # another version's
            ahead, at = map(float, report.split())
            if now - at < 3 * CHECK_SECONDS:
                found.append(WrongClock(machine=machine.decode("utf-8", "replace"), ahead_seconds=ahead, at=at))
    return tuple(sorted(found, key=lambda each: each.machine))
