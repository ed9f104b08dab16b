"""What labels prove: error bounds, labels still needed, a threshold that evidence supports, and when to tighten it.

Pure. All shares of errors are per hit: of the answers served, how many were to another question. Bounds are one-sided
Clopper-Pearson: exact for any number of labels, and they never promise too much.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate

import msgspec

from ...text import share

CONFIDENCE = 0.95
BUDGETS = (0.01, 0.02, 0.05)
"""Shares of false hits that people choose between."""

GRID = tuple(round(0.990 - 0.005 * step, 3) for step in range(79))
"""Thresholds that are tried, strictest first: 0.990 down to 0.600."""


class Labeller(StrEnum):
    """Who said whether a stored answer answers a question."""

    OPERATOR = "operator"
    JUDGE = "judge"


class LabelledPair(msgspec.Struct, frozen=True, kw_only=True):
    """A question, a stored question that was near, and whether the stored answer answers both.

    `embedder` is the identity's digest in hex: cosines of different embedders say nothing about each other.
    `refused_by` names the guard that refused the pair, None when all passed. `labelled_by` is the operator, or the
    judge's model and prompt version. Times are seconds since the epoch.
    """

    namespace: str
    embedder: str
    question: str
    stored: str
    similarity: float
    refused_by: str | None
    equivalent: bool
    labeller: Labeller
    labelled_by: str
    labelled_at: float

    @property
    def digest(self) -> bytes:
        """A digest of the two texts: equal for all labels of one pair."""
        texts = f"{len(self.question)}:{self.question}{self.stored}"
        return blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a threshold would have meant: `hit_rate` of all pairs, `bound` is the upper bound on the share of errors."""

    threshold: float
    labels: int
    errors: int
    hit_rate: float
    precision: float
    bound: float


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold that held-out labels support within a budget, or None and the reason."""

    threshold: float | None
    budget: float
    labels: int
    errors: int
    bound: float
    reason: str


class Tightening(msgspec.Struct, frozen=True, kw_only=True):
    """The threshold to go up to, None: no threshold is safe enough, serve nothing without the judge."""

    threshold: float | None
    labels: int
    errors: int
    bound: float
    reason: str


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How the judge's labels compare with operators' labels of the same pairs.

    `yeses` counts the judge's, of which `false_yes` are wrong; `bound`: on its false yeses per yes.
    """

    pairs: int
    agreed: int
    yeses: int
    false_yes: int
    false_no: int
    bound: float


