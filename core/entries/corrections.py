"""Corrections: the right answer in the place of a wrong one, from the moment they return.

The wrong answer is invalidated by its key and the right one put in its place in one step, so that no lookup finds the
wrong one afterwards, none finds nothing, and no answer whose generation began before can take its place. Key, question,
scope, tags, user, TTL and pin stay as they are; hits are counted anew.

What stood there is a version. Versions are kept inside the stored form of the entry, behind all that a lookup looks at,
and are never served. So they go wherever the entry goes: its TTL, an eviction, a sweep, an erasure by user, or another
answer in its place end them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..access import Action
from ..bans import Ban, Criteria, InvalidationRecord, Visibility, changes, visibility
from ..errors import CacheError, DecodeError, InvalidInput, NotFound
from ..invalidation import checked_reason
from ..keys import Slot, TextKind, kind_of, normalized_digest, readable_key, response_digest
from ..metrics import CacheMetrics
from ..models import CacheEntry, EntryHeader
from ..stores import Correction, codec
from .changing import Changing
from .expiry import place_of

TRIES = 8
LONGEST_ANSWER = 100_000
"""Characters of an answer that is written by hand."""
BodyOf = Callable[[CacheEntry], dict[str, Any]]
"""The new answer of the entry that it takes the place of."""
MOST_VERSIONS = 5
MOST_BYTES = 32_000
"""Of all versions of an entry together, but for the latest one: each hit of a corrected answer reads them."""
NOBODY = bytes(32)
"""A digest that no entry has."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that stood in an entry from `created_at` to `replaced_at` (Unix seconds), and who replaced it, and why.

    `body` is the answer in the wire form of its endpoint.
    """

    body: dict[str, Any]
    created_at: float
    replaced_at: float
    actor: str
    reason: str = ""


_encode_versions = msgspec.msgpack.Encoder().encode
_decode_versions = msgspec.msgpack.Decoder(tuple[Version, ...]).decode


def versions_of(entry: CacheEntry) -> tuple[Version, ...]:
    """The versions that an entry has, the latest first; none in bytes that cannot be read."""
    try:
        return _decode_versions(entry.versions) if entry.versions else ()
    except msgspec.MsgspecError:
        return ()


def with_version(entry: CacheEntry, *, at: float, actor: str, reason: str = "") -> bytes:
    """The versions of what takes the place of an entry: its own answer first, and as many of its versions as fit."""
    if entry.body is None:
        return b""
    latest = Version(body=entry.body, created_at=entry.header.created_at, replaced_at=at, actor=actor, reason=reason)
    kept, total = [latest], 0
    for version in versions_of(entry)[: MOST_VERSIONS - 1]:
        total += len(_encode_versions(version))
        if total > MOST_BYTES:
            break
        kept.append(version)
    return _encode_versions(kept)


class Corrections(Changing):
    """Puts right answers in the place of wrong ones, and versions back. See Changing."""

    def correct(
        self,
        namespace: str,
        key: str,
        answer: str,
        *,
        reason: str = "",
        pin: bool = False,
        seen_at: float | None = None,
    ) -> CacheEntry:
        """Puts a text in the place of the answer at a readable key. Returns the entry as it is then.

        What stood there is the first of its versions. `pin` pins it too; one that is pinned stays so. `seen_at` is when
        the answer was stored that the text is to replace (Unix seconds): another one is left alone. An answer that an
        invalidation of its key hides is replaced too, and then has no versions: that invalidation reached them.

        Raises NotFound when nothing is stored at the key, and InvalidInput, which names the field, for a text that is
        empty or too long, for an answer in no words, one past its TTL, and one that an invalidation of more than this
        answer hides.
        """
        if not answer.strip():
            raise InvalidInput("answer", "give the right answer")
        if len(answer) > LONGEST_ANSWER:
            raise InvalidInput("answer", f"give up to {LONGEST_ANSWER:,} characters")
        try:
            answer.encode()
        except UnicodeEncodeError:
            raise InvalidInput("answer", "has a character that cannot be encoded (a lone surrogate)") from None
        entry = self._put(
            "entry.corrected", namespace, key, lambda before: with_text(before, answer), reason=reason, seen_at=seen_at
        )
        if pin and self._pins is not None and not self._pins.is_pinned(namespace, key):
            self._pins.pin(namespace, key, actor=self._trail)
        return entry

    def restore(
        self, namespace: str, key: str, replaced_at: float, *, reason: str = "", seen_at: float | None = None
    ) -> CacheEntry:
        """Puts the version that was replaced at a time (Unix seconds) in its place again, as `correct` does.

        Raises NotFound when there is no such version, and what `correct` raises.
        """

        def body(before: CacheEntry) -> dict[str, Any]:
            for version in versions_of(before):
                if version.replaced_at == replaced_at:
                    return version.body
            raise NotFound("this answer has no such version")

        return self._put("entry.restored", namespace, key, body, reason=reason, seen_at=seen_at)

    def _put(
        self, action: str, namespace: str, key: str, body_of: BodyOf, *, reason: str, seen_at: float | None
    ) -> CacheEntry:
        self._trail.require(Action.EDIT_ENTRIES)
        reason = checked_reason(reason)
        slot, digest = place_of(namespace, key)
        key = readable_key(slot.bucket, digest)
        before, _, _ = self._read(slot, digest, seen_at)
        body_of(before)  # refused before anything is on record
        details: dict[str, Any] = {"key": key} | ({"reason": reason} if reason else {})
        self._trail.record(action, at=self._clock(), namespace=namespace, details=details)
        try:
            before, entry, record = self._replaced(slot, digest, body_of, reason, seen_at)
        except CacheError as error:
            details["outcome"] = f"not known to be done: {error}"
            self._trail.try_record(action, at=self._clock(), namespace=namespace, details=details)
            raise
        if self._pins is not None:
            self._pins.follow(namespace, key, before.header.created_at, entry.header.created_at)
        if isinstance(self._cache.metrics, CacheMetrics):
            self._cache.metrics.hits.forget(slot, digest)
        durability = self._cache.invalidator.durability
        durability.await_local_expiry([record])
        durability.await_durability([slot])
        return entry

    def _replaced(
        self, slot: Slot, digest: bytes, body_of: BodyOf, reason: str, seen_at: float | None
    ) -> tuple[CacheEntry, CacheEntry, InvalidationRecord]:
        """What stood there, what stands there now, and the record then."""
        for _ in range(TRIES):
            before, seen, record = self._read(slot, digest, seen_at)
            now = self._clock()
            header = before.header
            entry = msgspec.structs.replace(
                before,
                header=_stamped(before, record, now),
                body=body_of(before),
                chunks=None,
                versions=self._versions(before, record, now, reason),
            )
            value = codec.encode_entry(entry)
            if len(value) > self._cache.config.limits.max_entry_bytes:
                raise InvalidInput("answer", "it is too large to be stored with the version before it")
            correction = Correction(
                digest=digest,
                seen=seen,
                value=value,
                stamp=record.stamp,
                aliases=tuple(self._aliases(slot, before, record, now)),
                ttl_ms=int((header.fresh_until - now + self._cache.config.stale_seconds) * 1000),
                model=header.model,
                created_before=header.created_at,
                created_at=now,
                tags=entry.tags,
            )
            ban = self._ban(slot, digest, now)
            if after := self._store.correct(slot, ban, correction):
                return before, entry, after
        raise InvalidInput("key", "the entry changes all the time; look again")

    def _ban(self, slot: Slot, digest: bytes, now: float) -> Ban:
        """What hides the answer of before, and keeps out those whose generation began before."""
        return changes.new_ban(
            self._cache.invalidator.audit.new_id(),
            Criteria(namespace=slot.namespace, key=readable_key(slot.bucket, digest)),
            now=now,
            hold_seconds=0,
            removed=True,
            actor=self._trail.name[:100],
        )

    def _versions(self, before: CacheEntry, record: InvalidationRecord, now: float, reason: str) -> bytes:
        """The versions that stay: none where an invalidation has reached them."""
        if visibility(before, record) is Visibility.HIDDEN:
            return b""
        return with_version(before, at=now, actor=self._trail.name[:100], reason=reason)

    def _read(self, slot: Slot, digest: bytes, seen_at: float | None) -> tuple[CacheEntry, bytes, InvalidationRecord]:
        """The entry that may be corrected, as it is stored, and its record."""
        [value], record = self._store.read(slot, [digest])
        entry = _decoded(value)
        if entry is None or value is None or record is None:
            raise NotFound(f"no answer is stored at this key in the namespace {slot.namespace}")
        if entry.header.target is not None:
            raise InvalidInput("key", "this is an alias; correct the entry that it stands for")
        if not _may_be_replaced(entry, record):
            raise InvalidInput("key", "an invalidation of more than this answer hides it; undo that first")
        if entry.header.fresh_until <= self._clock():
            raise InvalidInput("key", "this answer is past its TTL: give it another TTL first")
        if seen_at is not None and entry.header.created_at != seen_at:
            raise InvalidInput("key", "another answer has taken its place; look again")
        return entry, value, record

    def _aliases(
        self, slot: Slot, entry: CacheEntry, record: InvalidationRecord, now: float
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        """What leads to the entry by its normal form, and by its response's id, and may go on doing so."""
        header = entry.header
        digests = {
            normalized_digest(header.scope, entry.prompt, kind, strip_stop_words=self._cache.config.strip_stop_words)
            for kind in (TextKind.MATERIAL, kind_of(entry.prompt))
        }
        if isinstance(response_id := (entry.body or {}).get("id"), str):
            digests.add(response_digest(header.namespace, response_id))
        known = [digest for digest in digests if digest is not None]
        values, latest = self._store.read(slot, known)
        if latest is None or latest.stamp != record.stamp:
            return  # it is tried again
        for digest, value in zip(known, values, strict=True):
            alias = _decoded(value)
            if value is None or alias is None or alias.header.target != header.digest:
                continue
            if _may_be_replaced(alias, record):
                anew = msgspec.structs.replace(alias, header=_stamped(alias, record, now))
                yield digest, value, codec.encode_entry(anew)


