"""What two completed questions differ in: refused before a judge is asked. Pure; a reason a person can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ..guards import Guard, check, spoken
from .completion import Completed
from .reading import Reading

_OF_MESSAGES: Final = frozenset({Guard.NEGATION, Guard.CONTRAST, Guard.QUESTION, Guard.ROLES})
_OF_WHOLE_MESSAGES: Final = _OF_MESSAGES | {Guard.NUMBERS, Guard.NAMES, Guard.IDENTIFIERS, Guard.LENGTH}
_OF_CONTEXTS: Final = frozenset({Guard.NEGATION, Guard.CONTRAST, Guard.ROLES})


_SHORTEST_NAME: Final = 4
_ENDING: Final = 4
"""Letters of a name, and of its ending, that make two forms of it one: Argentina, Argentinian."""


class Difference(NamedTuple):
    """The word for a difference, and the reason in words."""

    name: str
    reason: str


def difference(ours: Completed, theirs: Completed) -> Difference | None:
    """What keeps one question from being answered by the answer to the other; None when no rule sees anything."""
    for rule in _RULES:
        for one, other in ((ours, theirs), (theirs, ours)):
            if found := rule(one, other):
                return found
    return None


def _language(one: Completed, other: Completed) -> Difference | None:
    ours, theirs = (
        spoken(" ".join(reading.text for reading in (*side.context, side.message))) for side in (one, other)
    )
    if ours.name and theirs.name and ours != theirs:
        return Difference("language", f"one is in {ours.name}, the other in {theirs.name}")
    return None


def _answer(one: Completed, other: Completed) -> Difference | None:
    if one.works_on_answer and one.answer_digest != other.answer_digest:
        return Difference("answer", "it works on the answer before, which was another one")
    return None


def _replies(one: Completed, other: Completed) -> Difference | None:
    said = one.message.yes_or_no, other.message.yes_or_no
    if one.is_reply and other.is_reply and all(said) and said[0] != said[1]:
        return Difference("reply", "one says yes, the other no")
    return None


def _standing(one: Completed, other: Completed) -> Difference | None:
    for reading in one.standing:
        if not any(_is_alike(reading, known) for known in (*other.standing, *_said(other))):
            return Difference("said", f"only one said: {reading.text[:80]}")
    return None


def _said(side: Completed) -> tuple[Reading, ...]:
    """Where else a statement of the one may stand in the other: in the question itself."""
    return (*side.context, side.message)


def _is_alike(one: Reading, other: Reading) -> bool:
    """Whether two statements say the same, as far as words tell: all facts of one, and half of its words."""
    if one.numbers - other.numbers or (one.names - _lower(other)):
        return False
    shared = one.stems & other.stems
    return bool(shared) and 2 * len(shared) >= min(len(one.stems), len(other.stems)) and not _nouns_apart(one, other)


def _lower(reading: Reading) -> frozenset[str]:
    return frozenset(reading.words)


def _nouns_apart(one: Reading, other: Reading) -> bool:
    return bool((one.nouns - other.stems) and (other.nouns - one.stems) and not (one.nouns & other.nouns))


def _facts(side: Completed, kind: Callable[[Reading], frozenset[str]]) -> frozenset[str]:
    readings = [side.message, *side.standing]
    if side.message.depends or side.is_reply:
        readings += side.context
    return frozenset(fact for reading in readings for fact in kind(reading))


def _numbers(one: Completed, other: Completed) -> Difference | None:
    ours, theirs = one.message.numbers, other.message.numbers
    if not (ours - theirs and theirs - ours):
        ours, theirs = (_facts(side, lambda reading: reading.numbers) for side in (one, other))
        ours, theirs = ours - _known_numbers(other), theirs - _known_numbers(one)
        if not ours or not (theirs or ours & one.message.numbers):
            return None
    only_ours, only_theirs = ours - theirs, theirs - ours
    return Difference("numbers", f"numbers differ: {min(only_ours)} and {min(only_theirs, default='none')}")


def _known_numbers(side: Completed) -> frozenset[str]:
    """Numbers that a message may speak of: those of all that was said, where it depends on that."""
    readings = (side.message, *side.standing, *(side.spoken if side.message.depends or side.is_reply else side.context))
    return frozenset(number for reading in readings for number in reading.numbers)


def _names(one: Completed, other: Completed) -> Difference | None:
    if one.is_bound != other.is_bound:
        bound, free = (one, other) if one.is_bound else (other, one)
        words = frozenset(word for reading in bound.spoken for word in reading.words) | frozenset(bound.message.words)
        if free.message.names and not free.message.names & words:
            return Difference("names", f"only one names {min(free.message.names)}")
        return None
    ours, theirs = (_facts(side, lambda reading: reading.names) for side in (one, other))
    only_ours = _missing(ours, _all_words(other))
    only_theirs = _missing(theirs, _all_words(one))
    if only_ours and only_theirs:
        return Difference("names", f"names differ: {min(only_ours)} and {min(only_theirs)}")
    return None


def _missing(found: frozenset[str], words: frozenset[str]) -> frozenset[str]:
    """The names that are not among words, nor are with an ending more or less."""
    return frozenset(name for name in found if not any(_is_same(name, word) for word in words))


def _is_same(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long == short or (
        len(short) >= _SHORTEST_NAME and long.startswith(short) and len(long) - len(short) <= _ENDING
    )


def _all_words(side: Completed) -> frozenset[str]:
    readings = (side.message, *side.spoken)
    words = {word for reading in readings for word in reading.words}
    return frozenset(words | {word.lower() for word in side.item.split()})


def _persons(one: Completed, other: Completed) -> Difference | None:
    """He, she and there stand for a name of the last answer, where that names one and the question did not."""
    if one.answer is None or other.answer is None:
        return None
    for side in (one, other):
        known = side.message.references
        if known is None or not side.message.pointers & (known.persons | known.places):
            return None
    ours, theirs = (_new_names(side) for side in (one, other))
    if ours and theirs and not ours & theirs:
        return Difference("referent", f"one speaks of {min(ours)}, the other of {min(theirs)}")
    return None


def _new_names(side: Completed) -> frozenset[str]:
    """Names of the last answer, where the question before asks for one."""
    before = side.context[-1] if side.context else None
    if before is None or side.answer is None or not before.words:
        return frozenset()
    if before.words[0] not in ("who", "which", "what", "where", "whose"):
        return frozenset()
    if (
        len(before.words) > 1
        and before.words[1] in ("is", "was", "are", "were")
        and before.names
        and (before.words[0] == "who")
    ):
        return frozenset()  # "Who was Ada Lovelace?" names her
    return side.answer.spoken_names


def _referents(one: Completed, other: Completed) -> Difference | None:
    """What one leaves out, the other must speak of."""
    if not one.is_bound or not one.referents:
        return None
    if other.is_bound:
        if not one.referents & other.stems:
            return Difference("referent", f"only one speaks of {min(one.referents)}")
        return None
    # The other says by itself what it is about: that must have been spoken of here.
    added = other.message.stems - one.message.stems
    if added and not added & one.known_stems:
        return Difference("referent", f"only one speaks of {min(added)}")
    return None


def _topics(one: Completed, other: Completed) -> Difference | None:
    """Where both go on with something: a noun that only one has, and the other another one."""
    if not (one.is_bound and other.is_bound and one.context and other.context):
        return None
    ours = frozenset(stem for reading in one.context for stem in reading.nouns) - other.known_stems
    theirs = frozenset(stem for reading in other.context for stem in reading.nouns) - one.known_stems
    if ours and theirs:
        return Difference("referent", f"one speaks of {min(ours)}, the other of {min(theirs)}")
    return None


def _surroundings(one: Completed, other: Completed) -> Difference | None:
    """Nearly the same words after something else altogether, where they do not say all themselves."""
    if one.message.is_rich or one.message.defines or other.message.is_rich or other.message.defines:
        return None
    if not (_leaves_out(one) and _leaves_out(other)) or one.message.stems ^ other.message.stems:
        return None
    ours, theirs = (frozenset(stem for reading in side.context for stem in reading.stems) for side in (one, other))
    if ours and theirs and not ours & other.stems and not theirs & one.stems:
        return Difference("referent", f"one speaks of {min(ours)}, the other of {min(theirs)}")
    return None


def _leaves_out(side: Completed) -> bool:
    return side.message.depends or side.is_reply or not side.message.says_all


def _guards(one: Completed, other: Completed) -> Difference | None:
    is_whole = not one.is_bound and not other.is_bound
    for difference in _checked(one, other, is_whole=is_whole):
        return difference
    return None


def _checked(one: Completed, other: Completed, *, is_whole: bool) -> Iterator[Difference]:
    pairs = [(one.message.text, other.message.text, _OF_WHOLE_MESSAGES if is_whole else _OF_MESSAGES)]
    if one.is_bound and other.is_bound and one.context and other.context:
        pairs.append((one.context[-1].text, other.context[-1].text, _OF_CONTEXTS))
    for ours, theirs, enabled in pairs:
        verdict = check(ours, theirs, enabled=enabled)
        if not verdict.passed:
            yield Difference(str(verdict.guard), verdict.reason)


_RULES: Final = (
    *(_language, _answer, _replies, _standing, _numbers, _names, _persons, _referents, _topics, _surroundings),
    _guards,
)
