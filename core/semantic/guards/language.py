"""A language as its file in `languages` describes it: lists of words and patterns, made ready for the guards.

What the words decide is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from .data import LanguageData, read
from .patterns import Patterns
from .stems import Stems

_STEMS_KEPT = 8192


class Language:
    """The words of a language by the part they play in a sentence, and the patterns it has. Immutable."""

    def __init__(self, code: str, data: LanguageData) -> None:
        self.code = code
        self.name = data.name
        self.data = data
        lists: dict[str, frozenset[str]] = {}
        for name, text in data.lists.items():
            lists[name] = frozenset(_listed(text, lists))
        self.auxiliaries = lists.get("auxiliaries", frozenset())
        self.pronouns = lists.get("pronouns", frozenset())
        self.question_words = lists.get("question_words", frozenset())
        self.grammar = lists.get("grammar", frozenset())
        self.passed_over = lists.get("passed_over", frozenset())
        self.unmarking = self.auxiliaries | self.pronouns | self.question_words

        stems = Stems(data.stems)
        self.stem = lru_cache(_STEMS_KEPT)(stems.stem)
        self.base_forms = stems.base_forms

        # With the apostrophe left out, as people write in chats.
        self.contractions = {word.replace("'", ""): word for word in data.tokens.contractions.split()}
        self.written_out = {word: tuple(text.split()) for word, text in data.tokens.written_out.items()}
        self.not_possessive = frozenset(data.tokens.not_possessive.split())

        self.numbers = {word: value for value, words in _values(data.numbers.words) for word in words}
        self.scales = {word: value for value, words in _values(data.numbers.scales) for word in words}
        self.loose_numbers = frozenset(data.numbers.loose.split())
        self.idle_numbers = Patterns((("", pattern) for pattern in data.numbers.idle), lists)

        self.negating = frozenset(data.negation.whole.split())
        self.negating_next = Patterns((("", pattern) for pattern in data.negation.of_next), lists)
        self.idle_negations = Patterns((("", pattern) for pattern in data.negation.idle), lists)
        self.negative_prefixes = tuple(data.negation.prefixes.split())
        self.asking = Patterns(((kind, one) for kind, some in data.questions.items() for one in some), lists)

        self.markers = {word: words[0] for words in _alternatives(data.roles.markers) for word in words}
        self.coordinators = frozenset(data.roles.coordinators.split())
        self.opposite_markers = frozenset(frozenset(words) for words in _alternatives(data.roles.opposite))
        self.symmetric = frozenset(self.stem(word) for word in data.roles.symmetric.split())
        self.case_decides = frozenset(data.names.case_decides.split())


@cache
def language(code: str) -> Language:
    """The language of a file, by its name: "en". Raises FileNotFoundError."""
    return Language(code, read(code))


def _listed(text: str, lists: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for word in text.split():
        if word.startswith("<"):
            yield from lists[word[1:-1]]
        else:
            yield word


def _alternatives(text: str) -> Iterator[list[str]]:
    return (words for part in text.split("|") if (words := part.split()))


def _values(text: str) -> Iterator[tuple[int, list[str]]]:
    return ((int(words[0]), words[1:]) for words in _alternatives(text))
