"""What labels say: the share of errors by cosine, the threshold they speak for, and how far the judge can be trusted.

Pure. All shares of errors are per hit: of the answers served, how many were to another question. Bounds hold at every
moment (`betting`): people look at them whenever they like.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate

import msgspec

from ...text import share
from .betting import CONFIDENCE, labels_needed, most_wrong

BUDGETS = (0.01, 0.02, 0.05)
"""Shares of false hits that people choose between."""

GRID = tuple(round(0.990 - 0.005 * step, 3) for step in range(79))
"""Thresholds that are tried, strictest first: 0.990 down to 0.600."""


LEAST_CAUGHT = 0.5
"""Of a judge that may miss more of what is wrong than this, too little is known to correct by it."""


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
        return most_wrong(errors, labels, confidence)


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
                bound=most_wrong(errors, labels),
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
    return most_wrong(min(round(share * labels), labels), labels, confidence)


def _proposal_reason(supported: float | None, failed: float | None, budget: float) -> str:
    if supported is None:
        return f"held-out labels do not support {share(budget, 0)} at any threshold"
    if failed is None:
        return f"every threshold tried down to {supported:.3f} holds {share(budget, 0)}"
    return f"{supported:.3f} holds {share(budget, 0)}, {failed:.3f} does not"


def judge_agreement(pairs: Iterable[LabelledPair], confidence: float = CONFIDENCE) -> Agreement:
    """The judge against operators, over pairs that both have labelled (each by its latest label)."""
    both = [(judged, asserted) for judged, asserted in _both(pairs) if judged is not None and asserted is not None]
    yeses = sum(judged.equivalent for judged, _ in both)
    false_yes = sum(judged.equivalent and not asserted.equivalent for judged, asserted in both)
    false_no = sum(asserted.equivalent and not judged.equivalent for judged, asserted in both)
    return Agreement(
        pairs=len(both),
        agreed=len(both) - false_yes - false_no,
        yeses=yeses,
        false_yes=false_yes,
        false_no=false_no,
        bound=most_wrong(false_yes, yeses, confidence),
    )


def caught_at_least(pairs: Iterable[LabelledPair], confidence: float = CONFIDENCE) -> float | None:
    """The least share of wrong pairs that the judge finds, as far as people have checked it; None: too little is known.

    By the share of its noes that people call different too, and of its yeses that they do: each with the bound that is
    worse for the judge, weighed by how many noes and yeses there are, since people check more of the one than of the
    other. Its noes are then never counted as wrong noes: that would make the corrected bound smaller (Rogan and Gladen,
    American Journal of Epidemiology 107, 1978, with a specificity of 1).
    """
    labels = _both(pairs)
    counts = dict.fromkeys((True, False), 0)
    checked, wrong = dict(counts), dict(counts)
    for judged, asserted in labels:
        if judged is None:
            continue
        counts[judged.equivalent] += 1
        if asserted is not None:
            checked[judged.equivalent] += 1
            wrong[judged.equivalent] += not asserted.equivalent
    if not checked[False] or not checked[True]:
        return None
    caught = counts[False] * (1 - most_wrong(checked[False] - wrong[False], checked[False], confidence))
    missed = counts[True] * most_wrong(wrong[True], checked[True], confidence)
    least = caught / (caught + missed) if caught else 0.0
    return least if least >= LEAST_CAUGHT else None


def _both(pairs: Iterable[LabelledPair]) -> list[tuple[LabelledPair | None, LabelledPair | None]]:
    """The latest label of each pair by the judge, and by an operator."""
    labels: dict[bytes, dict[Labeller, LabelledPair]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.labelled_at):
        labels.setdefault(pair.digest, {})[pair.labeller] = pair
    return [(known.get(Labeller.JUDGE), known.get(Labeller.OPERATOR)) for known in labels.values()]
