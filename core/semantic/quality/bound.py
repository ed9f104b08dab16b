"""The bound of one publication: how many of the hits since then may have been wrong, and what follows from it. Pure.

Counted are the near matches at or above the published cosine. A match is judged before it is served (its chance of
being labelled is 1), or it is served unjudged and judged afterwards with a known chance. What is kept is small: a few
sums, the latest labels, and a line over time.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec

from ...models import SemanticMode
from ...text import many, share
from .betting import CONFIDENCE, is_proved, least_wrong, most_wrong, weighed
from .threshold import Threshold

RECENT = 100
"""Labels that count as recent when the hits of late are compared with those before."""
RARE = 0.001
"""Recent errors that were rarer than this, had nothing changed, are drift."""
FEWEST_RECENT = 3
MOST_POINTS = 120
MOST_HITS = 1_000_000
"""Hits that one label stands for at most."""
PARTS = (1 - CONFIDENCE) / 3
"""A corrected bound takes three bounds: each errs with a third of the probability."""


class BoundState(StrEnum):
    """What becomes of matches at or above the published cosine now.

    `beginning`: labels are too few yet, the judge is asked first. `holding`: they are served unjudged. `unproved`: so
    they are, as an admin or the settings want it, without proof. `broken`: the bound is above the budget, the judge is
    asked first. `drifting`: it is, since more of late were wrong than before.
    """

    BEGINNING = "beginning"
    HOLDING = "holding"
    UNPROVED = "unproved"
    BROKEN = "broken"
    DRIFTING = "drifting"


UNJUDGED = frozenset({BoundState.HOLDING, BoundState.UNPROVED})


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A label that counts: of a match that had the `chance` of being labelled, for so many hits since the one before.

    `hits` 0: a person found the error, nobody drew it.
    """

    at: float
    wrong: bool
    chance: float
    hits: int


class Point(msgspec.Struct, frozen=True, array_like=True):
    """The line over time: the bound as of a moment, and the share that was estimated. Times are Unix seconds."""

    at: float
    bound: float
    estimate: float
    labels: int


