"""The bypass switch: while it is on, requests of a namespace, or of all, go straight to the provider.

It is for the moment in which an invalidation is refused because Redis takes no writes, and must itself work then. It is
kept in a hash where that can be written. Where nothing can, it is marked by scripts: a server that is full, a replica
or one whose last save failed still learns scripts and tells whether it knows one. An odd number of marks is on. What is
only marked is lost when the server restarts, so every process that knows of it writes it down as soon as it can.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import cast

import msgspec
import redis

from ..access import Acting, Action, AuditLog
from ..errors import CacheError, InvalidInput, WriteRefused
from ..keys import NAMESPACE_PATTERN, names
from ..stores.redis import reading, writing
from ..text import printable

logger = logging.getLogger("encore.bypass")

COPY_SECONDS = 1.0
"""How old what a process knows of the switch may be: a request that finds it older asks first."""
CLOCK_RATES_SECONDS = 0.02
EVERYTHING = "*"
"""In place of a namespace: all of them."""
MARKS = 16
"""How often it can be turned while Redis takes no writes."""
MAX_COPIES = 10_000
MAX_NOTE = 200
PAGE = 50
"""Namespaces that are looked at in one command."""


class Bypassed(msgspec.Struct, frozen=True, kw_only=True):
    """The switch of one namespace (EVERYTHING: of all). `at` is Unix seconds, 0 where it is not known, as `actor` is.

    `kept`: written down; else it is only marked, and lost should Redis restart before anyone could write it down.
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

    def told(self, namespace: str) -> Bypassed:
        if self.line is None or not self.kept:
            return Bypassed(namespace=namespace, on=self.on, kept=not self.on)
        return Bypassed(
            namespace=namespace, on=self.on, at=self.line.at, actor=self.line.actor, note=self.line.note, kept=True
        )


class _Copy(msgspec.Struct, frozen=True):
    """What a process knows, and since when."""

    on: bool
    read_at: float


# KEYS: the hash. ARGV: namespace, its value as read (empty: none), its value as it shall be.
# A script that has deleted may write even when the server is out of memory.
_SWAP = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


def _mark(namespace: str, number: int) -> str:
    """The script that is the mark of this number."""
    return f"return 'requests of {namespace} bypass the cache: turned {number}'"


@lru_cache(maxsize=1024)
def _marks(namespace: str) -> list[str]:
    """The digests of all marks."""
    return [
        hashlib.sha1(_mark(namespace, number).encode(), usedforsecurity=False).hexdigest()
        for number in range(1, MARKS + 1)
    ]


