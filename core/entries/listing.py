"""Entries: the stored answers of a namespace, to be listed and searched without reading them all.

A filter by an index (model, age, hits, pins) reads one page, however many entries there are. A filter by the entries
themselves (text, tags, class) reads as many of them as a limit and a time allow, and the next page goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from ..bans import Criteria, InvalidationRecord, Visibility, visibility
from ..errors import DecodeError, NotFound
from ..keys import Slot, normalize_loosely, parse_readable_key, readable_key
from ..metrics import HitCounts, Hits
from ..models import CacheEntry
from ..stores import EntryIndex, Row, codec
from ..text import fold, nfc, plain_tags
from ..wire import readable
from .pins import Pins

PAGE_SIZE = 50
LOOKED_THROUGH = 50_000
LOOKING_SECONDS = 1.5
"""Most entries, and most seconds, that are read for one page: where few match, a page ends before it is full."""
_BATCH = 200

Place = tuple[float, bytes]
"""Where in a list an entry stands: its creation time (or its hits, or when it was pinned) and its digest."""


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: all that is given must match. `text` is looked for in the prompt, case folded.

    With `in_answers` it may stand in the answer instead. `question` is the whole prompt, but for case, spaces and its
    closing mark. Any of the `tags` will do. Times are Unix seconds. Invalidated
    entries are shown when asked for: they are there until their sweep. With `fewest_hits` the most served come first,
    with `pinned` what was pinned last; else the newest. `never_hit` is for those that were never served.
    """

    text: str = ""
    question: str = ""
    in_answers: bool = False
    model: str | None = None
    created_before: float | None = None
    created_after: float | None = None
    ttl_class: str | None = None
    tags: tuple[str, ...] = ()
    fewest_hits: int = 0
    never_hit: bool = False
    pinned: bool = False
    invalidated: bool = False

    @property
    def by_index(self) -> bool:
        """Whether the indexes by model list exactly the entries that match."""
        looked_at = self.text or self.question or self.ttl_class or self.tags
        return not (looked_at or self.fewest_hits or self.never_hit or self.pinned)

    def matches(self, entry: CacheEntry) -> bool:
        """Whether an entry matches, apart from its state."""
        header = entry.header
        return (
            (self.model is None or header.model == self.model)
            and (self.created_before is None or header.created_at < self.created_before)
            and (self.created_after is None or header.created_at >= self.created_after)
            and (self.ttl_class is None or entry.ttl_class == self.ttl_class)
            and (not self.tags or not set(plain_tags(self.tags)).isdisjoint(entry.tags))
            and (not self.text or self._has_text(entry))
            and (not self.question or _folded(entry.prompt) == _wanted(self.question))
        )

    def _has_text(self, entry: CacheEntry) -> bool:
        text = fold(self.text)
        return text in fold(entry.prompt) or (self.in_answers and text in fold(readable(entry.body)))


def _folded(question: str) -> str:
    return normalize_loosely(question) or nfc(question).strip()


_wanted = lru_cache(64)(_folded)


class FoundEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stored answer. `state` is what its namespace's record says of it; `bytes` is what it takes as stored.

    `hits` is None where they were not read.
    """

    key: str
    entry: CacheEntry
    state: Visibility
    bytes: int
    hits: Hits | None = None
    pinned: bool = False

    def is_stale(self, now: float) -> bool:
        """Whether it is past its freshness or marked stale."""
        return self.state is Visibility.STALE or now >= self.entry.header.fresh_until

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain JSON, with the question and without the answer. `now` is Unix seconds."""
        header = self.entry.header
        return {
            "key": self.key,
            "namespace": header.namespace,
            "model": header.model,
            "prompt": self.entry.prompt,
            "state": "expired" if now >= header.fresh_until else self.state.value,
            "created_at": header.created_at,
            "age_seconds": round(now - header.created_at, 1),
            "fresh_seconds": round(header.fresh_until - now, 1),
            "ttl_class": self.entry.ttl_class,
            "tags": list(self.entry.tags),
            "bytes": self.bytes,
            "cost_usd": header.cost_usd,
            "tokens": header.input_tokens + header.output_tokens,
            "hits": None if self.hits is None else self.hits.total,
            "last_hit_at": None if self.hits is None else self.hits.last_at,
            "pinned": self.pinned,
            "alias_of": None if header.target is None else f"{self.key.partition('-')[0]}-{header.target.hex()}",
        }


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest first. `scanned` index rows were looked at for it; the rest of the list begins after `last`.

    `last` is None at the end of the list.
    """

    entries: tuple[FoundEntry, ...]
    scanned: int
    last: Place | None

    def followed_by(self, more: EntryPage) -> EntryPage:
        """This page with what was found from its `last` on."""
        return EntryPage(entries=self.entries + more.entries, scanned=self.scanned + more.scanned, last=more.last)


def page_entries(
    store: EntryIndex,
    slots: Sequence[Slot],
    where: EntryFilter,
    *,
    hits: HitCounts | None = None,
    pins: Pins | None = None,
    after: Place | None = None,
    size: int = PAGE_SIZE,
    most: int = LOOKED_THROUGH,
    seconds: float = LOOKING_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> EntryPage:
    """The next page of one namespace's entries, by the indexes. Raises StoreUnavailable.

    Reads a page's worth when nothing is filtered but by an index, and never more than `most` entries nor for much
    longer than `seconds`. Hits and pins are filled in where their readers are given.
    """
    pinned = {pin.key: pin.at for pin in pins.of(slots[0].namespace)} if pins is not None else {}
    if where.pinned:
        places = _pinned_last(slots, pinned, after)
    elif where.fewest_hits:
        places = _most_hit(hits, slots, where.fewest_hits, after) if hits is not None else iter(())
    else:
        places = _newest_first(store, slots, where, after)
    ends_at = monotonic() + seconds
    found: list[FoundEntry] = []
    scanned = 0
    last: Place | None = None
    while scanned < most and (not scanned or monotonic() < ends_at):
        wanted = size - len(found) if where.by_index else _BATCH  # each may be large
        batch = list(islice(places, min(wanted, _BATCH, most - scanned)))
        if not batch:
            return EntryPage(entries=tuple(found), scanned=scanned, last=None)
        counts = _counts(hits, [(slot, place[1]) for place, slot in batch])
        entries = _read(store, [(slot, place[1]) for place, slot in batch])
        for (last, slot), read, count in zip(batch, entries, counts, strict=True):
            scanned += 1
            if where.never_hit and count is not None and count.total:
                continue
            if read is not None and (one := _shown(slot, *read, where)):
                found.append(msgspec.structs.replace(one, hits=count, pinned=one.key in pinned))
                if len(found) == size:
                    return EntryPage(entries=tuple(found), scanned=scanned, last=last)
    return EntryPage(entries=tuple(found), scanned=scanned, last=last)


def every_page(
    store: EntryIndex,
    slots: Sequence[Slot],
    where: EntryFilter,
    *,
    hits: HitCounts | None = None,
    pins: Pins | None = None,
    size: int = PAGE_SIZE,
) -> Iterator[tuple[FoundEntry, ...]]:
    """All entries that match, page by page, each read when it is wanted: for exports. Raises StoreUnavailable."""
    after: Place | None = None
    while True:
        page = page_entries(store, slots, where, hits=hits, pins=pins, after=after, size=size)
        yield page.entries
        after = page.last
        if after is None:
            return


def _counts(hits: HitCounts | None, places: Sequence[tuple[Slot, bytes]]) -> list[Hits | None]:
    """The hits at these places: a round trip for each bucket."""
    if hits is None:
        return [None] * len(places)
    by_slot: dict[Slot, list[bytes]] = {}
    for slot, digest in places:
        by_slot.setdefault(slot, []).append(digest)
    known = {slot: dict(zip(digests, hits.of(slot, digests), strict=True)) for slot, digests in by_slot.items()}
    return [known[slot][digest] for slot, digest in places]


def count_listed(store: EntryIndex, slots: Sequence[Slot], where: EntryFilter) -> int:
    """How many entries the indexes list for a filter's model and times; some of them may have expired lately."""
    count = 0
    for slot in slots:
        for model in _models(store, slot, where):
            count += store.count_model(slot, model, where.created_before)
            if where.created_after is not None:
                count -= store.count_model(slot, model, where.created_after)
    return max(0, count)


def find_entry(
    store: EntryIndex, namespace: str, key: str, *, hits: HitCounts | None = None, pins: Pins | None = None
) -> FoundEntry | None:
    """The entry or alias with a readable key; None when there is none. Raises StoreUnavailable."""
    parsed = parse_readable_key(key.strip())
    if parsed is None:
        return None
    slot = Slot(namespace, parsed[0])
    [read] = _read(store, [(slot, parsed[1])])
    one = _found(slot, *read) if read is not None else None
    if one is None:
        return None
    [count] = _counts(hits, [(slot, parsed[1])])
    return msgspec.structs.replace(one, hits=count, pinned=pins is not None and pins.is_pinned(namespace, one.key))


