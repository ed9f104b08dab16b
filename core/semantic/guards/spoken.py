"""In which language a text is: by its script, and by the little words that only one language has. Pure.

The words are those of the guards' own files and, for the languages without one, of `core/policy/languages.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache, lru_cache
from typing import Final, NamedTuple

from ...policy import language_marks
from .data import codes
from .language import Language, language
from .letters import SCRIPTS, fold_letters, scripts_in

_WORDS: Final = 400
"""As many words are looked at."""
_LEAST: Final = 0.45
_MARGIN: Final = 0.25
"""Of what speaks for a language, so much more than for the next one."""
_ONE_IN: Final = 12
_MINE: Final = 0.6
"""Of all letters, so many are of the language's script."""
_MINE_OF_WORDS: Final = 0.75
"""The same where words tell the language: English names in a text of another script are no English."""
_SHARED: Final = 0.2
"""How much a word that any number of languages have speaks for each of them; one that is of one language alone: 1."""
_COMMON: Final = 0.1
"""The same for a word that languages without a file write too."""
_LETTER: Final = 0.4
_ARTICLE: Final = 0.5
"""How much an article that is written as a part of its word speaks for its language."""
_AN_ARTICLE: Final = 2
"""So many letters it has at least; shorter ones begin words of any language."""
_HAN: Final = 6
"""Chinese characters for each letter of Japanese or Korean, at most."""
_WRITTEN: Final = {"hangul": "ko", "kana": "ja"}


class Spoken(NamedTuple):
    """A language: its name in English, empty where it cannot be told, and its file, empty where it has none."""

    name: str
    code: str


UNTOLD: Final = Spoken("", "")


@lru_cache(maxsize=4096)
def spoken(text: str) -> Spoken:
    """The language of a text; recent ones are kept. Takes time linear in the text."""
    folded = fold_letters(text)
    scripts = scripts_in(folded)
    letters = sum(scripts.values())
    for script, code in _WRITTEN.items():
        own, han = scripts[script], scripts["han"]
        if own and han < _HAN * own and own + han >= _MINE * letters:
            return _told(code)
    if scripts["han"] and scripts["han"] >= _MINE * letters:
        return _told("zh") if _is_chinese(folded) else UNTOLD
    said = _said(folded)
    if not said:
        return UNTOLD
    first = max(said, key=lambda name: (said[name], name))
    most = said.pop(first)
    next_most = max(said.values(), default=0.0)
    is_clear = most >= _LEAST and most - next_most >= _MARGIN * most
    if not is_clear:
        return UNTOLD
    found = _by_name().get(first) or Spoken(first, "")
    if found.code and scripts[language(found.code).data.script] < _MINE_OF_WORDS * letters:
        return UNTOLD
    return found


def _told(code: str) -> Spoken:
    return Spoken(language(code).name, code) if code in codes() else Spoken(code, "")


def _said(text: str) -> dict[str, float]:
    """How much speaks for each language, from the words and letters of a text."""
    marks = _marks()
    words = _split(text.lower())[:_WORDS]
    said: dict[str, float] = {}
    for word in words:
        for name, weight in marks.get(word, ()):
            said[name] = said.get(name, 0.0) + weight
    if not text.isascii():
        for one in _with_articles():
            if written := sum(len(one.prefix_of(word)) >= _AN_ARTICLE for word in words if word not in marks):
                said[one.name] = said.get(one.name, 0.0) + _ARTICLE * written
        for letter, names in _letters().items():
            if letter in text:
                for name in names:
                    said[name] = said.get(name, 0.0) + _LETTER / len(names)
        for name, strange in _strange().items():
            if name in said and strange.search(text):
                del said[name]
    return {name: value for name, value in said.items() if value * _ONE_IN >= len(words)}


def _split(text: str) -> list[str]:
    return text.translate(_CUTS).split()


_CUTS: Final = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")} | {
    ord(mark): " " for mark in "‘’“”„«»‹›¿¡…–—，、；：（）「」『』《》【】·،؛。！？؟।॥"
}


@cache
def _by_name() -> dict[str, Spoken]:
    return {language(code).name: Spoken(language(code).name, code) for code in codes()}


@cache
def _marks() -> dict[str, tuple[tuple[str, float], ...]]:
    """word -> the languages that have it, with how much it speaks for each."""
    weights: dict[str, dict[str, float]] = {}
    for name, words in language_marks().items():
        for word in words:
            for part in _split(fold_letters(word.lower().replace("_", " "))):
                weights.setdefault(part, {})[name] = 1.0
    for code in codes():
        one = language(code)
        if one.data.script in ("han", "kana", "hangul"):
            continue
        for word in (*one.grammar_words, *one.contractions):
            if word.endswith("'"):  # the l of l'homme is also an option of a command
                continue
            for part in _split(word):
                weights.setdefault(part, {})[one.name] = 1.0
        for word in one.content_words:
            if word.endswith("'"):
                continue
            for part in _split(word):
                weights.setdefault(part, {}).setdefault(one.name, 0.5)
    shared = frozenset().union(*(language(code).shared for code in codes()))
    return {
        word: tuple((name, weight * _told_by(word, names, shared)) for name, weight in names.items())
        for word, names in weights.items()
    }


def _told_by(word: str, names: Collection[str], shared: Collection[str]) -> float:
    return _COMMON if word in shared else _SHARED + (1 - _SHARED) / len(names)


@cache
def _with_articles() -> tuple[Language, ...]:
    return tuple(language(code) for code in codes() if language(code).data.script == "arabic")


@cache
def _strange() -> dict[str, re.Pattern[str]]:
    """The letters of its script that a language does not have, by its name."""
    return {
        one.name: re.compile(f"(?![{one.data.alphabet}])(?:{SCRIPTS[one.data.script].pattern})", re.IGNORECASE)
        for one in map(language, codes())
        if one.data.alphabet
    }


@cache
def _letters() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code in codes():
        for letter in set("".join(language(code).data.letters.split())):
            found.setdefault(letter, []).append(language(code).name)
    return found


def _is_chinese(text: str) -> bool:
    """Whether one of Chinese characters has some that Japanese does not write, or words that only Chinese has."""
    letters, words = _chinese()
    return not letters.isdisjoint(text) or any(word in text for word in words)


@cache
def _chinese() -> tuple[frozenset[str], tuple[str, ...]]:
    if "zh" not in codes():
        return frozenset(), ()
    data = language("zh").data
    return frozenset("".join(data.letters.split())), tuple(data.lists.get("marks", "").split())
