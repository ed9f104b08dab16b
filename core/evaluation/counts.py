"""What an evaluation counts, and the limits that it has to keep. Pure."""

from __future__ import annotations

import math
from typing import Any

import msgspec

MOST_NAMES = 1_000
"""Categories, and languages, that are counted one by one."""

_TWO_SIDED = 0.975


class Counts(msgspec.Struct, kw_only=True):
    """What became of labelled questions.

    A good one has been answered before, by what its label says; a trap has not. `served_good` were given an answer that
    is theirs, `served_traps` one that is another question's, without a judge; `judged_good` and `judged_traps` were not
    served, and a judge would have been shown an answer that is theirs, or none but others'.
    """

    good: int = 0
    traps: int = 0
    served_good: int = 0
    served_traps: int = 0
    judged_good: int = 0
    judged_traps: int = 0

    def add(self, *, is_good: bool, became: str = "") -> None:
        """Counts one question; `became` is the field of what became of it, empty for a miss."""
        if is_good:
            self.good += 1
        else:
            self.traps += 1
        if became:
            setattr(self, became, getattr(self, became) + 1)


class Evaluation(msgspec.Struct, kw_only=True):
    """The counts of all lines, and of those that name a category or a language, by its name."""

    every: Counts = msgspec.field(default_factory=Counts)
    by_category: dict[str, Counts] = msgspec.field(default_factory=dict)
    by_language: dict[str, Counts] = msgspec.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The six counts, with `by_category` and `by_language` beside them."""
        plain: dict[str, dict[str, Any]] = msgspec.to_builtins(self)
        return plain.pop("every") | plain


class Limit(msgspec.Struct, frozen=True):
    """A count, or a share of those that there are, that served questions have to keep: `3`, `0.02` or `2%`."""

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Limit:
        """The limit of a text. Raises ValueError."""
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return cls(count=int(text))
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1:
            raise ValueError(f"{text!r} is neither a count, such as 3, nor a share, such as 0.02 or 2%.")
        return cls(share=share)

    def is_above(self, found: int, whole: int) -> bool:
        """Whether more were found, of so many, than the limit says."""
        return found > self._amount(whole)

    def is_below(self, found: int, whole: int) -> bool:
        """Whether fewer were found, of so many, than the limit says."""
        return found < self._amount(whole)

    def _amount(self, whole: int) -> float:
        if self.count is not None:
            return self.count
        # A share of 0.07 of 100 is 7, and not a little more.
        amount = (self.share or 0.0) * whole
        return round(amount) if math.isclose(amount, round(amount), abs_tol=1e-9) else amount


def interval(part: int, whole: int) -> tuple[float, float]:
    """Between what shares the true one is with 95 % confidence (Clopper-Pearson); 0 to 1 where nothing was seen."""
    return 1 - _most(whole - part, whole), _most(part, whole)


def _most(part: int, whole: int) -> float:
    """The largest share at which so few of so many would still be seen in one of 40 tries."""
    if part == whole:
        return 1.0
    low, high = part / whole, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(part, whole, middle) > 1 - _TWO_SIDED else (low, middle)
    return high


def _at_most(part: int, whole: int, share: float) -> float:
    """The probability of so few at a share that is not below the one seen: the binomial sum, largest term first."""
    ways = math.lgamma(whole + 1) - math.lgamma(part + 1) - math.lgamma(whole - part + 1)
    term = math.exp(ways + (part * math.log(share) if part else 0.0) + (whole - part) * math.log1p(-share))
    total = term
    for count in range(part, 0, -1):
        term *= count / (whole - count + 1) * (1 - share) / share
        total += term
        if term < total * 1e-16:
            break
    return total
