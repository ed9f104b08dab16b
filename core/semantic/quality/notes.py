"""What is noted of a semantic lookup: records made from its result. Pure; texts only where prompts may be kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ...keys import Identity
from ...text import printable
from ..judge import earlier_texts
from ..results import Judgement, Neighbour, SemanticResult
from .calibration import Labeller
from .records import MAX_TEXT, LookupRecord, Pair, PairRecord, Sample, Seen, pair_id

if TYPE_CHECKING:
    from ...models import CacheEntry
    from .threshold import Threshold


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """Makes the records; without `keep_prompts` they hold digests and figures only. Times are Unix seconds."""

    keep_prompts: bool

    def lookup(self, identity: Identity, threshold: Threshold, result: SemanticResult, now: float) -> LookupRecord:
        """The lookup itself, with every near entry it saw."""
        return LookupRecord(
            at=now,
            namespace=identity.namespace,
            embedder=result.embedder,
            mode=threshold.mode,
            version=threshold.version,
            question_key=identity.key,
            question=self._text(identity.prompt),
            hit=result.found is not None,
            judged=result.judged,
            reason=result.reason,
            nearest=result.nearest,
            seen=tuple(self._seen(identity, neighbour) for neighbour in result.neighbours),
        )

    def judge_labels(
        self, identity: Identity, threshold: Threshold, result: SemanticResult, now: float
    ) -> Iterator[PairRecord]:
        """A label for each entry on which the judge said yes or no."""
        first = next((place for place, neighbour in enumerate(result.neighbours) if not neighbour.guard), -1)
        for place, neighbour in enumerate(result.neighbours):
            judgement = neighbour.judgement
            if judgement is None or not judgement.is_ruling:
                continue
            waiting = threshold.waiting
            is_first_waiting = place == first and waiting is not None and neighbour.similarity >= waiting
            yield PairRecord(
                pair=pair_id(identity.namespace, identity.prompt, neighbour.prompt),
                at=now,
                namespace=identity.namespace,
                embedder=result.embedder,
                similarity=neighbour.similarity,
                equivalent=judgement.word == "yes",
                labeller=Labeller.JUDGE,
                labelled_by=judgement.judge,
                mode=threshold.mode,
                version=threshold.version,
                guard=neighbour.guard,
                first=place == first,
                served=neighbour.served,
                chance=float(is_first_waiting),
                hits=int(is_first_waiting),
                question=self._text(identity.prompt),
                stored=self._text(neighbour.prompt),
                question_key=identity.key,
                key=neighbour.key,
                saved_usd=saved_usd(result) if neighbour.served else 0.0,
                **self._of(judgement),
            )

    def sample_label(self, sample: Sample, stored: CacheEntry, judgement: Judgement, now: float) -> PairRecord:
        """The label of a hit that was judged afterwards."""
        is_right = judgement.word == "yes"
        return PairRecord(
            pair=pair_id(sample.namespace, sample.question, stored.prompt),
            at=now,
            namespace=sample.namespace,
            embedder=sample.embedder,
            similarity=sample.similarity,
            equivalent=is_right,
            labeller=Labeller.JUDGE,
            labelled_by=judgement.judge,
            mode=sample.mode,
            version=sample.version,
            first=True,
            served=True,
            chance=sample.chance,
            hits=sample.hits,
            question=self._text(sample.question),
            stored=self._text(stored.prompt),
            question_key=sample.question_key,
            key=sample.key,
            saved_usd=sample.saved_usd if is_right else 0.0,
            **self._of(judgement),
        )

    def _seen(self, identity: Identity, neighbour: Neighbour) -> Seen:
        return Seen(
            pair=pair_id(identity.namespace, identity.prompt, neighbour.prompt),
            key=neighbour.key,
            similarity=neighbour.similarity,
            guard=neighbour.guard,
            ruling=neighbour.ruling,
            served=neighbour.served,
            stored=self._text(neighbour.prompt),
        )

    def _of(self, judgement: Judgement) -> dict[str, Any]:
        return {
            "reason": (self._text(judgement.reason) or "") if judgement.reason else "",
            "latency_ms": judgement.latency_ms,
            "input_tokens": judgement.input_tokens,
            "output_tokens": judgement.output_tokens,
            "cost_usd": judgement.cost_usd,
        }

    def _text(self, text: str) -> str | None:
        return printable(text, MAX_TEXT) if self.keep_prompts else None


def operator_label(pair: Pair, equivalent: bool, by: str, now: float) -> PairRecord:
    """An operator's label of a pair that is kept. It counts for the bound when it finds an unjudged hit wrong."""
    is_seen = pair.judge_label is not None or pair.operator_label is False
    is_news = pair.served and pair.first and not equivalent and not is_seen
    return PairRecord(
        pair=pair.id,
        at=now,
        namespace=pair.namespace,
        embedder=pair.embedder,
        similarity=pair.similarity,
        equivalent=equivalent,
        labeller=Labeller.OPERATOR,
        labelled_by=printable(by, 200),
        mode=pair.mode,
        version=pair.version,
        guard=pair.guard,
        first=pair.first,
        served=pair.served,
        chance=float(is_news),
        question=pair.question,
        stored=pair.stored,
        question_key=pair.question_key,
        key=pair.key,
    )


def sample_of(
    identity: Identity, threshold: Threshold, result: SemanticResult, now: float, *, chance: float, hits: int
) -> Sample:
    """A sample of a hit to be judged afterwards, with the whole question."""
    served = next(neighbour for neighbour in result.neighbours if neighbour.served)
    return Sample(
        at=now,
        namespace=identity.namespace,
        embedder=result.embedder,
        mode=threshold.mode,
        version=threshold.version,
        question=identity.prompt,
        history=earlier_texts(identity),
        question_key=identity.key,
        key=served.key,
        similarity=served.similarity,
        saved_usd=saved_usd(result),
        chance=chance,
        hits=hits,
    )


def saved_usd(result: SemanticResult) -> float | None:
    """What the served answer cost when it was generated, US dollars; None where that is not known."""
    return result.found.entry.header.cost_usd if result.found is not None else 0.0
