"""What changed a hit rate from one window to another: by namespace, model and reason, and the parts add up. Pure.

A group of requests changes the rate in two ways: its own rate changed, or its share of all lookups did. Each is weighed
with the mean of the other in the two windows, so that nothing is left over and no window comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..text import share
from .reasons import in_few_words
from .tally import CellName, Counts

MIX = "mix"
"""The reason of a part that comes from a group's share of the lookups."""

Name = Literal["namespace", "model", "reason"]
NAMES: tuple[Name, ...] = ("namespace", "model", "reason")

_MISS = "why|miss|"
_NONE = ""


class Lookups(msgspec.Struct, frozen=True, kw_only=True):
    """Hits and misses of a group in a window, the misses by reason."""

    hits: int = 0
    misses: int = 0
    reasons: Mapping[str, int] = {}

    @property
    def count(self) -> int:
        """Hits and misses together."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float | None:
        """In [0, 1]; None without a lookup."""
        return self.hits / self.count if self.count else None

    def missed(self, reason: str | None) -> str:
        """The share of the lookups that missed for a reason, in percent."""
        missed = self.reasons.get(reason, 0) if reason else self.misses - sum(self.reasons.values())
        return _share(missed, self.count)

    @classmethod
    def of(cls, counts: Counts) -> Lookups:
        """Those in counts that are named as `core.metrics.tally` names them."""
        hits = misses = 0
        reasons: dict[str, int] = {}
        for name, amount in counts.items():
            if name.startswith("n|hit|"):
                hits += amount
            elif name.startswith("n|miss|"):
                misses += amount
            elif name.startswith(_MISS):
                reasons[name[len(_MISS) :]] = amount
        return cls(hits=hits, misses=misses, reasons=reasons)

    def plus(self, other: Lookups) -> Lookups:
        """Both together."""
        reasons = dict(self.reasons)
        for reason, amount in other.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + amount
        return Lookups(hits=self.hits + other.hits, misses=self.misses + other.misses, reasons=reasons)


class ChangePart(msgspec.Struct, frozen=True, kw_only=True):
    """What one group added to the change of the hit rate: `change`, a difference of shares (-0.1: ten points less).

    `namespace`, `model` and `reason` say of which group, None where it is of all. With the reason `mix` it comes from
    the group's share of all lookups, else from the misses of that reason among its own. `before` and `now` are the
    group's lookups in the two windows.
    """

    change: float
    before: Lookups
    now: Lookups
    namespace: str | None = None
    model: str | None = None
    reason: str | None = None

    @property
    def is_mix(self) -> bool:
        """Whether it comes from the group's share of the lookups alone."""
        return self.reason == MIX


class HitRateChange(msgspec.Struct, frozen=True, kw_only=True):
    """A hit rate in two windows, and what made the difference. Times are Unix seconds; `parts` sum up to `change`."""

    starts_at: float
    ends_at: float
    before: Lookups
    now: Lookups
    parts: tuple[ChangePart, ...] = ()

    @property
    def change(self) -> float | None:
        """The difference of the two rates; None where one of the windows has no lookup."""
        now, before = self.now.hit_rate, self.before.hit_rate
        return None if now is None or before is None else now - before

    def by(self, *names: Name) -> tuple[ChangePart, ...]:
        """The parts added up by these names, what changed most first: they have the same sum."""
        sums: dict[tuple[str | None, ...], float] = {}
        groups: dict[tuple[str | None, ...], set[tuple[str | None, str | None]]] = {}
        lookups: dict[tuple[str | None, str | None], tuple[Lookups, Lookups]] = {}
        for part in self.parts:
            group = tuple(getattr(part, name) for name in names)
            sums[group] = sums.get(group, 0.0) + part.change
            groups.setdefault(group, set()).add((part.namespace, part.model))
            lookups[part.namespace, part.model] = (part.before, part.now)
        found = []
        for group, change in sums.items():
            before = now = Lookups()
            for cell in groups[group]:
                before, now = before.plus(lookups[cell][0]), now.plus(lookups[cell][1])
            found.append(ChangePart(change=change, before=before, now=now, **dict(zip(names, group, strict=True))))
        return tuple(sorted(found, key=_largest_first))

    def asks_more(self, part: ChangePart) -> bool:
        """Whether the group of a part has a larger share of all lookups than before."""
        return part.now.count * self.before.count > part.before.count * self.now.count

    def why(self, part: ChangePart) -> str:
        """What was another in a part's group, in words."""
        if part.is_mix:
            shares = (_share(part.before.count, self.before.count), _share(part.now.count, self.now.count))
            rate = part.now.hit_rate if part.now.count else part.before.hit_rate
            asks = "asks more" if self.asks_more(part) else "asks less"
            return f"{asks}, {shares[0]} → {shares[1]} of all lookups, at a hit rate of {share(rate)}"
        shares = (part.before.missed(part.reason), part.now.missed(part.reason))
        if part.reason is None:
            return f"hit rate {share(part.before.hit_rate)} → {share(part.now.hit_rate)}"
        return f"missed, {in_few_words(part.reason) or 'no reason'}: {shares[0]} → {shares[1]} of its lookups"

    def to_dict(self, *, most: int) -> dict[str, Any]:
        """Plain JSON: the two windows, and at most `most` parts by each name and by all names together."""
        return {
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "before": _plain(self.before),
            "now": _plain(self.now),
            "change": self.change,
            "parts": [_plain_part(part) for part in self.by(*NAMES)[:most]],
            **{f"by_{name}": [_plain_part(part) for part in self.by(name)[:most]] for name in NAMES},
        }


