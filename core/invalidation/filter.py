"""Which invalidations of a list are looked for: by words, state, actor and namespace. Pure."""

from __future__ import annotations

import msgspec

from .telling import Invalidation, InvalidationState


class InvalidationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What an invalidation has to be; None and an empty text are anything. `text` is in criteria, id or reason, in any
    case. `active`: it hides something now."""

    text: str = ""
    state: InvalidationState | None = None
    actor: str | None = None
    namespace: str | None = None
    active: bool = False

    def matches(self, one: Invalidation, question: str = "") -> bool:
        """Whether it is one of those. `question` is that of the key that it selects, where it is known."""
        return (
            self.state in (None, one.state)
            and self.actor in (None, one.actor)
            and (self.namespace is None or self.namespace in (one.namespace, *one.namespaces))
            and (not self.active or (one.effective and one.finished_at is None))
            and self.text.strip().casefold()
            in f"{one.criteria} {one.criteria.key or ''} {one.id} {one.reason} {one.problem} {question}".casefold()
        )
