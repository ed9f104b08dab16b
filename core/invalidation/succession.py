"""One invalidation in the place of an earlier one, so that those which repeat themselves do not pile up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..access import AuditTrail
from ..bans import changes
from ..errors import CacheError
from ..keys import Slot
from ..stores import Store
from .telling import REPLACED, Invalidation
from .whole import REPLACED_IN, part_id

logger = logging.getLogger("encore.invalidation")


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
