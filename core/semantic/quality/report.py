"""What evidence says of a namespace: how often it was wrong, what more labels would prove, what judging costs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles
from types import MappingProxyType
from typing import Any

import msgspec

from ...models import SemanticMode
from .betting import most_wrong
from .bound import BoundState, Standing
from .calibration import (
    BUDGETS,
    Agreement,
    CurvePoint,
    LabelledPair,
    Labeller,
    Proposal,
    curve,
    judge_agreement,
    propose_threshold,
    settled,
)
from .grey import Grey
from .records import LookupRecord, Pair, PairRecord, Seen
from .threshold import Threshold


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge did, what it cost and what the answers it let through had cost (US dollars, known prices only).

    `rulings` counts its words. Repeats of a wording it approved are plain hits: what they save comes on top.
    """

    rulings: Mapping[str, int]
    cost_usd: float
    saved_usd: float
    tokens: int
    p50_ms: float | None
    p95_ms: float | None


class FalseHits(msgspec.Struct, frozen=True, kw_only=True):
    """Wrong answers among the near answers that are served, as far as they were checked.

    `share` is the estimate, 0 to 1, and `bound` the upper bound on it at every moment. `judged`: they are approvals of
    a judge, who is asked each time. `is_given_up`: the judge is asked first again because of them.
    """

    errors: int
    checked: int
    share: float
    bound: float
    judged: bool
    is_given_up: bool = False

    def verdict(self, budget: float) -> bool | None:
        """Whether the budget is held: True is proved, False was measured, None is not known yet."""
        if self.is_given_up or self.share > budget:
            return False
        return True if self.bound <= budget else None


class EvidenceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a namespace's near matches, of one embedder's.

    `standing`: the bound of what is served unjudged, None where nothing is to be. `agreement` compares the judge with
    operators; its bound is on false hits per judged hit. `grey` is the cosine to judge from that it supports, None
    where nothing is judged.
    """

    namespace: str
    embedder: str
    threshold: Threshold
    since: float | None
    lookups: int
    hits: int
    labels: int
    operator_labels: int
    judge_labels: int
    unlabelled: int
    standing: Standing | None
    agreement: Agreement
    judging: Judging
    curve: tuple[CurvePoint, ...]
    proposals: tuple[Proposal, ...]
    grey: Grey | None = None

    @property
    def false_hits(self) -> FalseHits | None:
        """How often what is served now was wrong; None where nothing is served or nothing was checked."""
        known, agreement = self.standing, self.agreement
        if known is not None:
            if not known.labels:
                return None
            return FalseHits(
                errors=known.wrong,
                checked=known.labels,
                share=known.estimate,
                bound=known.bound,
                judged=False,
                is_given_up=known.state in (BoundState.BROKEN, BoundState.DRIFTING),
            )
        if self.threshold.mode is SemanticMode.OFF or not agreement.yeses:
            return None
        wrong, checked = agreement.false_yes, agreement.yeses
        return FalseHits(errors=wrong, checked=checked, share=wrong / checked, bound=agreement.bound, judged=True)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class ReplayPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The result that recorded lookups would have had at one threshold, without a judge.

    `hits` of `lookups` would have been served; of those `labelled` have a label and `errors` are wrong. `bound` is the
    upper bound on the share of wrong ones, 1.0 without labels. `saved_usd` is what the others would have saved, in US
    dollars, `estimated` of them at the average of a miss; None where no price is known.
    """

    threshold: float
    lookups: int
    hits: int
    labelled: int
    errors: int
    bound: float
    saved_usd: float | None = None
    estimated: int = 0

    @property
    def hit_rate(self) -> float:
        """Share of the lookups that would have been hits, 0 to 1."""
        return self.hits / self.lookups if self.lookups else 0.0


