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

MAX_MORE = 2
"""How many one may have more, where it has all words of the other."""

_MAY = frozenset({"permission", "advice", "duty"})
"""Kinds of questions that are asked in the words of others: can I ..., how can I ..."""


def added(a: Wording, b: Wording) -> str:
    """Why one says more than the other: *my mother*, the camera lens *cap*, *stop* feeding; "" where it does not.

    Where each has words that the other lacks the cosine moves.
    """
    if (
        a.quotes
        and b.quotes
        and (exchanged := a.word_set ^ b.word_set)
        and (a.weighty == b.weighty or _are_close(a, b))
    ):
        return f"they ask about words, and only one has {min(exchanged)}"
    less, more = sorted((a, b), key=lambda text: len(text.matter))
    if not less.matter.keys() <= more.matter.keys() or not _are_close(a, b):
        return ""
    words = ((more.matter - less.matter) + (less.matter - more.matter)).keys() - a.language.weightless
    return f"only one says it: {min(words)}" if words else ""


def moved(a: Wording, b: Wording) -> str:
    """Why the same words say something else: who does it to whom, what comes first, when; "" where they do not."""
    if not _are_short(a, b) or _without(a.weighty, a.particles) != _without(b.weighty, b.particles):
        return ""
    if a.is_passive != b.is_passive:
        return "" if _is_same_said_in_passive(a, b) else "only one says by whom it is done"
    if not _are_close(a, b):
        return ""
    if tenses := a.tenses ^ b.tenses:
        return f"only one is in the {min(tenses)}"
    if (asked := a.asks - _MAY) and (other := b.asks - _MAY) and asked.isdisjoint(other):
        return f"one asks for the {min(asked)}, the other for the {min(other)}"
    if (only_ours := a.particles - b.particles) and (only_theirs := b.particles - a.particles):
        return f"{min(only_ours)} is not {min(only_theirs)}"
    if a.stems & a.language.symmetric and b.stems & b.language.symmetric:
        return ""
    ours, theirs = _ordered(a, b)
    if [part.stem for part in ours] == [part.stem for part in theirs]:
        return _other_parts(ours, theirs, a.language.telling) or _other_choice(a, b)
    is_same = (
        _roles(ours) == _roles(theirs)
        or _is_turned(ours, theirs, a.language.compound)
        or _is_turned(theirs, ours, a.language.compound)
    )
    return "" if is_same else "the same words in another order"


def _other_parts(ours: Sequence[Part], theirs: Sequence[Part], telling: Collection[str]) -> str:
    for one, other in zip(ours, theirs, strict=True):
        markers = {one.marker, other.marker}
        if len(markers) == 2 and "" not in markers and not markers.isdisjoint(telling):
            return f"{one.marker} {one.stem} is not {other.marker} {one.stem}"
    return ""


def _other_choice(a: Wording, b: Wording) -> str:
    """Both of two, or one of them: and, or."""
    ours, theirs = (text.word_set & text.language.coordinators for text in (a, b))
    return f"{min(ours - theirs)} is not {min(theirs - ours)}" if ours - theirs and theirs - ours else ""


def _without(words: Counter[str], left_out: Collection[str]) -> dict[str, int]:
    return {word: count for word, count in words.items() if word not in left_out}


def _is_same_said_in_passive(a: Wording, b: Wording) -> bool:
    """Whether one has in the passive what the other has in the active: my account was frozen by the bank."""
    passive, active = (a, b) if a.is_passive else (b, a)
    said = [part.stem for part in active.parts]
    stems, markers = [part.stem for part in passive.parts], [part.marker for part in passive.parts]
    return any(
        markers[by] == passive.language.agent
        and said == [*stems[by:end], stems[by - 1], *stems[: by - 1], *stems[end:]]
        for by in range(1, len(stems))
        for end in range(by + 1, len(stems) + 1)
    )


def _are_short(a: Wording, b: Wording) -> bool:
    return max(a.word_count, b.word_count) <= MAX_WORDS


def _are_close(a: Wording, b: Wording) -> bool:
    if not _are_short(a, b):
        return False
    shared = (a.little & b.little).total()
    fewer, more = sorted((a.little.total() - shared, b.little.total() - shared))
    return more <= (MAX_LITTLE_WORDS if fewer else MAX_MORE)


def _ordered(a: Wording, b: Wording) -> tuple[list[Part], list[Part]]:
    """The words whose order says something; of numbers where there are several, written the same way."""
    digits = [sorted(part.stem for part in text.parts if part.stem in text.numbers) for text in (a, b)]
    told = {*a.weighty, *(digits[0] if digits[0] == digits[1] and len(digits[0]) > 1 else ())}
    told -= a.language.anywhere
    return _only(a.parts, told), _only(b.parts, told)


def _only(parts: Sequence[Part], told: Collection[str]) -> list[Part]:
    kept: list[Part] = []
    marker, coordinated = "", False  # of a word that is left out: "with one card" is "with a card"
    for part in parts:
        marker, coordinated = part.marker or marker, part.coordinated or coordinated
        if part.stem in told:
            kept.append(Part(part.stem, marker, coordinated))
            marker, coordinated = "", False
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
