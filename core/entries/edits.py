"""Edits: what an operator changes in entries, or adds. Every change has an audit record.

Answers get in through `LLMCache.put`, so that every rule of storing holds for them; a TTL is changed under the entry's
own stamp and only in the entry that was looked at, so that no invalidation is evaded and no newer answer lost.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..access import Action
from ..errors import CacheError, InvalidInput
from ..keys import readable_key
from ..metrics import CacheMetrics
from ..models import LONGEST_SECONDS, Answer, CacheEntry, ChatRequest, Completion, Controls
from .changing import Changing
from .expiry import keep_until, place_of, served_entry
from .imports import Import, Imported
from .transfer import Line, written

MOST_BYTES = 20_000_000
"""The largest file that is imported as a whole."""


class Edits(Changing):
    """Writes, keeps and imports answers, and changes how long one stays fresh. See Changing."""

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
        """Stores an answer written by hand. Returns the stored answer, or the reason why it may not be stored.

        Of an answer that stands there already the tags stay, unless others are given, and hits are counted anew.
        """
        completion = written(request.model, text, self._clock())
        return self._put("entry.written", request, completion, controls, {"characters": len(text)})

    def keep(self, request: ChatRequest, completion: Completion, controls: Controls) -> Answer | str:
        """Stores an answer of the provider that the operator chose.

        Returns the stored answer, or why it may not be stored.
        """
        return self._put("entry.kept", request, completion, controls, {})

    def write_at(self, key: str, line: Line, namespace: str) -> Answer | str:
        """Stores the answer of a line at a readable key. Returns the stored answer, or why it may not be stored.

        Raises InvalidInput, which names the key that the line's request has, when that is another one.
        """
        self._trail.require(Action.EDIT_ENTRIES)
        now = self._clock()
        place_of(namespace, key)
        request, completion, controls = line.request(), line.reply(now), line.controls(namespace, now)
        prepared = self._cache.identify(request, controls)
        if prepared.keyed is None:
            return prepared.reason
        if prepared.keyed.identity.key != key:
            raise InvalidInput("key", f"this request has another one: {prepared.keyed.identity.key}")
        return self._put("entry.written", request, completion, controls, {"key": key})

    def _put(
        self, action: str, request: ChatRequest, completion: Completion, controls: Controls, details: dict[str, Any]
    ) -> Answer | str:
        self._trail.require(Action.EDIT_ENTRIES)
        namespace = controls.namespace or self._cache.config.namespace
        details = {"model": request.model, **details}
        self._trail.record(action, at=self._clock(), namespace=namespace, details=details)
        result = self._cache.put(request, completion, self._with_present_tags(request, controls))
        if isinstance(result, str):
            details["outcome"] = f"not stored: {result}"
            self._trail.try_record(action, at=self._clock(), namespace=namespace, details=details)
        elif isinstance(self._cache.metrics, CacheMetrics):
            self._cache.metrics.hits.forget(*place_of(namespace, result.key))  # those of what stood there
        return result

    def _with_present_tags(self, request: ChatRequest, controls: Controls) -> Controls:
        """The controls with the tags of the answer whose place this one takes, where none are given."""
        keyed = None if controls.tags else self._cache.identify(request, controls).keyed
        if keyed is None:
            return controls
        try:
            present = served_entry(self._store, *place_of(keyed.identity.namespace, keyed.identity.key))
        except InvalidInput:
            return controls
        return msgspec.structs.replace(controls, tags=present.tags)

    def importing(self, namespace: str) -> Import:
        """An import into a namespace, to be fed. Raises InvalidInput for a namespace that is none."""
        self._trail.require(Action.EDIT_ENTRIES)
        return Import(self._cache, self._store, self._trail, namespace, self._clock)

    def import_lines(self, text: bytes, namespace: str) -> Imported:
        """Stores the entries in the lines of a file. Returns counts, and the reason for each line that was not stored.

        Raises InvalidInput for a file that is too large to be had in memory.
        """
        if len(text) > MOST_BYTES:
            raise InvalidInput("file", f"give at most {MOST_BYTES // 1_000_000} MB at once")
        with self.importing(namespace) as importing:
            importing.feed(text)
            return importing.end()
