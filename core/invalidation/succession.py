"""One invalidation in the place of an earlier one, so that those which repeat themselves do not pile up."""

from __future__ import annotations

from collections.abc import Sequence

from ..access import AuditTrail
from ..bans import changes
from ..keys import Slot
from ..stores import Store
from .telling import REPLACED, Invalidation


def take_place(
    store: Store, slots: Sequence[Slot], earlier_id: str, later: Invalidation, *, trail: AuditTrail, now: float
) -> bool:
    """Takes an earlier ban away in every bucket where a later one does all that it did; whether there was one.

    The later one must be acknowledged. A bucket where it is in force no more keeps the earlier one. `now` is in Unix
    seconds.
    """
    done = False
    for slot in slots:
        if store.ban(slot, earlier_id) is None:
            continue
        after = store.change(
            slot, [earlier_id, later.id], lambda found: changes.take_place(found, earlier_id, later.id)
        )
        done |= earlier_id not in {ban.id for ban in after}
    if done:
        details = {"replaced_by": later.id}
        trail.try_record(REPLACED, at=now, invalidation_id=earlier_id, namespace=later.namespace, details=details)
    return done
