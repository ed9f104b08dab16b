"""MetricsRecorder: takes outcomes in and writes their counts once a second.

`record` is on the path of every request: it leaves the outcome in a queue without a lock. Counting is done by the
thread that flushes, or by a caller once MAX_QUEUED outcomes wait.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import redis

from ..concurrency import BackgroundWorker, begin_in_each_process
from ..errors import CacheError
from ..models import Outcome, OutcomeKind
from .asked import NOTHING, Asked, Asking
from .hits import HitCounts
from .ledger import Batch, Ledger, MemoryLedger, RedisLedger, Table, add_cells
from .request_log import MAX_PROMPT, NOBODY, Kept, RequestLog, Sender, Telling
from .tally import Tally

logger = logging.getLogger("encore.metrics")

MAX_QUEUED = 512
"""Outcomes that wait to be counted before a caller of `record` counts them itself: it then waits for less than a
millisecond, and they are still in the processor's cache."""

BATCH_CELLS = 32
"""Cells in one script call: two milliseconds of the server's time at most."""

MAX_WAITING_SLOTS = 60
"""Ten-second slots kept apart while nothing can be written. Then the oldest is counted with the one after it."""

CLOSE_SECONDS = 5.0

FARTHEST_BACK_SECONDS = 3600
FARTHEST_AHEAD_SECONDS = 60
"""How far the time of an outcome may be from this process' clock."""


class MetricsRecorder:
    """Counts requests and events, for all processes together with a client, for this one without.

    Counts reach Redis within `flush_seconds`, and at exit; a crash loses at most that. A flush that fails keeps its
    counts and is repeated, without ever counting twice. `record`, `count`, `flush` and `close` never raise.

    After a fork the child begins with nothing: the parent's counts stay the parent's. A process that ends by
    `os._exit` (as RQ's do after a job) has to call `flush` before.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        *,
        flush_seconds: float = 1.0,
        record_prompts: bool = True,
        record_callers: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._flush_seconds = flush_seconds
        self._kept = Kept(prompts=record_prompts, callers=record_callers)
        self._clock = clock
        self._worker = BackgroundWorker(self._flush_again, name="metrics", every_seconds=flush_seconds)
        begin_in_each_process(self._begin)
        reference = weakref.ref(self)
        self._at_exit = lambda: _close(reference)
        atexit.register(self._at_exit)

    def _begin(self) -> None:
        """The state of a process that has counted nothing."""
        self._ledger: Ledger = MemoryLedger() if self._client is None else RedisLedger(self._client)
        self._requests = RequestLog(self._client, kept=self._kept)
        self._hits = HitCounts(self._client, clock=self._clock)
        self._queue: deque[tuple[Outcome, str | None, Sender, Asked]] = deque()
        self._counting = threading.Lock()
        self._flushing = threading.Lock()
        self._tally = Tally()
        self._waiting: dict[int, Table] = {}
        self._sending: Batch | None = None
        self._sender = secrets.token_hex(8)
        self._sequence = 0
        self.flush_error = ""
        """Why the latest flush failed; empty when it did not."""

    # Counting

    def record(
        self,
        outcome: Outcome,
        prompt: str | None = None,
        sender: Telling | None = None,
        asked: Asking | None = None,
    ) -> None:
        """Counts one request. `prompt`, who its `sender` is and what a miss was `asked` in go to the request log, cut
        short, as far as they may be kept.
        """
        if prompt is not None:
            prompt = prompt[:MAX_PROMPT] if self._kept.prompts else None
        who = NOBODY if sender is None else sender(self._kept.callers)
        self._queue.append((outcome, prompt, who, NOTHING if asked is None else asked(self._kept.prompts)))
        if self._worker.thread is None:
            self._worker.start()
        if len(self._queue) >= MAX_QUEUED and self._counting.acquire(blocking=False):
            try:
                self._count_queued()
            finally:
                self._counting.release()

    def count(self, name: str, amount: int = 1) -> None:
        """Counts an event that is not a request: `corrupt_entries`, `invalidations_model`.

        Names are words of a small vocabulary. Counts only grow: an amount below 1 is ignored.
        """
        if amount >= 1:
            with self._counting:
                self._tally.count(self._clock(), name, amount)
            if self._worker.thread is None:
                self._worker.start()

    def _count_queued(self) -> None:
        now = self._clock()
        oldest, newest = now - FARTHEST_BACK_SECONDS, now + FARTHEST_AHEAD_SECONDS
        take, count, log = self._queue.popleft, self._tally.record, self._requests.add
        count_hit = self._hits.add
        for _ in range(len(self._queue)):
            outcome, prompt, sender, asked = take()
            at = outcome.at
            # A time that cannot be (0: none given) would make slots that nobody reads.
            if not oldest < at < newest:
                at = now
            count(at, outcome)
            log(at, outcome, prompt, sender, asked)
            if outcome.kind is OutcomeKind.HIT:
                count_hit(at, outcome)

    # Flushing

    def _flush_again(self) -> bool:
        """A round of the thread. It is never idle: `record` only looks whether there is a thread, without a lock."""
        self.flush()
        return True

    def flush(self) -> bool:
        """Writes all that was counted so far; False when the store did not take it: then it is kept."""
        with self._flushing:
            with self._counting:
                self._count_queued()
                for at, cells in self._tally.take().items():
                    add_cells(self._waiting.setdefault(at, {}), cells)
            self._bound_waiting()
            try:
                while batch := self._sending or self._next_batch():
                    self._sending = batch
                    self._ledger.write(self._sender, batch)
                    self._sending = None
                with self._counting:
                    requests = self._requests.take()
                    hits = self._hits.take()
                self._hits.write(hits)
                self._requests.write(requests)
            except CacheError as error:
                self._note(str(error))
                return False
            self._note("")
            return True

    def _bound_waiting(self) -> None:
        while len(self._waiting) > MAX_WAITING_SLOTS:
            oldest, next_oldest = sorted(self._waiting)[:2]
            add_cells(self._waiting[next_oldest], self._waiting.pop(oldest))

    def _next_batch(self) -> Batch | None:
        """Some of what waits, oldest first, under a new number."""
        if not self._waiting:
            return None
        at = min(self._waiting)
        table = self._waiting[at]
        cells = {cell: table.pop(cell) for cell in list(table)[:BATCH_CELLS]}
        if not table:
            del self._waiting[at]
        self._sequence += 1
        return Batch(sequence=self._sequence, at=at, cells=cells)

    def _note(self, error: str) -> None:
        """One line in the log per change, not one a second."""
        if error and not self.flush_error:
            logger.warning("metrics are kept until they can be written: %s", error)
        elif self.flush_error and not error:
            logger.warning("metrics are written again")
        self.flush_error = error

    def close(self) -> None:
        """Ends the thread and writes what waits. What is recorded later is counted by the next `flush`."""
        atexit.unregister(self._at_exit)
        self._worker.stop(CLOSE_SECONDS)
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _close(reference: weakref.ref[MetricsRecorder]) -> None:
    if (metrics := reference()) is not None:
        metrics.close()
