"""Words and phrases, and the data that says which ones count: `plain_texts.toml`, read once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

SENTENCE_END = re.compile(r"(?<![.!?…؟])[.!?…؟]++(?=\s|$)|[。！？।]+|\n+")
MOST_INTROS = 4
_AROUND = ",、，;:()¿¡'’*-–—"
_MARKED = re.compile(f"[{re.escape(_AROUND)}]")


class TextKind(StrEnum):
    """What a user's text is: only a question and an order are folded, each in its own way."""

    QUESTION = "question"
    ORDER = "order"
    MATERIAL = "material"


class Words:
    """Words, and beginnings of words where one ends in *."""

    def __init__(self, words: Iterable[str]) -> None:
        words = list(words)
        self._whole = frozenset(word for word in words if not word.endswith("*"))
        beginnings = [word[:-1] for word in words if word.endswith("*")]
        self._shortest = min(map(len, beginnings), default=1)
        self._beginnings: dict[str, tuple[str, ...]] = {}
        for beginning in beginnings:
            first = beginning[: self._shortest]
            self._beginnings[first] = (*self._beginnings.get(first, ()), beginning)

    def __contains__(self, word: str) -> bool:
        if word in self._whole:
            return True
        beginnings = self._beginnings.get(word[: self._shortest])
        return beginnings is not None and word.startswith(beginnings)


class _Place:
    """One place of a phrase: one of some words, none of them, or any word."""

    __slots__ = ("refused", "words")

    def __init__(self, place: str) -> None:
        self.refused = place.startswith("!") or place == "*"
        self.words = frozenset(place.removeprefix("!").split("|"))

    def takes(self, word: str) -> bool:
        return (word in self.words) is not self.refused


class Phrases:
    """Phrases by their first word."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_word: dict[str, list[list[_Place]]] = {}
        for phrase in phrases:
            first, *rest = map(_Place, phrase.split())
            for word in first.words:
                self._by_word.setdefault(word, []).append(rest)

    def end(self, words: Sequence[str]) -> int:
        """How many words a phrase takes that stands at the beginning; 0 for none."""
        if not words:
            return 0
        for places in self._by_word.get(words[0], ()):
            if len(places) < len(words):
                for place, word in zip(places, words[1:], strict=False):
                    if not place.takes(word):
                        break
                else:
                    return len(places) + 1
        return 0

    def stand_in(self, words: Sequence[str]) -> bool:
        """Whether a phrase stands anywhere; after the last word stands an empty one."""
        open_ended = [*words, ""]
        return any(word in self._by_word and self.end(open_ended[at:]) for at, word in enumerate(words))


class Openings:
    """How questions and orders begin in some languages."""

    def __init__(self, languages: Iterable[Mapping[str, Sequence[str]]]) -> None:
        languages = list(languages)

        def all_of(name: str) -> list[str]:
            return [item for language in languages for item in language.get(name, ())]

        subjects = "|".join(all_of("subjects"))
        self._intros = frozenset(all_of("intros"))
        self._alone = frozenset(all_of("alone"))
        self._questions = Phrases(phrase.replace("{subject}", subjects) for phrase in all_of("questions"))
        self._asks = Phrases(all_of("asks"))
        self._requests = Phrases(all_of("requests"))
        self._orders = Phrases(all_of("orders"))

    def kind(self, words: Sequence[str]) -> TextKind | None:
        """What a sentence in lower case opens as, after greetings too; None for neither."""
        kind = self._opening(words)
        if kind is None and (greeted := self.greeted(words)):
            kind = self._opening(words[greeted:])
        return kind

    def _opening(self, words: Sequence[str]) -> TextKind | None:
        if self._questions.end(words) or " ".join(words) in self._alone:
            return TextKind.QUESTION
        for before, kind in ((self._asks, TextKind.QUESTION), (self._requests, TextKind.ORDER)):
            if asked := before.end(words):
                asked += self.greeted(words[asked:])
                return kind if self._orders.end(words[asked:]) else None
        return TextKind.ORDER if self._orders.end(words) else None

    def greeted(self, words: Sequence[str]) -> int:
        """How many words at the beginning only greet or say please."""
        found = 0
        while found < min(MOST_INTROS, len(words)) and words[found] in self._intros:
            found += 1
        return found


def words_of(sentence: str) -> list[str]:
    """The words of a sentence without the marks around them."""
    if _MARKED.search(sentence) is None:
        return sentence.split()
    return [stripped for word in sentence.split() if (stripped := word.strip(_AROUND))]


@cache
def rules_data() -> Mapping[str, Any]:
    """All rules as they are written."""
    return tomllib.loads((Path(__file__).parent / "plain_texts.toml").read_text(encoding="utf-8"))
