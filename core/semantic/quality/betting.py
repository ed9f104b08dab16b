"""A bound on a share of errors that holds however often one looks: a confidence sequence by betting. Pure.

Somebody who bets against "at least this share is wrong" wins when a label is right and loses when it is wrong. If the
share is as large, the wealth of no such gambler ever passes 1 / (1 - confidence) but with probability 1 - confidence
(Ville's inequality), whenever and how often one looks, and whatever was decided by it before. The upper bound is the
smallest share against which the bets have won so much. The bets are mixed beforehand, from "all on right" to cautious
ones, and so the order of labels does not matter.

The share may change on the way: what is bounded is the mean over all that was tried. A thing tried that had the chance
`p` of being labelled stands for itself alone: see `weighed`.

I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, Journal of the Royal Statistical
Society B 86 (2024); for means that change and for chances, S. Howard and others, Time-uniform, nonparametric,
nonasymptotic confidence sequences, Annals of Statistics 49 (2021).
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts: TypeAlias = float | NDArray[np.float64]
    Bets: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]

CONFIDENCE = 0.95

_LEFT = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
"""What a wrong label leaves of the wealth of each who bets that fewer are wrong."""

_FIRST = 0.8
"""The part of the wealth that is put on "all are right": so 155 clean labels prove 2 %, where 149 would by one look."""

_GAINS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""What a wrong label makes of the wealth of each who bets that more are wrong."""


@cache
def _against() -> Bets:
    """The bets that fewer are wrong: the logarithm of what a wrong label leaves, and of the parts of the wealth."""
    import numpy as np  # not before it is needed: a cache without near questions runs without

    others = 1 / np.arange(1, len(_LEFT))
    parts = np.append(_FIRST, (1 - _FIRST) * others / others.sum())
    return np.log(np.maximum(_LEFT, 1e-300)), np.log(parts)


@cache
def _above() -> Bets:
    """The bets that more are wrong, in equal parts."""
    import numpy as np

    return np.log(_GAINS), np.full(len(_GAINS), -math.log(len(_GAINS)))


_ROUNDS, _POINTS = 4, 65


def _wealth(wrong: Counts, tried: Counts, share: Counts, bets: Bets) -> NDArray[np.float64]:
    """The logarithm of what bets against a share of errors have made of 1, with so many errors among so many.

    A wrong label makes of each bettor's wealth what the bet says; a right one makes of it what is fair in return.
    """
    import numpy as np

    log_kept, log_parts = bets
    lost = np.asarray(wrong, dtype=float)[..., None]
    fair = np.log1p(np.maximum(np.asarray(share)[..., None] * np.expm1(log_kept), -1 + 1e-12))
    odds = np.asarray(tried, dtype=float)[..., None] * fair
    stakes = np.where(lost > 0, np.maximum(lost, 1e-300) * log_kept, 0.0) + log_parts - odds
    most = stakes.max(axis=-1)
    return np.asarray(most + np.log(np.exp(stakes - most[..., None]).sum(axis=-1)))


def is_proved(wrong: Counts, tried: Counts, share: Counts, confidence: float = CONFIDENCE) -> NDArray[np.bool_]:
    """Whether so few errors among so many prove that the share of errors is not above this one."""
    return _wealth(wrong, tried, share, _against()) >= -math.log(1 - confidence)


@lru_cache(maxsize=8192)
def most_wrong(wrong: float, tried: int, confidence: float = CONFIDENCE) -> float:
    """The largest share of errors that is still plausible, at any time one looks; 1.0 before anything was tried.

    `wrong` may be a fraction where errors are weighed. More errors never lower it.

    >>> round(most_wrong(0, 155), 3), round(most_wrong(5, 1000), 4)
    (0.02, 0.0166)
    """
    if wrong < 0 or tried < 0:
        raise ValueError("counts are not negative")
    if wrong >= tried:
        return 1.0
    import numpy as np

    low, high = wrong / tried, 1.0
    for _ in range(_ROUNDS):
        shares = np.linspace(low, high, _POINTS)[1:-1]
        proved = int(np.argmax(np.append(is_proved(wrong, tried, shares, confidence), True)))  # the first, or none
        low, high = (shares[proved - 1] if proved else low), (shares[proved] if proved < len(shares) else high)
    return float(high)


@lru_cache(maxsize=8192)
def least_wrong(wrong: float, tried: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share of errors that is still plausible, at any time one looks; 0.0 before anything was tried."""
    import numpy as np

    low, high = 0.0, wrong / tried if tried else 0.0
    for _ in range(_ROUNDS if wrong else 0):
        shares = np.linspace(low, high, _POINTS)
        won = _wealth(wrong, tried, shares, _above()) >= -math.log(1 - confidence)
        refuted = int(np.count_nonzero(won))  # the lowest shares are refuted first
        low, high = shares[max(refuted - 1, 0)], shares[min(refuted, _POINTS - 1)]
    return float(low) if wrong else 0.0


@lru_cache(maxsize=256)
def labels_needed(budget: float, wrong: int = 0, confidence: float = CONFIDENCE) -> int:
    """How many labels, with so many errors among them, bound the share of errors by the budget.

    >>> [labels_needed(budget) for budget in (0.01, 0.02, 0.05)]
    [311, 155, 61]
    """
    if not 0 < budget < 1:
        raise ValueError("a budget is a share between 0 and 1")
    low, high = wrong, 2 * wrong + 1
    while most_wrong(wrong, high, confidence) > budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if most_wrong(wrong, middle, confidence) > budget:
            low = middle
        else:
            high = middle
    return high


def weighed(lowest: float, chance: float) -> float:
    """What an error counts that had the `chance` of being labelled, where `lowest` is the lowest chance so far.

    Errors so weighed, among all that was tried, are bounded by `most_wrong`; divided by the lowest chance that bounds
    the share of all. For a chance p, E[1 - y ** (lowest / p)] is p (1 - y ** (lowest / p)) >= lowest (1 - y): the bets
    lose at least what they would if each had been labelled with the lowest chance. The weight is at most 1.
    """
    if not 0 < lowest <= chance <= 1:
        raise ValueError("the lowest chance is above 0, and no chance is above 1")
    return lowest / chance
