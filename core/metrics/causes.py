"""Why a hit rate changed, in words: what did most harm first. The same for pages, command line and API. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..text import share, utc
from .change import NAMES, ChangePart, HitRateChange
from .scopes import NamespaceScopes, Scopes

LEAST = 0.005
"""A change of half a point is told."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One reason of a change: `change` is the difference of shares that it made (-0.1: ten points less; None where no
    window before is known).

    Of one namespace; of one model and miss reason, or of all of them where `since` what loses its hits is known (Unix
    seconds; `until` None: it goes on). The `headline` says that in a few words, and is empty elsewhere; `lost_hits` are
    misses whose question had been asked in another scope, of the latest requests.
    """

    namespace: str
    details: str
    headline: str = ""
    lost_hits: int = 0
    change: float | None = None
    model: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    system_prompt: tuple[str, str] | None = None

    @property
    def words(self) -> str:
        """The headline and the details."""
        return f"{self.headline}. {self.details}" if self.headline else self.details

    @property
    def is_urgent(self) -> bool:
        """Whether what loses the hits is known and goes on."""
        return bool(self.headline) and self.until is None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**msgspec.to_builtins(self), "words": self.words}

    @property
    def is_told(self) -> bool:
        """Whether it is large enough to be told by itself, or known by name."""
        return self.change is None or abs(self.change) >= LEAST or self.model is None


def causes_of(change: HitRateChange | None, scopes: Scopes, clock: Callable[[float], str] = utc) -> tuple[Cause, ...]:
    """Why the hit rate changed: all of it, what lost most hits first, then what lost none.

    Who hits well and only asks less does no harm: it comes behind those that miss. `clock` writes a moment.
    """
    lost = {one.namespace: one for one in scopes.told}
    found: list[tuple[int, Cause]] = []
    sums: dict[str, list[ChangePart]] = {}
    for part in change.by(*NAMES) if change is not None else ():
        namespace = part.namespace or ""
        if namespace in lost:
            sums.setdefault(namespace, []).append(part)
        elif change is not None:
            words = change.why(part)
            cause = Cause(
                namespace=namespace, model=part.model or "", reason=part.reason, change=part.change, details=words
            )
            found.append((_rank(part, change), cause))
    for namespace, one in lost.items():
        cause = _of_scopes(one, sums.get(namespace, ()), change, clock)
        rank = _HARM if cause.change is None or cause.change <= -LEAST else _KNOWN
        found.append((rank, cause))
    return tuple(cause for _, cause in sorted(found, key=_most_harm_first))


_HARM, _KNOWN, _HEALTHY, _GAIN = range(4)


def _most_harm_first(ranked: tuple[int, Cause]) -> tuple[int, float, int, str, str]:
    rank, cause = ranked
    return rank, -abs(cause.change or 0.0), -cause.lost_hits, cause.namespace, cause.model or ""


def _rank(part: ChangePart, change: HitRateChange) -> int:
    if part.change >= 0:
        return _GAIN
    return _HEALTHY if part.is_mix and not change.asks_more(part) else _HARM


def _of_scopes(
    one: NamespaceScopes,
    parts: Sequence[ChangePart],
    change: HitRateChange | None,
    clock: Callable[[float], str],
) -> Cause:
    details = one.in_words
    of_it = None
    if change is not None and change.change is not None:
        of_it = sum(part.change for part in parts)
        whole = next((part for part in change.by("namespace") if part.namespace == one.namespace), None)
        if whole is not None and whole.before.count and whole.now.count:
            details += f". Hit rate {share(whole.before.hit_rate)} → {share(whole.now.hit_rate)}"
    return Cause(
        namespace=one.namespace,
        headline="" if one.changing is None else one.changing.in_words(clock),
        details=details,
        lost_hits=one.repeated,
        change=of_it,
        since=None if one.changing is None else one.changing.since,
        until=None if one.changing is None else one.changing.until,
        system_prompt=one.apart.system_prompt,
    )
