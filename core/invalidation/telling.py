"""One invalidation, told from all that knows of it: its ban, its audit records, what its request id was applied as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import sha256

import msgspec

from ..access import AuditRecord
from ..bans import Ban, BanState, Criteria
from ..errors import InvalidInput
from ..text import many

_WHAT_BYTES = 12


class InvalidationState(StrEnum):
    """The state of an invalidation. PARTLY: of all namespaces, in force or done in some and not in others."""

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    SWEPT = "swept"
    UNDONE = "undone"
    REPLACED = "replaced"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    PARTLY = "partly"


UNDOABLE = (InvalidationState.HELD, InvalidationState.SOFT)
ACTIVE = (InvalidationState.HELD, InvalidationState.SWEEPING, InvalidationState.SOFT)
NOT_IN_FORCE = (
    InvalidationState.UNDONE,
    InvalidationState.REPLACED,
    InvalidationState.REFUSED,
    InvalidationState.UNKNOWN,
)
"""It hides nothing: what a later run of its schedule hides in its place is that one's."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What an invalidation of all namespaces came to in one of them; its fields are those of an `Invalidation`."""

    namespace: str
    state: InvalidationState
    due_at: float
    preview_count: int | None = None
    deleted: int | None = None
    freed_bytes: int | None = None
    finished_at: float | None = None
    put_back: int | None = None
    kept_newer: int | None = None
    problem: str = ""

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would still bring its answers back."""
        return self.state in UNDOABLE

    @property
    def effective(self) -> bool:
        """Whether matching answers of this namespace are hidden (or marked stale) by it."""
        return self.state not in NOT_IN_FORCE


class Invalidation(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation, out of its ban and the audit log. Times are Unix seconds.

    `share` is how much of the namespace it hid, at most, when it was applied: 0 to 1, None where nobody looked. Of one
    that was undone: `put_back` answers had been asked anew and are back in the place of the newer ones; up to
    `kept_newer` could not be kept. None for a soft one that brought nothing back.
    `replaced_by` is the later run of its schedule that took its place: it hides what this one hid.
    `reason` is why it was made, in the words of who made it; `problem` why it was not applied, or its sweep stopped.
    One of all namespaces has the namespace EVERYWHERE and `parts`, what it came to in each: its figures are their sums.
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
    put_back: int | None = None
    kept_newer: int | None = None
    replaced_by: str = ""
    reason: str = ""
    problem: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would still bring the answers back; of all namespaces, those of one of them at least."""
        return any(part.can_undo for part in self.parts) if self.parts else self.state in UNDOABLE

    @property
    def is_active(self) -> bool:
        """Whether something is still hidden and not yet deleted, or marked stale."""
        return any(part.state in ACTIVE for part in self.parts) if self.parts else self.state in ACTIVE

    @property
    def is_held(self) -> bool:
        """Whether it has a hold that can be ended now."""
        held = InvalidationState.HELD
        return any(part.state is held for part in self.parts) if self.parts else self.state is held

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that it concerns."""
        return tuple(part.namespace for part in self.parts) if self.parts else (self.namespace,)

    @property
    def effective(self) -> bool:
        """Whether matching answers are hidden (or marked stale) by it."""
        return self.state not in NOT_IN_FORCE


REPLACED = "invalidate.replaced"
_ENDINGS = (
    ("invalidate.undone", InvalidationState.UNDONE),
    (REPLACED, InvalidationState.REPLACED),
    ("invalidate.swept", InvalidationState.SWEPT),
    ("invalidate.applied", InvalidationState.SWEPT),
    ("invalidate.refused", InvalidationState.REFUSED),
)


OVER = {
    InvalidationState.UNDONE: "this invalidation was undone already",
    InvalidationState.SWEPT: "this invalidation is over: what it hid was deleted",
    InvalidationState.REPLACED: "a later run of its schedule took its place: undo that one",
    InvalidationState.REFUSED: "this invalidation was refused: it was never applied",
    InvalidationState.UNKNOWN: "this invalidation is not in force: it was not applied, or its record was lost",
    InvalidationState.PARTLY: "this invalidation is over in every namespace",
}


REQUESTED = "invalidate.requested"
ENDED = ("invalidate.applied", "invalidate.refused", "invalidate.unknown")
"""How an invalidation was answered: one record by a machine has one of these, and that is all there is of it."""
_FAILED = ("invalidate.refused", "invalidate.unknown", "invalidate.sweep-stopped")
ASKING = (REQUESTED, *ENDED)
"""Who did one of these has asked for it."""


class Applied(msgspec.Struct, frozen=True, array_like=True):
    """What is kept for the id of an invalidation. Times are Unix seconds; `undone_at` is None unless it was undone,
    `replaced_at` unless a later run of its schedule, `replaced_by`, has taken its place.

    `what` stands for its criteria and namespace: short, since a day may bring millions.
    """

    what: bytes
    actor: str
    at: float
    due_at: float
    undone_at: float | None = None
    replaced_at: float | None = None
    replaced_by: str = ""


Wanted = Callable[[Invalidation], bool]
"""Whether an invalidation is one of those that are looked for."""


def what_of(criteria: Criteria, namespace: str) -> bytes:
    """Stands for what was asked for. The cut-off of an age is left out: "older than a day" is another one each time."""
    age = None if criteria.created_before is None else 1.0
    same = msgspec.structs.replace(criteria, namespace=namespace, created_before=age)
    return sha256(msgspec.json.encode(same.to_dict(), order="sorted")).digest()[:_WHAT_BYTES]


def tell(
    records: Sequence[AuditRecord], applied: Applied | None, namespace: str, ban: Ban | None
) -> Invalidation | None:
    """One invalidation from all that tells of it; None when nothing does."""
    known = from_audit(records, ban) if records else None
    if known is None:
        return from_ban(namespace, ban) if ban else None
    return known if ban is not None or applied is None else _as_it_ended(known, applied)


def _as_it_ended(known: Invalidation, applied: Applied) -> Invalidation:
    """The invalidation, which is in force no more, as what is kept of it says that it ended."""
    if applied.replaced_at is not None:
        return replaced(known, applied.replaced_at, applied.replaced_by)
    return known if applied.undone_at is None else undone(known, applied.undone_at)


def replaced(known: Invalidation, at: float, by: str) -> Invalidation:
    """The invalidation as it is when another one took its place at a time (Unix seconds)."""
    return msgspec.structs.replace(known, state=InvalidationState.REPLACED, finished_at=at, replaced_by=by)


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
    requested = next((by_action[action] for action in ASKING if action in by_action), None)
    if ban is not None:
        state = InvalidationState(ban.state.value)
        finished = ban.created_at if ban.state is BanState.TOMBSTONE else None
    try:
        criteria = ban.criteria if ban else Criteria.from_dict(dict((requested or first).criteria))
    except InvalidInput:
        return None
    asked = requested.details if requested else {}
    end = (
        by_action[action].details
        if ban is None and state in (InvalidationState.UNDONE, InvalidationState.REPLACED)
        else {}
    )
    sweeps = [record.details for record in records if "deleted" in record.details]
    return Invalidation(
        id=first.invalidation_id or "",
        namespace=first.namespace or "",
        criteria=criteria,
        state=state,
        actor=requested.actor if requested else ban.actor if ban else "",
        applied_at=ban.created_at if ban else first.at,
        due_at=ban.due_at if ban else first.at + float(asked.get("hold_seconds") or 0),
        preview_count=asked.get("preview_count"),
        share=asked.get("share"),
        deleted=sum(details["deleted"] for details in sweeps) if sweeps else None,
        freed_bytes=sum(details["freed_bytes"] for details in sweeps) if sweeps else None,
        finished_at=finished,
        put_back=end.get("put_back"),
        kept_newer=end.get("kept_newer"),
        replaced_by=end.get("replaced_by", ""),
        reason=_reason(requested),
        problem=_problem(records[0]),
    )


def _reason(asked: AuditRecord | None) -> str:
    """Why it was made. Records of before there were reasons have their problem in that place."""
    if asked is None or (asked.action in _FAILED and "problem" not in asked.details):
        return ""
    return str(asked.details.get("reason", ""))


def _problem(last: AuditRecord) -> str:
    """Why it has not gone on since its last record."""
    details = last.details
    return (
        str(details.get("problem", details.get("reason", ""))) if last.action in (*_FAILED, "invalidate.undone") else ""
    )


def from_ban(namespace: str, ban: Ban) -> Invalidation:
    """An invalidation in force, from its ban alone."""
    return Invalidation(
        id=ban.id,
        namespace=namespace,
        criteria=ban.criteria,
        state=InvalidationState(ban.state.value),
        actor=ban.actor,
        applied_at=ban.created_at,
        due_at=ban.due_at,
        finished_at=ban.created_at if ban.state is BanState.TOMBSTONE else None,
    )


def from_repeat(request_id: str, criteria: Criteria, namespace: str, applied: Applied) -> Invalidation:
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
    return _as_it_ended(known, applied)


def undone_words(done: Invalidation) -> str:
    """What an undo has done, in words."""
    lifted = sum(part.state is InvalidationState.UNDONE for part in done.parts)
    where = f" in {many(lifted, 'namespace')}" if done.parts else ""
    stays = [part for part in done.parts if part.effective]
    if done.put_back is None:
        words = [f"Undone{where}: the answers are no longer marked stale."]
    else:
        words = [f"Undone{where}: the answers are back, with their own remaining TTL."]
    if stays:
        why = next((part.problem for part in stays if part.problem), "deleting has begun there")
        words.append(f"It stays in {many(len(stays), 'namespace')}: {why}.")
    if done.put_back:
        words.append(
            f"{many(done.put_back, 'of them was', 'of them were')} answered again meanwhile: the newer "
            f"{'answer is' if done.put_back == 1 else 'answers are'} replaced."
        )
    if done.kept_newer:
        words.append(
            f"Up to {many(done.kept_newer, 'answer')} could not be kept: the newer "
            f"{'one stays' if done.kept_newer == 1 else 'ones stay'}."
        )
    if problem := next((part.problem for part in done.parts if part.put_back is not None and part.problem), ""):
        words.append(f"But {problem}.")
    elif done.problem and not done.parts:
        words.append(f"But {done.problem}.")
    return " ".join(words)


def undone(known: Invalidation, at: float | None) -> Invalidation:
    """The invalidation as it is when it was undone at a time (Unix seconds)."""
    return msgspec.structs.replace(known, state=InvalidationState.UNDONE, finished_at=at)
