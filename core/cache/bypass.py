"""The bypass switch: while it is on, requests of a namespace, or of all, go straight to the provider.

It is for the moment in which an invalidation is refused because Redis takes no writes, and must itself work then. It is
kept in a hash where that can be written. Where nothing can, it is a mark (see core.stores.redis.script_marks): an odd
number of marks is on. What is only marked is lost when the server restarts, so every process that knows of it writes it
down as soon as it can.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import redis
from cachetools import FIFOCache

from ..access import Acting, Action, AuditLog
from ..errors import CacheError, InvalidInput, NotPermitted, WriteRefused
from ..keys import NAMESPACE_PATTERN, names
from ..stores.redis import COPY_SECONDS, MOST_MARKS, RecentReads, ScriptMarks, SharedHash, shared_hash
from ..text import printable

logger = logging.getLogger("encore.bypass")

CLOCK_RATES_SECONDS = 0.02
Value = TypeVar("Value")
EVERYTHING = "*"
"""In place of a namespace: all of them."""
MARK = "requests of {name} bypass the cache: turned {number}"
"""The sentence of a mark. Processes of another version read it too: it must stay as it is."""
MAX_READINGS = 10_000
MAX_NOTE = 200
PAGE = 50
"""Namespaces that are looked at in one command."""


class Bypassed(msgspec.Struct, frozen=True, kw_only=True):
    """The switch of one namespace, or of all (EVERYTHING). `at` is Unix seconds; 0 and an empty `actor` are unknown.

    `kept`: stored in the hash; else only marked, and lost if Redis restarts before a process could store it.
    """

    namespace: str
    on: bool
    at: float = 0.0
    actor: str = ""
    note: str = ""
    kept: bool = True


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the hash holds for a namespace, `marks` that it takes account of."""

    on: bool
    marks: int
    at: float
    actor: str
    note: str = ""


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one namespace: the value in the hash, the marks, and what follows from both."""

    value: bytes
    marks: int
    line: _Line | None

    @property
    def on(self) -> bool:
        if self.line is None or self.marks > self.line.marks:
            return self.marks % 2 == 1
        return self.line.on

    @property
    def last_mark(self) -> int:
        """The highest that was ever made, as far as is known."""
        return max(self.marks, self.line.marks if self.line is not None else 0)

    @property
    def kept(self) -> bool:
        return self.line is not None and self.marks <= self.line.marks

    def as_bypassed(self, namespace: str) -> Bypassed:
        if self.line is None or not self.kept:
            return Bypassed(namespace=namespace, on=self.on, kept=not self.on)
        return Bypassed(
            namespace=namespace, on=self.on, at=self.line.at, actor=self.line.actor, note=self.line.note, kept=True
        )


class _Server(msgspec.Struct, frozen=True):
    """Where the switches are: written down in a hash, and marked, which needs no writes (None: never needed)."""

    hash: SharedHash
    marks: ScriptMarks | None


class BypassSwitch:
    """The switches of all namespaces: of all processes with a client, of this one without.

    `reader` is the client of the request path. `monotonic` gives seconds on a clock that does not jump; `pause` waits.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        audit: AuditLog,
        *,
        reader: redis.Redis | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._server = _server(client)
        self._path_server = _server(reader) if reader is not None else self._server
        self._audit = audit
        self._clock = clock
        self._pause = pause
        self._recent: RecentReads[bool] = RecentReads(monotonic)
        self._readings: FIFOCache[str, _Reading] = FIFOCache(MAX_READINGS)
        self._lock = threading.Lock()
        self._told: set[str] = set()

    # On the request path

    def known(self, namespace: str) -> bool | None:
        """Whether requests of a namespace bypass the cache, by a copy at most COPY_SECONDS old; None without one."""
        known = self._recent.get(namespace)
        return self.read(namespace) if known is None and self._path_server.marks is None else known

    def read(self, namespace: str) -> bool:
        """Whether requests of a namespace bypass the cache now. Two round trips. Raises StoreUnavailable."""
        return self._recent.read(
            namespace, lambda: any(found.on for found in self._now(self._path_server, (namespace, EVERYTHING)))
        )

    def _now(self, server: _Server, namespaces: Sequence[str]) -> list[_Reading]:
        """What is so now, in two round trips: by what Redis' user may read of it, which the doctor looks at."""
        values = self._permitted(lambda: server.hash.get_many(namespaces), [b""] * len(namespaces))
        marks = [0] * len(namespaces)
        if server.marks is not None:
            marks = self._permitted(partial(server.marks.numbers, namespaces), marks)
        return [self._settled(server, *found) for found in zip(namespaces, values, marks, strict=True)]

    def _permitted(self, read: Callable[[], list[Value]], otherwise: list[Value]) -> list[Value]:
        """What is read; `otherwise` when Redis' user may not read it, which is logged once."""
        try:
            return read()
        except NotPermitted as error:
            if (refusal := str(error)) not in self._told:
                self._told.add(refusal)
                logger.warning("%s: the bypass switch is heeded in part, or not at all", refusal)
            return otherwise

    def _settled(self, server: _Server, namespace: str, value: bytes, marks: int) -> _Reading:
        """What a value and marks say. What is only marked, or was and is not any more, is written down if possible."""
        found = _Reading(value=value, marks=marks, line=_decode(value))
        with self._lock:
            before = self._readings.get(namespace)
            if before is not None and before.value == found.value and before.marks > found.marks:
                found = before  # Redis was started again: nobody has turned it since
            self._readings[namespace] = found
        if found.kept or not found.marks:
            return found
        line = _Line(on=found.on, marks=found.marks, at=self._clock(), actor="encore", note="marked before")
        try:
            return self._write(server, namespace, found, line) or found
        except CacheError:
            return found

    def _write(self, server: _Server, namespace: str, seen: _Reading, line: _Line) -> _Reading | None:
        """Writes it down; None when another has come first. Raises WriteRefused."""
        value = msgspec.json.encode(line)
        if not server.hash.swap(namespace, seen.value, value):
            return None
        written = _Reading(value=value, marks=seen.marks, line=line)
        with self._lock:
            self._readings[namespace] = written
        return written

    # For operators

    def all(self, namespaces: Iterable[str] = ()) -> list[Bypassed]:
        """The switches that are on: all stored in the hash, and for these namespaces also those only marked.

        Raises StoreUnavailable.
        """
        every = sorted({EVERYTHING, *self._permitted(self._server.hash.fields, []), *namespaces})
        pages = (every[start : start + PAGE] for start in range(0, len(every), PAGE))
        return [
            found.as_bypassed(name)
            for page in pages
            for name, found in zip(page, self._now(self._server, page), strict=True)
            if found.on
        ]

    def turn(self, namespace: str, on: bool, *, actor: Acting = "api", note: str = "") -> Bypassed:
        """Turns the switch on or off for a namespace, or for EVERYTHING; every process obeys when this returns.

        That takes a second. Raises AccessDenied, InvalidInput, StoreUnavailable, OutcomeUnknown (repeat it), and
        WriteRefused when Redis takes no writes and all marks are used up.
        """
        trail = self._audit.by(actor)
        by = trail.require(Action.BYPASS)
        if namespace != EVERYTHING and not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        at, note = self._clock(), printable(note, MAX_NOTE)
        turned = self._turn(namespace, on, at, by, note)
        self._recent.forget()
        if self._server.marks is not None:  # other processes have copies
            self._pause(COPY_SECONDS + CLOCK_RATES_SECONDS)
        trail.try_record(
            "bypass.on" if on else "bypass.off",
            at=turned.at or self._clock(),
            namespace=None if namespace == EVERYTHING else namespace,
            details={"kept": turned.kept, "note": turned.note},
        )
        return turned

    def _turn(self, namespace: str, on: bool, at: float, by: str, note: str) -> Bypassed:
        server = self._server
        while True:
            [seen] = self._now(server, [namespace])
            line = _Line(on=on, marks=seen.last_mark, at=at, actor=by, note=note)
            mark = _mark_for(seen, on=on)
            try:
                if server.marks and seen.marks and seen.marks % 2 != on and mark <= MOST_MARKS:
                    # Should the hash be flushed, marks that say otherwise would stay.
                    server.marks.raise_to(namespace, mark)
                    line = msgspec.structs.replace(line, marks=mark)
                if written := self._write(server, namespace, seen, line):
                    return written.as_bypassed(namespace)
            except (WriteRefused, NotPermitted) as error:
                if server.marks and seen.on != on:
                    if mark > MOST_MARKS:
                        raise WriteRefused(
                            f"{error}, and the switch was turned too often meanwhile: restart Redis"
                        ) from error
                    server.marks.raise_to(namespace, mark)
                logger.warning("the bypass switch of %s is only marked: %s", namespace, error)
                return Bypassed(namespace=namespace, on=on, at=at, actor=by, note=note, kept=False)


def _mark_for(seen: _Reading, *, on: bool) -> int:
    """The next mark that says on or off."""
    number = seen.last_mark + 1
    return number if number % 2 == on else number + 1


def _server(client: redis.Redis | None) -> _Server:
    marks = ScriptMarks(client, MARK) if client is not None else None
    return _Server(shared_hash(client, names.BYPASS), marks)


def _decode(value: bytes) -> _Line | None:
    if not value:
        return None
    try:
        return msgspec.json.decode(value, type=_Line)
    except msgspec.MsgspecError:
        # Another version's: to serve on a guess would be wrong.
        return _Line(on=True, marks=0, at=0.0, actor="")
