"""What corrections and edits have in common: of what they are made, and in whose name they are."""

from __future__ import annotations

from ..access import AuditTrail
from ..cache import LLMCache
from ..stores import Clock, Store
from .pins import Pins


class Changing:
    """Changes of entries by the actor of a trail. `clock` gives Unix seconds, the store's own unless given.

    The audit record is written before the change: without a record there is no change. All methods raise
    StoreUnavailable, WriteRefused, OutcomeUnknown and AccessDenied.
    """

    def __init__(
        self,
        cache: LLMCache,
        store: Store,
        trail: AuditTrail,
        *,
        pins: Pins | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._cache = cache
        self._store = store
        self._trail = trail
        self._pins = pins
        self._clock = clock or store.clock
