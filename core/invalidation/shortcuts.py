"""What stands around an invalidation: one line for each criterion, and which namespaces have something due."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from ..access import Acting
from ..bans import Criteria
from ..keys import Slot
from ..stores import Clock, Store
from .history import History
from .telling import Invalidation


class Shortcuts(History):
    """One method for each criterion, in the configured namespace; all namespaces, and those with something due."""

    _store: Store
    _namespace: str
    _buckets: int
    _clock: Clock

    @abstractmethod
    def invalidate(self, criteria: Criteria, *, actor: Acting) -> Invalidation:
        """Hides all entries that match."""

    def invalidate_by_model(self, model: str, *, actor: Acting = "api") -> Invalidation:
        """Hides all answers of a model, by its exact name. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(model=model), actor=actor)

    def invalidate_by_user(self, user: str, *, actor: Acting = "api") -> Invalidation:
        """Hides all answers that are a user's own, by the name that requests give. Raises what `invalidate` raises."""
        return self.invalidate(Criteria.from_names(self._namespace, user=user), actor=actor)

    def invalidate_by_age(self, older_than_seconds: float, *, actor: Acting = "api") -> Invalidation:
        """Hides all entries older than this many seconds. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(created_before=self._clock() - older_than_seconds), actor=actor)

    def invalidate_by_keywords(
        self, keywords: Sequence[str], *, match_all: bool = False, actor: Acting = "api"
    ) -> Invalidation:
        """Hides entries whose prompts contain any (or all) of these keywords. Raises what `invalidate` raises."""
        mode: Literal["any", "all"] = "all" if match_all else "any"
        return self.invalidate(Criteria(keywords=tuple(keywords), keyword_mode=mode), actor=actor)

    def invalidate_by_pattern(self, pattern: str, *, actor: Acting = "api") -> Invalidation:
        """Hides entries whose prompt or key matches a glob. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(pattern=pattern), actor=actor)

    def invalidate_all(self, *, actor: Acting = "api") -> Invalidation:
        """Hides all entries of the configured namespace. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(all=True), actor=actor)

    def get_invalidation_history(self, limit: int = 100) -> list[Invalidation]:
        """The latest invalidations of all namespaces, newest first. Raises StoreUnavailable."""
        return self.history(limit=limit)

    def slots_of(self, namespace: str) -> list[Slot]:
        """The buckets of a namespace."""
        return [Slot(namespace, bucket) for bucket in range(self._buckets)]

    # Apply and undo

    def namespaces(self) -> list[str]:
        """All namespaces that there are now, the configured one among them, in order. Raises StoreUnavailable."""
        return sorted({self._namespace, *self._store.namespaces()})

    def now(self) -> float:
        """The time that bans go by, in Unix seconds."""
        return self._clock()

    def due_namespaces(self) -> list[str]:
        """Namespaces with bans that are due, those of a dead sweep included, and those whose list was lost."""
        now, due = self._clock(), list[str]()
        for namespace in self._store.namespaces():
            slots = self.slots_of(namespace)
            for slot in slots:
                self._store.mend(slot)
            if any(self._store.bans(slot, until=now, limit=1) for slot in slots):
                due.append(namespace)
        return due
