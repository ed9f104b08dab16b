"""Whether one answer serves two questions of any length, as far as words can tell: guards on what decides.

Short questions are compared whole. Of longer ones, in which a turned order hardly moves the cosine, what both share is
cut and only what is left is judged: the guards look at each place with a few words around it, and its words must ask
for the same. Where that cannot be told the pair is a doubt: no answer goes from one to the other without a judge. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .checks import Guard, check
from .language import language
from .orders import Difference, difference, order_in
from .places import Place, cut
from .spoken import Spoken, spoken
from .wording import wording_of

SHORT = 14
"""Questions of so many words are compared whole."""
MAX_CHARACTERS = 200
"""A text of more characters is long, however few its words."""
MAX_UNPARTED = 40
"""The same for characters of scripts that do not part words."""
MAX_QUESTION = 40
"""A text of more words is no question in other words: those on one subject are near whatever they say."""
MOSTLY_LEFT = 0.5
"""Where more than this share of two questions is left, their cosine is that of what is left: they are judged whole."""
MAX_WORDS_LEFT = 48
MAX_CHARACTERS_LEFT = 480
"""More than this in one place, with the words around it, is too much to be judged."""
MAX_WEIGHED = 3
"""The cosine of more words than this says what they are about, and no longer what they say."""
MAX_PLACES = 8
"""Texts that differ in more places than this are not looked at further."""
MAX_CHARACTERS_COMPARED = 16_000
"""Longer texts are refused. Most embedders refuse far shorter ones."""
MAX_CHARACTERS_TOLD = 2_000
"""So much of a long text says in which language it is."""

_ENGLISH = Spoken(language("en").name, "en")
_INDENT = re.compile(r"^[ \t]+(?=\S)", re.MULTILINE)
_UNPARTED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What stands against one answer for two questions, in words for the operator; `guard` None: nothing so far.

    `judgeable`: a judge's yes may still serve one for the other. `left`: words that each has and the other lacks; one
    answer may serve both only if they mean nearly the same. None when there are none.
    """

    guard: Guard | None = None
    reason: str
    judgeable: bool = False
    left: tuple[str, str] | None = None


def compare(question: str, stored: str) -> Comparison:
    """What guards have against one answer for both, in time that grows with the texts and not with their product."""
    if not (_is_long(question) or _is_long(stored)):
        return _whole(question, stored)
    if max(len(question), len(stored)) > MAX_CHARACTERS_COMPARED:
        reason = f"too long to compare: more than {MAX_CHARACTERS_COMPARED} characters"
        return Comparison(guard=Guard.LENGTH, reason=reason)
    found, share = cut(question, stored)
    if share > MOSTLY_LEFT and max(len(question.split()), len(stored.split())) <= MAX_QUESTION:
        return _whole(question, stored)
    ours, theirs = _languages(question, stored)
    if ours != theirs:
        return Comparison(guard=Guard.LANGUAGE, reason=f"one is in {ours.name}, the other in {theirs.name}")
    if _INDENT.findall(question) != _INDENT.findall(stored):
        return _doubt("their lines are indented differently")
    return _of_places(found, ours)


def _whole(question: str, stored: str) -> Comparison:
    verdict = check(question, stored)
    return Comparison(guard=verdict.guard, reason=verdict.reason, judgeable=verdict.judgeable)


def _of_places(found: Sequence[Place], language: Spoken) -> Comparison:
    """The first place that a guard refuses, else the first that is in doubt, else what is left to be weighed."""
    if len(found) > MAX_PLACES:
        return _doubt(f"they differ in {len(found)} places")
    doubts: list[str] = []
    left: list[tuple[str, str]] = []
    for place in found:
        if _is_too_much(place):
            doubts.append("too much is left when what both share is cut")
            continue
        verdict = check(place.our_context, place.their_context, languages=(language, language))
        if not verdict.passed and not verdict.judgeable:
            return Comparison(guard=verdict.guard, reason=f"{verdict.reason}{_beside(place)}")
        reason, ours, theirs = _difference(place, language) if verdict.passed else Difference(verdict.reason)
        if reason:
            doubts.append(f"{reason}{_beside(place)}")
        elif ours:
            left.append((ours, theirs))
    if len(left) > 1:
        doubts.append(f"they differ in {len(left)} places")
    if doubts:
        return _doubt(doubts[0])
    said = "what both share is cut, and what is left asks for the same"
    return Comparison(reason=said, left=left[0] if left else None)


def _doubt(reason: str) -> Comparison:
    return Comparison(guard=Guard.REMAINDER, reason=reason, judgeable=True)


def _is_long(text: str) -> bool:
    return (
        len(text) > MAX_CHARACTERS
        or len(text.split()) > SHORT
        or (not text.isascii() and len(_UNPARTED.findall(text)) > MAX_UNPARTED)
    )


def _languages(question: str, stored: str) -> tuple[Spoken, Spoken]:
    """The languages of both texts; where none can be told, as in code, the one whose orders are known."""
    ours, theirs = spoken(question[:MAX_CHARACTERS_TOLD]), spoken(stored[:MAX_CHARACTERS_TOLD])
    known = ours if ours.name else theirs
    known = known if known.name else _ENGLISH
    return (ours if ours.name else known, theirs if theirs.name else known)


def _is_too_much(place: Place) -> bool:
    return any(
        len(text) > MAX_CHARACTERS_LEFT or len(text.split()) > MAX_WORDS_LEFT
        for text in (place.our_context, place.their_context)
    )


def _difference(place: Place, spoken_in: Spoken) -> Difference:
    """What a place to which no guard objects leaves open."""
    if place.signs:
        return Difference(f"their signs differ: {place.signs[:20]}")
    if place.ours != place.theirs and place.ours.casefold() == place.theirs.casefold():
        return Difference("they differ in capitals")
    if not spoken_in.code:
        return Difference("")  # the guard of languages lets nothing pass but the same words
    ours, theirs = (wording_of(text, spoken_in.code).numbers for text in (place.our_context, place.their_context))
    if ours != theirs and sorted(ours) == sorted(theirs):
        return Difference("the same numbers stand in another order")
    if spoken_in != _ENGLISH:
        return Difference("")  # the guard of words lets nothing pass but what its file calls the same
    found = difference(order_in(place.our_context), order_in(place.their_context))
    if max(len(found.ours.split()), len(found.theirs.split())) > MAX_WEIGHED:
        return Difference(f"one says {found.ours}, the other {found.theirs}")
    return found


def _beside(place: Place) -> str:
    """The place in words: quoted from the texts."""
    ours, theirs = (" ".join(text.split())[:60] or "nothing" for text in (place.ours, place.theirs))
    return f" (where one says “{ours}” and the other “{theirs}”)"
