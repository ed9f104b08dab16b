"""What a semantic lookup does next: serve an entry, ask the judge about one, fetch more, or give up.

`decide` is pure. It is given the near entries fetched so far, nearest first, and what the judge said, by the place of
the entry; it knows no index, no store and no judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..keys import readable_key
from ..models import CacheEntry, SemanticMode
from .results import Judgement, Neighbour, outcome

if TYPE_CHECKING:
    from .quality import Threshold

JUDGED = 3
"""Entries shown to the judge in the one call of a lookup; and of those that are too far, as many are noted."""
OVERTAKEN = "judge-overtaken"
"""Why nothing is served while a judge is still being asked, or when its yes came too late."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Cosines that decide what becomes of a near entry.

    From `serve` on it is served as it is (infinite: never), from `lowest` on it is shown to the judge; what is farther
    is not served, and from `noted` on reported as far. Without a judge `lowest` is `serve`. `is_judged`: a judge may be
    asked.
    """

    serve: float
    lowest: float
    noted: float
    is_judged: bool = False


class Objection(NamedTuple):
    """The name of what refuses a pair of questions, empty when nothing does, and its reason in words.

    `judgeable`: a judge's yes may serve the pair all the same.
    """

    guard: str
    reason: str
    judgeable: bool = False


class NearEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stored entry that passed the checked lookup, and what a guard or a label has against serving it.

    `told` is its question as it is reported, where that is more than its prompt: a whole conversation.
    """

    entry: CacheEntry
    bucket: int
    similarity: float
    objection: Objection
    told: str = ""


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """What is known so far: the entries fetched, nearest first, and whether there may be more of them.

    `nearest` is the cosine of the nearest row of the index, None without any. `is_loaded`: the index held every row.
    `far` is the reason of a miss for which nothing was near enough.
    """

    bounds: Bounds
    nearest: float | None
    entries: tuple[NearEntry, ...] = ()
    has_more: bool = True
    is_loaded: bool = True
    far: str = "far"

    def is_far(self, near: NearEntry) -> bool:
        """Whether an entry is too far to be served whatever a judge says."""
        return near.similarity < self.bounds.lowest

    def needs_judge(self, near: NearEntry) -> bool:
        """Whether only a judge's yes may serve an entry."""
        if near.objection.guard:
            return near.objection.judgeable and self.bounds.is_judged and not self.is_far(near)
        return self.bounds.lowest <= near.similarity < self.bounds.serve

    def refuses(self, near: NearEntry) -> bool:
        """Whether a guard or a label keeps an entry from being served, and no judge may say otherwise."""
        return bool(near.objection.guard) and not self.needs_judge(near)


class Serve(msgspec.Struct, frozen=True, kw_only=True):
    """The entry at this place may be served."""

    place: int


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The judge must say which of the entries at these places may be served, if any: one call for all of them."""

    places: tuple[int, ...]


class More(msgspec.Struct, frozen=True):
    """Nothing is decided by the entries fetched so far: the next one is needed."""


class Miss(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing may be served. `reason` is one word."""

    reason: str


def bounds(threshold: Threshold, asked: float | None, *, has_judge: bool) -> Bounds:
    """The bounds of one lookup. A request's own threshold (`asked`) can only tighten the namespace's."""
    at_least = asked or 0.0
    serve = max(math.inf if threshold.serve is None else threshold.serve, at_least)
    is_judged = has_judge and threshold.mode is SemanticMode.JUDGE
    lowest = min(serve, max(threshold.grey, at_least)) if is_judged else serve
    return Bounds(serve=serve, lowest=lowest, noted=min(lowest, threshold.grey), is_judged=is_judged)


def decide(found: Candidates, rulings: Mapping[int, Judgement]) -> Serve | Ask | More | Miss:
    """The next step. The judge is asked once, about the nearest that only its yes may serve: then the entry with a yes
    is served, and without one nothing is.
    """
    if rulings:
        return _ruled(rulings)
    reason = found.far if found.is_loaded else "loading"
    asked: list[int] = []
    far = 0
    for place, near in enumerate(found.entries):
        if found.is_far(near):
            far += 1
        elif found.refuses(near):
            reason = f"guard-{near.objection.guard}"
        elif not found.needs_judge(near):
            return Serve(place=place)
        else:
            asked.append(place)
    if found.has_more and len(asked) < JUDGED and far <= JUDGED:
        return More()
    return Ask(places=tuple(asked[:JUDGED])) if asked else Miss(reason=reason)


def _ruled(rulings: Mapping[int, Judgement]) -> Serve | Miss:
    """What a judge's words come to: an entry is served when it is the only one with a yes."""
    word = outcome(tuple(rulings.values()))
    served = [place for place, judgement in rulings.items() if judgement.word == "yes"]
    if len(served) == 1:
        return Serve(place=served[0])
    return Miss(reason=f"judge-{'unreadable' if served else word}")


def overtaken() -> Miss:
    """The miss in place of a judge's yes when another answer has been served meanwhile."""
    return Miss(reason=OVERTAKEN)


def neighbours(found: Candidates, rulings: Mapping[int, Judgement], served: int | None = None) -> tuple[Neighbour, ...]:
    """The entries as they are reported, with what the judge said of each; of those that are too far JUDGED.

    `served` is the place of the one that was served.
    """
    near = [place for place, entry in enumerate(found.entries) if not found.is_far(entry)]
    far = [place for place, entry in enumerate(found.entries) if found.is_far(entry)][:JUDGED]
    return tuple(
        neighbour(found.entries[place], rulings.get(place), is_far=place in far, is_served=place == served)
        for place in sorted(near + far)
    )


def neighbour(
    near: NearEntry, judgement: Judgement | None = None, *, is_far: bool = False, is_served: bool = False
) -> Neighbour:
    """One near entry as it is reported; its similarity is rounded down to six decimals."""
    header = near.entry.header
    return Neighbour(
        key=readable_key(near.bucket, header.digest),
        model=header.model,
        prompt=near.told or near.entry.prompt,
        similarity=math.floor(near.similarity * 1e6) / 1e6,
        guard=near.objection.guard,
        reason=near.objection.reason,
        judgeable=near.objection.judgeable,
        ruling=judgement.word if judgement is not None else "",
        judgement=judgement,
        far=is_far,
        served=is_served,
    )
