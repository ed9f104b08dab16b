"""CacheMetrics: takes outcomes in, flushes their counts once a second, answers with summaries and series.

`record` is on the path of every request: it leaves the outcome in a queue without a lock. Counting is done by the
thread that flushes, or by a caller when very many wait.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from math import ceil, inf
from types import TracebackType
from typing import Literal, Self

import msgspec
import redis

from ..concurrency import BackgroundWorker, begin_in_each_process
from ..errors import CacheError, InvalidInput
from ..models import Outcome, OutcomeKind
from .hits import HitCounts
from .ledger import Batch, Ledger, MemoryLedger, RedisLedger, Table, add_cells
from .request_log import MAX_PROMPT, Frequent, RequestFilter, RequestLog, RequestRecord, frequent
from .summary import Bucket, Comparison, Summary, Totals, summarize
from .tally import EVENTS, CellName, Counts, Tally, add
from .timeline import RESOLUTIONS, aligned, cover, finest

logger = logging.getLogger("encore.metrics")

MAX_QUEUED = 512
"""Outcomes that wait to be counted before a caller of `record` counts them itself: it then waits for less than a
millisecond, and they are still in the processor's cache."""

BATCH_CELLS = 32
"""Cells in one script call: two milliseconds of the server's time at most."""

MAX_WAITING_SLOTS = 60
"""Ten-second slots kept apart while nothing can be written. Then the oldest is counted with the one after it."""

MAX_BUCKETS = 3000
MAX_TOP = 5000
LONGEST_SECONDS = RESOLUTIONS[-1].keep_seconds
CLOSE_SECONDS = 5.0

FARTHEST_BACK_SECONDS = 3600
FARTHEST_AHEAD_SECONDS = 60
"""How far the time of an outcome may be from this process' clock."""


