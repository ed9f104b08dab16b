"""How people point at what was said before: the words of `references.toml`, by language. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LONGEST: Final = 4
"""Words of the longest phrase in the lists."""


class References(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of one language, as `references.toml` explains them."""

    code: str
    little: frozenset[str]
    pointers: frozenset[str]
    persons: frozenset[str]
    places: frozenset[str]
    articles: frozenset[str]
    any: frozenset[str]
    complements: frozenset[str]
    openers: frozenset[str]
    asking: frozenset[str]
    fillers: frozenset[str]
    more: frozenset[str]
    compared: frozenset[str]
    orders: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    me: frozenset[str]
    wants: frozenset[str]
    states: frozenset[str]
    manner: frozenset[str]
    ordinals: tuple[str, ...]
    last: str
    unique: frozenset[str]


@cache
def languages() -> dict[str, References]:
    """The lists of every language, by its code."""
    data = tomllib.loads((Path(__file__).parent / "references.toml").read_text(encoding="utf-8"))
    return {
        code: References(
            code=code,
            ordinals=tuple(lists.pop("ordinals").split()),
            last=lists.pop("last"),
            **{name: frozenset(word.replace("_", " ") for word in text.split()) for name, text in lists.items()},
        )
        for code, lists in data.items()
    }


def references_of(words: Sequence[str]) -> References | None:
    """The lists of the language that most of the words are of; None for one without lists. Words are in small letters.

    Texts without any little word ("Kilometres", "Why?") are told by the openers, else taken for English.
    """
    known = languages()
    counts = {code: sum(word in lists.little for word in words) for code, lists in known.items()}
    best = max(counts, key=lambda code: counts[code])
    if counts[best]:
        return known[best]
    for lists in known.values():
        if begins(words, lists.openers | lists.yes | lists.no | lists.pointers | lists.manner | lists.orders):
            return lists
    return known["en"] if all(word.isascii() for word in words) else None


def begins(words: Sequence[str], phrases: frozenset[str]) -> int:
    """How many words the longest of the phrases has that the words begin with; 0 for none."""
    return next((length for length in range(_LONGEST, 0, -1) if " ".join(words[:length]) in phrases), 0)


def phrases_in(words: Sequence[str], phrases: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Where phrases stand among words: the place of the first word, and how many they are."""
    place = 0
    while place < len(words):
        length = min(begins(words[place : place + _LONGEST], phrases), len(words) - place)
        if length:
            yield place, length
        place += length or 1