def report(
    namespace: str,
    threshold: Threshold,
    records: Sequence[PairRecord],
    lookups: Sequence[LookupRecord],
    pairs: Iterable[Pair],
    *,
    embedder: str,
    since: float | None,
    grey: Grey | None,
    standing: Standing | None,
) -> EvidenceReport:
    """The report on a namespace, from the records and lookups of that namespace and one embedder."""
    labels = fair_sample(records)
    return EvidenceReport(
        namespace=namespace,
        embedder=embedder,
        threshold=threshold,
        since=since,
        lookups=len(lookups),
        hits=sum(lookup.hit for lookup in lookups),
        labels=len(labels),
        operator_labels=sum(label.labeller is Labeller.OPERATOR for label in labels),
        judge_labels=sum(label.labeller is Labeller.JUDGE for label in labels),
        unlabelled=sum(pair.label is None and pair.first for pair in pairs),
        standing=standing,
        agreement=judge_agreement([record.labelled() for record in records]),
        judging=_judging(records, lookups),
        curve=tuple(curve(labels)),
        proposals=tuple(propose_threshold(labels, budget) for budget in BUDGETS),
        grey=grey,
    )


def fair_sample(records: Iterable[PairRecord]) -> list[LabelledPair]:
    """One label a pair, of the pairs that a threshold alone would have served: the first ones of their lookups."""
    return settled(record.labelled() for record in records if record.first)


def _judging(records: Iterable[PairRecord], lookups: Iterable[LookupRecord]) -> Judging:
    judged = [record for record in records if record.labeller is Labeller.JUDGE]
    rulings = Counter("yes" if record.equivalent else "no" for record in judged)
    rulings += Counter(
        seen.ruling for lookup in lookups for seen in lookup.seen if seen.ruling not in ("", "yes", "no")
    )
    latencies = sorted(record.latency_ms for record in judged)
    cuts = quantiles(latencies, n=20, method="inclusive") if len(latencies) > 1 else latencies * 19
    return Judging(
        rulings=dict(rulings.most_common()),
        cost_usd=sum(record.cost_usd or 0.0 for record in judged),
        saved_usd=sum(record.saved_usd or 0.0 for record in judged),
        tokens=sum(record.input_tokens + record.output_tokens for record in judged),
        p50_ms=cuts[9] if cuts else None,
        p95_ms=cuts[18] if cuts else None,
    )


class WrongHit(msgspec.Struct, frozen=True, kw_only=True):
    """A pair labelled wrong that recorded lookups would have served: the pair, and how many did."""

    pair: Pair
    lookups: int


def replay(
    lookups: Sequence[LookupRecord],
    labels: Mapping[str, bool],
    thresholds: Iterable[float],
    costs: Mapping[str, float] = MappingProxyType({}),
) -> list[ReplayPoint]:
    """The results that recorded lookups would have had at other thresholds.

    `labels` are by pair id, `costs` what an answer cost by the key of its question, in US dollars.
    """
    nearest = [(lookup, first) for lookup in lookups if (first := _first_passed(lookup)) is not None]
    average = sum(costs.values()) / len(costs) if costs else None
    points = []
    for threshold in sorted(thresholds, reverse=True):
        served = [(lookup, seen) for lookup, seen in nearest if seen.similarity >= threshold]
        known = [labels[seen.pair] for _, seen in served if seen.pair in labels]
        errors = known.count(False)
        keys = [lookup.question_key for lookup, seen in served if labels.get(seen.pair) is not False]
        points.append(
            ReplayPoint(
                threshold=threshold,
                lookups=len(lookups),
                hits=len(served),
                labelled=len(known),
                errors=errors,
                bound=most_wrong(errors, len(known)) if known else 1.0,
                saved_usd=None if average is None else sum(costs.get(key, average) for key in keys),
                estimated=sum(key not in costs for key in keys),
            )
        )
    return points


def wrong_hits(lookups: Sequence[LookupRecord], pairs: Mapping[str, Pair], threshold: float) -> list[WrongHit]:
    """The pairs labelled wrong that recorded lookups would have served from a threshold on, the most frequent first."""
    served = Counter(
        seen.pair for lookup in lookups if (seen := _first_passed(lookup)) is not None and seen.similarity >= threshold
    )
    return [
        WrongHit(pair=pairs[name], lookups=count)
        for name, count in served.most_common()
        if name in pairs and pairs[name].label is False
    ]


def _first_passed(lookup: LookupRecord) -> Seen | None:
    """What a lookup would serve at any threshold: its nearest neighbour that no guard refuses."""
    return next((seen for seen in lookup.seen if not seen.guard), None)
