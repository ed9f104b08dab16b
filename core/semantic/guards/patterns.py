"""Patterns of words, as the files of `languages` give them, found in a text. Pure.

A pattern is words with blanks between them; `|` parts alternatives, `<list>` is any word of a list of the file,
`<digits>` what begins with a digit, `_` any word, `!a|b` another word or the end of the text, `...3` up to three words,
`^` the start of the text and `$` its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

DIGITS: Final = "<digits>"
_MOST_GAPS: Final = 2


class Match(NamedTuple):
    """What was found: its name, and the places of the words of the pattern, those in gaps left out."""

    name: str
    places: tuple[int, ...]


class _Element(NamedTuple):
    """One place of a pattern. `gap`: words that may stand before it."""

    words: frozenset[str]
    digits: bool = False
    anything: bool = False
    other: bool = False
    gap: int = 0

    def fits(self, words: Sequence[str], place: int) -> bool:
        if place >= len(words):
            return self.other
        if self.anything:
            return True
        word = words[place]
        return (word in self.words or (self.digits and word[:1].isdigit())) is not self.other


class _Pattern(NamedTuple):
    name: str
    elements: tuple[_Element, ...]
    opens: bool
    closes: bool


class Patterns:
    """Patterns by name, looked for at every word of a text in time linear in the text."""

    def __init__(self, patterns: Iterable[tuple[str, str]], lists: Mapping[str, frozenset[str]]) -> None:
        self._by_first: dict[str, list[_Pattern]] = {}
        compiled = [_compiled(name, pattern, lists) for name, pattern in patterns]
        for pattern in sorted(compiled, key=lambda pattern: -len(pattern.elements)):
            for word in (*pattern.elements[0].words, *([DIGITS] if pattern.elements[0].digits else ())):
                self._by_first.setdefault(word, []).append(pattern)

    def find(self, words: Sequence[str]) -> Iterator[Match]:
        """At each word the longest pattern that begins there."""
        for place, word in enumerate(words):
            patterns = self._by_first.get(word, [])
            if word[:1].isdigit():
                patterns = patterns + self._by_first.get(DIGITS, [])
            for pattern in patterns:
                if pattern.opens and place:
                    continue
                if places := _places(pattern, words, place, 0):
                    yield Match(pattern.name, tuple(found for found in places if found < len(words)))
                    break


def _places(pattern: _Pattern, words: Sequence[str], place: int, index: int) -> tuple[int, ...]:
    """Where the elements from `index` on stand, when the first of them stands at `place` or in the gap behind it."""
    element = pattern.elements[index]
    for start in range(place, place + element.gap + 1):
        if not element.fits(words, start):
            continue
        if index + 1 < len(pattern.elements):
            if later := _places(pattern, words, start + 1, index + 1):
                return (start, *later)
        elif not pattern.closes or start + 1 == len(words):
            return (start,)
    return ()


def _compiled(name: str, text: str, lists: Mapping[str, frozenset[str]]) -> _Pattern:
    parts = text.split()
    opens, closes = parts[0] == "^", parts[-1] == "$"
    elements: list[_Element] = []
    gap = gaps = 0
    for part in parts[opens : len(parts) - closes]:
        if part.startswith("..."):
            gap = int(part.removeprefix("..."))
            gaps += 1
            continue
        elements.append(_element(part, lists)._replace(gap=gap))
        gap = 0
    if gaps > _MOST_GAPS or not elements or elements[0].other or elements[0].anything or elements[0].gap:
        raise ValueError(f"{text!r}: a pattern begins with words and has at most {_MOST_GAPS} gaps")
    return _Pattern(name, tuple(elements), opens, closes)


def _element(part: str, lists: Mapping[str, frozenset[str]]) -> _Element:
    if part == "_":
        return _Element(frozenset(), anything=True)
    names = part.removeprefix("!").split("|")
    return _Element(
        words=frozenset().union(
            *(lists[name[1:-1]] if name.startswith("<") else {name} for name in names if name != DIGITS)
        ),
        digits=DIGITS in names,
        other=part.startswith("!"),
    )
