"""Invalidations in force and past: their states, and how they are read from the records and the audit log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from ..access import AuditLog, AuditRecord
from ..bans import Ban, BanState, Criteria, InvalidationRecord
from ..errors import InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import Slot
from ..stores import Store

RECORDS_EACH = 6
"""Audit records that one invalidation leaves, at most as a rule."""
REPEATS = 100
"""Among how many of the latest invalidations a repeated request id is recognized."""

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


class History:
    """The invalidations of an installation: those in force, from the records; those that are over, from the audit log.

    `buckets` is the number of slots of each namespace. All methods raise StoreUnavailable.
    """

    def __init__(self, store: Store, audit: AuditLog, *, buckets: int) -> None:
        self._store = store
        self._audit = audit
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

    def latest(
        self, *, limit: int = 100, invalidation_id: str | None = None, namespace: str | None = None
    ) -> list[Invalidation]:
        """The latest invalidations, newest first: of all namespaces, of one, or the one with an id."""
        audited: dict[str, list[AuditRecord]] = {}
        for record in self._audit.records(
            limit=limit * RECORDS_EACH, action="invalidate.", invalidation_id=invalidation_id
        ):
            if record.invalidation_id:
                audited.setdefault(record.invalidation_id, []).append(record)
        active = self._active(audited, namespace, invalidation_id)
        found = [
            known
            for ban_id, records in audited.items()
            if (known := from_audit(records, active.get(ban_id, ("", None))[1]))
            and namespace in (None, known.namespace)
        ]
        # What is in force is shown, even if the audit log could not be written when it was applied.
        found += [
            from_ban(home, ban)
            for ban_id, (home, ban) in active.items()
            if ban_id not in audited and invalidation_id in (None, ban_id)
        ]
        return sorted(found, key=lambda known: known.applied_at, reverse=True)[:limit]

    def _active(
        self, audited: Iterable[str], namespace: str | None, invalidation_id: str | None
    ) -> dict[str, tuple[str, Ban]]:
        """Bans by their ids: of those that were audited, and of the others as many as are shown."""
        slots = [slot for slot, record in self.records(namespace) if record.active]
        found: dict[str, tuple[str, Ban]] = {}
        for slot in slots if invalidation_id is None else ():
            found |= {ban.id: (slot.namespace, ban) for ban in self._store.bans(slot, limit=MOST_SHOWN)}
        for ban_id in {*audited, *([invalidation_id] if invalidation_id else ())} - found.keys():
            for slot in slots:
                if ban := self._store.ban(slot, ban_id):
                    found[ban_id] = slot.namespace, ban
        return found

    def get(self, invalidation_id: str) -> Invalidation:
        """An active invalidation by its id.

        Raises InvalidationNotFound, or InvalidationRefused for one that is over.
        """
        for slot, record in self.records():
            if record.active and (ban := self._store.ban(slot, invalidation_id)):
                return from_ban(slot.namespace, ban)
        for known in self.latest(invalidation_id=invalidation_id):
            raise InvalidationRefused(_OVER.get(known.state, "this invalidation is over"))
        raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")

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
        found = [ban for slot in slots if (ban := self._store.ban(slot, request_id))]
        try:
            latest = self._audit.records(limit=RECORDS_EACH * REPEATS, action="invalidate.")
        except StoreUnavailable:
            latest = []
        audited = [record for record in latest if record.invalidation_id == request_id]
        known = None
        if any(record.action == "invalidate.applied" for record in audited):
            known = from_audit(audited, found[0] if found else None)
        elif found and len(found) == len(slots):
            known = from_ban(slots[0].namespace, found[0])
        if known is None:
            return None
        if _comparable(known.criteria, known.namespace) != _comparable(criteria, slots[0].namespace):
            raise InvalidInput("request_id", f"was used for another invalidation ({known.criteria}): give a new one")
        return known, [self._store.record(slot) for slot in slots] if found else []


def _comparable(criteria: Criteria, namespace: str) -> Criteria:
    return msgspec.structs.replace(
        criteria, namespace=namespace, created_before=None if criteria.created_before is None else 1.0
    )


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
    requested = by_action.get("invalidate.requested", first)
    if ban is not None:
        state = InvalidationState(ban.state.value)
        finished = ban.created_at if ban.state is BanState.TOMBSTONE else None
    try:
        criteria = ban.criteria if ban else Criteria.from_dict(dict(requested.criteria))
    except InvalidInput:
        return None
    sweeps = [record.details for record in records if "deleted" in record.details]
    return Invalidation(
        id=first.invalidation_id or "",
        namespace=first.namespace or "",
        criteria=criteria,
        state=state,
        actor=requested.actor,
        applied_at=ban.created_at if ban else first.at,
        due_at=ban.due_at if ban else first.at + float(requested.details.get("hold_seconds") or 0),
        preview_count=requested.details.get("preview_count"),
        share=requested.details.get("share"),
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
