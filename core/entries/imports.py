"""Imports: lines of a file on their way into the cache, as they come and in bounded memory.

Answers get in through `LLMCache.put`, so that every rule of storing holds for them, and none that an invalidation would
hide is brought back.
"""

from __future__ import annotations

import msgspec

from ..access import AuditTrail
from ..bans import may_store
from ..cache import LLMCache
from ..errors import CacheError, InvalidInput, OutcomeUnknown, StoreUnavailable
from ..keys import parse_readable_key, user_digests
from ..metrics import reasons
from ..models import CacheEntry, ChatRequest, Completion, Controls, EntryHeader
from ..stores import Clock, EntryStore, MissReason
from ..text import without_text
from .transfer import Line, LineReader

MOST_REFUSALS = 10_000
"""After so many lines that are not stored an import ends: each of them is told, and none more is read."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was not stored. `reason` is one of NOT_STORED_REASONS, or a sentence."""

    line: int
    reason: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import: how many lines were read, how many stored, and why each of the others was not.

    `is_whole` False: it ended after MOST_REFUSALS, and the lines after the last refusal were not read.
    """

    lines: int
    stored: int
    refusals: tuple[Refusal, ...]
    is_whole: bool = True

    @property
    def refused(self) -> int:
        """How many lines were not stored."""
        return self.lines - self.stored


class Import:
    """One import: begun, fed piece by piece, ended and closed. Its audit records say so, and what it came to.

    As a context it is begun and closed.
    """

    def __init__(self, cache: LLMCache, store: EntryStore, trail: AuditTrail, namespace: str, clock: Clock) -> None:
        cache.slot(namespace)
        self._cache = cache
        self._store = store
        self._trail = trail
        self._namespace = namespace
        self._clock = clock
        self._reader = LineReader()
        self._lines = 0
        self._stored = 0
        self._refusals: list[Refusal] = []
        self._has_ended = False

    def begin(self) -> None:
        """Puts on record that it was begun. Raises what that raises."""
        self._trail.record("entry.imported", at=self._clock(), namespace=self._namespace, details={"outcome": "begun"})

    def close(self) -> None:
        """Puts on record that it broke off, unless it has ended."""
        if not self._has_ended:
            details = {"lines": self._lines, "stored": self._stored, "outcome": "broken off"}
            self._trail.try_record("entry.imported", at=self._clock(), namespace=self._namespace, details=details)

    def __enter__(self) -> Import:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_full(self) -> bool:
        """Whether so many lines were refused that no more are read."""
        return len(self._refusals) >= MOST_REFUSALS

    def feed(self, piece: bytes) -> None:
        """Stores the lines that end in the next piece of the file. Blocks."""
        for number, line in self._reader.feed(piece):
            self._take(number, line)

    def end(self) -> Imported:
        """Stores the last line, and puts on record what the import came to. Raises OutcomeUnknown if it cannot."""
        for number, line in self._reader.end():
            self._take(number, line)
        self._has_ended = True
        done = Imported(
            lines=self._lines, stored=self._stored, refusals=tuple(self._refusals), is_whole=not self.is_full
        )
        try:
            details = {"lines": done.lines, "stored": done.stored, "outcome": "ended"}
            self._trail.record("entry.imported", at=self._clock(), namespace=self._namespace, details=details)
        except CacheError as error:
            raise OutcomeUnknown(f"{done.stored} of {done.lines} lines were stored, then {error}") from error
        return done

    def _take(self, number: int, line: Line | str) -> None:
        if self.is_full:
            return
        self._lines += 1
        if reason := line if isinstance(line, str) else self._store_line(line):
            self._refusals.append(Refusal(line=number, reason=reason))
        else:
            self._stored += 1

    def _store_line(self, line: Line) -> str:
        """Stores one line; "" or why not."""
        try:
            now = self._clock()
            request, completion, controls = line.request(), line.reply(now), line.controls(self._namespace, now)
            if line.key is not None and not self._is_of(line, request):
                return reasons.ANOTHER_REQUEST
            if line.created_at is not None and self._invalidated_since(line, request, controls, completion):
                return reasons.INVALIDATED
            result = self._cache.put(request, completion, controls)
        except InvalidInput as error:
            return str(error)
        except StoreUnavailable as error:
            return MissReason.of(error)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            return f"cannot be stored: {without_text(error)}"
        return result if isinstance(result, str) else ""

    def _is_of(self, line: Line, request: ChatRequest) -> bool:
        """Whether the request is the one that an exported entry answered, to the last parameter."""
        keyed = self._cache.identify(request, Controls(namespace=line.namespace, user=line.user)).keyed
        exported = parse_readable_key(line.key or "")
        return keyed is not None and exported is not None and keyed.identity.exact == exported[1]

    def _invalidated_since(self, line: Line, request: ChatRequest, controls: Controls, completion: Completion) -> bool:
        """Whether an invalidation that came after the answer was generated would hide it here."""
        keyed = self._cache.identify(request, controls).keyed
        if keyed is None or line.created_at is None:
            return False  # `put` refuses it with the reason
        _, record = self._store.read(keyed.slot, [])
        if record is None:
            return False
        header = EntryHeader(
            digest=keyed.identity.exact,
            scope=keyed.identity.scope,
            namespace=keyed.identity.namespace,
            model=request.model,
            incarnation=record.incarnation,
            sequence=_sequence_at(line.created_at),
            created_at=line.created_at,
            fresh_until=line.fresh_until or line.created_at,
            users=user_digests(keyed.identity.namespace, keyed.user),
        )
        entry = CacheEntry(header=header, prompt=keyed.identity.prompt, tags=line.tags, body=completion.body)
        return not may_store(entry, record)


def _sequence_at(at: float) -> int:
    """Where in a record's history a moment lies: the sequences of invalidations are microseconds, or a little more."""
    return max(1, int(at * 1e6))