class Bound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of the hits of a `publication`, 0 being what is configured, since a time in Unix seconds.

    `weighed` is the sum of the errors among labels by the lowest chance over their own, `expected` that of one over
    their own. `embedder` is the one whose cosines it is about. `recent` has the latest labels, 1 being wrong. `caught`:
    the least share of what is wrong that the judge finds, None where people have not labelled enough to know it. `read`
    is the place in the journal of labels up to which it counts.
    """

    publication: int
    since: float
    hits: int = 0
    labels: int = 0
    wrong: int = 0
    weighed: float = 0.0
    expected: float = 0.0
    lowest: float = 1.0
    embedder: str = ""
    recent: str = ""
    has_held: bool = False
    is_drifting: bool = False
    caught: float | None = None
    read: str = ""
    line: tuple[Point, ...] = ()

    @property
    def as_judged(self) -> float:
        """The upper bound on the share of wrong hits since the publication, as judged."""
        return self._most(CONFIDENCE)

    @property
    def share(self) -> float:
        """The bound that counts: corrected by what the judge misses where that is known, else as judged."""
        if self.caught is None:
            return self.as_judged
        return min(1.0, self._most(1 - PARTS) / self.caught)

    @property
    def estimate(self) -> float:
        """The share of wrong hits as estimated from the labels, weighed; 0.0 without any."""
        return min(1.0, self.expected / self.hits) if self.hits else 0.0

    def holds(self, budget: float, lowest: float | None = None) -> bool:
        """Whether the bound is within a budget; or would be, had the lowest chance been this one."""
        share = budget * (self.lowest if lowest is None else lowest)
        if self.caught is None:
            return bool(is_proved(self.weighed, self.hits, share))
        return bool(is_proved(self.weighed, self.hits, share * self.caught, 1 - PARTS))

    def _most(self, confidence: float) -> float:
        return min(1.0, most_wrong(self.weighed, self.hits, confidence) / self.lowest)

    def still_needed(self, budget: float) -> int:
        """How many more matches must be judged first, without an error, until the bound holds; 0 where it does."""
        if self.holds(budget):
            return 0
        low, high = 0, 64
        while high < MOST_HITS and not self._after(high).holds(budget):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._after(middle).holds(budget) else (middle, high)
        return high

    def _after(self, more: int) -> Bound:
        return msgspec.structs.replace(self, hits=self.hits + more)


def added(bound: Bound, label: Drawn, budget: float) -> Bound:
    """The bound with one more label. A lower chance than all before makes earlier errors count for less."""
    lowest = min(bound.lowest, label.chance)
    recent = (bound.recent + str(int(label.wrong)))[-RECENT:]
    counted = msgspec.structs.replace(
        bound,
        hits=bound.hits + min(label.hits, MOST_HITS),
        labels=bound.labels + 1,
        wrong=bound.wrong + label.wrong,
        weighed=bound.weighed + (weighed(lowest, label.chance) if label.wrong else 0.0),
        expected=bound.expected + (1 / label.chance if label.wrong else 0.0),
        lowest=lowest,
        recent=recent,
    )
    held = bound.has_held or counted.holds(budget)
    return msgspec.structs.replace(counted, has_held=held, is_drifting=_is_drifting(counted, budget))


def _is_drifting(bound: Bound, budget: float) -> bool:
    """Whether recent labels show more errors than the budget and than those before; it ends when the budget holds."""
    labels, wrong = len(bound.recent), bound.recent.count("1")
    if not labels or wrong / labels <= budget:
        return False
    if bound.is_drifting:
        return True
    return wrong >= FEWEST_RECENT and rarity(wrong, labels, bound.wrong, bound.labels) <= RARE


def rarity(wrong: int, labels: int, all_wrong: int, all_labels: int) -> float:
    """The probability that so many of all errors are among so many of all labels by chance alone (Fisher)."""
    if labels == all_labels:
        return 1.0
    ways = math.comb(all_labels, labels)
    return sum(
        math.comb(all_wrong, count) * math.comb(all_labels - all_wrong, labels - count) / ways
        for count in range(wrong, min(all_wrong, labels) + 1)
    )


def noted(bound: Bound, at: float) -> Bound:
    """The bound with its present value added to the line. When that is full every other point goes."""
    line = bound.line
    if len(line) >= MOST_POINTS:
        line = line[-1::-2][::-1]
    point = Point(at, round(bound.share, 5), round(bound.estimate, 5), bound.labels)
    return msgspec.structs.replace(bound, line=(*line, point))


def state(bound: Bound, threshold: Threshold, budget: float, *, is_checked: bool = True) -> BoundState | None:
    """What becomes of matches at or above the threshold; None where nothing is to be served unjudged.

    Without proof it is served until labels prove that the budget is passed. Where hits cannot be judged afterwards
    (`is_checked` is False) nothing can be proved.
    """
    if threshold.mode is SemanticMode.OFF or threshold.serve is None:
        return None
    if bound.is_drifting:
        return BoundState.DRIFTING
    if is_checked and bound.holds(budget):
        return BoundState.HOLDING
    if threshold.unproved:
        is_surely_above = least_wrong(bound.wrong, bound.labels) > budget
        return BoundState.BROKEN if is_surely_above else BoundState.UNPROVED
    return BoundState.BROKEN if bound.has_held else BoundState.BEGINNING


def in_effect(threshold: Threshold, bound: Bound, budget: float, least: float) -> Threshold:
    """The threshold that a lookup goes by: as published, or with the judge asked first about all that it would serve.

    `least` is the least chance of a hit to be judged afterwards, 0: none is. The fewer hits there were, the greater the
    chance: so that what was not seen among them is within the budget too.
    """
    now = state(bound, threshold, budget, is_checked=least > 0)
    if now is None:
        return threshold
    if now in UNJUDGED:
        return msgspec.structs.replace(threshold, chance=_chance(bound, budget, least))
    grey = threshold.grey if threshold.mode is SemanticMode.JUDGE else threshold.serve
    return msgspec.structs.replace(
        threshold, mode=SemanticMode.JUDGE, grey=grey or 1.0, serve=None, waiting=threshold.serve
    )


def _chance(bound: Bound, budget: float, least: float) -> float:
    """The lowest of 1, 1/2, 1/4 ... that keeps the bound within the budget, not below the least; the least unproved."""
    if not bound.holds(budget) or bound.holds(budget, least):
        return least
    chance = bound.lowest
    while chance / 2 > least and bound.holds(budget, chance / 2):
        chance /= 2
    return max(least, chance)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a publication stands: the same figures for pages, command line and API.

    `bound` is the upper bound (95 %, at every moment) on the share of wrong hits, `is_as_judged`: by the judge's word,
    since people have not labelled enough to know what it misses. `still_needed`: more clean labels until it holds.
    `recent_wrong` of the latest `recent` labels are wrong.
    """

    state: BoundState
    serve: float
    publication: int
    since: float
    budget: float
    bound: float
    estimate: float
    is_as_judged: bool
    caught: float | None
    hits: int
    labels: int
    wrong: int
    recent: int
    recent_wrong: int
    still_needed: int
    line: tuple[Point, ...]

    def to_dict(self) -> dict[str, Any]:
        """It as plain JSON, with its words and without the line."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, line=()))
        del plain["line"]
        return plain | {"words": self.words}

    @property
    def words(self) -> str:
        """The state in words, one or two sentences."""
        limit = share(self.budget, 0)
        enough = f"{many(self.still_needed, 'more label')} without an error"
        match self.state:
            case BoundState.BEGINNING:
                return f"Beginning: the judge is asked first. Unjudged hits begin after {enough}."
            case BoundState.HOLDING:
                return (
                    f"Holding: at most {share(self.bound)} of the hits were wrong{self.named}; the budget is {limit}."
                )
            case BoundState.UNPROVED:
                return f"Unproved: served without proof. The budget of {limit} is proved after {enough}."
            case BoundState.BROKEN:
                return (
                    f"Broken: up to {share(self.bound)} of the hits may be wrong{self.named}; the budget is {limit}. "
                    f"The judge is asked first until {enough}."
                )
            case BoundState.DRIFTING:
                return (
                    f"Drift: {self.recent_wrong} of the latest {many(self.recent, 'label')} are wrong, more than before"
                    f". The judge is asked first until the latest are within {limit}."
                )

    @property
    def named(self) -> str:
        """Whose word the bound is: ", as judged" where the judge's error is not known."""
        return ", as judged" if self.is_as_judged else ", corrected by what the judge misses"


def standing(bound: Bound, threshold: Threshold, budget: float, *, is_checked: bool = True) -> Standing | None:
    """How a publication stands; None where nothing is to be served unjudged."""
    now = state(bound, threshold, budget, is_checked=is_checked)
    if now is None or threshold.serve is None:
        return None
    return Standing(
        state=now,
        serve=threshold.serve,
        publication=bound.publication,
        since=bound.since,
        budget=budget,
        bound=bound.share,
        estimate=bound.estimate,
        is_as_judged=bound.caught is None,
        caught=bound.caught,
        hits=bound.hits,
        labels=bound.labels,
        wrong=bound.wrong,
        recent=len(bound.recent),
        recent_wrong=bound.recent.count("1"),
        still_needed=bound.still_needed(budget),
        line=bound.line,
    )
