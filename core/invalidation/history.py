"""Invalidations in force and past: their states, and how they are read from the records and the audit log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ..access import AuditLog, AuditRecord, Repeats
from ..bans import Ban, BanState, Criteria, InvalidationRecord
from ..errors import CacheError, InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import Slot
from ..stores import Store

logger = logging.getLogger("encore.invalidation")

MOST_PAGES = 20
"""Pages of the audit log among which one page of invalidations is looked for."""
SEARCHED_AT_ONCE = 500

_WHAT_BYTES = 12
_CURSOR = re.compile(r"(?:|-|\d{1,20}-\d{1,20})/(?:|-|\d{1,20}-\d{1,20})")
MOST_SHOWN = 500
"""Active bans of a bucket that are listed at once."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,80}")


class InvalidationState(StrEnum):
    """The state of an invalidation."""

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    SWEPT = "swept"
    UNDONE = "undone"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Invalidation(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation, out of the record and the audit log. Times are Unix seconds.

    `share` is how much of the namespace it hid, at most, when it was applied: 0 to 1, None where nobody looked.
    """

    id: str
    namespace: str
    criteria: Criteria
    state: InvalidationState
    actor: str
    applied_at: float
    due_at: float
    preview_count: int | None = None
    share: float | None = None
    deleted: int | None = None
    freed_bytes: int | None = None
    finished_at: float | None = None
    reason: str = ""

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would still bring the answers back."""
        return self.state in (InvalidationState.HELD, InvalidationState.SOFT)

    @property
    def effective(self) -> bool:
        """Whether matching answers are hidden (or marked stale) by it."""
        return self.state not in (InvalidationState.UNDONE, InvalidationState.REFUSED, InvalidationState.UNKNOWN)


_ENDINGS = (
    ("invalidate.undone", InvalidationState.UNDONE),
    ("invalidate.swept", InvalidationState.SWEPT),
    ("invalidate.applied", InvalidationState.SWEPT),
    ("invalidate.refused", InvalidationState.REFUSED),
)


_OVER = {
    InvalidationState.UNDONE: "this invalidation was undone already",
    InvalidationState.SWEPT: "this invalidation is over: what it hid was deleted",
    InvalidationState.REFUSED: "this invalidation was refused: it was never applied",
    InvalidationState.UNKNOWN: "this invalidation is not in force: it was not applied, or its record was lost",
}


_REQUESTED = "invalidate.requested"
_ENDED = ("invalidate.applied", "invalidate.refused", "invalidate.unknown")
"""How an invalidation was answered: one record by a machine has one of these, and that is all there is of it."""
_ASKING = (_REQUESTED, *_ENDED)
"""Who did one of these has asked for it."""

_START, _END = "", "-"
"""Places in a log beside those that an id names."""


class _Applied(msgspec.Struct, frozen=True, array_like=True):
    """What is kept for the id of an invalidation. Times are Unix seconds; `undone_at` is None unless it was undone.

    `what` stands for its criteria and namespace: short, since a day may bring millions.
    """

    what: bytes
    actor: str
    at: float
    due_at: float
    undone_at: float | None = None


Wanted = Callable[["Invalidation"], bool]
"""Whether an invalidation is one of those that are looked for."""


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
    """The invalidations of an installation: those in force, from the records; those that are over, from the audit log.

    `buckets` is the number of slots of each namespace. All methods raise StoreUnavailable.
    """

    def __init__(self, store: Store, audit: AuditLog, repeats: Repeats, *, buckets: int) -> None:
        self._store = store
        self._audit = audit
        self._repeats = repeats
        self._buckets = buckets

    def records(self, namespace: str | None = None) -> Iterator[tuple[Slot, InvalidationRecord]]:
        """The buckets of one namespace or of all that have a record, with it, without bans. One read for each."""
        for name in [namespace] if namespace else self._store.namespaces():
            for bucket in range(self._buckets):
                slot = Slot(name, bucket)
                if (record := self._store.record(slot)) is not None:
                    yield slot, record

    def active(self, namespace: str | None = None, *, limit: int = MOST_SHOWN) -> list[tuple[str, Ban]]:
        """(namespace, ban) of active bans, newest first: of each bucket up to `limit`, those that end first."""
        found = {
            (slot.namespace, ban.id): ban
            for slot, record in self.records(namespace)
            if record.active
            for ban in self._store.bans(slot, limit=limit)
        }
        return sorted(
            ((name, ban) for (name, _), ban in found.items()), key=lambda item: item[1].sequence, reverse=True
        )

    def page(
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
        if is_all and cursor is None and not machines:
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
            page = self._audit.page(
                batch,
                before_id=end or None,
                action=_ENDED if machines else (_REQUESTED,),
                namespace=namespace,
                machines=machines,
            )
            end = page.next_id or _END
            found += [(record.id, known) for record, known in self._told(page.records) if where is None or where(known)]
        return _Part(found, place, end)

    def _told(self, asked: Sequence[AuditRecord]) -> Iterator[tuple[AuditRecord, Invalidation]]:
        """Each of these records, by which invalidations were asked for, with all that tells of it."""
        ids = [record.invalidation_id or "" for record in asked]
        trails = self._audit.trails(ids)
        applied = dict(zip(ids, self._applied(ids), strict=True))
        active = self._bans_of({record.namespace for record in asked if record.namespace}, ids)
        for record, ban_id in zip(asked, ids, strict=True):
            records = trails[ban_id][::-1]
            if record.action != _REQUESTED or not records:
                records = [*records, record]
            if known := _tell(records, applied[ban_id], *active.get(ban_id, ("", None))):
                yield record, known

    def _not_audited(self, audited: Collection[str], namespace: str | None, where: Wanted | None) -> list[Invalidation]:
        """What is in force and in no log, because that could not be written when it was applied."""
        found = (from_ban(home, ban) for home, ban in self.active(namespace) if ban.id not in audited)
        return [known for known in found if where is None or where(known)]

    def _bans_of(self, namespaces: Iterable[str], ids: Collection[str]) -> dict[str, tuple[str, Ban]]:
        """Active bans with these ids, each with its namespace."""
        found: dict[str, tuple[str, Ban]] = {}
        for namespace in sorted(namespaces):
            for slot, record in self.records(namespace):
                for ban_id in ids if record.active else ():
                    if ban_id not in found and (ban := self._store.ban(slot, ban_id)):
                        found[ban_id] = namespace, ban
        return found

    def get(self, invalidation_id: str) -> Invalidation:
        """An active invalidation by its id.

        Raises InvalidationNotFound, or InvalidationRefused for one that is over.
        """
        known, is_active = self._find(invalidation_id)
        if known is None:
            raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")
        if not is_active:
            raise InvalidationRefused(_OVER.get(known.state, "this invalidation is over"))
        return known

    def find(self, invalidation_id: str) -> Invalidation | None:
        """An invalidation by its id, active or over; None when there is none, or nothing tells of it any more.

        As quick whatever else has been invalidated since.
        """
        return self._find(invalidation_id)[0]

    def _find(self, invalidation_id: str) -> tuple[Invalidation | None, bool]:
        """An invalidation by its id, and whether it is active."""
        [applied] = self._applied([invalidation_id])
        records = self._records_of(invalidation_id, applied)
        home = next((record.namespace for record in records if record.namespace), None)
        found = (
            (slot.namespace, self._store.ban(slot, invalidation_id))
            for slot, record in self.records(home)
            if record.active
        )
        namespace, ban = next(((name, ban) for name, ban in found if ban), ("", None))
        return _tell(records, applied, namespace, ban), ban is not None

    def _records_of(self, invalidation_id: str, applied: _Applied | None) -> list[AuditRecord]:
        """Its audit records; none when the log does not answer, since what is in force can be told without."""
        try:
            return self._audit.of(invalidation_id, asked_at=applied.at if applied else None)
        except StoreUnavailable:
            return []

    def trail(self, invalidation_id: str) -> list[AuditRecord]:
        """The audit records of one invalidation, newest first."""
        [applied] = self._applied([invalidation_id])
        return self._audit.of(invalidation_id, asked_at=applied.at if applied else None)

    # Repeated requests

    def repeated(
        self, request_id: str, criteria: Criteria, slots: Sequence[Slot]
    ) -> tuple[Invalidation, list[InvalidationRecord | None]] | None:
        """The invalidation applied with this request id, with the records of its buckets while it is in force.

        None for an id that is new or was not applied in all these buckets: it is applied now. The cut-off of an age is
        not compared, since "older than a day" is another moment at each repetition. Raises InvalidInput for an id that
        cannot be one, or was that of another invalidation.
        """
        if not _REQUEST_ID.fullmatch(request_id):
            raise InvalidInput("request_id", "use 1 to 80 letters, digits, dots, colons, dashes and underscores")
        namespace = slots[0].namespace
        found = [ban for slot in slots if (ban := self._store.ban(slot, request_id))]
        [applied] = self._applied([request_id])
        if found and _what(found[0].criteria, namespace) != _what(criteria, namespace):
            raise InvalidInput("request_id", f"was used for another invalidation ({found[0].criteria}): give a new one")
        if applied is not None and applied.what != _what(criteria, namespace):
            raise InvalidInput("request_id", "was used for another invalidation: give a new one")
        if applied is None and len(found) < len(slots):
            return None
        ban = found[0] if found else None
        known = _tell(self._records_of(request_id, applied), applied, namespace, ban)
        if known is None and applied is not None:
            known = from_repeat(request_id, criteria, namespace, applied)
        if known is None:
            return None
        return known, [self._store.record(slot) for slot in slots] if found else []

    def _applied(self, ids: Sequence[str]) -> list[_Applied | None]:
        """What is kept for these ids. A Redis that does not say is no reason not to invalidate: once more."""
        try:
            kept = self._repeats.get_many(ids)
            return [msgspec.msgpack.decode(value, type=_Applied) if value else None for value in kept]
        except (StoreUnavailable, msgspec.MsgspecError):
            return [None] * len(ids)

    def keep(self, known: Invalidation) -> None:
        """Keeps for a day that this id was applied, or undone. Never raises: an invalidation counts more."""
        applied = _Applied(
            _what(known.criteria, known.namespace),
            known.actor,
            known.applied_at,
            known.due_at,
            known.finished_at if known.state is InvalidationState.UNDONE else None,
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
        raise InvalidInput("cursor", "give the one that the page before ended with")
    return cursor.split("/")


def _what(criteria: Criteria, namespace: str) -> bytes:
    """Stands for what was asked for. The cut-off of an age is left out: "older than a day" is another one each time."""
    age = None if criteria.created_before is None else 1.0
    same = msgspec.structs.replace(criteria, namespace=namespace, created_before=age)
    return sha256(msgspec.json.encode(same.to_dict(), order="sorted")).digest()[:_WHAT_BYTES]


def _tell(
    records: Sequence[AuditRecord], applied: _Applied | None, namespace: str, ban: Ban | None
) -> Invalidation | None:
    """One invalidation from all that tells of it; None when nothing does."""
    known = from_audit(records, ban) if records else None
    if known is None:
        return from_ban(namespace, ban) if ban else None
    if ban is None and applied is not None and applied.undone_at is not None:
        return undone(known, applied.undone_at)
    return known


def from_audit(records: Sequence[AuditRecord], ban: Ban | None) -> Invalidation | None:
    """One invalidation out of its audit records (newest first) and its ban, None when that is no longer active.

    None when the records do not say what it selected: the first of them are older than what was read.
    """
    first = records[-1]
    by_action = {record.action: record for record in reversed(records)}
    state, finished = InvalidationState.UNKNOWN, None
    for action, reached in _ENDINGS:
        if action in by_action:
            state, finished = reached, by_action[action].at
            break
    requested = next((by_action[action] for action in _ASKING if action in by_action), None)
    if ban is not None:
        state = InvalidationState(ban.state.value)
        finished = ban.created_at if ban.state is BanState.TOMBSTONE else None
    try:
        criteria = ban.criteria if ban else Criteria.from_dict(dict((requested or first).criteria))
    except InvalidInput:
        return None
    asked = requested.details if requested else {}
    sweeps = [record.details for record in records if "deleted" in record.details]
    return Invalidation(
        id=first.invalidation_id or "",
        namespace=first.namespace or "",
        criteria=criteria,
        state=state,
        actor=requested.actor if requested else "",
        applied_at=ban.created_at if ban else first.at,
        due_at=ban.due_at if ban else first.at + float(asked.get("hold_seconds") or 0),
        preview_count=asked.get("preview_count"),
        share=asked.get("share"),
        deleted=sum(details["deleted"] for details in sweeps) if sweeps else None,
        freed_bytes=sum(details["freed_bytes"] for details in sweeps) if sweeps else None,
        finished_at=finished,
        reason=str(records[0].details.get("reason", "")),
    )


def from_ban(namespace: str, ban: Ban) -> Invalidation:
    """An invalidation in force, from its ban alone: the actor is unknown."""
    return Invalidation(
        id=ban.id,
        namespace=namespace,
        criteria=ban.criteria,
        state=InvalidationState(ban.state.value),
        actor="",
        applied_at=ban.created_at,
        due_at=ban.due_at,
        finished_at=ban.created_at if ban.state is BanState.TOMBSTONE else None,
    )


def from_repeat(request_id: str, criteria: Criteria, namespace: str, applied: _Applied) -> Invalidation:
    """An invalidation that is over, from what its request id was applied as."""
    known = Invalidation(
        id=request_id,
        namespace=namespace,
        criteria=criteria,
        state=InvalidationState.SWEPT,
        actor=applied.actor,
        applied_at=applied.at,
        due_at=applied.due_at,
    )
    return undone(known, applied.undone_at) if applied.undone_at is not None else known


def undone(known: Invalidation, at: float | None) -> Invalidation:
    """The invalidation as it is when it was undone at a time (Unix seconds)."""
    return msgspec.structs.replace(known, state=InvalidationState.UNDONE, finished_at=at)
