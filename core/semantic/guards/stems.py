"""Words without their endings. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .data import StemData

_SHORTEST = 4
_SHORTEST_ROOT = 3


class _Ending(NamedTuple):
    """An ending, how many letters a word with it has at least, and what may have stood in its place."""

    text: str
    least: int
    instead: tuple[str, ...]


class Stems:
    """What the forms of a word have in common, in one language."""

    def __init__(self, data: StemData) -> None:
        self._irregular = data.irregular
        self._endings = [
            _Ending(parts[0], int(parts[1]), tuple("" if part == "-" else part for part in parts[2:]))
            for parts in (line.split() for line in data.endings)
        ]
        self._not_endings = tuple(data.not_endings.split())
        self._undoubled = frozenset(data.undoubled.split())
        self._doubled = frozenset(data.doubled.split())
        self._last = data.last

    def stem(self, word: str) -> str:
        """The word without its commonest endings: enough to see that `cats` is `cat` and `closed` is `close`."""
        word = self._irregular.get(word, word)
        if not word.endswith(self._not_endings):
            for ending in self._endings:
                if len(word) >= ending.least and word.endswith(ending.text):
                    word = word.removesuffix(ending.text) + ending.instead[0]
                    if ending.text in self._undoubled and _is_doubled(word) and word[-1] not in self._doubled:
                        word = word[:-1]
                    break
        return word.removesuffix(self._last) if self._last and len(word) >= _SHORTEST else word

    def base_forms(self, word: str) -> Iterator[str]:
        """What a dictionary may list the word under, the word itself first."""
        yield word
        if word in self._irregular:
            yield self._irregular[word]
        if len(word) < _SHORTEST or word.endswith(self._not_endings):
            return
        for ending in self._endings:
            root = word.removesuffix(ending.text)
            if root == word or len(root) < _SHORTEST_ROOT:
                continue
            yield from (root + instead for instead in ending.instead)
            if ending.text in self._undoubled and root[-1] == root[-2]:
                yield root[:-1]


def _is_doubled(word: str) -> bool:
    return len(word) >= _SHORTEST and word[-1] == word[-2]
