"""The invalidations in force: how many there are, and page by page, since there may be a hundred thousand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ..bans import Ban, BanState, InvalidationRecord
from ..errors import InvalidInput
from ..keys import NAMESPACE_PATTERN, Slot
from ..stores import Store
from .telling import Invalidation, Wanted, from_ban

MOST_SEARCHED = 200_000
"""Among how many bans one page is looked for."""

_PAGE = 500
_CURSOR = re.compile(rf"(\d{{1,12}}(?:\.\d{{1,9}})?)/([0-9a-f]{{1,3}})/({NAMESPACE_PATTERN})/([A-Za-z0-9._:-]{{1,80}})")


class ActivePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some invalidations in force; `next` is the cursor of the following page, None when there is none."""

    items: list[Invalidation]
    next: str | None = None


class ActiveCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many bans a namespace has in that of its buckets that has most: all, and those that every entry must be
    compared with (patterns, keywords, ages)."""

    active: int = 0
    listed: int = 0


class ActiveInvalidations:
    """What hides something now, or marks it stale. `buckets` is the number of slots of each namespace.

    All methods raise StoreUnavailable.
    """

    def __init__(self, store: Store, *, buckets: int) -> None:
        self._store = store
        self._buckets = buckets

    def records(self, namespace: str | None = None) -> Iterator[tuple[Slot, InvalidationRecord]]:
        """The buckets of one namespace or of all that have a record, with it, without bans. One read for each."""
        for slot in self._slots(namespace):
            if (record := self._store.record(slot)) is not None:
                yield slot, record

    def counts(self, namespace: str | None = None) -> dict[str, ActiveCount]:
        """How many there are, by namespace. One read for each bucket."""
        found: dict[str, ActiveCount] = {}
        for slot, record in self.records(namespace):
            known = found.get(slot.namespace, ActiveCount())
            found[slot.namespace] = ActiveCount(
                active=max(known.active, record.active), listed=max(known.listed, record.listed)
            )
        return found

    def page(
        self,
        limit: int = 100,
        *,
        cursor: str | None = None,
        namespace: str | None = None,
        where: Wanted | None = None,
    ) -> ActivePage:
        """A page of those in force, of one namespace or of all: those first whose time to undo ends first.

        Those of one page alone come newest first. `where` selects; a page may then be short though there are more:
        `next` says. Raises InvalidInput for a cursor that is none.
        """
        start, after = _place(cursor)
        found: list[Invalidation] = []
        end: str | None = None
        for looked_at, (slot, ban) in enumerate(self._from(start, after, namespace)):
            if len(found) >= limit or looked_at >= MOST_SEARCHED:
                break
            end = f"{ban.ends_at!r}/{slot.bucket:x}/{slot.namespace}/{ban.id}"
            if _is_told_of(slot, ban):
                known = from_ban(slot.namespace, ban)
                if where is None or where(known):
                    found.append(known)
        else:
            end = None
        if cursor is None and end is None:
            found.sort(key=lambda one: one.applied_at, reverse=True)
        return ActivePage(items=found, next=end)

    def _from(
        self, start: Slot | None, after: tuple[float, str] | None, namespace: str | None
    ) -> Iterator[tuple[Slot, Ban]]:
        """All bans from a place on."""
        for slot in self._slots(namespace):
            if start is not None and (slot.namespace, slot.bucket) < (start.namespace, start.bucket):
                continue
            is_first = start is not None and (slot.namespace, slot.bucket) == (start.namespace, start.bucket)
            last = after if is_first else None
            while page := self._store.bans(slot, after=last, limit=_PAGE):
                yield from ((slot, ban) for ban in page)
                last = page[-1].ends_at, page[-1].id

    def ended(self, by: float, limit: int = 100) -> list[Invalidation]:
        """Those that should have been swept by a time (Unix seconds), those of each bucket that ended first."""
        return [
            from_ban(slot.namespace, ban)
            for slot in self._slots(None)
            for ban in self._store.bans(slot, until=by, limit=limit)
            if _is_told_of(slot, ban) and ban.state is not BanState.SOFT
        ]

    def bans_of(self, ids: Sequence[str], namespaces: Sequence[str] | None = None) -> dict[str, tuple[str, Ban]]:
        """The bans in force that have one of these ids, each with its namespace: of these namespaces, or of all."""
        found: dict[str, tuple[str, Ban]] = {}
        slots = [slot for name in namespaces for slot in self._slots(name)] if namespaces else self._slots(None)
        for slot in slots:
            if left := [ban_id for ban_id in ids if ban_id not in found]:
                found |= {ban.id: (slot.namespace, ban) for ban in self._store.bans_of(slot, left)}
        return found

    def namespaces(self) -> list[str]:
        """All namespaces there are, in order."""
        return sorted(self._store.namespaces())

    def _slots(self, namespace: str | None) -> Iterator[Slot]:
        for name in [namespace] if namespace else self.namespaces():
            for bucket in range(self._buckets):
                yield Slot(name, bucket)


def _is_told_of(slot: Slot, ban: Ban) -> bool:
    """Whether a ban hides something, and is not told of from another bucket: all but those of keys are in each."""
    return ban.state is not BanState.TOMBSTONE and (slot.bucket == 0 or ban.criteria.key is not None)


def _place(cursor: str | None) -> tuple[Slot | None, tuple[float, str] | None]:
    if cursor is None:
        return None, None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidInput("cursor", "give the cursor that the page before returned")
    return Slot(match[3], int(match[2], 16)), (float(match[1]), match[4])
