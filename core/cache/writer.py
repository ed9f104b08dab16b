"""Decides what may be stored of an answer, and writes it with its aliases through the fence."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from .. import policy
from ..bans import entry_digests, may_store
from ..errors import DecodeError
from ..keys import pack, response_digest, user_digests
from ..models import (
    MOST_TAGS,
    CacheEntry,
    CacheStrategy,
    ChatRequest,
    Completion,
    EntryHeader,
    Stamp,
)
from ..stores import MissReason, StoredAs, Write, codec
from ..text import without_text
from ..wire import can_be_streamed, notes_of, repeats_caller, without_callers
from .call import Call
from .config import CacheConfig
from .effects import Flow, Keep, Remember
from .recorder import OutcomeRecorder

if TYPE_CHECKING:
    from ..semantic.conversations import OwnConversation

logger = logging.getLogger("encore.cache")

SAME_WORDING = "same-wording"
OTHER_BUCKET = "other-bucket"
OTHER_SCOPE = "other-scope"
"""Why a wording needs, or gets, no alias."""
TOO_MANY_TAGS = "too-many-tags"
"""Why an answer is not kept in the place of another with tags of its own."""
_OWN_IDS = {"chat": "chatcmpl", "embeddings": "embd"}
"""What ids of answers begin with that mean nothing to the provider, by the family of the API."""
MOVED_TRIES = 16
"""How often a store is tried again when invalidations come between: each of them is checked first."""


class Writer:
    """Stores answers. `clock` gives Unix seconds."""

    def __init__(
        self, config: CacheConfig, outcomes: OutcomeRecorder, clock: Callable[[], float], ttls: policy.TTLPolicy
    ) -> None:
        self._ttls = ttls
        self._config = config
        self._outcomes = outcomes
        self._clock = clock
        self._random = random.Random()

    def kept(
        self,
        call: Call,
        stamp: Stamp | None,
        completion: Completion,
        chunks: list[dict[str, Any]] | None = None,
        *,
        not_stored: str = "",
        present_tags: tuple[str, ...] = (),
    ) -> Flow[tuple[CacheEntry | None, bytes | None, str]]:
        """The flow that keeps an answer: its entry, the stored form, and "" or why it was not stored.

        Never fails: the caller gets the answer, whatever is odd about it.
        """
        if not_stored:
            return None, None, not_stored
        try:
            entry = self.entry(call, stamp, completion, chunks, unstamped=call.unanswered, present_tags=present_tags)
            if isinstance(entry, str):
                return None, None, entry
            value, not_stored = yield from self.keep(call, entry)
        except Exception as error:  # noqa: BLE001 - the cache may fail, the answer may not
            logger.warning("an answer is not kept: %s", without_text(error))
            return None, None, "unencodable"
        return entry, value, not_stored

    def entry(
        self,
        call: Call,
        stamp: Stamp | None,
        completion: Completion,
        chunks: list[dict[str, Any]] | None,
        *,
        unstamped: str,
        present_tags: tuple[str, ...] = (),
    ) -> CacheEntry | str:
        """The entry that stores an answer, or the reason why it must not be stored: `unstamped` without a stamp.

        `present_tags` are those of the answer whose place it takes: a caller adds to them and takes none away.
        """
        if not_stored := policy.not_stored_reason(completion.body, call.request, self._config.limits):
            return not_stored
        if chunks is None and not can_be_streamed(call.request.endpoint, completion.body):
            return policy.SHAPE
        seconds = self._fresh_seconds(call)
        if seconds is None:
            return "no-store"
        if stamp is None:
            return unstamped
        tags = tuple(dict.fromkeys((*call.controls.tags, *present_tags)))
        if len(tags) > MOST_TAGS:
            return TOO_MANY_TAGS
        now = self._clock()
        tokens = completion.tokens
        identity = call.identity
        given = call.request.unkeyed
        header = EntryHeader(
            digest=identity.exact,
            scope=identity.scope,
            namespace=call.namespace,
            model=call.request.model,
            incarnation=stamp.incarnation,
            sequence=stamp.sequence,
            created_at=now,
            fresh_until=now + seconds,
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            cost_usd=self._outcomes.cost(call.request, completion),
            latency_ms=call.provider_ms(),
            users=user_digests(call.namespace, call.user),
        )
        body = without_callers(completion.body, given)
        chunks = None if chunks is None else [without_callers(chunk, given) for chunk in chunks]
        notes = notes_of(given, call.headers)
        kind = _OWN_IDS.get(call.request.endpoint)
        if kind is not None and repeats_caller([{"id": body.get("id")}], notes):
            # Some servers call an answer by its request's id.
            own_id = {"id": f"{kind}-{uuid4().hex}"}
            body = body | own_id
            chunks = None if chunks is None else [chunk | own_id if "id" in chunk else chunk for chunk in chunks]
        if repeats_caller((body, *(chunks or ())), notes):
            return policy.REPEATS_CALLER
        conversation = self._conversation(call)
        return CacheEntry(
            header=header,
            prompt=identity.prompt,
            tags=tags,
            ttl_class=call.ttl.ttl_class,
            body=body,
            chunks=chunks,
            parts=pack(identity.parts),
            family=conversation.family.pack() if conversation is not None else b"",
            history=conversation.packed if conversation is not None else b"",
        )

    def _conversation(self, call: Call) -> OwnConversation | None:
        """The conversation of a request whose answer others may get; None where it has none."""
        if not call.identity.converses or call.strategy is not CacheStrategy.SEMANTIC:
            return None
        from ..semantic.conversations import conversation_of  # the rules are read only where they are wanted

        found = conversation_of(call.identity, lambda text: self._ttls.explain(text).personal)
        return None if isinstance(found, str) else found

    def _fresh_seconds(self, call: Call) -> float | None:
        """How long the answer will be fresh; None for not at all."""
        return policy.kept_seconds(
            call.controls.ttl,
            call.ttl.seconds,
            configured=self._config.ttl,
            longest=policy.longest_seconds(call.request),
            vary=lambda seconds: policy.jitter(seconds, self._config.ttl_jitter, self._random),
        )

    def keep(self, call: Call, entry: CacheEntry) -> Flow[tuple[bytes | None, str]]:
        """The flow that writes an entry and its alias through the fence: (stored form, "" or why it was not stored).

        The stored form is also returned when only the store failed, for those who wait.
        """
        header = entry.header
        try:
            value = codec.encode_entry(entry)
            normalized = call.identity.normalized
            alias = None if normalized is None else (normalized, _encode_alias(entry, normalized, header.digest))
        except DecodeError:
            return None, "unencodable"
        if len(value) > self._config.limits.max_entry_bytes:
            return None, "too-large"
        seconds = header.fresh_until - header.created_at + self._config.stale_seconds
        write = Write(
            digest=header.digest,
            value=value,
            ttl_ms=int(seconds * 1000),
            model=header.model,
            created_at=header.created_at,
            names=entry_digests(entry),
            tags=entry.tags,
            alias=alias,
            over_hidden=call.over_hidden,
        )
        not_stored = yield from self._write(call, entry, write)
        if not not_stored and (named := _kept_as(call.request, entry)):
            yield from self._keep_pointer(call, entry, named, write.ttl_ms)
        return (value if not_stored in ("", call.unanswered) else None), not_stored

    def _keep_pointer(self, call: Call, entry: CacheEntry, response_id: str, ttl_ms: int) -> Flow[str]:
        """The flow that notes by a response's id where its answer is, so that it goes with the response."""
        header = entry.header
        pointer = msgspec.structs.replace(
            header, digest=response_digest(header.namespace, response_id), target=header.digest
        )
        alias = CacheEntry(header=pointer, prompt=entry.prompt, tags=entry.tags, ttl_class=entry.ttl_class)
        write = Write(
            digest=pointer.digest,
            value=codec.encode_entry(alias),
            ttl_ms=ttl_ms,
            model=header.model,
            created_at=header.created_at,
            names=entry_digests(alias),
            tags=entry.tags,
            alias=None,
            indexed=False,
            over_hidden=False,  # no other answer has its id
        )
        return (yield from self._write(call, alias, write, is_question=False))

    def keep_alias(self, call: Call, stamp: Stamp, entry: CacheEntry) -> Flow[str]:
        """The flow that stores an alias for a wording, so that each repeat is a plain hit; "" or why it was refused."""
        identity = call.identity
        if identity.exact == entry.header.digest:
            return SAME_WORDING  # the entry itself stands there
        conversation = self._conversation(call)
        header = msgspec.structs.replace(
            entry.header,
            digest=identity.exact,
            scope=identity.scope,
            target=entry.header.digest,
            incarnation=stamp.incarnation,
            sequence=stamp.sequence,
        )
        alias = CacheEntry(
            header=header,
            prompt=identity.prompt,
            tags=entry.tags,
            ttl_class=entry.ttl_class,
            family=conversation.family.pack() if conversation is not None else b"",
        )
        folded = identity.normalized
        write = Write(
            digest=header.digest,
            value=codec.encode_entry(alias),
            ttl_ms=max(1, int((header.fresh_until - self._clock()) * 1000)),
            model=header.model,
            created_at=header.created_at,
            names=entry_digests(alias),
            tags=entry.tags,
            # It leads to the alias and not to the entry: what hides the alias hides every spelling of it.
            alias=None if folded is None else (folded, _encode_alias(alias, folded, identity.exact)),
            indexed=False,
            over_hidden=call.over_hidden,
        )
        return (yield from self._write(call, alias, write))

    def _write(self, call: Call, entry: CacheEntry, write: Write, *, is_question: bool = True) -> Flow[str]:
        """Writes through the fence; "" or why it was refused. `is_question`: near ones may lead there."""
        stamp = Stamp(entry.header.incarnation, entry.header.sequence)
        expected = stamp.sequence
        for _ in range(MOVED_TRIES):
            reply = yield Keep(call, write, stamp, expected)
            if reply is None:
                return call.unanswered
            result, record = reply
            if result is StoredAs.STORED:
                if is_question and call.strategy is CacheStrategy.SEMANTIC:
                    yield Remember(call, entry.header.fresh_until)
                return ""
            if result is not StoredAs.MOVED or record is None:
                return f"refused-{result}"
            if not record.is_complete:
                return f"refused-{MissReason.BANS_LOADING}"
            if not may_store(entry, record):
                return "refused-invalidated"
            expected = record.sequence
        return "refused-moved"


def _kept_as(request: ChatRequest, entry: CacheEntry) -> str | None:
    """The id under which the provider keeps an answer too; None when it does not."""
    if request.endpoint != "responses" or request.parameters.get("store") is False:
        return None
    named = (entry.body or {}).get("id")
    return named if isinstance(named, str) else None


def _encode_alias(entry: CacheEntry, digest: bytes, target: bytes) -> bytes:
    """The stored form of an alias that stands at `digest`, names `target` and carries the entry's prompt and tags."""
    header = msgspec.structs.replace(entry.header, digest=digest, target=target)
    return codec.encode_entry(
        CacheEntry(header=header, prompt=entry.prompt, tags=entry.tags, ttl_class=entry.ttl_class)
    )
