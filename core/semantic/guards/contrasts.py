"""Words of which one cannot stand for another, looked up in a text. The files of `languages` list the words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from .data import ContrastData
from .language import Language, language
from .tokens import Token
from .wording import Wording


class Contrasts:
    """A dictionary of alternatives that exclude each other, looked up by phrase."""

    def __init__(self, data: ContrastData, language: Language) -> None:
        self._base_forms = language.base_forms
        self._known: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._names: list[str] = []
        self._beside: dict[int, frozenset[str]] = {}
        for line in sets_of(data.opposites):
            self._add("opposites", line)
        for name, text in data.exclusive.items():
            for line in sets_of(text):
                self._add(name, line)
        for verbs, line in data.particles.items():
            self._beside[len(self._names)] = frozenset(language.stem(verb) for verb in verbs.split())
            self._add("opposites", line)
        # First words of phrases, with the length of the longest phrase that begins so.
        self._begin: dict[str, int] = {}
        for phrase in self._known:
            self._begin[phrase[0]] = max(self._begin.get(phrase[0], 1), len(phrase))
        # Stored questions are looked at again and again.
        self.find = lru_cache(maxsize=4096)(self._find)
        """group -> alternative -> the words that stand for it in a text."""

    def _add(self, name: str, line: str) -> None:
        group = len(self._names)
        self._names.append(name)
        for alternative, words in enumerate(line.split("|")):
            for phrase in words.split():
                self._known.setdefault(tuple(phrase.split("_")), []).append((group, alternative))

    def name(self, group: int) -> str:
        """What the alternatives of a group are, in a word."""
        return self._names[group]

    def _find(self, wording: Wording) -> dict[int, dict[int, str]]:
        found: dict[int, dict[int, str]] = {}
        tokens = wording.tokens
        position = 0
        while position < len(tokens):
            longest = max(self._begin.get(tokens[position].word, 1), self._begin.get(tokens[position].raw, 1))
            for size in range(min(longest, len(tokens) - position), 0, -1):  # the longest phrase wins
                chunk = tokens[position : position + size]
                if places := self._places(chunk):
                    phrase = " ".join(token.word for token in chunk)
                    for group, alternative in places:
                        if group not in self._beside or self._beside[group] & wording.stems:
                            found.setdefault(group, {})[alternative] = phrase
                    position += size - 1
                    break
            position += 1
        return found

    def _places(self, chunk: Sequence[Token]) -> list[tuple[int, int]]:
        written, folded = tuple(token.raw for token in chunk), tuple(token.word for token in chunk)
        places = [place for phrase in {written, folded} for place in self._known.get(phrase, ())]
        if len(chunk) == 1:
            # Where the word itself is listed its other forms are not asked for: https is not the plural of http.
            groups = {group for group, _ in places}
            for form in self._base_forms(folded[0]):
                places += [place for place in self._known.get((form,), ()) if place[0] not in groups]
        return places


def sets_of(text: str) -> list[str]:
    """The sets of alternatives in a text, one a line; a line that begins with `|` goes on with the one above."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.lstrip().startswith("|") and lines:
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(line.strip())
    return lines


@cache
def contrasts_of(code: str) -> Contrasts:
    """The dictionary of a language, by the name of its file."""
    return Contrasts(language(code).data.contrasts, language(code))
