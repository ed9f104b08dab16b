"""One invalidation of one namespace that was asked for, complete, and how it is put into its buckets.

Beside others, or in the place of an earlier one that it repeats.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..access import AuditTrail
from ..bans import Ban, Criteria, InvalidationRecord, changes
from ..errors import CacheError, OutcomeUnknown
from ..keys import Slot
from ..stores import Store
from ..text import printable
from .preview import Preview
from .telling import REPLACED, Invalidation, InvalidationState
from .whole import REPLACED_IN, part_id

logger = logging.getLogger("encore.invalidation")

MOST_OF_A_NAME = 100
"""Of an actor's name, as bans have it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation that was asked for, checked and complete. `at` is in Unix seconds.

    `lasts_seconds` is how long its bans stay before they are due. `at_once`: the one entry that it names is deleted in
    the same step.
    """

    id: str
    namespace: str
    slots: list[Slot]
    criteria: Criteria
    actor: str
    soft: bool
    at_once: bool
    hold_seconds: float
    lasts_seconds: float
    at: float
    preview: Preview | None
    reason: str

    @property
    def details(self) -> dict[str, Any]:
        """The details for the audit records: mode, hold, reason, and count and highest share of the preview."""
        details: dict[str, Any] = {"mode": "soft" if self.soft else "hard", "hold_seconds": self.hold_seconds}
        if self.reason:
            details["reason"] = self.reason
        if self.preview is not None:
            details |= {"preview_count": self.preview.count, "share": self.preview.highest_share}
        return details

    @property
    def ban(self) -> Ban:
        """The ban that every bucket gets."""
        return changes.new_ban(
            self.id,
            self.criteria,
            now=self.at,
            hold_seconds=self.lasts_seconds,
            soft=self.soft,
            removed=self.at_once,
            actor=printable(self.actor, MOST_OF_A_NAME),
        )

    def applied(self) -> Invalidation:
        """The invalidation as it is once applied."""
        state = InvalidationState.SWEPT if self.at_once else InvalidationState.HELD
        return Invalidation(
            id=self.id,
            namespace=self.namespace,
            criteria=self.criteria,
            state=InvalidationState.SOFT if self.soft else state,
            actor=self.actor,
            applied_at=self.at,
            due_at=self.at + self.lasts_seconds,
            preview_count=self.preview.count if self.preview else None,
            share=self.preview.highest_share if self.preview else None,
            reason=self.reason,
        )


def append(store: Store, plan: Plan) -> list[InvalidationRecord]:
    """Puts the ban into every bucket or, when one of them refuses it, into none; their records then."""
    ban = plan.ban
    digest = plan.criteria.digest if plan.at_once else None
    done: list[Slot] = []
    records = []
    try:
        for slot in plan.slots:
            records.append(store.append(slot, ban, remove=digest)[0])
            done.append(slot)
    except OutcomeUnknown:
        raise
    except CacheError as error:
        try:
            for slot in done:
                store.change(slot, [plan.id], lambda found: changes.lift(found, plan.id))
        except CacheError:
            words = f"applied to {len(done)} of {len(plan.slots)} buckets: repeat it ({error})"
            raise OutcomeUnknown(words) from error
        raise
    return records


def take_place(
    store: Store,
    slots_of: Callable[[str], Sequence[Slot]],
    earlier_id: str,
    later: Invalidation,
    *,
    trail: AuditTrail,
    now: float,
) -> bool:
    """Takes an earlier invalidation away wherever a later one does all that it did; whether it was there.

    The later one must be acknowledged. A bucket where it is in force no more keeps the earlier one, and so does what
    cannot be reached: both hide the same. `now` is in Unix seconds.
    """
    done = []
    for namespace in later.namespaces:
        ids = earlier_id, later.id
        if later.parts:
            ids = part_id(earlier_id, namespace), part_id(later.id, namespace)
        try:
            taken = [_took_place(store, slot, *ids) for slot in slots_of(namespace)]
        except CacheError as error:
            logger.warning("%s stays beside %s: %s", earlier_id, later.id, error)
            break
        if any(taken):
            done.append(namespace)
    if done:
        details: dict[str, Any] = {"replaced_by": later.id}
        if later.parts:
            details[REPLACED_IN] = done
        trail.try_record(REPLACED, at=now, invalidation_id=earlier_id, namespace=later.namespace, details=details)
    return bool(done)


def _took_place(store: Store, slot: Slot, earlier_id: str, later_id: str) -> bool:
    if store.ban(slot, earlier_id) is None:
        return False
    after = store.change(slot, [earlier_id, later_id], lambda found: changes.take_place(found, earlier_id, later_id))
    return earlier_id not in {ban.id for ban in after}
