"""Entries of all namespaces at one look: how many each has, and which of them match. Bounded as one search is.

Each namespace gets an even share of the time and of the entries that one page of one namespace may take, so that none
is passed over because another is large.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..errors import NotPermitted
from ..keys import Slot
from ..metrics import HitCounts
from ..stores import EntryIndex
from .listing import (
    LOOKED_THROUGH,
    LOOKING_SECONDS,
    PAGE_SIZE,
    EntryFilter,
    FoundEntry,
    count_listed,
    find_entry,
    page_entries,
)
from .pins import Pins

MOST_NAMESPACES = 500
"""In one look; of more, the first by name."""
LEAST_LOOKED_THROUGH = 200
LEAST_SECONDS = 0.02


class NamespaceEntries(msgspec.Struct, frozen=True, kw_only=True):
    """What one namespace has. `listed` is what its indexes list of the filter's model and age.

    `found` are those that match, at most a page of them, the newest first; `is_all`: there are no more. `problem`: why
    nothing could be read.
    """

    namespace: str
    listed: int = 0
    found: tuple[FoundEntry, ...] = ()
    scanned: int = 0
    is_all: bool = True
    problem: str = ""

    @staticmethod
    def newest(of_each: Sequence[NamespaceEntries]) -> list[FoundEntry]:
        """What matches in all of these namespaces, the newest first."""
        every = [one for each in of_each for one in each.found]
        return sorted(every, key=lambda one: one.entry.header.created_at, reverse=True)

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain JSON; `now` is Unix seconds."""
        return {
            "namespace": self.namespace,
            "listed": self.listed,
            "found": [one.to_dict(now) for one in self.found],
            "looked_through": self.scanned,
            "is_all": self.is_all,
            "problem": self.problem,
        }


def find_anywhere(
    store: EntryIndex,
    namespaces: Sequence[str],
    key: str,
    *,
    hits: HitCounts | None = None,
    pins: Pins | None = None,
) -> FoundEntry | None:
    """The entry at a readable key in the first of these namespaces that has one; None where none has.

    A read for each, of at most `MOST_NAMESPACES`. Raises StoreUnavailable.
    """
    found = (find_entry(store, name, key, hits=hits, pins=pins) for name in namespaces[:MOST_NAMESPACES])
    return next(filter(None, found), None)


def by_namespace(
    store: EntryIndex,
    namespaces: Sequence[str],
    where: EntryFilter,
    *,
    buckets: int = 1,
    hits: HitCounts | None = None,
    pins: Pins | None = None,
    size: int = PAGE_SIZE,
    most: int = LOOKED_THROUGH,
    seconds: float = LOOKING_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[NamespaceEntries]:
    """What each of these namespaces has, those with most matches first. Raises StoreUnavailable.

    Of more than `MOST_NAMESPACES` only so many are looked at.
    """
    names = namespaces[:MOST_NAMESPACES]
    each = max(LEAST_LOOKED_THROUGH, most // max(1, len(names)))
    ends_at = monotonic() + seconds
    found = []
    for number, name in enumerate(names):
        slots = [Slot(name, bucket) for bucket in range(buckets)]
        left = max(0.0, ends_at - monotonic()) / (len(names) - number)
        try:
            page = page_entries(
                store,
                slots,
                where,
                hits=hits,
                pins=pins,
                size=size,
                most=each,
                seconds=max(LEAST_SECONDS, left),
                monotonic=monotonic,
            )
            listed = count_listed(store, slots, where)
        except NotPermitted as error:
            found.append(NamespaceEntries(namespace=name, problem=str(error)))
            continue
        found.append(
            NamespaceEntries(
                namespace=name,
                listed=listed,
                found=page.entries,
                scanned=page.scanned,
                is_all=page.last is None,
            )
        )
    return sorted(found, key=lambda one: (-len(one.found), -one.listed, one.namespace))