def change_of(
    before: Mapping[CellName, Counts], now: Mapping[CellName, Counts], *, starts_at: float, ends_at: float
) -> HitRateChange:
    """What changed the hit rate from the counts `before` to those of `now`, by namespace and model."""
    cells = {
        cell: (Lookups.of(before.get(cell, {})), Lookups.of(now.get(cell, {})))
        for cell in dict.fromkeys((*before, *now))
    }
    sums = [Lookups(), Lookups()]
    for pair in cells.values():
        sums = [total.plus(one) for total, one in zip(sums, pair, strict=True)]
    found = HitRateChange(starts_at=starts_at, ends_at=ends_at, before=sums[0], now=sums[1])
    if found.change is None:
        return found
    parts = [part for cell, pair in cells.items() for part in _parts(cell, pair, sums)]
    return msgspec.structs.replace(found, parts=tuple(sorted(parts, key=_largest_first)))


def _parts(cell: CellName, pair: tuple[Lookups, Lookups], sums: Sequence[Lookups]) -> list[ChangePart]:
    before, now = pair
    rates = [one.hit_rate for one in pair]
    if rates == [None, None]:
        return []
    # A group that is in one window only has changed its share and nothing else.
    rate_before, rate_now = (next(rate for rate in order if rate is not None) for order in (rates, rates[::-1]))
    shares = [one.count / total.count for one, total in zip(pair, sums, strict=True)]
    middle = sum(total.hits / total.count for total in sums) / 2
    found = {MIX: (shares[1] - shares[0]) * ((rate_before + rate_now) / 2 - middle)}
    if before.count and now.count:
        weight = (shares[0] + shares[1]) / 2
        missed = [_by_reason(one) for one in pair]
        for reason in dict.fromkeys((*missed[0], *missed[1])):
            of_reason = [by_reason.get(reason, 0) / one.count for by_reason, one in zip(missed, pair, strict=True)]
            found[reason] = -weight * (of_reason[1] - of_reason[0])
    return [
        ChangePart(change=change, before=before, now=now, namespace=cell.namespace, model=cell.model, reason=reason)
        for reason, change in found.items()
        if change
    ]


def _by_reason(lookups: Lookups) -> dict[str, int]:
    """Misses by reason, those that have none by themselves: together they are all of them."""
    rest = lookups.misses - sum(lookups.reasons.values())
    return {**lookups.reasons, _NONE: rest} if rest else dict(lookups.reasons)


def _share(part: int, whole: int) -> str:
    return share(part / whole) if whole else share(None)


def _largest_first(part: ChangePart) -> tuple[float, str, str, str]:
    return -abs(part.change), part.namespace or "", part.model or "", part.reason or ""


def _plain(lookups: Lookups) -> dict[str, Any]:
    return {"hits": lookups.hits, "misses": lookups.misses, "hit_rate": lookups.hit_rate}


def _plain_part(part: ChangePart) -> dict[str, Any]:
    named = {name: value for name in NAMES if (value := getattr(part, name)) is not None}
    return named | {"change": part.change, "before": _plain(part.before), "now": _plain(part.now)}