class BypassSwitch:
    """The switches of all namespaces: of all processes with a client, of this one without.

    `reader` is the client of the request path. `monotonic` gives seconds, `pause` waits so many.
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
        self._client = client
        self._reader = reader or client
        self._audit = audit
        self._clock = clock
        self._monotonic = monotonic
        self._pause = pause
        self._here: dict[str, Bypassed] = {}
        self._copies: dict[str, _Copy] = {}
        self._readings: dict[str, _Reading] = {}
        self._lock = threading.Lock()

    # On the request path

    def known(self, namespace: str) -> bool | None:
        """Whether requests of a namespace bypass the cache; None when that must be read first."""
        if self._client is None:
            return any(self._here[name].on for name in (namespace, EVERYTHING) if name in self._here)
        copy = self._copies.get(namespace)
        if copy is None or self._monotonic() - copy.read_at >= COPY_SECONDS:
            return None
        return copy.on

    def read(self, namespace: str) -> bool:
        """The same, asked now. Raises StoreUnavailable."""
        if self._reader is None:
            return bool(self.known(namespace))
        read_at = self._monotonic()
        on = any(found.on for found in self._now(self._reader, (namespace, EVERYTHING)))
        if len(self._copies) >= MAX_COPIES:
            self._copies = {}
        self._copies[namespace] = _Copy(on, read_at)
        return on

    def _now(self, client: redis.Redis, namespaces: Sequence[str]) -> list[_Reading]:
        """What is so now, in two round trips."""
        with reading():
            values = cast("list[bytes | None]", client.hmget(names.BYPASS.decode(), list(namespaces)))
            exist = cast(
                "Sequence[bool]", client.script_exists(*(mark for name in namespaces for mark in _marks(name)))
            )
        return [
            self._settled(client, name, value or b"", _leading(exist[at * MARKS : (at + 1) * MARKS]))
            for at, (name, value) in enumerate(zip(namespaces, values, strict=True))
        ]

    def _settled(self, client: redis.Redis, namespace: str, value: bytes, marks: int) -> _Reading:
        """What a value and marks say. What is only marked, or was and is not any more, is written down if possible."""
        found = _Reading(value=value, marks=marks, line=_decode(value))
        with self._lock:
            before = self._readings.get(namespace)
            if before is not None and before.value == found.value and before.marks > found.marks:
                found = before  # Redis was started again: nobody has turned it since
            if before is None and len(self._readings) >= MAX_COPIES:
                self._readings.clear()
            self._readings[namespace] = found
        if found.kept or not found.marks:
            return found
        line = _Line(on=found.on, marks=found.marks, at=self._clock(), actor="encore", note="marked before")
        try:
            return self._write(client, namespace, found, line) or found
        except CacheError:
            return found

    def _write(self, client: redis.Redis, namespace: str, seen: _Reading, line: _Line) -> _Reading | None:
        """Writes it down; None when another has come first. Raises WriteRefused."""
        value = msgspec.json.encode(line)
        with writing():
            if not client.register_script(_SWAP)(keys=[names.BYPASS], args=[namespace, seen.value, value]):
                return None
        written = _Reading(value=value, marks=seen.marks, line=line)
        with self._lock:
            self._readings[namespace] = written
        return written

    # For operators

    def all(self, namespaces: Iterable[str] = ()) -> list[Bypassed]:
        """The switches that are on: those that are written down, and of these namespaces also those that are marked.

        Raises StoreUnavailable.
        """
        if self._client is None:
            return [switch for _, switch in sorted(self._here.items()) if switch.on]
        with reading():
            written = [name.decode() for name in cast("list[bytes]", self._client.hkeys(names.BYPASS.decode()))]
        every = sorted({EVERYTHING, *written, *namespaces})
        return [
            found.told(name)
            for start in range(0, len(every), PAGE)
            for name, found in zip(
                every[start : start + PAGE], self._now(self._client, every[start : start + PAGE]), strict=True
            )
            if found.on
        ]

    def turn(self, namespace: str, on: bool, *, actor: Acting = "api", note: str = "") -> Bypassed:
        """Turns it on or off for a namespace, or for EVERYTHING; every process obeys when this returns.

        That takes a second. Raises AccessDenied, InvalidInput, StoreUnavailable, OutcomeUnknown (repeat it), and
        WriteRefused when Redis has taken no writes for so long that all marks are used up.
        """
        trail = self._audit.by(actor)
        by = trail.require(Action.BYPASS)
        if namespace != EVERYTHING and not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        at, note = self._clock(), printable(note, MAX_NOTE)
        if self._client is None:
            turned = self._here[namespace] = Bypassed(namespace=namespace, on=on, at=at, actor=by, note=note)
        else:
            turned = self._turn(self._client, namespace, on, at, by, note)
            self._copies = {}
            self._pause(COPY_SECONDS + CLOCK_RATES_SECONDS)
        trail.try_record(
            "bypass.on" if on else "bypass.off",
            at=turned.at or self._clock(),
            namespace=None if namespace == EVERYTHING else namespace,
            details={"kept": turned.kept, "note": turned.note},
        )
        return turned

    def _turn(self, client: redis.Redis, namespace: str, on: bool, at: float, by: str, note: str) -> Bypassed:
        while True:
            [seen] = self._now(client, [namespace])
            line = _Line(on=on, marks=seen.last_mark, at=at, actor=by, note=note)
            try:
                if seen.marks and seen.marks % 2 != on and _mark_for(seen, on=on) <= MARKS:
                    # Should the hash be flushed, marks that say otherwise would stay.
                    self._mark(client, namespace, seen, on=on)
                    line = msgspec.structs.replace(line, marks=_mark_for(seen, on=on))
                if written := self._write(client, namespace, seen, line):
                    return written.told(namespace)
            except WriteRefused as error:
                if seen.on != on and _mark_for(seen, on=on) > MARKS:
                    raise WriteRefused(f"{error}, and this was turned too often since: start Redis again") from error
                if seen.on != on:
                    self._mark(client, namespace, seen, on=on)
                logger.warning("the bypass switch of %s is only marked: %s", namespace, error)
                return Bypassed(namespace=namespace, on=on, at=at, actor=by, note=note, kept=False)

    @staticmethod
    def _mark(client: redis.Redis, namespace: str, seen: _Reading, *, on: bool) -> None:
        with writing():
            for number in range(1, _mark_for(seen, on=on) + 1):
                client.script_load(_mark(namespace, number))


def _mark_for(seen: _Reading, *, on: bool) -> int:
    """The next mark that says on or off."""
    number = seen.last_mark + 1
    return number if number % 2 == on else number + 1


def _leading(exist: Sequence[bool]) -> int:
    """How many marks there are: they are made one after the other."""
    return next((number for number, is_there in enumerate(exist) if not is_there), len(exist))


def _decode(value: bytes) -> _Line | None:
    if not value:
        return None
    try:
        return msgspec.json.decode(value, type=_Line)
    except msgspec.MsgspecError:
        # Another version's: to serve on a guess would be wrong.
        return _Line(on=True, marks=0, at=0.0, actor="")
