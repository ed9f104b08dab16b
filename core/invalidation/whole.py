"""An invalidation of all namespaces, as one: the ids of its parts, and how it is told from what tells of them. Pure.

Each namespace has a ban of its own, whose id is made of that of the whole and of the namespace. The audit record of
the whole says which namespaces there were and what it came to in each; of their bans and trails comes the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from ..access import AuditRecord
from ..bans import Ban, Criteria
from ..errors import InvalidInput
from ..keys import EVERYWHERE
from ..text import many
from .telling import ACTIVE, ASKING, NOT_IN_FORCE, REPLACED, Applied, Invalidation, InvalidationState, Part

LONGEST_ID: Final = 60
"""Of the id of a whole, so that those of its parts are ids as well."""
_PART: Final = re.compile(rf"([A-Za-z0-9._:-]{{1,{LONGEST_ID}}}):ns-[0-9a-f]{{12}}")

NAMESPACES: Final = "namespaces"
"""In the details of a whole's audit record: the count of the preview by namespace, null where nobody counted."""
LIFTED: Final = "undone_in"
"""In the details of an undo's: the namespaces in which it was undone."""
REPLACED_IN: Final = "replaced_in"
"""In the details of a later run's: the namespaces in which it took its place."""
_NOT_APPLIED: Final = (InvalidationState.REFUSED, InvalidationState.UNKNOWN)

MOST_TOLD: Final = 3
"""Problems that are told one by one."""


def part_id(whole_id: str, namespace: str) -> str:
    """The id of the part of a whole that is about a namespace."""
    return f"{whole_id}:ns-{sha256(namespace.encode()).hexdigest()[:12]}"


def whole_of(invalidation_id: str) -> str | None:
    """The id of the whole that has a part with this id; None for what is no part."""
    found = _PART.fullmatch(invalidation_id)
    return found[1] if found else None


def namespaces_of(records: Sequence[AuditRecord]) -> dict[str, int | None]:
    """The namespaces that a whole concerns, by its audit records, each with how much matched there."""
    found: dict[str, int | None] = {}
    for record in reversed(records):
        counts = _mapping(record.details, NAMESPACES)
        found |= {name: count if isinstance(count, int) else None for name, count in counts.items()}
    return found


def tell_whole(
    whole_id: str,
    records: Sequence[AuditRecord],
    applied: Applied | None,
    bans: Mapping[str, Ban],
    sweeps: Mapping[str, Sequence[AuditRecord]],
) -> Invalidation | None:
    """One invalidation of all namespaces; None when nothing tells of it.

    `records` are its audit records, newest first; `bans` those that are in force by namespace; `sweeps` the records of
    its parts by namespace, as far as they are known.
    """
    counts = namespaces_of(records)
    counts |= {namespace: counts.get(namespace) for namespace in bans}
    asked = next((record for record in reversed(records) if record.action in ASKING), None)
    ban = min(bans.values(), key=lambda one: one.created_at, default=None)
    if not counts or (asked is None and ban is None):
        return None
    try:
        criteria = (
            msgspec.structs.replace(ban.criteria, namespace=EVERYWHERE)
            if asked is None and ban is not None
            else Criteria.from_dict(dict(asked.criteria if asked else {}))
        )
    except InvalidInput:
        return None
    details = asked.details if asked else {}
    at = asked.at if asked else ban.created_at if ban else 0.0
    fates = _fates(records, applied)
    hold_ends_at = at + float(details.get("hold_seconds") or 0)
    parts = [
        _part(namespace, count, bans.get(namespace), fates.get(namespace), sweeps.get(namespace, ()), hold_ends_at)
        for namespace, count in sorted(counts.items())
    ]
    undo = next((record.details for record in records if record.action == "invalidate.undone"), {})
    replaced_by = next((record.details.get("replaced_by", "") for record in records if record.action == REPLACED), "")
    return summed(
        Invalidation(
            id=whole_id,
            namespace=EVERYWHERE,
            criteria=criteria,
            state=InvalidationState.UNKNOWN,
            actor=asked.actor if asked else ban.actor if ban else "",
            applied_at=at,
            due_at=hold_ends_at,
            share=details.get("share"),
            put_back=undo.get("put_back"),
            kept_newer=undo.get("kept_newer"),
            replaced_by=replaced_by or (applied.replaced_by if applied else ""),
            reason=str(details.get("reason", "")),
        ),
        parts,
    )


def summed(whole: Invalidation, parts: Sequence[Part]) -> Invalidation:
    """The whole with these parts: its state, times and figures are theirs."""
    due = [part.due_at for part in parts if part.can_undo] or [part.due_at for part in parts if part.effective]
    finished = [part.finished_at for part in parts if part.finished_at is not None]
    return msgspec.structs.replace(
        whole,
        parts=tuple(parts),
        state=state_of({part.state for part in parts}),
        due_at=min(due, default=whole.due_at),
        preview_count=_sum(part.preview_count for part in parts),
        deleted=_sum(part.deleted for part in parts),
        freed_bytes=_sum(part.freed_bytes for part in parts),
        finished_at=None if any(part.state in ACTIVE for part in parts) else max(finished, default=None),
        problem=problem_of(parts),
    )


