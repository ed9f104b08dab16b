"""Single-flight: of equal requests at the same time one computes, the rest wait for its answer.

Inside a process a flight is a future; between processes it is a lease in the store. Both are named by the answer and
by the latest invalidation that may be of it, so that a request made after that one never waits for, or gets, an answer
whose generation began before it. Invalidations of other answers part nobody.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import msgspec

MAX_TAKEOVERS = 2
"""Failed leaders in a row after which all who wait are handed the error, instead of failing one after the other."""

SHARED_SECONDS = 5.0
"""Seconds for which a late follower still gets the shared error: its thread may not have run for a while."""


class FlightKey(msgspec.Struct, frozen=True):
    """Which answer, as of which invalidation: the sequence of the latest one that may be of it (`bans.latest_of`)."""

    name: bytes
    incarnation: bytes
    since: int


class FlightResult(msgspec.Struct, frozen=True):
    """How a flight ended: with an answer to share (in its stored form, so that nobody shares an object), with an error
    to share, with an answer nobody may share (`alone`: each caller asks for itself), or with nothing (one takes over).
    """

    value: bytes | None = None
    error: BaseException | None = None
    alone: bool = False


class Flight:
    """One computation in this process that others may wait for."""

    def __init__(self, flights: Flights, key: FlightKey, failures: int, credential: bytes) -> None:
        self._flights = flights
        self.key = key
        self.credential = credential
        self.failures = failures
        self._began = time.monotonic()
        self._computes = False
        self.followers = 0
        """Callers of this process who wait for it."""
        self.result: Future[FlightResult] = Future()

    def computes(self) -> None:
        """Notes that the first caller computes from now on: the deadline begins anew."""
        self._began, self._computes = time.monotonic(), True

    def deadline(self, *, of_first: bool) -> float:
        """Until when the first caller waits for another process, or the others wait for it (monotonic seconds).

        They wait longer than it does: what it finds, or computes then, is for them too.
        """
        waits = 1 if of_first or self._computes else 2
        return self._began + waits * self._flights.lease_seconds

    def leave(self) -> None:
        """Counts one follower less: it waits no longer."""
        self._flights.leave(self)

    def finish(self, value: bytes | None = None, error: BaseException | None = None, *, alone: bool = False) -> None:
        """Ends the flight, once: the first call counts. An error is shared only after MAX_TAKEOVERS."""
        failures = self.failures + 1 if error is not None and not alone else 0
        shared = error if failures > MAX_TAKEOVERS else None
        self._flights.remove(self, failures if shared is None else 0, shared)
        if not self.result.done():
            self.result.set_result(FlightResult(value, shared, alone))


class Flights:
    """The flights of one process. Others wait `lease_seconds` at most for the caller that computes."""

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        # Reentrant: a stream that its caller has dropped ends when the garbage collector comes by, on any thread, even
        # one that is in here.
        self._lock = threading.RLock()
        self._flights: dict[FlightKey, Flight] = {}
        self._failures: dict[FlightKey, int] = {}
        self._shared: dict[FlightKey, tuple[float, BaseException, bytes]] = {}

    def join(self, key: FlightKey, credential: bytes = b"") -> tuple[Flight, bool]:
        """The flight for a key, begun if there is none, and whether the caller leads it."""
        with self._lock:
            self._free_shared()
            flight = self._flights.get(key)
            if flight is not None:
                flight.followers += 1
                return flight, False
            self._shared.pop(key, None)
            flight = self._flights[key] = Flight(self, key, self._failures.pop(key, 0), credential)
            return flight, True

    def leave(self, flight: Flight) -> None:
        """Counts one follower of a flight less: it waits no longer."""
        with self._lock:
            flight.followers -= 1

    def remove(self, flight: Flight, failures: int, shared: BaseException | None) -> None:
        """Forgets a finished flight; failures are passed on to the one that takes over, a shared error to late ones."""
        with self._lock:
            if shared is not None:
                self._shared[flight.key] = (time.monotonic() + SHARED_SECONDS, shared, flight.credential)
                while len(self._shared) > 1000:
                    del self._shared[next(iter(self._shared))]
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
                if failures:
                    self._failures[flight.key] = failures
                    # Nobody may ever take over: keep the table small.
                    while len(self._failures) > 1000:
                        del self._failures[next(iter(self._failures))]

    def shared_error(self, key: FlightKey, credential: bytes = b"") -> BaseException | None:
        """The error that was shared with all followers at most SHARED_SECONDS ago, for one that is late; else None.

        Only for one with the same credential.
        """
        until, error, whose = self._shared.get(key, (0.0, None, b""))
        return error if time.monotonic() < until and whose == credential else None

    def _free_shared(self) -> None:
        now = time.monotonic()
        while self._shared and next(iter(self._shared.values()))[0] <= now:
            del self._shared[next(iter(self._shared))]

    def __len__(self) -> int:
        return len(self._flights)
