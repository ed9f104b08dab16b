"""Edits: what an operator changes in entries, or adds. Every change has an audit record.

Answers get in through `LLMCache.put`, so that every rule of storing holds for them; a TTL is changed under the entry's
own stamp and only in the entry that was looked at, so that no invalidation is evaded and no newer answer lost.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..access import Action, AuditTrail
from ..bans import may_store
from ..cache import LLMCache
from ..errors import CacheError, InvalidInput, OutcomeUnknown, StoreUnavailable
from ..keys import parse_readable_key, readable_key
from ..models import LONGEST_SECONDS, Answer, CacheEntry, ChatRequest, Completion, Controls, EntryHeader
from ..stores import Clock, EntryStore, MissReason
from ..text import without_text
from .expiry import keep_until, place_of, served_entry
from .pins import Pins
from .reasons import ANOTHER_REQUEST, INVALIDATED
from .transfer import Line, read_lines, written

MOST_REFUSALS = 200


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was not stored. `reason` is one of NOT_STORED_REASONS, or a sentence."""

    line: int
    reason: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import. `refusals` are the first of the lines that were not stored."""

    lines: int
    stored: int
    refusals: tuple[Refusal, ...]

    @property
    def refused(self) -> int:
        """How many lines were not stored."""
        return self.lines - self.stored


class Edits:
    """Edits by the actor of a trail. `clock` gives Unix seconds.

    The audit record is written before the change: without a record there is no change. All methods raise
    StoreUnavailable, WriteRefused, OutcomeUnknown and AccessDenied.
    """

    def __init__(
        self,
        cache: LLMCache,
        store: EntryStore,
        trail: AuditTrail,
        *,
        pins: Pins | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._cache = cache
        self._store = store
        self._trail = trail
        self._pins = pins
        self._clock = clock or store.clock

    def keep_for(self, namespace: str, key: str, seconds: float) -> CacheEntry:
        """Keeps an entry, and its normalized alias, fresh for `seconds` from now. Returns the changed entry.

        Raises InvalidInput for an entry that does not exist, must not be served, or is pinned.
        """
        self._trail.require(Action.EDIT_ENTRIES)
        if not 1 <= seconds <= LONGEST_SECONDS:
            raise InvalidInput("ttl", f"give seconds between 1 and {LONGEST_SECONDS} (ten years)")
        slot, digest = place_of(namespace, key)
        before = served_entry(self._store, slot, digest)
        if self._pins is not None and self._pins.is_pinned(namespace, readable_key(slot.bucket, digest)):
            raise InvalidInput("key", "this answer is pinned; unpin it first")
        now = self._clock()
        details: dict[str, Any] = {
            "key": readable_key(slot.bucket, digest),
            "seconds_before": round(before.header.fresh_until - now),
            "seconds": round(seconds),
        }
        self._trail.record("entry.edited", at=now, namespace=namespace, details=details)
        try:
            return keep_until(
                self._store,
                slot,
                digest,
                now + seconds,
                now=now,
                stale_seconds=self._cache.config.stale_seconds,
                strip_stop_words=self._cache.config.strip_stop_words,
            )
        except CacheError as error:
            details["outcome"] = f"not known to be done: {error}"
            self._trail.try_record("entry.edited", at=self._clock(), namespace=namespace, details=details)
            raise

    def write(self, request: ChatRequest, text: str, controls: Controls) -> Answer | str:
        """Stores an answer written by hand. Returns the stored answer, or the reason why it may not be stored."""
        completion = written(request.model, text, self._clock())
        return self._put("entry.written", request, completion, controls, {"characters": len(text)})

    def keep(self, request: ChatRequest, completion: Completion, controls: Controls) -> Answer | str:
        """Stores an answer of the provider that the operator chose.

        Returns the stored answer, or why it may not be stored.
        """
        return self._put("entry.kept", request, completion, controls, {})

    def _put(
        self, action: str, request: ChatRequest, completion: Completion, controls: Controls, details: dict[str, Any]
    ) -> Answer | str:
        self._trail.require(Action.EDIT_ENTRIES)
        namespace = controls.namespace or self._cache.config.namespace
        details = {"model": request.model, **details}
        self._trail.record(action, at=self._clock(), namespace=namespace, details=details)
        result = self._cache.put(request, completion, controls)
        if isinstance(result, str):
            details["outcome"] = f"not stored: {result}"
            self._trail.try_record(action, at=self._clock(), namespace=namespace, details=details)
        return result

    def import_lines(self, text: bytes, namespace: str) -> Imported:
        """Stores the entries in the lines of a file. Returns counts, and the reason for each line that was not stored.

        Raises InvalidInput for a file that is too large.
        """
        self._trail.require(Action.EDIT_ENTRIES)
        lines = list(read_lines(text))
        details: dict[str, Any] = {"lines": len(lines), "outcome": "begun"}
        self._trail.record("entry.imported", at=self._clock(), namespace=namespace, details=details)
        stored = 0
        refusals: list[Refusal] = []
        for number, line in lines:
            reason = line if isinstance(line, str) else self._import(line, namespace)
            if not reason:
                stored += 1
            elif len(refusals) < MOST_REFUSALS:
                refusals.append(Refusal(line=number, reason=reason))
        try:
            details = {"lines": len(lines), "stored": stored, "outcome": "ended"}
            self._trail.record("entry.imported", at=self._clock(), namespace=namespace, details=details)
        except CacheError as error:
            raise OutcomeUnknown(f"{stored} of {len(lines)} lines were stored, then {error}") from error
        return Imported(lines=len(lines), stored=stored, refusals=tuple(refusals))

    def _import(self, line: Line, namespace: str) -> str:
        """Stores one line; "" or why not."""
        try:
            now = self._clock()
            request, completion, controls = line.request(), line.reply(now), line.controls(namespace, now)
            if line.key is not None and not self._is_of(line, request):
                return ANOTHER_REQUEST
            if line.created_at is not None and self._invalidated_since(line, request, controls, completion):
                return INVALIDATED
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
        )
        entry = CacheEntry(header=header, prompt=keyed.identity.prompt, tags=line.tags, body=completion.body)
        return not may_store(entry, record)


def _sequence_at(at: float) -> int:
    """Where in a record's history a moment lies: the sequences of invalidations are microseconds, or a little more."""
    return max(1, int(at * 1e6))
