"""Pins: answers that stay fresh until they are unpinned.

A pinned answer has a TTL of thirty days like any other entry, and a worker renews it each day: without workers the pin
lapses after a month. An invalidation hides it as any other answer. So does a Redis that evicts: under memory pressure a
`volatile-*` policy may take it, and then the pin is over. A pin is of one answer and not of its question: when another
answer has taken its place the pin is over too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import cast

import msgspec
import redis

from ..access import Acting, Action, AuditLog
from ..bans import Visibility, visibility
from ..errors import DecodeError, InvalidInput
from ..keys import names, readable_key
from ..stores import EntryStore, codec
from ..stores.redis import reading, writing
from .expiry import keep_until, place_of, served_entry

logger = logging.getLogger("encore.pins")

PIN_SECONDS = 30 * 86_400
RENEW_BELOW_SECONDS = 29 * 86_400
"""A pinned answer is renewed when it has less than this left."""
RELEASED_SECONDS = 86_400
"""What an unpinned answer has left when its class has no TTL."""
MOST_PINS = 1000


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """One pinned answer, identified by readable key and creation time. `at` is when it was pinned.

    Times are Unix seconds.
    """

    namespace: str
    key: str
    created_at: float
    actor: str
    at: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pin).decode


class Pins:
    """The pins of all processes. All methods raise StoreUnavailable, WriteRefused and OutcomeUnknown.

    Methods that change something raise AccessDenied unless the actor's role allows it. They write the audit record
    first: without a record there is no change.

    `release_seconds` gives the TTL of a class, which an answer has left when it is unpinned. `stale_seconds` and
    `strip_stop_words` are the cache's.
    """

    def __init__(
        self,
        client: redis.Redis,
        store: EntryStore,
        audit: AuditLog,
        *,
        release_seconds: Callable[[str], float],
        stale_seconds: float = 0.0,
        strip_stop_words: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store
        self._audit = audit
        self._release_seconds = release_seconds
        self._stale_seconds = stale_seconds
        self._strip_stop_words = strip_stop_words
        self._clock = clock

    def of(self, namespace: str) -> list[Pin]:
        """The pins of a namespace, the latest first."""
        return sorted((pin for pin in self._all() if pin.namespace == namespace), key=lambda pin: pin.at, reverse=True)

    def is_pinned(self, namespace: str, key: str) -> bool:
        """Whether the answer at a key is pinned."""
        with reading():
            return bool(self._client.hexists(names.PINS.decode(), _field(namespace, key)))

    def pin(self, namespace: str, key: str, *, actor: Acting) -> Pin:
        """Pins the answer that is served at a key now. Raises InvalidInput when there is none, or too many pins."""
        trail = self._audit.by(actor)
        name = trail.require(Action.EDIT_ENTRIES)
        slot, digest = place_of(namespace, key)
        key = readable_key(slot.bucket, digest)
        entry = served_entry(self._store, slot, digest)
        now = self._clock()
        if len(self._all()) >= MOST_PINS:
            raise InvalidInput("key", f"{MOST_PINS:,} answers are pinned already; unpin some first")
        trail.record("entry.pinned", at=now, namespace=namespace, details={"key": key})
        pin = Pin(namespace=namespace, key=key, created_at=entry.header.created_at, actor=name, at=now)
        with writing():
            self._client.hset(names.PINS.decode(), _field(namespace, key), _encode(pin))
        self._keep(pin, PIN_SECONDS)
        return pin

    def unpin(self, namespace: str, key: str, *, actor: Acting) -> None:
        """Gives an answer the TTL of its class again, from now on. Raises InvalidInput when it is not pinned."""
        trail = self._audit.by(actor)
        name = trail.require(Action.EDIT_ENTRIES)
        slot, digest = place_of(namespace, key)
        key = readable_key(slot.bucket, digest)
        if not self.is_pinned(namespace, key):
            raise InvalidInput("key", "this answer is not pinned")
        trail.record("entry.unpinned", at=self._clock(), namespace=namespace, details={"key": key})
        self._forget(namespace, key)
        try:
            entry = served_entry(self._store, slot, digest)
        except InvalidInput:
            return  # an invalidation hides it: there is no TTL to be given
        seconds = max(1.0, self._release_seconds(entry.ttl_class))
        self._keep(Pin(namespace=namespace, key=key, created_at=0.0, actor=name, at=0.0), seconds)

    def follow(self, namespace: str, key: str, before: float, after: float) -> None:
        """Has the pin of an answer that was stored at `before` stand for the one stored at `after` in its place."""
        name = _field(namespace, key)
        with reading():
            value = self._client.hget(names.PINS.decode(), name)
        try:
            pin = _decode(cast("bytes", value)) if value is not None else None
        except msgspec.MsgspecError:  # of another version
            return
        if pin is not None and pin.created_at == before:
            with writing():
                self._client.hset(names.PINS.decode(), name, _encode(msgspec.structs.replace(pin, created_at=after)))

    def renew(self) -> int:
        """Renews answers with less than 29 days left, and ends pins of answers that are gone.

        Returns the number renewed.

        What an invalidation hides stays pinned and is not renewed: it may be undone.
        """
        renewed = 0
        for pin in self._all():
            slot, digest = place_of(pin.namespace, pin.key)
            [value], record = self._store.read(slot, [digest])
            try:
                entry = codec.decode_entry(value or b"")
            except DecodeError:
                entry = None
            if entry is None or record is None or entry.header.created_at != pin.created_at:
                reason = "the answer is gone" if entry is None or record is None else "another answer is in its place"
                self._audit.by("encore", source="worker").record(
                    "entry.pin-ended",
                    at=self._clock(),
                    namespace=pin.namespace,
                    details={"key": pin.key, "reason": reason},
                )
                self._forget(pin.namespace, pin.key)
            elif (
                visibility(entry, record) is Visibility.FRESH
                and entry.header.fresh_until - self._clock() < RENEW_BELOW_SECONDS
            ):
                try:
                    self._keep(pin, PIN_SECONDS)
                    renewed += 1
                except InvalidInput as error:  # it was invalidated or replaced this very moment: seen the next time
                    logger.debug("a pin is not renewed: %s", error)
        return renewed

    def _keep(self, pin: Pin, seconds: float) -> None:
        slot, digest = place_of(pin.namespace, pin.key)
        now = self._clock()
        keep_until(
            self._store,
            slot,
            digest,
            now + seconds,
            now=now,
            stale_seconds=self._stale_seconds,
            strip_stop_words=self._strip_stop_words,
        )

    def _all(self) -> list[Pin]:
        with reading():
            values = cast("list[bytes]", self._client.hvals(names.PINS.decode()))
        pins = []
        for value in values:
            try:
                pins.append(_decode(value))
            except msgspec.MsgspecError:  # of another version
                continue
        return pins

    def _forget(self, namespace: str, key: str) -> None:
        with writing():
            self._client.hdel(names.PINS.decode(), _field(namespace, key))


def _field(namespace: str, key: str) -> str:
    return f"{namespace}/{key}"