def with_text(entry: CacheEntry, text: str) -> dict[str, Any]:
    """The answer of an entry with another text: all else that was not said stays as it was.

    Raises InvalidInput for an answer that is not one text.
    """
    body = entry.body or {}
    match body:
        case {"choices": [dict()]}:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return body | {"choices": [choice]}
        case {"object": "response", "output": [*_]}:
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            message = {
                "id": "msg_corrected", "type": "message", "role": "assistant", "status": "completed", "content": [part]
            }  # fmt: skip
            return body | {"output": [message]}
        case _:
            raise InvalidInput("key", "this answer is not one text, so it cannot be corrected by hand")


def _stamped(entry: CacheEntry, record: InvalidationRecord, now: float) -> EntryHeader:
    sequence = changes.next_sequence(record, now)
    return msgspec.structs.replace(entry.header, incarnation=record.incarnation, sequence=sequence, created_at=now)


def _may_be_replaced(entry: CacheEntry, record: InvalidationRecord) -> bool:
    """Whether an entry, or an alias, is visible, or hidden only by invalidations of its key."""
    seen = visibility(entry, record)
    if seen is Visibility.HIDDEN:
        target = None if entry.header.target is None else NOBODY
        header = msgspec.structs.replace(entry.header, digest=NOBODY, target=target)
        seen = visibility(msgspec.structs.replace(entry, header=header), record)
    return seen in (Visibility.FRESH, Visibility.STALE)


def _decoded(value: bytes | None) -> CacheEntry | None:
    try:
        return codec.decode_entry(value) if value is not None else None
    except DecodeError:
        return None
