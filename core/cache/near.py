"""The semantic part of the path: a stored question near enough answers a new one, hedged or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..keys import Slot
from ..models import CacheStrategy
from ..semantic import OVERTAKEN, Ask, Search, SemanticResult, Serve, overtaken
from ..stores import MissReason
from .call import Call
from .effects import AskJudge, Decide, Flow, LookNear
from .recorder import OutcomeRecorder
from .steps import Hit, Miss
from .writer import Writer

if TYPE_CHECKING:
    from ..semantic import Miss as NearMiss


class Judging(NamedTuple):
    """A search that has come to entries that only a judge's yes may serve."""

    search: Search
    step: Ask

    def waiting(self, miss: Miss) -> Miss:
        """The miss that holds while the judge has not ruled."""
        return _missed(miss, OVERTAKEN, self.search.nearest)


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
        """The flow of a semantic lookup, judge included: a hit by a near question, or the miss with its similarity."""
        met = yield from self.begin(call, miss)
        return (yield from self.judge(call, miss, met)) if isinstance(met, Judging) else met

    def begin(self, call: Call, miss: Miss) -> Flow[Hit | Miss | Judging]:
        """The flow of a semantic lookup up to the point where a judge is needed: a hit, the miss, or a `Judging`."""
        if call.strategy is not CacheStrategy.SEMANTIC:
            return miss
        search: Search | SemanticResult | None = yield LookNear(call, slot_of=self._slot_of, now=self._clock())
        call.lookup_ms = call.elapsed_ms()
        if search is None:
            return miss
        if isinstance(search, SemanticResult):
            return _missed(miss, search.reason, search.nearest)
        step: Serve | Ask | NearMiss | None = yield Decide(call, search)
        call.lookup_ms = call.elapsed_ms()
        if step is None:
            return miss
        if isinstance(step, Ask):
            return Judging(search, step)
        return (yield from self._end(call, miss, search.report(step)))

    def judge(
        self, call: Call, miss: Miss, judging: Judging, may_serve: Callable[[], bool] = lambda: True
    ) -> Flow[Hit | Miss]:
        """The flow that asks the judge. After a yes `may_serve` is called, once, to see whether it still counts."""
        search = judging.search
        step: Serve | Ask | NearMiss | None = judging.step
        while isinstance(step, Ask):
            if (yield AskJudge(call, search, step)) is None:
                return miss
            step = yield Decide(call, search)
        call.lookup_ms = call.elapsed_ms()
        if step is None:
            return miss
        if isinstance(step, Serve) and not may_serve():
            step = overtaken()
        return (yield from self._end(call, miss, search.report(step)))

    def _end(self, call: Call, miss: Miss, result: SemanticResult) -> Flow[Hit | Miss]:
        """Serves what was found, and lets this wording lead there from now on when a judge has agreed."""
        found = result.found
        if found is None:
            return _missed(miss, result.reason, result.nearest)
        if result.judged and miss.stamp is not None and result.bucket == call.slot.bucket:
            yield from self._writer.keep_alias(call, miss.stamp, found.entry)
        answer = self._outcomes.hit(call, found, bucket=result.bucket, similarity=result.similarity)
        return Hit(answer, found.entry, call.request.unkeyed)


def _missed(miss: Miss, reason: str, nearest: float | None) -> Miss:
    """The miss with what the semantic part adds to it."""
    return Miss(reason if miss.reason == MissReason.ABSENT else miss.reason, miss.record, nearest)
