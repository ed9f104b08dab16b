"""Search: one semantic lookup under way, carried on step by step by its caller.

    step = search.decide()             # reads from the store
    while isinstance(step, Ask):
        search.ask(step)               # calls the judge: slow
        step = search.decide()
    result = search.report(step)       # SemanticResult; counts and observes

Each step blocks; nothing is held between two of them, so a search may be dropped after any. A caller that served
another answer while the judge was asked reports `overtaken()` in place of a `Serve`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from ..keys import Identity
from ..models import CacheEntry, HitDetail
from ..stores import Found
from .decision import Ask, Candidates, Miss, More, NearEntry, Serve, decide, neighbours
from .judge import earlier_texts
from .results import Case, Judgement, SemanticResult, outcome

if TYPE_CHECKING:
    from .quality import Threshold


class Judge(Protocol):
    """Says which of some stored answers answers the new question too, if any."""

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> Sequence[Judgement]:
        """A judgement of each, within the judge's deadline and budget; never raises."""
        ...


class Observer(Protocol):
    """Gets the result of every lookup: the evidence by which a threshold is certified."""

    def __call__(self, identity: Identity, threshold: Threshold, result: SemanticResult) -> None:
        """Takes a result. Must not raise and must not block."""
        ...


_JUDGE_IS_AWAY = frozenset({"judge-late", "judge-over-budget", "judge-broken"})
"""Reasons of a miss after which a judge that is asked once more would be so again."""


class Search:
    """One lookup under way. Its steps follow one another, on any thread; it is for one request.

    `entries` yields what the index found near, nearest first, and reads from the store as it goes on. `embedder` is the
    identity's digest in hex, `case` what the judge is asked about, the request's question by default. `then` begins a
    further search where this one has found nothing: its steps follow on this one's.
    """

    def __init__(
        self,
        identity: Identity,
        threshold: Threshold,
        found: Candidates,
        entries: Iterator[NearEntry],
        *,
        embedder: str,
        judge: Judge | None,
        count: Callable[[str], None],
        observer: Observer,
        case: Case | None = None,
        then: Callable[[], Search | SemanticResult] | None = None,
    ) -> None:
        self._identity = identity
        self._threshold = threshold
        self._found = found
        self._entries = entries
        self._embedder = embedder
        self._judge = judge
        self._count = count
        self._observer = observer
        self._case = case
        self._then = then
        self._further: Search | None = None
        self._rulings: Mapping[int, Judgement] = {}

    @property
    def nearest(self) -> float | None:
        """The cosine of the nearest row, served or not; None when none was near at all."""
        return self._further.nearest if self._further is not None else self._found.nearest

    def decide(self) -> Serve | Ask | Miss:
        """The next step. Reads as many entries as the decision needs, mostly one. Raises StoreUnavailable."""
        if self._further is not None:
            return self._further.decide()
        while isinstance(step := decide(self._found, self._rulings), More):
            self._fetch()
        if isinstance(step, Miss) and self._then is not None and step.reason not in _JUDGE_IS_AWAY:
            return self._go_on(step, self._then)
        return step

    def _go_on(self, step: Miss, begin: Callable[[], Search | SemanticResult]) -> Serve | Ask | Miss:
        """The first step of the further search; this one is observed as it ended."""
        self._then = None
        further = begin()
        if isinstance(further, SemanticResult):
            return Miss(reason=further.reason)
        self.report(step)
        self._further = further
        return further.decide()

    def ask(self, step: Ask) -> None:
        """Asks the judge about the entries of a step, in one call: up to the judge's deadline."""
        if self._further is not None:
            self._further.ask(step)
            return
        if self._judge is None:
            raise AssertionError("no step asks a judge where there is none")
        identity = self._identity
        case = self._case or Case(
            namespace=identity.namespace, question=identity.prompt, history=earlier_texts(identity)
        )
        rulings = self._judge.rule(case, [self._found.entries[place].entry for place in step.places])
        self._count(f"judge_{outcome(rulings).replace('-', '_')}")
        self._rulings = dict(zip(step.places, rulings, strict=True))

    def report(self, step: Serve | Miss) -> SemanticResult:
        """The result of the lookup, which the observer gets too. Once, at its end."""
        if self._further is not None:
            return self._further.report(step)
        place = step.place if isinstance(step, Serve) else None
        served = self._found.entries[place] if place is not None else None
        result = SemanticResult(
            found=Found(entry=served.entry, detail=HitDetail.SEMANTIC) if served is not None else None,
            bucket=served.bucket if served is not None else 0,
            similarity=served.similarity if served is not None else None,
            judged=served is not None and self._found.needs_judge(served),
            neighbours=neighbours(self._found, self._rulings, place),
            reason=step.reason if isinstance(step, Miss) else "",
            nearest=self._found.nearest,
            embedder=self._embedder,
        )
        self._observer(self._identity, self._threshold, result)
        return result

    def _fetch(self) -> None:
        near = next(self._entries, None)
        if near is None:
            self._found = msgspec.structs.replace(self._found, has_more=False)
            return
        self._found = msgspec.structs.replace(self._found, entries=(*self._found.entries, near))
        if self._found.refuses(near) and not self._found.is_far(near):
            self._count(f"guard_{near.objection.guard}")
