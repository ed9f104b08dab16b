"""The tags that stored answers have, each with how many entries, and when the latest of them was stored.

Tags are counted where they stand, in the headers of the entries: their indexes bear no names. So much of a large
namespace is looked at as a limit and a time allow, in no order, and how much that was is part of the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ..bans import InvalidationRecord, Visibility
from ..errors import DecodeError
from ..keys import Slot
from ..stores import EntrySummary, Row, Store, codec
from ..text import many

LOOKED_THROUGH = 50_000
LOOKING_SECONDS = 2.0
"""Most entries, and about the most seconds, that are looked at."""
MOST_COUNTED = 20_000
"""Different tags that are counted; callers may give each answer one of its own."""
MOST_TAGS_LISTED = 500


class KnownTag(msgspec.Struct, frozen=True, kw_only=True):
    """One tag, how many entries have it, and when the latest of them was stored (Unix seconds)."""

    tag: str
    entries: int
    latest_at: float


class KnownTags(msgspec.Struct, frozen=True, kw_only=True):
    """The tags of a namespace, those of most entries first.

    Counted in `looked_at` entries of about `listed`; `complete` says whether nothing was left out. `others` tags are
    counted and not in the list.
    """

    tags: tuple[KnownTag, ...]
    looked_at: int
    listed: int
    complete: bool
    others: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


def counted_words(found: KnownTags) -> str:
    """How much of the namespace was counted, in words: empty where it was all of it."""
    words = []
    if not found.complete:
        words.append(f"Counted in {found.looked_at:,} of about {found.listed:,} entries: there may be more.")
    if found.others:
        words.append(f"And {many(found.others, 'other tag')}: narrow it down.")
    return " ".join(words)


def known_tags(
    store: Store,
    slots: Sequence[Slot],
    *,
    find: str = "",
    limit: int = MOST_TAGS_LISTED,
    most: int = LOOKED_THROUGH,
    seconds: float = LOOKING_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> KnownTags:
    """The tags of what is stored in these buckets, `find` in them if it is given, in any case. Raises StoreUnavailable.

    What an invalidation hides is left out, but for what it hides by a pattern or keywords: that is seen in the text,
    which is not read.
    """
    ends_at = monotonic() + seconds
    count = _Count(find.casefold())
    complete = all(
        count.through(store, slot, lambda: count.looked_at < most and monotonic() < ends_at) for slot in slots
    )
    found = sorted(count.entries, key=lambda tag: (-count.entries[tag], tag))
    return KnownTags(
        tags=tuple(
            KnownTag(tag=tag, entries=count.entries[tag], latest_at=count.latest_at[tag]) for tag in found[:limit]
        ),
        looked_at=count.looked_at,
        listed=count.looked_at if complete else max(count.looked_at, _listed(store, slots)),
        complete=complete and not count.has_left_out,
        others=max(0, len(found) - limit),
    )


class _Count:
    """Tags as they are counted; `wanted` is folded."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self.entries: dict[str, int] = {}
        self.latest_at: dict[str, float] = {}
        self.looked_at = 0
        self.has_left_out = False

    def through(self, store: Store, slot: Slot, may_go_on: Callable[[], bool]) -> bool:
        """Goes through a bucket; whether it came to the end."""
        _, record = store.read(slot, [])
        if record is None:
            return True
        for rows in store.walk(slot, whole=False):
            if not may_go_on():
                return False
            for seen in _summaries(store, slot, rows):
                if seen.target is None and seen.incarnation == record.incarnation:
                    self.looked_at += 1
                    if seen.tags and not _is_hidden(seen, record):
                        self._add(seen)
        return True

    def _add(self, seen: EntrySummary) -> None:
        for tag in set(seen.tags):
            if self._wanted and self._wanted not in tag.casefold():
                continue
            if tag not in self.entries and len(self.entries) >= MOST_COUNTED:
                self.has_left_out = True
                continue
            self.entries[tag] = self.entries.get(tag, 0) + 1
            self.latest_at[tag] = max(self.latest_at.get(tag, 0.0), seen.created_at)


def _is_hidden(seen: EntrySummary, record: InvalidationRecord) -> bool:
    book = record.book
    return book is not None and book.verdict(seen.sequence, seen, "", seen.tags) is Visibility.HIDDEN


def _summaries(store: Store, slot: Slot, rows: Iterable[Row]) -> list[EntrySummary]:
    """The summaries of these values; of headers that long tags have cut off, by reading them whole."""
    found, cut = [], []
    for row in rows:
        try:
            found.append(codec.summarize(row.value, with_text=False))
        except DecodeError:
            cut.append(row.digest)
    if cut:
        for value in store.read(slot, cut)[0]:
            try:
                found += [codec.summarize(value, with_text=False)] if value is not None else []
            except DecodeError:  # no lookup would serve it
                continue
    return found


def _listed(store: Store, slots: Sequence[Slot]) -> int:
    return sum(sum(store.models(slot).values()) for slot in slots)
