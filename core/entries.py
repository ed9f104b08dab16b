"""Entries: the stored answers of a namespace, to be listed and searched without reading them all."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import msgspec

from core import codec
from core.bans import Visibility, visibility
from core.errors import DecodeError
from core.keys import Slot, readable_key
from core.models import CacheEntry
from core.stores.base import Row, Store


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: all that is given must match. `text` is looked for in the prompt, case folded.

    Times are Unix seconds. Invalidated entries are shown when asked for: they are there until their sweep.
    """

    text: str = ""
    model: str | None = None
    created_before: float | None = None
    created_after: float | None = None
    invalidated: bool = False

    def matches(self, entry: CacheEntry) -> bool:
        """Whether an entry is to be shown, its state apart."""
        header = entry.header
        return (
            (self.model is None or header.model == self.model)
            and (self.created_before is None or header.created_at < self.created_before)
            and (self.created_after is None or header.created_at >= self.created_after)
            and (not self.text or _fold(self.text) in _fold(entry.prompt))
        )


class FoundEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stored answer. `state` is what its namespace's record says of it; `bytes` is what it takes as stored."""

    key: str
    entry: CacheEntry
    state: Visibility
    bytes: int

    def is_stale(self, now: float) -> bool:
        """Whether it is past its freshness or marked stale."""
        return self.state is Visibility.STALE or now >= self.entry.header.fresh_until


def find_entries(store: Store, slots: list[Slot], where: EntryFilter, limit: int) -> list[FoundEntry]:
    """Up to `limit` entries, in no order: the first that a walk meets. Raises StoreUnavailable."""
    found: list[FoundEntry] = []
    for slot in slots:
        _, record = store.read(slot, [])
        if record is None:
            continue
        seen: set[bytes] = set()  # a walk may meet an entry twice
        for rows in _batches(store, slot, where):
            for row in rows:
                if row.digest in seen:
                    continue
                seen.add(row.digest)
                try:
                    entry = codec.decode_entry(row.value)
                except DecodeError:
                    continue
                state = visibility(entry, record)
                is_hidden = state in (Visibility.HIDDEN, Visibility.FOREIGN)
                if entry.header.target is not None or is_hidden > where.invalidated or not where.matches(entry):
                    continue
                found.append(
                    FoundEntry(
                        key=readable_key(slot.bucket, row.digest), entry=entry, state=state, bytes=len(row.value)
                    )
                )
                if len(found) >= limit:
                    return found
    return found


def _batches(store: Store, slot: Slot, where: EntryFilter) -> Iterator[list[Row]]:
    if where.model is not None:
        return store.walk_model(slot, where.model, created_before=where.created_before, whole=True)
    return store.walk(slot, whole=True)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
