"""The doctor's latest diagnosis, shared by all who look at it in one process.

Checks of this machine and of Redis take milliseconds and run every few seconds. Checks of the provider and the embedder
cost a request or the loading of a model: they run now and then, in the background, and sooner while one of them fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from ..bootstrap import Services
from ..concurrency import beside
from .diagnosis import Diagnosis, diagnose, outside_findings
from .findings import Finding, Level

CHECKUP_SECONDS = 10.0
"""How often this machine and Redis are looked at."""
OUTSIDE_SECONDS = 300.0
WRONG_OUTSIDE_SECONDS = 30.0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The diagnosis, and when provider and embedder were checked (Unix seconds); all else at `diagnosis.at`."""

    diagnosis: Diagnosis
    outside_at: float


class Checkup:
    """The doctor's latest diagnosis, renewed when it is asked for and old. Threads share it: one looks, others wait."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._latest: Looked | None = None
        self._outside: tuple[Finding, ...] = ()
        self._asking: Future[tuple[Finding, ...]] | None = None

    @property
    def has_looked(self) -> bool:
        """Whether there is a diagnosis already; without one `look` may block for seconds."""
        return self._latest is not None

    def look(self, services: Services, *, afresh: bool = False) -> Looked:
        """The latest diagnosis, at most a few seconds old; `afresh` checks everything now."""
        with self._lock:
            now, latest = self._clock(), self._latest
            if latest is None or afresh:
                self._outside = tuple(outside_findings(services))
                outside_at = self._clock()
            elif (answer := self._answer(services, now - latest.outside_at)) is not None:
                self._outside, outside_at = answer, now
            elif now - latest.diagnosis.at < CHECKUP_SECONDS * 0.9:  # those who look that often find a new one
                return latest
            else:
                outside_at = latest.outside_at
            diagnosis = diagnose(services, now=self._clock(), outside=self._outside)
            self._latest = Looked(diagnosis=diagnosis, outside_at=outside_at)
            return self._latest

    def _answer(self, services: Services, age: float) -> tuple[Finding, ...] | None:
        """New findings of provider and embedder, None if there are none; asks both in the background when old."""
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            return asked.result()
        is_wrong = any(finding.level is Level.ERROR for finding in self._outside)
        if self._asking is None and age >= (WRONG_OUTSIDE_SECONDS if is_wrong else OUTSIDE_SECONDS):
            self._asking = beside(lambda: tuple(outside_findings(services)))
        return None
