"""What happened while many processes used one cache and faults struck: every operation, as it was logged.

A lookup is a row of fixed size, appended to a file by the thread that made it; so is every generation, before its
answer can be stored anywhere. Rarer events are structs. Times are CLOCK_MONOTONIC, which processes share.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.stores.lookup import MissReason

HIT, FOUND, EXACT, UNASKED, COPIED = 1, 2, 4, 8, 16
"""Of an answer: found, or made for another caller at the same time; found in the store; by its very spelling; the store
could not be asked; from the process' own copies."""

REASONS = ("", *MissReason)
REASON_BITS = 5
"""Why nothing was found: its place here stands above so many bits."""

_ASKED = struct.Struct("<ddQdIHH")
ASKED = np.dtype(
    [
        ("began", "<f8"),
        ("ended", "<f8"),
        ("generation", "<u8"),
        ("created_at", "<f8"),
        ("text", "<u4"),
        ("request", "<u2"),
        ("seen", "<u2"),
    ]
)
"""One lookup: the generation its answer names, when that was stored (Unix seconds), the checksum of its text."""

_GENERATED = struct.Struct("<QdIH")
GENERATED = np.dtype([("id", "<u8"), ("began", "<f8"), ("text", "<u4"), ("request", "<u2")])
"""One generation: for which request, when it began, the checksum of the text it made."""

Table = NDArray[Any]


class Invalidated(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation. `acknowledged` is None when it failed, at `failed_at`; `undo_began`/`undone` when undone.

    What it selects, as far as it matters for its kind: `model`, `question`, `spelling`, or what was created before a
    time (Unix seconds).
    """

    id: str
    asked_at: float
    acknowledged: float | None
    namespace: int
    kind: str
    model: int | None = None
    question: int | None = None
    spelling: int | None = None
    created_before: float | None = None
    soft: bool = False
    undo_began: float | None = None
    undone: float | None = None
    failure: str = ""
    failed_at: float = 0.0


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from when it may have been felt until it was over."""

    kind: str
    began: float
    ended: float


class History(msgspec.Struct, kw_only=True):
    """A whole history. `recorded`: ids of invalidations that were seen in a record."""

    asked: Table
    generated: Table
    invalidated: Sequence[Invalidated] = ()
    struck: Sequence[Struck] = ()
    recorded: frozenset[str] = frozenset()


class Log:
    """What one thread does: two files, `<name>.asked` and `<name>.generated`.

    Generations are written at once: a process may be killed when others have its answer already.
    """

    def __init__(self, folder: Path, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._asked = os.open(folder / f"{name}.asked", flags, 0o600)
        self._generated = os.open(folder / f"{name}.generated", flags, 0o600)
        self._waiting = bytearray()

    def generated(self, identity: int, began: float, text: int, request: int) -> None:
        """A generation, before its answer is anywhere."""
        os.write(self._generated, _GENERATED.pack(identity, began, text, request))

    def asked(
        self, began: float, ended: float, generation: int, created_at: float, text: int, request: int, seen: int
    ) -> None:
        """A lookup that has ended."""
        self._waiting += _ASKED.pack(began, ended, generation, created_at, text, request, seen)
        if len(self._waiting) > 1 << 16:
            self._flush()

    def _flush(self) -> None:
        os.write(self._asked, self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Writes what waits."""
        self._flush()
        os.close(self._asked)
        os.close(self._generated)


class Told(msgspec.Struct, kw_only=True):
    """What the process that invalidates has to tell."""

    invalidated: list[Invalidated]
    recorded: set[str]


def read(folder: Path, told: Iterable[Told], struck: Sequence[Struck]) -> History:
    """A history out of what its threads wrote. The last row of a process that was killed may be half written."""
    told = list(told)
    return History(
        asked=_table(folder, "asked", ASKED),
        generated=_table(folder, "generated", GENERATED),
        invalidated=[event for part in told for event in part.invalidated],
        struck=struck,
        recorded=frozenset().union(*(part.recorded for part in told)),
    )


def _table(folder: Path, kind: str, row: np.dtype[Any]) -> Table:
    parts = [
        np.fromfile(path, row, count=path.stat().st_size // row.itemsize) for path in sorted(folder.glob(f"*.{kind}"))
    ]
    return np.concatenate(parts) if parts else np.empty(0, row)
