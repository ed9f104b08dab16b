"""Questions of which one was made from the other by a word more, another order or another time.

A cosine hardly moves for it, and the answer may be another. Who asks the same in words of their own changes more little
words than who changes only one that matters: texts that are not this close are left to the cosine. Only of languages in
which the cosine may decide; in the others no word may differ anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from .wording import Part, Wording

MAX_WORDS = 16
"""Details of longer texts come and go."""

MAX_LITTLE_WORDS = 1
"""How many words that carry little close texts exchange, or one has more."""


def added(a: Wording, b: Wording) -> str:
    """Why one says more than the other: *my mother*, the camera lens *cap*, *stop* feeding; "" where it does not.

    Where each has words that the other lacks the cosine moves.
    """
    if a.quotes and b.quotes and a.weighty == b.weighty and (exchanged := a.word_set ^ b.word_set):
        return f"they ask about words, and only one has {min(exchanged)}"
    less, more = sorted((a, b), key=lambda text: len(text.matter))
    if not less.matter.keys() <= more.matter.keys() or not _are_close(a, b):
        return ""
    words = ((more.matter - less.matter) + (less.matter - more.matter)).keys() - a.language.weightless
    return f"only one says it: {min(words)}" if words else ""


def moved(a: Wording, b: Wording) -> str:
    """Why the same words say something else: who does it to whom, what comes first, when; "" where they do not."""
    if a.weighty != b.weighty or not _are_short(a, b):
        return ""
    if a.is_passive != b.is_passive:
        return "only one says by whom it is done"
    if not _are_close(a, b):
        return ""
    if a.word_set.isdisjoint(a.language.past) != b.word_set.isdisjoint(b.language.past):
        return "only one is in the past"
    if a.stems & a.language.symmetric and b.stems & b.language.symmetric:
        return ""
    ours, theirs = _ordered(a, b)
    if [part.stem for part in ours] == [part.stem for part in theirs]:
        return ""
    is_same = (
        _roles(ours) == _roles(theirs)
        or _is_turned(ours, theirs, a.language.compound)
        or _is_turned(theirs, ours, a.language.compound)
    )
    return "" if is_same else "the same words in another order"


def _are_short(a: Wording, b: Wording) -> bool:
    return max(a.word_count, b.word_count) <= MAX_WORDS


def _are_close(a: Wording, b: Wording) -> bool:
    if not _are_short(a, b):
        return False
    shared = (a.little & b.little).total()
    return max(a.little.total(), b.little.total()) - shared <= MAX_LITTLE_WORDS


def _ordered(a: Wording, b: Wording) -> tuple[list[Part], list[Part]]:
    """The words whose order says something; of numbers where there are several, written the same way."""
    digits = [sorted(part.stem for part in text.parts if part.stem in text.numbers) for text in (a, b)]
    told = {*a.weighty, *(digits[0] if digits[0] == digits[1] and len(digits[0]) > 1 else ())}
    told -= a.language.anywhere
    return _only(a.parts, told), _only(b.parts, told)


def _only(parts: Sequence[Part], told: Collection[str]) -> list[Part]:
    kept: list[Part] = []
    marker = ""  # of a word that is left out: "with one card" is "with a card"
    for part in parts:
        marker = part.marker or marker
        if part.stem in told:
            kept.append(part._replace(marker=marker))
            marker = ""
    return kept


def _roles(parts: Sequence[Part]) -> tuple[list[str], Counter[tuple[str, str]]]:
    """The part that each word plays: by a word before it, else by its place among the others."""
    return [part.stem for part in parts if not part.marker], Counter(part[:2] for part in parts if part.marker)


def _is_turned(ours: Sequence[Part], theirs: Sequence[Part], compound: Collection[str]) -> bool:
    """Whether neighbours changed places, and neither its part: dogs and cats, my car's oil, "if it rains" at the end.

    Tries every place for the three cuts, at most 16 words.
    """
    stems, wanted = [part.stem for part in ours], [part.stem for part in theirs]
    is_list = any(part.coordinated and not part.marker for part in theirs)
    return any(
        stems[:start] + stems[cut:end] + stems[start:cut] + stems[end:] == wanted
        and (
            (is_list and part.coordinated and not part.marker)  # rinse and *then* dry is no list
            or _count(theirs[start:end], compound) < _count(ours[start:end], compound)
            or _roles(ours[start:end])[1] == _roles(theirs[start:end])[1]
        )
        for cut, part in enumerate(ours)
        if part.coordinated or part.marker
        for start in range(cut)
        for end in range(cut + 1, len(stems) + 1)
    )


def _count(parts: Sequence[Part], markers: Collection[str]) -> int:
    return sum(part.marker in markers for part in parts)