def state_of(states: Collection[InvalidationState]) -> InvalidationState:
    """The state of the whole by the states of its parts."""
    effective = {state for state in states if state not in NOT_IN_FORCE}
    if not effective:
        for state in (InvalidationState.UNDONE, InvalidationState.REPLACED, InvalidationState.UNKNOWN):
            if state in states:
                return state
        return InvalidationState.REFUSED
    if len(effective) < len(states):
        return InvalidationState.PARTLY
    return effective.pop() if len(effective) == 1 else InvalidationState.SWEEPING


def problem_of(parts: Sequence[Part]) -> str:
    """What went wrong in some of the namespaces, in one sentence; empty where nothing did."""
    wrong = [part for part in parts if part.problem]
    words = [f"{part.namespace}: {part.problem}" for part in wrong[:MOST_TOLD]]
    if len(wrong) > MOST_TOLD:
        words.append(f"and {many(len(wrong) - MOST_TOLD, 'other namespace')}")
    return "; ".join(words)


def whole_words(one: Invalidation, said: Callable[[InvalidationState], str] = str) -> str:
    """In how many namespaces an invalidation is what: `held in 7 of 8 namespaces, refused in 1`.

    `said` gives the words of a state. Empty for one of a single namespace.
    """
    if not one.parts:
        return ""
    counts: dict[InvalidationState, int] = {}
    for part in one.parts:
        counts[part.state] = counts.get(part.state, 0) + 1
    if len(counts) == 1:
        return f"{said(one.parts[0].state)} in {many(len(one.parts), 'namespace')}"
    (state, count), *others = sorted(counts.items(), key=lambda each: (each[0] in _NOT_APPLIED, -each[1]))
    words = [f"{said(state)} in {count} of {many(len(one.parts), 'namespace')}"]
    return ", ".join([*words, *(f"{said(state)} in {count}" for state, count in others)])


def within(one: Invalidation, may_enter: Callable[[str], bool]) -> Invalidation | None:
    """The invalidation as somebody may see it who enters some namespaces only; None where there is nothing to see."""
    if not one.parts:
        return one if may_enter(one.namespace) else None
    parts = [part for part in one.parts if may_enter(part.namespace)]
    if len(parts) == len(one.parts):
        return one
    seen = msgspec.structs.replace(one, share=None, put_back=None, kept_newer=None)
    return summed(seen, parts) if parts else None


def _part(
    namespace: str,
    count: int | None,
    ban: Ban | None,
    fate: tuple[InvalidationState, float, str] | None,
    sweeps: Sequence[AuditRecord],
    hold_ends_at: float,
) -> Part:
    state, at, problem = fate or (InvalidationState.UNKNOWN, None, "")
    if ban is not None:
        state, at = InvalidationState(ban.state.value), None
        problem = problem if fate is not None and fate[0] is InvalidationState.SWEPT else ""
    stopped = next((record for record in reversed(sweeps) if "deleted" in record.details), None)
    if stopped is not None and state in (InvalidationState.SWEPT, InvalidationState.SWEEPING):
        problem = str(stopped.details.get("problem", "")) or problem
        at = stopped.at if state is InvalidationState.SWEPT else None
    figures = [record.details for record in sweeps if "deleted" in record.details]
    return Part(
        namespace=namespace,
        state=state,
        due_at=ban.due_at if ban else hold_ends_at,
        preview_count=count,
        deleted=sum(one["deleted"] for one in figures) if figures else None,
        freed_bytes=sum(one["freed_bytes"] for one in figures) if figures else None,
        finished_at=at,
        problem=problem,
    )


def _fates(records: Sequence[AuditRecord], applied: Applied | None) -> dict[str, tuple[InvalidationState, float, str]]:
    """By namespace what it came to where its ban is gone: the state, when it came to that, and what went wrong."""
    fates: dict[str, tuple[InvalidationState, float, str]] = {}
    for record in reversed(records):
        details, at = record.details, record.at
        if record.action in ("invalidate.applied", "invalidate.refused", "invalidate.unknown"):
            for namespace in _mapping(details, NAMESPACES):
                fates[namespace] = (InvalidationState.SWEPT, at, "")
            for state in _NOT_APPLIED:
                for namespace, problem in _mapping(details, state.value).items():
                    fates[namespace] = (state, at, str(problem))
        elif record.action == "invalidate.undone":
            for namespace in details.get(LIFTED) or ():
                fates[namespace] = (InvalidationState.UNDONE, at, "")
        elif record.action == REPLACED:
            for namespace in details.get(REPLACED_IN) or ():
                fates[namespace] = (InvalidationState.REPLACED, at, "")
    if applied is not None:  # whose record may have been lost
        ends = (InvalidationState.REPLACED, applied.replaced_at), (InvalidationState.UNDONE, applied.undone_at)
        for reached, ended_at in ends:
            if ended_at is not None:
                swept = [name for name, fate in fates.items() if fate[0] is InvalidationState.SWEPT]
                fates |= dict.fromkeys(swept, (reached, ended_at, ""))
    return fates


def _mapping(details: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = details.get(name)
    return found if isinstance(found, dict) else {}


def _sum(figures: Any) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
