"""Invalidations in force and past, page by page and one by one, out of their bans and the audit log."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from ..access import AuditLog, AuditRecord, Repeats
from ..bans import Ban, BanState, Criteria, InvalidationRecord
from ..errors import CacheError, InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import EVERYWHERE
from ..stores import Store
from .active import ActiveCount, ActiveInvalidations, ActivePage
from .telling import (
    ENDED,
    OVER,
    REQUESTED,
    Applied,
    Invalidation,
    InvalidationState,
    Wanted,
    from_repeat,
    tell,
    what_of,
)
from .whole import namespaces_of, part_id, tell_whole, whole_of

logger = logging.getLogger("encore.invalidation")

MOST_PAGES = 20
"""Pages of the audit log among which one page of invalidations is looked for."""
SEARCHED_AT_ONCE = 500
MOST_PARTS = 1000
"""Parts whose sweeps are read for one page; of others nobody says how much was deleted."""

_CURSOR = re.compile(r"(?:|-|\d{1,20}-\d{1,20})/(?:|-|\d{1,20}-\d{1,20})")
MOST_SHOWN = 500
"""Invalidations in force that are given though no audit log has them."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,80}")


_START, _END = "", "-"
"""Places in a log beside those that an id names."""


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of invalidations; `next` is the cursor of the following one, None when there is none."""

    items: list[Invalidation]
    next: str | None = None


class _Part(NamedTuple):
    """What one log has for a page: invalidations by the ids of their records, and from which place to which."""

    found: list[tuple[str, Invalidation]]
    start: str
    end: str

    def cut(self, most: int) -> _Part:
        """The first of them."""
        if len(self.found) <= most:
            return self
        return _Part(self.found[:most], self.start, self.found[most - 1][0] if most else self.start)


class History:
    """The invalidations of an installation: those in force, from their bans; those that are over, from the audit log.

    `buckets` is the number of slots of each namespace, `repeats` has the request ids of a day. All methods raise
    StoreUnavailable.
    """

    def __init__(self, store: Store, audit: AuditLog, repeats: Repeats, *, buckets: int) -> None:
        self.audit = audit
        self._repeats = repeats
        self._active = ActiveInvalidations(store, buckets=buckets)

    # In force

    def active(self, namespace: str | None = None) -> list[Invalidation]:
        """The latest in force, newest first; where there are more than a page of them, those that end first."""
        return self.active_page(MOST_SHOWN, namespace=namespace).items

    def active_page(
        self, limit: int = 100, *, cursor: str | None = None, namespace: str | None = None, where: Wanted | None = None
    ) -> ActivePage:
        """A page of those in force, of one namespace or of all: those first whose time to undo ends first.

        Those of one page alone come newest first. `where` selects; a page may then be short though there are more: its
        `next` says so. Of one of all namespaces each page has that has a part of it. Raises InvalidInput for a cursor
        that is none.
        """
        page = self._active.page(
            limit,
            cursor=cursor,
            namespace=namespace,
            where=where and (lambda one: whole_of(one.id) is not None or where(one)),
        )
        return msgspec.structs.replace(page, items=self._folded(page.items, where))

    def _folded(self, found: Sequence[Invalidation], where: Wanted | None) -> list[Invalidation]:
        """The same with the parts of one invalidation of all namespaces as that one."""
        ids = list(dict.fromkeys(whole_id for one in found if (whole_id := whole_of(one.id)) is not None))
        wholes = self._wholes(dict(zip(ids, self._trails(ids), strict=True)))
        told = dict.fromkeys(wholes, False)
        items: list[Invalidation] = []
        for one in found:
            whole = wholes.get(whole_of(one.id) or "")
            if whole is None:
                items.append(one)
            elif not told[whole.id]:
                told[whole.id] = True
                if where is None or where(whole):
                    items.append(whole)
        return items

    def _trails(self, ids: Sequence[str]) -> list[list[AuditRecord]]:
        """The audit records of each of these, newest first; none where the log does not answer."""
        return [self._records_of(one, applied) for one, applied in zip(ids, self._applied(ids), strict=True)]

    def _wholes(self, records: Mapping[str, Sequence[AuditRecord]]) -> dict[str, Invalidation]:
        """Invalidations of all namespaces by their ids, from their audit records, which may be none, and their bans."""
        if not records:
            return {}
        known = {whole_id: list(namespaces_of(found)) for whole_id, found in records.items()}
        if not all(known.values()):  # nothing says where they are
            every = self._active.namespaces()
            known = {whole_id: names or every for whole_id, names in known.items()}
        parts = {part_id(one, namespace): (one, namespace) for one, names in known.items() for namespace in names}
        by_namespace: dict[str, list[str]] = {}
        for part, (_, namespace) in parts.items():
            by_namespace.setdefault(namespace, []).append(part)
        bans: dict[str, dict[str, Ban]] = {whole_id: {} for whole_id in records}
        swept = dict.fromkeys(parts)
        for namespace, ids in by_namespace.items():
            for part, (_, ban) in self._active.bans_of(ids, [namespace]).items():
                bans[parts[part][0]][namespace] = ban
                if ban.state in (BanState.HELD, BanState.SOFT):
                    del swept[part]
        sweeps: dict[str, dict[str, list[AuditRecord]]] = {whole_id: {} for whole_id in records}
        with suppress(StoreUnavailable):
            for part, found in self.audit.trails(list(swept)[:MOST_PARTS]).items():
                if part in parts:
                    whole_id, namespace = parts[part]
                    sweeps[whole_id][namespace] = found
        applied = dict(zip(records, self._applied(list(records)), strict=True))
        told = {
            whole_id: tell_whole(whole_id, found, applied[whole_id], bans[whole_id], sweeps[whole_id])
            for whole_id, found in records.items()
        }
        return {whole_id: whole for whole_id, whole in told.items() if whole is not None}

    def counts(self, namespace: str | None = None) -> dict[str, ActiveCount]:
        """How many are in force, by namespace. One read for each bucket."""
        return self._active.counts(namespace)

    def overdue(self, since: float) -> list[Invalidation]:
        """Some of those whose time to undo ended before a time (Unix seconds) and that are not swept yet."""
        return self._active.ended(since)

    def records(self) -> list[InvalidationRecord]:
        """The record of every bucket of every namespace, without bans."""
        return [record for _, record in self._active.records()]

    # In force and over

    def history(
        self, *, limit: int = 100, namespace: str | None = None, machines: bool | None = None
    ) -> list[Invalidation]:
        """The latest invalidations, newest first: the first of the pages that `past` gives."""
        return self.past(limit, namespace=namespace, machines=machines).items

    def past(
        self,
        limit: int = 100,
        *,
        cursor: str | None = None,
        namespace: str | None = None,
        machines: bool | None = None,
        where: Wanted | None = None,
    ) -> HistoryPage:
        """A page of invalidations, newest first: of all namespaces or of one; by machines, by people, or by both.

        Of both, machines have half of a page where people have the other half: what comes at the rate of events hides
        nothing that a person did. `where` selects; a page may then be short though there are more: `next` says. Little
        more is read than what is given, however many there were. Raises InvalidInput for a cursor that is none.
        """
        of_people, of_machines = (
            self._part(limit, place, namespace, is_machines, where)
            if machines in (None, is_machines)
            else _Part([], place, _END)
            for is_machines, place in zip((False, True), _places(cursor), strict=True)
        )
        of_machines = of_machines.cut(max(limit // 2, limit - len(of_people.found)))
        of_people = of_people.cut(limit - len(of_machines.found))
        found = [known for part in (of_people, of_machines) for _, known in part.found]
        is_all = of_people.end == of_machines.end == _END
        if is_all and cursor is None and machines is None:
            found += self._not_audited({known.id for known in found}, namespace, where)
        found.sort(key=lambda known: known.applied_at, reverse=True)
        return HistoryPage(items=found[:limit], next=None if is_all else f"{of_people.end}/{of_machines.end}")

    def _part(self, limit: int, place: str, namespace: str | None, machines: bool, where: Wanted | None) -> _Part:
        """What one of the two logs has for a page."""
        found: list[tuple[str, Invalidation]] = []
        end, batch = place, limit if where is None else max(limit, SEARCHED_AT_ONCE)
        for _ in range(MOST_PAGES):
            if end == _END or len(found) >= limit:
                break
            page = self.audit.page(
                batch,
                before_id=end or None,
                action=ENDED if machines else (REQUESTED,),
                namespace=namespace,
                machines=machines,
            )
            end = page.next_id or _END
            found += [(record.id, known) for record, known in self._told(page.records) if where is None or where(known)]
        return _Part(found, place, end)

    def _told(self, asked: Sequence[AuditRecord]) -> Iterator[tuple[AuditRecord, Invalidation]]:
        """Each of these records, by which invalidations were asked for, with all that tells of it."""
        ids = [record.invalidation_id or "" for record in asked]
        trails = self.audit.trails(ids)
        applied = dict(zip(ids, self._applied(ids), strict=True))
        places = {record.namespace for record in asked if record.namespace} - {EVERYWHERE}
        active = self._active.bans_of(ids, sorted(places)) if places else {}
        records_of = {ban_id: trails[ban_id][::-1] for ban_id in ids}
        for record, ban_id in zip(asked, ids, strict=True):
            if record.action != REQUESTED or not records_of[ban_id]:
                records_of[ban_id] = [*records_of[ban_id], record]
        wholes = self._wholes(
            {
                ban_id: records_of[ban_id]
                for record, ban_id in zip(asked, ids, strict=True)
                if record.namespace == EVERYWHERE
            }
        )
        for record, ban_id in zip(asked, ids, strict=True):
            records = records_of[ban_id]
            if record.namespace == EVERYWHERE:
                if ban_id in wholes:
                    yield record, wholes[ban_id]
            elif known := tell(records, applied[ban_id], *active.get(ban_id, ("", None))):
                yield record, known

    def _not_audited(self, audited: Collection[str], namespace: str | None, where: Wanted | None) -> list[Invalidation]:
        """What is in force and in no log, because that could not be written when it was applied."""
        return self.active_page(
            MOST_SHOWN, namespace=namespace, where=lambda one: one.id not in audited and (where is None or where(one))
        ).items

    def get(self, invalidation_id: str) -> Invalidation:
        """An active invalidation by its id.

        Raises InvalidationNotFound, or InvalidationRefused for one that is over.
        """
        known, is_active = self._find(invalidation_id)
        if known is None:
            raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")
        if not is_active:
            raise InvalidationRefused(OVER.get(known.state, "this invalidation is over"))
        return known

    def find(self, invalidation_id: str) -> Invalidation | None:
        """An invalidation by its id, active or over; None when there is none, or nothing tells of it any more.

        By the id of a part, that of all namespaces.

        As quick whatever else has been invalidated since.
        """
        return self._find(invalidation_id)[0]

    def _find(self, invalidation_id: str) -> tuple[Invalidation | None, bool]:
        """An invalidation by its id, and whether it is active."""
        invalidation_id = whole_of(invalidation_id) or invalidation_id
        [applied] = self._applied([invalidation_id])
        records = self._records_of(invalidation_id, applied)
        home = next((record.namespace for record in records if record.namespace), None)
        found = self._active.bans_of([invalidation_id], [home] if home else None) if home != EVERYWHERE else {}
        if home == EVERYWHERE or not (records or found):
            whole = self._wholes({invalidation_id: records}).get(invalidation_id)
            return whole, whole is not None and whole.is_active
        namespace, ban = found.get(invalidation_id, ("", None))
        return tell(records, applied, namespace, ban), ban is not None

    def _records_of(self, invalidation_id: str, applied: Applied | None) -> list[AuditRecord]:
        """Its audit records; none when the log does not answer, since what is in force can be told without."""
        try:
            return self.audit.of(invalidation_id, asked_at=applied.at if applied else None)
        except StoreUnavailable:
            return []

    def trail_of(self, invalidation_id: str) -> list[AuditRecord]:
        """The audit records of one invalidation, newest first; of all namespaces those that concern all of them."""
        invalidation_id = whole_of(invalidation_id) or invalidation_id
        [applied] = self._applied([invalidation_id])
        return self.audit.of(invalidation_id, asked_at=applied.at if applied else None)

    # Repeated requests

    def _repeated(
        self, request_id: str, criteria: Criteria, namespace: str, found: Sequence[Ban | None]
    ) -> Invalidation | None:
        """The invalidation applied with this request id; `found` is its ban in each bucket, None where there is none.

        None for an id that is new or was not applied in all these buckets: it is applied now. The cut-off of an age is
        not compared, since "older than a day" is another moment at each repetition. Raises InvalidInput for an id that
        was that of another invalidation.
        """
        ban = next((ban for ban in found if ban is not None), None)
        [applied] = self._applied([request_id])
        if ban is not None and what_of(ban.criteria, namespace) != what_of(criteria, namespace):
            raise InvalidInput("request_id", f"was used for another invalidation ({ban.criteria}): give a new one")
        if applied is not None and applied.what != what_of(criteria, namespace):
            raise InvalidInput("request_id", "was used for another invalidation: give a new one")
        if applied is None and None in found:
            return None
        known = tell(self._records_of(request_id, applied), applied, namespace, ban)
        if known is None and applied is not None:
            known = from_repeat(request_id, criteria, namespace, applied)
        return known

    def _applied(self, ids: Sequence[str]) -> list[Applied | None]:
        """What is kept for these ids. A Redis that does not say is no reason not to invalidate: once more."""
        try:
            kept = self._repeats.get_many(ids)
            return [msgspec.msgpack.decode(value, type=Applied) if value else None for value in kept]
        except (StoreUnavailable, msgspec.MsgspecError):
            return [None] * len(ids)

    def keep(self, known: Invalidation) -> None:
        """Keeps for a day that this id was applied, undone or replaced. Never raises: an invalidation counts more."""
        applied = Applied(
            what_of(known.criteria, known.namespace),
            known.actor,
            known.applied_at,
            known.due_at,
            known.finished_at if known.state is InvalidationState.UNDONE else None,
            known.finished_at if known.replaced_by else None,
            known.replaced_by,
        )
        try:
            self._repeats.keep(known.id, msgspec.msgpack.encode(applied))
        except CacheError as error:
            logger.warning("repeating %s will not be recognized once it is over: %s", known.id, error)


def _places(cursor: str | None) -> list[str]:
    """Where a page begins in the log of people and in that of machines."""
    if cursor is None:
        return [_START, _START]
    if not _CURSOR.fullmatch(cursor):
        raise InvalidInput("cursor", "give the cursor that the page before returned")
    return cursor.split("/")
