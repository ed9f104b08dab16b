"""Where counts are added up: Redis for all processes together, or this process' memory.

A slot of the timeline is one hash, a field per namespace and model, whose value is a small msgpack map of counts. A
field per count would take nine times the memory, four times as long to read and no less of the server's time to write.
A month is one more hash of the same form, of money only, so that it costs little to write and to read.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import redis

from ..keys import names
from ..stores.redis import load_script, reading, writing
from .months import KEPT_SECONDS, Month, kept_months, month_of
from .savings import monthly
from .tally import EVENTS, OVERFLOW, CellName, Counts, add
from .timeline import RESOLUTIONS, Slot

MAX_CELLS = 1000
"""Most namespaces and models together in one slot; what is more is counted as `other`."""

PAGE = 100
"""Slots read in one round trip."""

TOTAL = "total"
SINCE = "since"
MONTH = "month:"

Table = dict[CellName, Counts]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of ten seconds, ready to be sent. Sent again after a failure it carries the same number."""

    sequence: int
    at: int
    cells: Table


class Monthly(msgspec.Struct, frozen=True):
    """The counts of months and those since the beginning, of one moment, and when months began to be counted."""

    months: dict[Month, Table]
    total: Table
    since: float | None


class Ledger(Protocol):
    """Adds up batches and returns sums. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""

    def write(self, sender: str, batch: Batch) -> None:
        """Adds a batch to its slots, month and the total, once per sender and number, however often it is called."""
        ...

    def read(self, slots: Sequence[Slot]) -> list[Table]:
        """The counts of each slot, in the order of `slots`; empty when nothing happened or the slot is gone."""
        ...

    def total(self) -> Table:
        """The counts since the beginning."""
        ...

    def monthly(self, months: Sequence[Month]) -> Monthly:
        """The counts of each month, none where nothing happened or it is gone, and the total of the same moment."""
        ...


# The braces are a Redis Cluster hash tag: the script below changes several of these keys at once.
_PREFIX = f"{names.METRICS}{{counts}}:"

_ADD = load_script(__file__, "add_counts")

_MARK_SECONDS = 86_400


class RedisLedger:
    """Counts of all processes, in Redis. One script call a batch, one pipeline a hundred slots read."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._add = client.register_script(_ADD)

    def write(self, sender: str, batch: Batch) -> None:
        """Adds a batch: one round trip."""
        slots = [resolution.slot(batch.at) for resolution in RESOLUTIONS]
        # The total has no TTL: counters for Prometheus never go down. Nor has the one time when months began.
        keys = [f"{_PREFIX}sent:{sender}", f"{_PREFIX}{SINCE}", f"{_PREFIX}{MONTH}{month_of(batch.at).name}"]
        keys += [f"{_PREFIX}{TOTAL}", *(_PREFIX + slot.name for slot in slots)]
        arguments: list[str | int | bytes] = [batch.sequence, batch.at, _MARK_SECONDS, MAX_CELLS, _field(OVERFLOW)]
        arguments += [KEPT_SECONDS, len(slots), *(resolution.ttl_seconds for resolution in RESOLUTIONS)]
        for cell, counts in batch.cells.items():
            arguments += [_field(cell), *map(msgspec.msgpack.encode, monthly(cell, counts))]
        with writing():
            self._add(keys=keys, args=arguments)

    def read(self, slots: Sequence[Slot]) -> list[Table]:
        """The counts of each slot."""
        tables: list[Table] = []
        for start in range(0, len(slots), PAGE):
            with reading(), self._client.pipeline(transaction=False) as pipeline:
                for slot in slots[start : start + PAGE]:
                    pipeline.hgetall(_PREFIX + slot.name)
                tables += map(_table, pipeline.execute())
        return tables

    def total(self) -> Table:
        """The counts since the beginning."""
        with reading():
            return _table(self._client.hgetall(_PREFIX + TOTAL))

    def monthly(self, months: Sequence[Month]) -> Monthly:
        """The counts of each month and the total: one round trip."""
        with reading(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.get(_PREFIX + SINCE)
            for name in (TOTAL, *(MONTH + month.name for month in months)):
                pipeline.hgetall(_PREFIX + name)
            since, total, *tables = pipeline.execute()
        return Monthly(dict(zip(months, map(_table, tables), strict=True)), _table(total), _time(since))


def _field(cell: CellName) -> str:
    return f"{cell.namespace}|{cell.model}"


_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


def _table(values: Mapping[Any, Any]) -> Table:
    table: Table = {}
    for field, packed in values.items():
        namespace, _, model = field.decode("utf-8", "replace").partition("|")
        try:
            table[CellName(namespace, model)] = _decode(packed)
        except msgspec.MsgspecError:
            # Something else wrote here. The next batch replaces it; until then it is nothing to count.
            continue
    return table


def _time(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):  # not there, or something else wrote here
        return None


class MemoryLedger:
    """Counts of this process, gone with it. Slots have the lengths and times to live that they have in Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Slot, Table] = {}
        self._months: dict[Month, Table] = {}
        self._total: Table = {}
        self._since: float | None = None
        self._newest = 0

    def write(self, sender: str, batch: Batch) -> None:
        """Adds a batch. Never fails, so no batch is sent again."""
        with self._lock:
            apart = {cell: monthly(cell, counts) for cell, counts in batch.cells.items()}
            cells = {cell: of_slot for cell, (of_slot, _) in apart.items()}
            for resolution in RESOLUTIONS:
                slot = resolution.slot(batch.at)
                add_cells(self._slots.setdefault(slot, {}), cells)
            add_cells(self._total, cells)
            of_months = {cell: of_month for cell, (_, of_month) in apart.items()}
            add_cells(self._months.setdefault(month_of(batch.at), {}), of_months)
            if self._since is None:
                self._since = batch.at
            if batch.at > self._newest:
                self._newest = batch.at
                self._forget()

    def _forget(self) -> None:
        oldest = {
            resolution.letter: (self._newest - resolution.ttl_seconds) // resolution.seconds
            for resolution in RESOLUTIONS
        }
        for slot in [slot for slot in self._slots if slot.index < oldest[slot.letter]]:
            del self._slots[slot]
        first = kept_months(self._newest)[0]
        self._months = {month: table for month, table in self._months.items() if month >= first}

    def read(self, slots: Sequence[Slot]) -> list[Table]:
        """The counts of each slot."""
        with self._lock:
            return [_copy(self._slots.get(slot, {})) for slot in slots]

    def total(self) -> Table:
        """The counts since the process began."""
        with self._lock:
            return _copy(self._total)

    def monthly(self, months: Sequence[Month]) -> Monthly:
        """The counts of each month and the total."""
        with self._lock:
            tables = {month: _copy(self._months.get(month, {})) for month in months}
            return Monthly(tables, _copy(self._total), self._since)


def add_cells(into: Table, cells: Mapping[CellName, Counts]) -> None:
    """Adds counts by cell, those of too many cells together as `other`."""
    for cell, counts in cells.items():
        name = cell if cell in into or cell == EVENTS or len(into) < MAX_CELLS else OVERFLOW
        add(into.setdefault(name, {}), counts)


def _copy(table: Table) -> Table:
    return {cell: dict(counts) for cell, counts in table.items()}
