"""Invalidations as they were: states, and how they are read from the audit trail and the records."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from ..access import AuditRecord
from ..bans import Ban, BanState, Criteria
from ..errors import InvalidInput

RECORDS_EACH = 6
"""Audit records that one invalidation leaves, at most as a rule."""


class InvalidationState(StrEnum):
    """Where an invalidation is in its life."""

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    SWEPT = "swept"
    UNDONE = "undone"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Invalidation(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation, as the record and the audit log tell it. Times are Unix seconds."""

    id: str
    namespace: str
    criteria: Criteria
    state: InvalidationState
    actor: str
    applied_at: float
    due_at: float
    preview_count: int | None = None
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


def _told(records: Sequence[AuditRecord], ban: Ban | None) -> Invalidation | None:
    """One invalidation out of its audit records (newest first) and its ban, if it is still active.

    None when the records at hand do not tell what it selected: the first of them are older than what was read.
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
        finished = ban.created_at if ban.state is BanState.SWEPT else None
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
        deleted=sum(details["deleted"] for details in sweeps) if sweeps else None,
        freed_bytes=sum(details["freed_bytes"] for details in sweeps) if sweeps else None,
        finished_at=finished,
        reason=str(records[0].details.get("reason", "")),
    )


def _untold(namespace: str, ban: Ban) -> Invalidation:
    """One that is in force, as its ban alone tells it."""
    return Invalidation(
        id=ban.id,
        namespace=namespace,
        criteria=ban.criteria,
        state=InvalidationState(ban.state.value),
        actor="",
        applied_at=ban.created_at,
        due_at=ban.due_at,
        finished_at=ban.created_at if ban.state is BanState.SWEPT else None,
    )
