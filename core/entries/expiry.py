"""Expiry: how long a stored answer stays fresh, changed in place.

The entry keeps its own stamp, and is changed only while it is the one that was looked at: no invalidation is evaded and
no newer answer lost.
"""

from __future__ import annotations

import msgspec

from ..bans import InvalidationRecord, Visibility, visibility
from ..errors import DecodeError, InvalidInput
from ..keys import Slot, TextKind, kind_of, normalized_digest, parse_readable_key
from ..models import CacheEntry
from ..stores import EntryStore, codec

TRIES = 5


def place_of(namespace: str, key: str) -> tuple[Slot, bytes]:
    """Where the entry with a readable key is. Raises InvalidInput."""
    parsed = parse_readable_key(key)
    if parsed is None:
        raise InvalidInput("key", "this is not a key")
    return Slot(namespace, parsed[0]), parsed[1]


def served_entry(store: EntryStore, slot: Slot, digest: bytes) -> CacheEntry:
    """The entry at a place. Raises InvalidInput when there is none, or when an invalidation hides or marks it."""
    entry, _, _ = _served(store, slot, digest)
    return entry


def keep_until(
    store: EntryStore,
    slot: Slot,
    digest: bytes,
    fresh_until: float,
    *,
    now: float,
    stale_seconds: float,
    strip_stop_words: bool = False,
) -> CacheEntry:
    """Keeps an entry, and its normalized alias, fresh until a time (Unix seconds). Returns the changed entry.

    Both stay `stale_seconds` longer in the store. Raises InvalidInput when there is no entry, or when an invalidation
    hides or marks it.
    """
    stays_ms = int((fresh_until - now + stale_seconds) * 1000)
    for _ in range(TRIES):
        entry, seen, record = _served(store, slot, digest)
        changed = _fresh_until(entry, fresh_until)
        value = codec.encode_entry(changed)
        if store.replace(slot, digest, seen=seen, value=value, ttl_ms=stays_ms, stamp=record.stamp):
            _keep_alias(store, slot, changed, stays_ms, strip_stop_words=strip_stop_words)
            return changed
    raise InvalidInput("key", "the entry changes all the time; look again")


def _keep_alias(store: EntryStore, slot: Slot, entry: CacheEntry, stays_ms: int, *, strip_stop_words: bool) -> None:
    """Changes the expiry of the normalized alias too, if it leads to this very entry."""
    # What was said to the model beside the text is not kept, so its kind is one of two.
    digests = [
        digest
        for kind in {TextKind.MATERIAL, kind_of(entry.prompt)}
        if (digest := normalized_digest(entry.header.scope, entry.prompt, kind, strip_stop_words=strip_stop_words))
    ]
    values, record = store.read(slot, digests) if digests else ([], None)
    for digest, seen in zip(digests, values, strict=True):
        if seen is None or record is None:
            continue
        try:
            alias = codec.decode_entry(seen)
        except DecodeError:
            continue
        if alias.header.target == entry.header.digest and visibility(alias, record) is Visibility.FRESH:
            value = codec.encode_entry(_fresh_until(alias, entry.header.fresh_until))
            store.replace(slot, digest, seen=seen, value=value, ttl_ms=stays_ms, stamp=record.stamp)


def _fresh_until(entry: CacheEntry, fresh_until: float) -> CacheEntry:
    header = msgspec.structs.replace(entry.header, fresh_until=fresh_until)
    return msgspec.structs.replace(entry, header=header)


def _served(store: EntryStore, slot: Slot, digest: bytes) -> tuple[CacheEntry, bytes, InvalidationRecord]:
    """The entry, as it is stored, and the record that shows it."""
    [value], record = store.read(slot, [digest])
    try:
        entry = codec.decode_entry(value or b"")
    except DecodeError:
        entry = None
    if entry is None or value is None or record is None or entry.header.target is not None:
        raise InvalidInput("key", "there is no such entry")
    if visibility(entry, record) is not Visibility.FRESH:
        raise InvalidInput("key", "an invalidation hides this entry or marks it stale; undo that first")
    return entry, value, record
