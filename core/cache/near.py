"""The semantic part of the path: a stored question near enough answers a new one, hedged or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..keys import Identity, Slot
from ..models import CacheStrategy, Controls
from ..stores import MissReason, Store
from .call import Call
from .effects import Flow, Judge, LookNear
from .recorder import OutcomeRecorder
from .steps import Hit, Miss
from .writer import Writer

if TYPE_CHECKING:
    from ..semantic import SemanticResult


class NearLookup(Protocol):
    """Looks for stored questions that are near a new one. Raises StoreUnavailable."""

    def applies(self, identity: Identity) -> bool:
        """Whether it is done at all for this request."""
        ...

    def find(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        identity: Identity,
        controls: Controls,
        now: float,
        *,
        hedged: bool = False,
    ) -> SemanticResult:
        """The nearest entry that may be served, or why there is none. `hedged`: as far as no judge is needed."""
        ...

    def remember(self, identity: Identity, expires_at: float) -> None:
        """Adds a question that was just stored, and until when it counts (Unix seconds)."""
        ...


class NearPart:
    """Looks for near questions on behalf of requests. `clock` gives Unix seconds."""

    def __init__(
        self,
        slot_of: Callable[[str, int], Slot],
        writer: Writer,
        outcomes: OutcomeRecorder,
        clock: Callable[[], float],
    ) -> None:
        self._slot_of = slot_of
        self._writer = writer
        self._outcomes = outcomes
        self._clock = clock

    def look(self, call: Call, miss: Miss) -> Flow[Hit | Miss]:
        """A hit by a near question, or the miss, now that near ones were looked at too."""
        result = yield from self.begin(call)
        return (yield from self.end(call, miss, result))

    def begin(self, call: Call, *, hedged: bool = False) -> Flow[SemanticResult | None]:
        """What looking comes to, `hedged` without asking a judge; None when near questions are not looked for."""
        if call.strategy is not CacheStrategy.SEMANTIC:
            return None
        result: SemanticResult | None = yield LookNear(call, slot_of=self._slot_of, now=self._clock(), hedged=hedged)
        call.lookup_ms = call.elapsed_ms()
        return result

    def judged(
        self,
        call: Call,
        miss: Miss,
        rest: Callable[[Callable[[], bool]], SemanticResult],
        may_serve: Callable[[], bool],
    ) -> Flow[Hit | Miss]:
        """Goes on with a lookup that waits for a judge, beside the provider. `may_serve`: does a yes still count?"""
        result: SemanticResult | None = yield Judge(call, rest, may_serve)
        return (yield from self.end(call, miss, result))

    def end(self, call: Call, miss: Miss, result: SemanticResult | None) -> Flow[Hit | Miss]:
        """Serves what was found, and lets this wording lead there from now on when a judge has agreed."""
        if result is None:
            return miss
        found = result.found
        if found is None:
            return missed(miss, result)
        call.lookup_ms = call.elapsed_ms()
        if result.judged and miss.stamp is not None and result.bucket == call.slot.bucket:
            yield from self._writer.keep_alias(call, miss.stamp, found.entry)
        answer = self._outcomes.hit(call, found, bucket=result.bucket, similarity=result.similarity)
        return Hit(answer, found.entry)


def missed(miss: Miss, result: SemanticResult) -> Miss:
    """The miss with what the semantic part adds to it."""
    reason = result.reason if miss.reason == MissReason.ABSENT else miss.reason
    return Miss(reason, miss.stamp, result.nearest)
