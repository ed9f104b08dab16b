"""A circuit breaker: after a few failures in a row the store is not asked any more, but for one probe a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed until `failures` in a row, then open: one caller per `probe_seconds` is let through to try.

    `on_change(is_open)` is called once per change of state. Times come from a monotonic clock.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        probe_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[bool], None] = lambda is_open: None,
    ) -> None:
        self._limit = failures
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._failures = 0
        self._next_probe: float | None = None
        self.is_settled = True
        """Closed, and the last call went well: then neither `allows` nor `succeeded` has anything to say."""
        self.open_since: float | None = None
        """Wall-clock time of the opening, for people; None while closed."""

    @property
    def is_open(self) -> bool:
        """Whether calls are being held back."""
        return self._next_probe is not None

    def allows(self) -> bool:
        """Whether this caller may try: always when closed, as the one probe when open."""
        if self._next_probe is None:
            return True
        with self._lock:
            now = self._clock()
            if self._next_probe is None:
                return True
            if now < self._next_probe:
                return False
            self._next_probe = now + self._probe_seconds
            return True

    def succeeded(self) -> None:
        """Notes a success: closes the breaker."""
        if self._failures == 0 and self._next_probe is None:
            return
        with self._lock:
            was_open = self._next_probe is not None
            self._failures = 0
            self._next_probe = None
            self.open_since = None
            self.is_settled = True
        if was_open:
            self._on_change(False)

    def failed(self) -> None:
        """Notes a failure; opens the breaker after `failures` in a row."""
        with self._lock:
            self.is_settled = False
            self._failures += 1
            opens = self._next_probe is None and self._failures >= self._limit
            if opens:
                self.open_since = time.time()
            if opens or self._next_probe is not None:
                self._next_probe = self._clock() + self._probe_seconds
        if opens:
            self._on_change(True)