class CacheMetrics:
    """Counts requests and events, for all processes together with a client, for this one without.

    Counts reach Redis within `flush_seconds`, and at exit; a crash loses at most that. A flush that fails keeps its
    counts and is repeated, without ever counting twice. Reading methods flush this process' counts first and raise
    StoreUnavailable; `record`, `count`, `flush` and `close` never raise.

    After a fork the child begins with nothing: the parent's counts stay the parent's. A process that ends by
    `os._exit` (as RQ's do after a job) has to call `flush` before.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        *,
        flush_seconds: float = 1.0,
        record_prompts: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._flush_seconds = flush_seconds
        self._record_prompts = record_prompts
        self._clock = clock
        self._worker = BackgroundWorker(self._flush_again, name="metrics", every_seconds=flush_seconds)
        begin_in_each_process(self._begin)
        reference = weakref.ref(self)
        self._at_exit = lambda: _close(reference)
        atexit.register(self._at_exit)

    def _begin(self) -> None:
        """The state of a process that has counted nothing."""
        self._ledger: Ledger = MemoryLedger() if self._client is None else RedisLedger(self._client)
        self._requests = RequestLog(self._client)
        self._hits = HitCounts(self._client, clock=self._clock)
        self._queue: deque[tuple[Outcome, str | None]] = deque()
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

    def record(self, outcome: Outcome, prompt: str | None = None) -> None:
        """Counts one request. `prompt` goes to the request log, cut short, if prompts may be kept."""
        if prompt is not None:
            prompt = prompt[:MAX_PROMPT] if self._record_prompts else None
        self._queue.append((outcome, prompt))
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
            outcome, prompt = take()
            at = outcome.at
            # A time that cannot be (0: none given) would make slots that nobody reads.
            if not oldest < at < newest:
                at = now
            count(at, outcome)
            log(at, outcome, prompt)
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

    # Reading

    def summary(self, window_seconds: float, *, namespace: str | None = None, model: str | None = None) -> Summary:
        """The last `window_seconds` until now, of one namespace or model or of all.

        Begins at the start of a slot (ten seconds; a minute beyond two hours; an hour beyond two days), so it may
        reach back a little further. Raises InvalidInput for a window that is not within ninety days.
        """
        now = self._now(window_seconds)
        window = (aligned(now - window_seconds, now), inf)
        [table] = self._read([window], now)
        return _summary(table, window, now, namespace, model)

    def breakdown(
        self,
        window_seconds: float,
        by: Literal["model", "namespace"],
        *,
        namespace: str | None = None,
        model: str | None = None,
    ) -> dict[str, Summary]:
        """Summaries of the last `window_seconds` by model or by namespace, the one with the most requests first.

        Begins and raises as `summary` does. Costs one read of the window.
        """
        now = self._now(window_seconds)
        window = (aligned(now - window_seconds, now), inf)
        [table] = self._read([window], now)
        groups: dict[str, Table] = {}
        for cell, counts in table.items():
            if cell != EVENTS and _selected(cell, namespace, model):
                groups.setdefault(getattr(cell, by), {})[cell] = counts
        summaries = {name: _summary(cells, window, now, None, None) for name, cells in groups.items()}
        return dict(sorted(summaries.items(), key=lambda item: (-item[1].requests, item[0])))

    def comparison(
        self, window_seconds: float, *, namespace: str | None = None, model: str | None = None
    ) -> Comparison:
        """A window and the one before it, both ended and of the same length, without a slot in common."""
        now = self._now(window_seconds, windows=2)
        end = aligned(self._closed(now), now)
        windows = [
            (aligned(end - (past + 1) * window_seconds, now), aligned(end - past * window_seconds, now))
            for past in (0, 1)
        ]
        current, previous = (
            _summary(table, window, now, namespace, model)
            for table, window in zip(self._read(windows, now), windows, strict=True)
        )
        return Comparison(current=current, previous=previous)

    def series(
        self,
        window_seconds: float,
        step_seconds: int,
        *,
        namespace: str | None = None,
        model: str | None = None,
        closed_only: bool = True,
    ) -> list[Bucket]:
        """The window in steps, oldest first: always as many, empty ones too, begun at multiples of the step.

        A closed bucket does not change any more, so equal buckets draw equal charts; without `closed_only` the one that
        is still filling comes last. Raises InvalidInput for a step that is not a multiple of what is kept that far back
        (ten seconds; a minute beyond two hours; an hour beyond two days).
        """
        now = self._now(window_seconds)
        if step_seconds < 1 or window_seconds / step_seconds > MAX_BUCKETS:
            raise InvalidInput("step", f"give seconds that make at most {MAX_BUCKETS} steps")
        end = int(self._closed(now) // step_seconds) * step_seconds
        start = end - ceil(window_seconds / step_seconds) * step_seconds
        shortest = finest(start, now).seconds
        if step_seconds % shortest:
            raise InvalidInput("step", f"give a multiple of {shortest} seconds for a window that far back")
        starts = list(range(start, end, step_seconds))
        if not closed_only:
            starts += range(end, int(now) + 1, step_seconds)
        windows = [(at, at + step_seconds) for at in starts]
        return [
            Bucket(
                starts_at=window[0],
                seconds=step_seconds,
                summary=_summary(table, window, window[1], namespace, model),
            )
            for table, window in zip(self._read(windows, now), windows, strict=True)
        ]

    def totals(self) -> Totals:
        """All counts since the beginning: they only grow."""
        self.flush()
        table = self._ledger.total()
        now = self._clock()
        return Totals(
            cells={
                cell: summarize(counts, starts_at=0.0, ends_at=now, events={})
                for cell, counts in table.items()
                if cell != EVENTS
            },
            events=table.get(EVENTS, {}),
        )

    def recent(self, limit: int = 100, where: RequestFilter | None = None) -> list[RequestRecord]:
        """The latest requests of all processes, newest first.

        Where prompts may not be kept, the records have none, even if another process kept them or this one before.
        """
        self.flush()
        records = self._requests.recent(limit, where)
        if self._record_prompts:
            return records
        return [msgspec.structs.replace(record, prompt=None) for record in records]

    def top(self, kind: OutcomeKind, limit: int = 10, where: RequestFilter | None = None) -> list[Frequent]:
        """The most frequent hits or misses among the recent requests."""
        return frequent(self.recent(MAX_TOP, where), kind, limit)

    @property
    def hits(self) -> HitCounts:
        """Hits of each stored answer, those that this process counted until now included if they can be written."""
        self.flush()
        return self._hits

    @property
    def dropped_requests(self) -> int:
        """Requests of this process that are counted but not in the request log."""
        return self._requests.dropped

    def _now(self, window_seconds: float, windows: int = 1) -> float:
        """The time, after everything this process counted has been written if that is possible."""
        longest = LONGEST_SECONDS // windows
        if not 1 <= window_seconds <= longest:
            raise InvalidInput("window", f"give seconds between 1 and {longest}")
        self.flush()
        return self._clock()

    def _closed(self, now: float) -> float:
        """The time up to which all processes that can write have written."""
        return now - 2 * self._flush_seconds

    def _read(self, windows: Sequence[tuple[float, float]], now: float) -> list[Table]:
        """One table a window, all read together."""
        slots = [list(cover(start, end, now)) for start, end in windows]
        tables = iter(self._ledger.read([slot for of_window in slots for slot in of_window]))
        merged = []
        for of_window in slots:
            sums: Table = {}
            for _ in of_window:
                add_cells(sums, next(tables))
            merged.append(sums)
        return merged


def _selected(cell: CellName, namespace: str | None, model: str | None) -> bool:
    return (namespace is None or cell.namespace == namespace) and (model is None or cell.model == model)


def _summary(
    table: Table, window: tuple[float, float], now: float, namespace: str | None, model: str | None
) -> Summary:
    counts: Counts = {}
    for cell, of_cell in table.items():
        if cell != EVENTS and _selected(cell, namespace, model):
            add(counts, of_cell)
    is_all = namespace is None and model is None
    return summarize(
        counts, starts_at=window[0], ends_at=min(window[1], now), events=table.get(EVENTS, {}) if is_all else {}
    )


def _close(reference: weakref.ref[CacheMetrics]) -> None:
    if (metrics := reference()) is not None:
        metrics.close()