def upper_bound(errors: int, labels: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of errors that is still plausible; 1.0 without labels.

    >>> round(upper_bound(0, 299), 4), round(upper_bound(2, 628), 4)
    (0.01, 0.01)
    """
    if not 0 <= errors <= labels:
        raise ValueError("errors are between 0 and the number of labels")
    if errors == labels:
        return 1.0
    low, high = errors / labels, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(errors, labels, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(errors: int, labels: int, share: float) -> float:
    """Probability of so few errors at a share not below the one seen: the binomial sum, largest term first."""
    if share >= 1.0:
        return 0.0
    term = math.exp(
        math.lgamma(labels + 1)
        - math.lgamma(errors + 1)
        - math.lgamma(labels - errors + 1)
        + (errors * math.log(share) if errors else 0.0)
        + (labels - errors) * math.log1p(-share)
    )
    total = term
    for count in range(errors, 0, -1):
        term *= count / (labels - count + 1) * (1 - share) / share
        total += term
        if term < total * 1e-16:
            break
    return total


def labels_needed(budget: float, errors: int = 0, confidence: float = CONFIDENCE) -> int:
    """The number of labels that, with `errors` errors among them, bound the share of errors by the budget.

    >>> [labels_needed(budget) for budget in BUDGETS]
    [299, 149, 59]
    """
    if not 0 < budget < 1:
        raise ValueError("a budget is a share between 0 and 1")
    low, high = errors, max(2 * errors, 1)
    while upper_bound(errors, high, confidence) > budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(errors, middle, confidence) > budget:
            low = middle
        else:
            high = middle
    return high


def labels_still_needed(errors: int, labels: int, budget: float, confidence: float = CONFIDENCE) -> int:
    """How many more labels it takes, if no further error is found."""
    return max(labels_needed(budget, errors, confidence) - labels, 0)


def settled(pairs: Iterable[LabelledPair]) -> list[LabelledPair]:
    """One label a pair of texts: an operator's before a judge's, then the latest."""
    chosen: dict[bytes, LabelledPair] = {}
    for pair in pairs:
        known = chosen.get(pair.digest)
        if known is None or _weight(pair) >= _weight(known):
            chosen[pair.digest] = pair
    return list(chosen.values())


def _weight(pair: LabelledPair) -> tuple[bool, float]:
    return pair.labeller is Labeller.OPERATOR, pair.labelled_at


class _Hits:
    """How many of some pairs would have been served at a threshold, and how many of those wrongly."""

    def __init__(self, pairs: Iterable[LabelledPair]) -> None:
        served = sorted((pair.similarity, not pair.equivalent) for pair in pairs if pair.refused_by is None)
        self._similarities = [similarity for similarity, _ in served]
        self._errors_below = [0, *accumulate(is_error for _, is_error in served)]

    def at(self, threshold: float) -> tuple[int, int]:
        """(labels, errors)"""
        below = bisect_left(self._similarities, threshold)
        return len(self._similarities) - below, self._errors_below[-1] - self._errors_below[below]

    def bound(self, threshold: float, confidence: float) -> float:
        """The upper bound on the share of errors at a threshold."""
        labels, errors = self.at(threshold)
        return upper_bound(errors, labels, confidence)


def curve(pairs: Sequence[LabelledPair], thresholds: Sequence[float] = GRID) -> list[CurvePoint]:
    """Precision over hit rate. Pairs must be a fair sample of lookups that had a candidate."""
    hits = _Hits(pairs)
    points = []
    for threshold in thresholds:
        labels, errors = hits.at(threshold)
        points.append(
            CurvePoint(
                threshold=threshold,
                labels=labels,
                errors=errors,
                hit_rate=labels / max(len(pairs), 1),
                precision=1 - errors / labels if labels else 1.0,
                bound=upper_bound(errors, labels),
            )
        )
    return points


def propose_threshold(
    pairs: Iterable[LabelledPair],
    budget: float,
    *,
    thresholds: Sequence[float] = GRID,
    confidence: float = CONFIDENCE,
) -> Proposal:
    """The lowest threshold that labels support, by a fixed-sequence test.

    A third of the pairs chooses where to begin: where the other two thirds are likeliest to pass. Those are then tested
    from there downwards, and the first failure ends it: so all tests together err with probability 1 - confidence, and
    looking at many thresholds costs nothing. Pairs must be of one namespace and embedder, and a fair sample of its near
    matches.
    """
    tuning_pairs: list[LabelledPair] = []
    held_out_pairs: list[LabelledPair] = []
    for pair in settled(pairs):
        (held_out_pairs if pair.digest[0] % 3 else tuning_pairs).append(pair)
    tuning, held_out = _Hits(tuning_pairs), _Hits(held_out_pairs)
    enough = labels_needed(budget, 0, confidence)
    descending = sorted(thresholds, reverse=True)
    testable = [threshold for threshold in descending if held_out.at(threshold)[0] >= enough]
    if not testable:
        most, _ = held_out.at(descending[-1])
        return Proposal(
            threshold=None,
            budget=budget,
            labels=most,
            errors=0,
            bound=1.0,
            reason=f"too few labels: {enough} held-out ones above a threshold are needed, there are {most}",
        )
    begin = min(testable, key=lambda threshold: (_expected_bound(tuning, held_out, threshold, confidence), -threshold))
    supported: float | None = None
    failed: float | None = None
    for threshold in testable[testable.index(begin) :]:
        if held_out.bound(threshold, confidence) > budget:
            failed = threshold
            break
        supported = threshold
    shown = begin if supported is None else supported
    labels, errors = held_out.at(shown)
    return Proposal(
        threshold=supported,
        budget=budget,
        labels=labels,
        errors=errors,
        bound=held_out.bound(shown, confidence),
        reason=_proposal_reason(supported, failed, budget),
    )


def _expected_bound(tuning: _Hits, held_out: _Hits, threshold: float, confidence: float) -> float:
    """The bound to expect on the held-out labels, going by errors among the tuning ones. Looks at no held-out label."""
    tuned, tuning_errors = tuning.at(threshold)
    labels, _ = held_out.at(threshold)
    share = (tuning_errors + 0.5) / (tuned + 1)
    return upper_bound(min(round(share * labels), labels), labels, confidence)


def _proposal_reason(supported: float | None, failed: float | None, budget: float) -> str:
    if supported is None:
        return f"held-out labels do not support {share(budget, 0)} at any threshold"
    if failed is None:
        return f"every threshold tried down to {supported:.3f} holds {share(budget, 0)}"
    return f"{supported:.3f} holds {share(budget, 0)}, {failed:.3f} does not"


def tighten(
    recent: Iterable[LabelledPair],
    threshold: float,
    budget: float,
    *,
    thresholds: Sequence[float] = GRID,
    confidence: float = CONFIDENCE,
) -> Tightening | None:
    """What to do about recent labelled hits: None leaves the threshold alone. It is never lowered here.

    With fewer labels than could support the budget without an error nothing is decided, unless errors alone show that
    the budget is passed.
    """
    hits = _Hits(settled(recent))
    labels, errors = hits.at(threshold)
    bound = upper_bound(errors, labels, confidence)
    is_decided = labels >= labels_needed(budget, 0, confidence) or _is_surely_over(errors, labels, budget, confidence)
    if bound <= budget or not is_decided:
        return None
    stricter = (step for step in sorted(thresholds) if step > threshold)
    higher = next((step for step in stricter if hits.bound(step, confidence) <= budget), None)
    way_out = f"at {higher:.3f} the budget holds" if higher else "no higher threshold has labels that hold the budget"
    return Tightening(
        threshold=higher,
        labels=labels,
        errors=errors,
        bound=bound,
        reason=f"{errors} of {labels} recent hits were wrong; {way_out}",
    )


def _is_surely_over(errors: int, labels: int, budget: float, confidence: float) -> bool:
    """Whether the number of errors is implausible within the budget: its lower bound is above it."""
    return labels > 0 and 1 - upper_bound(labels - errors, labels, confidence) > budget


def judge_agreement(pairs: Iterable[LabelledPair], confidence: float = CONFIDENCE) -> Agreement:
    """The judge against operators, over pairs that both have labelled (each by its latest label)."""
    labels: dict[Labeller, dict[bytes, LabelledPair]] = {Labeller.OPERATOR: {}, Labeller.JUDGE: {}}
    for pair in sorted(pairs, key=lambda pair: pair.labelled_at):
        labels[pair.labeller][pair.digest] = pair
    both = [
        (judged, labels[Labeller.OPERATOR][digest])
        for digest, judged in labels[Labeller.JUDGE].items()
        if digest in labels[Labeller.OPERATOR]
    ]
    yeses = sum(judged.equivalent for judged, _ in both)
    false_yes = sum(judged.equivalent and not asserted.equivalent for judged, asserted in both)
    false_no = sum(asserted.equivalent and not judged.equivalent for judged, asserted in both)
    return Agreement(
        pairs=len(both),
        agreed=len(both) - false_yes - false_no,
        yeses=yeses,
        false_yes=false_yes,
        false_no=false_no,
        bound=upper_bound(false_yes, yeses, confidence),
    )
