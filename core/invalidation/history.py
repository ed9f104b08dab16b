"""Invalidations in force and past: their states, and how they are read from the records and the audit log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256

import msgspec

from ..access import MACHINES, AuditLog, AuditRecord, Repeats
from ..bans import Ban, BanState, Criteria, InvalidationRecord
from ..errors import CacheError, InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import Slot
from ..stores import Store

logger = logging.getLogger("encore.invalidation")

RECORDS_EACH = 6
"""Audit records that one invalidation by a person leaves, at most as a rule."""
MACHINE_RECORDS_EACH = 2
"""The one of an invalidation by a machine, and that of its sweep, which it may share with any number of others."""

_WHAT_BYTES = 12
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


_ASKING = ("invalidate.requested", "invalidate.applied", "invalidate.refused", "invalidate.unknown")
"""Who did one of these has asked for it; a machine's invalidation has one of the last three."""


class _Applied(msgspec.Struct, frozen=True, array_like=True):
    """What is kept for the id of an invalidation. Times are Unix seconds; `undone_at` is None unless it was undone.

    `what` stands for its criteria and namespace: short, since a day may bring millions.
    """

    what: bytes
    actor: str
    at: float
    due_at: float
    undone_at: float | None = None


class History:
    """The invalidations of an installation: those in force, from the records; those that are over, from the audit log.

    `buckets` is the number of slots of each namespace. All methods raise StoreUnavailable.
    """

    def __init__(self, store: Store, audit: AuditLog, repeats: Repeats, *, buckets: int) -> None:
        self._store = store
        self._audit = audit
        self._repeats = repeats
        self._buckets = buckets

    def records(self, namespace: str | None = None) -> Iterator[tuple[str, InvalidationRecord]]:
        """(namespace, record) of every bucket of one namespace or of all. One read for each."""
        for name in [namespace] if namespace else self._store.namespaces():
            for bucket in range(self._buckets):
                _, record = self._store.read(Slot(name, bucket), [])
                if record is not None:
                    yield name, record

    def active(self, namespace: str | None = None) -> list[tuple[str, Ban]]:
        """(namespace, ban) of every active ban, newest first."""
        found = {(name, ban.id): ban for name, record in self.records(namespace) for ban in record.bans}
        return sorted(
            ((name, ban) for (name, _), ban in found.items()), key=lambda item: item[1].sequence, reverse=True
        )

    def latest(
        self, *, limit: int = 100, namespace: str | None = None, machines: bool | None = None
    ) -> list[Invalidation]:
        """The latest invalidations, newest first: of all namespaces or of one; by machines, by people, or by both.

        Of both, machines have half of the list where people have the other half: what comes at the rate of events hides
        nothing that a person did, and no more of it is read than may be shown.
        """
        by_people = [] if machines else self._latest(limit * RECORDS_EACH, namespace, machines=False)
        by_machines = [] if machines is False else self._latest(limit * MACHINE_RECORDS_EACH, namespace, machines=True)
        audited: dict[str, list[AuditRecord]] = {}
        for record in sorted((*by_people, *by_machines), key=lambda record: record.at, reverse=True):
            audited.setdefault(record.invalidation_id or "", []).append(record)
        active = {ban.id: (home, ban) for home, ban in self.active(namespace)}
        found = [
            (records[-1].source in MACHINES, known)
            for ban_id, records in audited.items()
            if records[-1].action in _ASKING or records[-1].source not in MACHINES  # else too old to be told in full
            if (known := from_audit(records, active.get(ban_id, ("", None))[1]))
        ]
        # What is in force is shown, even if the audit log could not be written when it was applied.
        found += [
            (True, from_ban(home, ban))
            for ban_id, (home, ban) in active.items()
            if ban_id not in audited and machines is not False
        ]
        found.sort(key=lambda one: one[1].applied_at, reverse=True)
        of_people = min(limit, sum(not is_machines for is_machines, _ in found))
        left = {True: max(limit // 2, limit - of_people), False: limit}
        shown = []
        for is_machines, known in found:
            if left[is_machines]:
                left[is_machines] -= 1
                shown.append(known)
        return shown[:limit]

    def _latest(self, count: int, namespace: str | None, *, machines: bool) -> list[AuditRecord]:
        records = self._audit.records(count, action="invalidate.", namespace=namespace, machines=machines)
        return [record for record in records if record.invalidation_id]

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
        applied = self._applied(invalidation_id)
        records = self._records_of(invalidation_id, applied)
        home = next((record.namespace for record in records if record.namespace), None)
        found = ((name, record.find(invalidation_id)) for name, record in self.records(home))
        namespace, ban = next(((name, ban) for name, ban in found if ban), ("", None))
        return _told(records, applied, namespace, ban), ban is not None

    def _records_of(self, invalidation_id: str, applied: _Applied | None) -> list[AuditRecord]:
        """Its audit records; none when the log does not answer, since what is in force can be told without."""
        try:
            return self._audit.of(invalidation_id, asked_at=applied.at if applied else None)
        except StoreUnavailable:
            return []

    def trail(self, invalidation_id: str) -> list[AuditRecord]:
        """The audit records of one invalidation, newest first."""
        applied = self._applied(invalidation_id)
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
        records = [self._store.read(slot, [])[1] for slot in slots]
        found = [ban for record in records if record and (ban := record.find(request_id))]
        applied = self._applied(request_id)
        if found and _what(found[0].criteria, namespace) != _what(criteria, namespace):
            raise InvalidInput("request_id", f"was used for another invalidation ({found[0].criteria}): give a new one")
        if applied is not None and applied.what != _what(criteria, namespace):
            raise InvalidInput("request_id", "was used for another invalidation: give a new one")
        if applied is None and len(found) < len(slots):
            return None
        ban = found[0] if found else None
        known = _told(self._records_of(request_id, applied), applied, namespace, ban)
        if known is None and applied is not None:
            known = from_repeat(request_id, criteria, namespace, applied)
        return (known, records if found else []) if known is not None else None

    def _applied(self, request_id: str) -> _Applied | None:
        """What a request id was applied as. A Redis that does not say is no reason not to invalidate: once more."""
        try:
            kept = self._repeats.get(request_id)
            return msgspec.msgpack.decode(kept, type=_Applied) if kept else None
        except (StoreUnavailable, msgspec.MsgspecError):
            return None

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


def _what(criteria: Criteria, namespace: str) -> bytes:
    """Stands for what was asked for. The cut-off of an age is left out: "older than a day" is another one each time."""
    age = None if criteria.created_before is None else 1.0
    same = msgspec.structs.replace(criteria, namespace=namespace, created_before=age)
    return sha256(msgspec.json.encode(same.to_dict(), order="sorted")).digest()[:_WHAT_BYTES]


def _told(
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
