"""Whether one answer serves two questions of any length, as far as words can tell: guards on what decides.

Short questions are compared whole. Of longer ones, in which a turned order hardly moves the cosine, what both share is
cut and only what is left is judged: the guards look at each place with a few words around it, and its words must ask
for the same. Where that cannot be told the pair is a doubt: no answer goes from one to the other without a judge. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .checks import MAX_WORDS, Guard, check
from .orders import difference, order_in
from .places import Place, cut
from .wording import wording_of

MAX_CHARACTERS = 200
"""A text of more characters is long, however few its words: some scripts do not part them."""
MAX_UNPARTED = 40
"""The same for characters of scripts that do not part words."""
MAX_WORDS_LEFT = 48
"""More words than this in one place, those around it included, are too many to be judged."""
MAX_CHARACTERS_LEFT = 480
MAX_WEIGHED = 3
"""The cosine of more words than this says which subject they are of, and no longer what they say."""
MOSTLY_LEFT = 0.5
"""Where more than this share of both questions is left, their cosine is that of what is left: they are compared whole."""
MAX_QUESTION = 48
"""A text of more words is no question in other words: those of one subject are near whatever they say."""
MAX_PLACES = 8
"""Texts that differ in more places than this are not looked at further."""
MAX_CHARACTERS_COMPARED = 16_000
"""Longer texts are refused. Most embedders refuse far shorter ones."""

_UNPARTED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What stands against one answer for two questions, in words for the operator; `guard` None: nothing so far.

    `is_doubt`: a judge may still see the pair. `left`: words that each has and the other lacks; the answer may serve
    both only if their meaning is near enough. Empty when nothing is left to be weighed.
    """

    guard: Guard | None = None
    reason: str
    is_doubt: bool = False
    left: tuple[str, str] | None = None


def compare(question: str, stored: str) -> Comparison:
    """What guards have against one answer for both, in time that grows with the texts and not with their product."""
    if not (_is_long(question) or _is_long(stored)):
        verdict = check(question, stored)
        return Comparison(guard=verdict.guard, reason=verdict.reason)
    if max(len(question), len(stored)) > MAX_CHARACTERS_COMPARED:
        return Comparison(
            guard=Guard.LENGTH, reason=f"too long to compare: more than {MAX_CHARACTERS_COMPARED} characters"
        )
    doubt = ""
    left: list[tuple[str, str]] = []
    found, share = cut(question, stored)
    if share > MOSTLY_LEFT and max(len(question.split()), len(stored.split())) <= MAX_QUESTION:
        verdict = check(question, stored)
        return Comparison(guard=verdict.guard, reason=verdict.reason)
    if len(found) > MAX_PLACES:
        return Comparison(guard=Guard.REMAINDER, reason=f"they differ in {len(found)} places", is_doubt=True)
    for place in found:
        if _is_too_much(place):
            doubt = doubt or "too much is left when what both share is cut"
            continue
        verdict = check(place.our_context, place.their_context)
        if not verdict.passed:
            return Comparison(guard=verdict.guard, reason=f"{verdict.reason}{_beside(place)}")
        reason, ours, theirs = _difference(place)
        if reason:
            doubt = doubt or f"{reason}{_beside(place)}"
        elif max(len(ours.split()), len(theirs.split())) > MAX_WEIGHED:
            doubt = doubt or f"one says {ours}, the other {theirs}{_beside(place)}"
        elif ours:
            left.append((ours, theirs))
    if not doubt and len(left) > 1:
        doubt = f"they differ in {len(left)} places"
    if doubt:
        return Comparison(guard=Guard.REMAINDER, reason=doubt, is_doubt=True)
    return Comparison(
        reason="what both share is cut, and what is left asks for the same", left=left[0] if left else None
    )


def _is_long(text: str) -> bool:
    return (
        len(text) > MAX_CHARACTERS
        or len(text.split()) > MAX_WORDS
        or (not text.isascii() and len(_UNPARTED.findall(text)) > MAX_UNPARTED)
    )


def _is_too_much(place: Place) -> bool:
    return any(
        len(text) > MAX_CHARACTERS_LEFT or len(text.split()) > MAX_WORDS_LEFT
        for text in (place.our_context, place.their_context)
    )


def _difference(place: Place) -> tuple[str, str, str]:
    if place.signs:
        return f"their signs differ: {place.signs[:20]}", "", ""
    ours, theirs = wording_of(place.our_context).numbers, wording_of(place.their_context).numbers
    if ours != theirs and sorted(ours) == sorted(theirs):
        return "the same numbers stand in another order", "", ""
    return difference(order_in(place.our_context), order_in(place.their_context))


def _beside(place: Place) -> str:
    """The place in words: quoted from the texts."""
    ours, theirs = (" ".join(text.split())[:60] or "nothing" for text in (place.ours, place.theirs))
    return f" (where one says “{ours}” and the other “{theirs}”)"
