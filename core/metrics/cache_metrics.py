"""CacheMetrics: answers with summaries, series and recent requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf, isfinite
from typing import Literal, NamedTuple

import msgspec

from ..errors import InvalidInput
from ..models import OutcomeKind
from .change import HitRateChange, change_of
from .hits import HitCounts
from .ledger import Table, add_cells
from .months import kept_months
from .recorder import MetricsRecorder
from .request_log import KEEP, Frequent, Recipients, RequestFilter, RequestRecord, frequent
from .savings import Dimension, Savings, savings_of
from .scopes import Apart, Scopes, asked_elsewhere, scopes_of
from .summary import Bucket, Comparison, Summary, Totals, summarize
from .tally import EVENTS, CellName, Counts, add
from .timeline import RESOLUTIONS, aligned, cover, finest

MAX_BUCKETS = 3000
MAX_TOP = 5000
LONGEST_SECONDS = RESOLUTIONS[-1].keep_seconds

MOST_STEPS = 100
_STEPS = (10, 30, 60, 300, 1200, 3600, 3 * 3600, 12 * 3600, 86_400)

Within = Callable[[str], bool]
"""Whether a namespace is one of those that may be looked at."""


def steps_of(window_seconds: float, ago_seconds: float = 0.0) -> int:
    """A step of seconds that makes at most MOST_STEPS of a window, and that is kept that far back.

    `ago_seconds`: how long ago the window began, where it has ended.
    """
    kept = finest(-max(window_seconds, ago_seconds), 0.0).seconds
    return next(step for step in _STEPS if window_seconds / step <= MOST_STEPS and step >= kept)


class Selected(NamedTuple):
    """Which cells a figure is of: each that is given must match."""

    namespace: str | None = None
    model: str | None = None
    within: Within | None = None

    def has(self, cell: CellName) -> bool:
        """Whether a cell is one of them."""
        return (
            (self.namespace is None or cell.namespace == self.namespace)
            and (self.model is None or cell.model == self.model)
            and (self.within is None or self.within(cell.namespace))
        )


class CacheMetrics(MetricsRecorder):
    """Counts requests and events, and answers questions about them: of all processes with a client, else of this one.

    Every question first flushes what this process counted, and raises StoreUnavailable when the counts cannot be read.
    `within` leaves out all namespaces for which it is false, and with them what belongs to none.
    """

    def summary(
        self,
        window_seconds: float,
        *,
        step_seconds: int | None = None,
        ends_at: float | None = None,
        namespace: str | None = None,
        model: str | None = None,
        within: Within | None = None,
    ) -> Summary:
        """The last `window_seconds` until now, or until `ends_at` (Unix seconds), of one namespace or model or of all.

        Begins at the start of a slot (ten seconds; a minute beyond two hours; an hour beyond two days), so it may
        reach back a little further; with `step_seconds` at the start of a step, and is then the sum of the series with
        such steps. Raises InvalidInput for a window that is not within ninety days.
        """
        now = self._now(window_seconds, ends_at)
        window = _window(window_seconds, step_seconds, ends_at, now)
        [table] = self._read([window], now)
        return _summary(table, window, now, Selected(namespace, model, within))

    def breakdown(
        self,
        window_seconds: float,
        by: Literal["model", "namespace"],
        *,
        step_seconds: int | None = None,
        ends_at: float | None = None,
        namespace: str | None = None,
        model: str | None = None,
        within: Within | None = None,
    ) -> dict[str, Summary]:
        """Summaries of a window by model or by namespace, the one with the most requests first.

        The window is that of `summary`, and costs one read. Raises InvalidInput for one that is not within ninety days.
        """
        now = self._now(window_seconds, ends_at)
        window = _window(window_seconds, step_seconds, ends_at, now)
        [table] = self._read([window], now)
        selected = Selected(namespace, model, within)
        groups: dict[str, Table] = {}
        for cell, counts in table.items():
            if cell != EVENTS and selected.has(cell):
                groups.setdefault(getattr(cell, by), {})[cell] = counts
        summaries = {name: _summary(cells, window, now, Selected()) for name, cells in groups.items()}
        return dict(sorted(summaries.items(), key=lambda item: (-item[1].requests, item[0])))

    def comparison(
        self,
        window_seconds: float,
        *,
        ends_at: float | None = None,
        namespace: str | None = None,
        model: str | None = None,
    ) -> Comparison:
        """A closed window of `window_seconds` and the one before it, which share no slot.

        It ends now, or at `ends_at` (Unix seconds). Raises InvalidInput when both are not within ninety days.
        """
        windows, now = self._closed_pair(window_seconds, ends_at)
        current, previous = (
            _summary(table, window, now, Selected(namespace, model))
            for table, window in zip(self._read(windows, now), windows, strict=True)
        )
        return Comparison(current=current, previous=previous)

    def change(
        self,
        window_seconds: float,
        *,
        ends_at: float | None = None,
        namespace: str | None = None,
        model: str | None = None,
        within: Within | None = None,
    ) -> HitRateChange:
        """What changed the hit rate from the window before to this one, by namespace, model and reason.

        The windows are those of `comparison`, and cost one read. Raises InvalidInput when both are not within ninety
        days.
        """
        windows, now = self._closed_pair(window_seconds, ends_at)
        selected = Selected(namespace, model, within)
        current, previous = (
            {cell: counts for cell, counts in table.items() if cell != EVENTS and selected.has(cell)}
            for table in self._read(windows, now)
        )
        return change_of(previous, current, starts_at=windows[0][0], ends_at=windows[0][1])

    def series(
        self,
        window_seconds: float,
        step_seconds: int,
        *,
        ends_at: float | None = None,
        namespace: str | None = None,
        model: str | None = None,
        within: Within | None = None,
    ) -> list[Bucket]:
        """The window in steps, oldest first, empty ones included, the present one last, as far as it has come.

        Steps begin at multiples of `step_seconds`, so the first may reach back a little further than the window; with
        `ends_at` (Unix seconds) the last is the one that this lies in. Raises InvalidInput for a step that is not a
        multiple of what is kept that far back (ten seconds; a minute beyond two hours; an hour beyond two days).
        """
        now = self._now(window_seconds, ends_at)
        if step_seconds < 1 or window_seconds / step_seconds > MAX_BUCKETS:
            raise InvalidInput("step", f"give seconds that make at most {MAX_BUCKETS} steps")
        start, end = _window(window_seconds, step_seconds, ends_at, now)
        shortest = finest(start, now).seconds
        if step_seconds % shortest:
            raise InvalidInput("step", f"give a multiple of {shortest} seconds for a window that far back")
        starts = range(start, int(min(end, now + 1)), step_seconds)
        windows = [(at, at + step_seconds) for at in starts]
        selected = Selected(namespace, model, within)
        return [
            Bucket(
                starts_at=window[0],
                seconds=step_seconds,
                summary=_summary(table, window, window[1], selected),
                is_complete=window[1] <= self._closed(now),
            )
            for table, window in zip(self._read(windows, now), windows, strict=True)
        ]

    def totals(self) -> Totals:
        """All counts since the beginning, by namespace and model: they only grow."""
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

    def savings(
        self,
        by: Sequence[Dimension] = (),
        *,
        namespace: str | None = None,
        model: str | None = None,
        within: Within | None = None,
    ) -> Savings:
        """What was saved and spent in each kept month, in UTC: of one namespace or model or of all, in lines by `by`.

        One round trip, whatever is asked. The sums are those of `totals` to the last billionth of a dollar. What was
        counted while Redis was away for ten minutes and more at the turn of a month may be in the month after.
        """
        self.flush()
        now = self._clock()
        read = self._ledger.monthly(kept_months(now))
        selected = Selected(namespace, model, within)
        has = None if selected == Selected() else selected.has
        return savings_of(read.months, read.total, read.since, by=by, has=has, now=now)

    def recent(
        self,
        limit: int = 100,
        where: RequestFilter | None = None,
        *,
        within: Within | None = None,
        before_id: str | None = None,
    ) -> list[RequestRecord]:
        """The latest requests of all processes, newest first. `before_id` goes on from a page's last.

        Where prompts, or users and ids of requests, may not be kept, the records have none, and none is looked in, even
        if another process kept them or this one before. Raises InvalidInput for an id that is none.
        """
        self.flush()
        return self._requests.recent(limit, where, within=within, before_id=before_id)

    def recipients(
        self, namespace: str, key: str, *, stored_at: float | None = None, within: Within | None = None
    ) -> Recipients:
        """Who got the answer at a key, among the recent requests of all processes. `stored_at` is when the answer there
        was given (Unix seconds): who asked before got an earlier one.
        """
        self.flush()
        return self._requests.recipients(namespace, key, stored_at=stored_at, within=within)

    def top(
        self,
        kind: OutcomeKind,
        limit: int = 10,
        where: RequestFilter | None = None,
        *,
        within: Within | None = None,
    ) -> list[Frequent]:
        """The most frequent hits or misses among the recent requests."""
        return frequent(self.recent(MAX_TOP, where, within=within), kind, limit)

    def scopes(self, where: RequestFilter | None = None, *, within: Within | None = None) -> Scopes:
        """How many scopes each namespace asks in, among the recent requests, and what keeps its questions apart.

        Requests before the time that `where` begins at are read too: since when it is so may be before it.
        """
        if where is None:
            return scopes_of(self.recent(KEEP, within=within))
        known = self.recent(KEEP, msgspec.structs.replace(where, starts_at=None), within=within)
        return scopes_of(known, starts_at=where.starts_at)

    def asked_elsewhere(self, record: RequestRecord) -> Apart:
        """In how many other scopes of its namespace the question of a miss was asked, among the recent requests."""
        if not record.question:
            return Apart()
        return asked_elsewhere(record, self.recent(KEEP, RequestFilter(namespace=record.namespace)))

    @property
    def hits(self) -> HitCounts:
        """Hits of each stored answer. Those that this process counted are written before, if they can be."""
        self.flush()
        return self._hits

    @property
    def dropped_requests(self) -> int:
        """Requests of this process that are counted but not in the request log."""
        return self._requests.dropped

    def _now(self, window_seconds: float, ends_at: float | None = None) -> float:
        """The time, after everything this process counted has been written if that is possible."""
        self.flush()
        now = self._clock()
        longest = LONGEST_SECONDS - (0.0 if ends_at is None else max(0.0, now - ends_at))
        if not 1 <= window_seconds <= longest:
            raise InvalidInput("window", f"give seconds within the last {LONGEST_SECONDS}, and at least 1")
        return now

    def _closed_pair(self, window_seconds: float, ends_at: float | None) -> tuple[list[tuple[int, int]], float]:
        """The latest closed window and the one before it, and the time now."""
        now = self._now(2 * window_seconds, ends_at)
        closed = self._closed(now)
        end = aligned(closed if ends_at is None else min(ends_at, closed), now)
        windows = [
            (aligned(end - (past + 1) * window_seconds, now), aligned(end - past * window_seconds, now))
            for past in (0, 1)
        ]
        return windows, now

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


def _window(seconds: float, step_seconds: int | None, ends_at: float | None, now: float) -> tuple[int, float]:
    """Where a window begins, at the start of a step, and where it ends: infinity stands for now."""
    if ends_at is not None and not isfinite(ends_at):
        raise InvalidInput("end", "give Unix seconds")
    end = now if ends_at is None else min(ends_at, now)
    if step_seconds is None or step_seconds < 1:
        return aligned(end - seconds, now), inf if end == now else end
    start = int((end - seconds) // step_seconds) * step_seconds
    return start, inf if end == now else ceil(end / step_seconds) * step_seconds


def _summary(table: Table, window: tuple[float, float], now: float, selected: Selected) -> Summary:
    counts: Counts = {}
    for cell, of_cell in table.items():
        if cell != EVENTS and selected.has(cell):
            add(counts, of_cell)
    events = table.get(EVENTS, {}) if selected == Selected() else {}
    return summarize(counts, starts_at=window[0], ends_at=min(window[1], now), events=events)