def stored_entry(
    store: EntryIndex, namespace: str, key: str, *, hits: HitCounts | None = None, pins: Pins | None = None
) -> FoundEntry:
    """As `find_entry`. Raises InvalidInput for what is no key, NotFound when nothing is stored at it."""
    Criteria(namespace=namespace, key=key)
    found = find_entry(store, namespace, key, hits=hits, pins=pins)
    if found is None:
        raise NotFound(f"no answer is stored at this key in the namespace {namespace}")
    return found


def _newest_first(
    store: EntryIndex, slots: Sequence[Slot], where: EntryFilter, after: Place | None
) -> Iterator[tuple[Place, Slot]]:
    """The index rows of all models and buckets in one order, read as they are wanted."""
    before = after
    if where.created_before is not None:
        youngest = (where.created_before, b"")
        before = youngest if before is None else min(before, youngest)
    rows = [_rows(store, slot, model, before) for slot in slots for model in _models(store, slot, where)]
    for place, slot in merge(*rows, key=lambda row: row[0], reverse=True):
        if where.created_after is not None and place[0] < where.created_after:
            return
        yield place, slot


def _most_hit(hits: HitCounts, slots: Sequence[Slot], fewest: int, after: Place | None) -> Iterator[tuple[Place, Slot]]:
    """Entries with at least the filter's `fewest_hits`, the most hits first, over all buckets."""

    def rows(slot: Slot) -> Iterator[tuple[Place, Slot]]:
        before = after
        while True:
            places = hits.most_hit(slot, before=before, fewest=fewest, limit=_BATCH)
            yield from ((place, slot) for place in places)
            if len(places) < _BATCH:
                return
            before = places[-1]

    return merge(*map(rows, slots), key=lambda row: row[0], reverse=True)


def _pinned_last(
    slots: Sequence[Slot], pinned: Mapping[str, float], after: Place | None
) -> Iterator[tuple[Place, Slot]]:
    """Pinned entries, the latest pin first."""
    by_bucket = {slot.bucket: slot for slot in slots}
    places = []
    for key, at in pinned.items():
        parsed = parse_readable_key(key)
        if parsed is not None and parsed[0] in by_bucket:
            places.append(((at, parsed[1]), by_bucket[parsed[0]]))
    places.sort(key=lambda row: row[0], reverse=True)
    return iter([row for row in places if after is None or row[0] < after])


def _rows(store: EntryIndex, slot: Slot, model: str, before: Place | None) -> Iterator[tuple[Place, Slot]]:
    while True:
        places = store.recent(slot, model, before=before, limit=_BATCH)
        yield from ((place, slot) for place in places)
        if len(places) < _BATCH:
            return
        before = places[-1]


def _models(store: EntryIndex, slot: Slot, where: EntryFilter) -> list[str]:
    return list(store.models(slot)) if where.model is None else [where.model]


def _read(store: EntryIndex, wanted: Sequence[tuple[Slot, bytes]]) -> list[tuple[Row, InvalidationRecord] | None]:
    """What is at these places now, each with the record as of the same moment: a round trip for each bucket."""
    by_slot: dict[Slot, list[bytes]] = {}
    for slot, digest in wanted:
        by_slot.setdefault(slot, []).append(digest)
    read: dict[tuple[Slot, bytes], tuple[Row, InvalidationRecord]] = {}
    for slot, digests in by_slot.items():
        values, record = store.read(slot, digests)
        if record is None:
            continue
        for digest, value in zip(digests, values, strict=True):
            if value is not None:
                read[slot, digest] = Row(digest=digest, value=value), record
    return [read.get(place) for place in wanted]


def _shown(slot: Slot, row: Row, record: InvalidationRecord, where: EntryFilter) -> FoundEntry | None:
    """The entry if it is one that the filter shows."""
    one = _found(slot, row, record)
    if one is None or one.entry.header.target is not None or not where.matches(one.entry):
        return None
    is_hidden = one.state not in (Visibility.FRESH, Visibility.STALE)
    return None if is_hidden and not where.invalidated else one


def _found(slot: Slot, row: Row, record: InvalidationRecord) -> FoundEntry | None:
    try:
        entry = codec.decode_entry(row.value)
    except DecodeError:
        return None
    return FoundEntry(
        key=readable_key(slot.bucket, row.digest),
        entry=entry,
        state=visibility(entry, record),
        bytes=len(row.value),
    )
