"""A language as its file in `languages` describes it: lists of words and patterns, made ready for the guards.

What the words decide is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache

from .data import LanguageData, NumberData, read
from .letters import script_of
from .patterns import Patterns
from .stems import Stems

_UNITS = "MHz MPa MΩ MV MW MJ Mg PF Mb Mbit Gb Gbit Kb Kbit Cal Ms"
"""Units that are others in small letters or with another capital, in every language: 3 mg, 3 Mg."""
_STEMS_KEPT = 8192
_NAMED = frozenset(
    {
        *("country", "city", "US state", "part of the world", "company", "software", "programming language", "unit"),
        *("currency", "science", "health"),
    }
)
"""Sets of names and of words that many languages have."""


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
        self.reporting = lists.get("reporting", frozenset())
        self.quoting = lists.get("quoting", frozenset())
        self.shared = lists.get("shared", frozenset())
        self.twins = lists.get("twins", frozenset())
        self.passed_over = lists.get("passed_over", frozenset())
        self.unmarking = self.auxiliaries | self.pronouns | self.question_words

        stems = Stems(data.stems)
        self.stem = lru_cache(_STEMS_KEPT)(stems.stem)
        self.base_forms = stems.base_forms

        # With the apostrophe left out, as people write in chats.
        self.contractions = {word.replace("'", ""): word for word in data.tokens.contractions.split()}
        self.written_out = {word: tuple(text.split()) for word, text in data.tokens.written_out.items()}
        self.not_possessive = frozenset(data.tokens.not_possessive.split())

        self.numbers = dict(_numbers(data.numbers))
        self.scales = {word: value for value, words in _values(data.numbers.scales) for word in words}
        self.units = {
            self.stem(word): (int(count), unit)
            for *words, count, unit in _alternatives(data.numbers.units)
            for word in words
        }
        self.loose_numbers = frozenset(data.numbers.loose.split())
        self.idle_numbers = Patterns((("", pattern) for pattern in data.numbers.idle), lists)

        self.negating = frozenset(data.negation.whole.split())
        self.negating_inside = tuple(data.negation.inside.split())
        self.negating_next = Patterns((("", pattern) for pattern in data.negation.of_next), lists)
        self.idle_negations = Patterns((("", pattern) for pattern in data.negation.idle), lists)
        self.negative_prefixes = tuple(data.negation.prefixes.split())
        self.tenses = Patterns(((kind, one) for kind, some in data.tenses.items() for one in some), lists)
        self.asking = Patterns(((kind, one) for kind, some in data.questions.items() for one in some), lists)

        self.markers = {word: words[0] for words in _alternatives(data.roles.markers) for word in words}
        self.coordinators = frozenset(data.roles.coordinators.split())
        self.compound = frozenset(data.roles.compound.split())
        self.telling = frozenset(data.roles.telling.split())
        self.particles = frozenset(data.roles.particles.split())
        self.clauses = frozenset(data.roles.clauses.split())
        self.agent = data.roles.agent
        self.passive = Patterns((("", pattern) for pattern in data.roles.passive), lists)
        self.opposite_markers = frozenset(frozenset(words) for words in _alternatives(data.roles.opposite))
        self.symmetric = frozenset(self.stem(word) for word in data.roles.symmetric.split())
        self.nothing = frozenset(tuple(phrase.split("_")) for phrase in data.meaning.nothing.split())
        self.greetings = frozenset(tuple(phrase.split("_")) for phrase in data.meaning.greetings.split())
        self.same = {
            tuple(phrase.split("_")): phrases[0] for phrases in _alternatives(data.meaning.same) for phrase in phrases
        }
        self.anywhere = frozenset(data.meaning.anywhere.split())
        self.idle = Patterns((("", pattern) for pattern in data.meaning.idle), lists)
        light = data.meaning.light.split()
        light += [prefix + word for prefix in self.negative_prefixes for word in light]
        self.weightless = frozenset(map(self.stem, (*light, *self.coordinators, *self.numbers, *self.scales)))
        self.longest_phrase = max(map(len, (*self.nothing, *self.greetings, *self.same)), default=1)
        self.case_decides = frozenset((*data.names.case_decides.split(), *_UNITS.split()))

        self._prefixes, self._suffixes = _affixes(data.tokens.prefixes), _affixes(data.tokens.suffixes)
        self.known = frozenset(_known(data))
        self.grammar_words = frozenset(_split(_grammar(data)))
        self.content_words = frozenset(_split(_content(data)))
        self._cuts: dict[str, list[str]] = {}
        if not data.is_spaced:
            for word in sorted(self.known, key=len, reverse=True):
                self._cuts.setdefault(word[0], []).append(word)

    def prefix_of(self, word: str) -> str:
        """What stands before a word as a part of it: an article, an elided word; empty when nothing does."""
        return next(
            (
                prefix
                for prefix, least in self._prefixes
                if word.startswith(prefix) and len(word) - len(prefix) >= least and word not in self.known
            ),
            "",
        )

    def suffix_of(self, word: str) -> str:
        """What stands after a word as a part of it: a particle; empty when nothing does."""
        return next(
            (
                suffix
                for suffix, least in self._suffixes
                if word.endswith(suffix) and len(word) - len(suffix) >= least and word not in self.known
            ),
            "",
        )

    def cut(self, run: str) -> Iterator[str]:
        """A run of letters without blanks as known words, the longest first, and what stands between them.

        Latin words in it stay whole. Takes time linear in the run.
        """
        start = place = 0
        folded = run.lower()
        while place < len(run):
            script = script_of(run[place])
            is_other = place > start and script != script_of(run[place - 1])
            words = () if script == "latin" else self._cuts.get(folded[place], ())  # git is no g
            found = next((word for word in words if folded.startswith(word, place)), "")
            if (found or is_other) and place > start:
                yield run[start:place]
                start = place
            if found:
                yield run[place : place + len(found)]
                start = place = place + len(found)
            else:
                place += 1
        if start < place:
            yield run[start:place]


@cache
def language(code: str) -> Language:
    """The language of a file, by its name: "en". Raises FileNotFoundError."""
    return Language(code, read(code))


def _numbers(data: NumberData) -> Iterator[tuple[str, int]]:
    values = list(_values(data.words))
    for value, words in values:
        yield from ((word, value) for word in words)
    for pattern in data.composed:
        for ten, tens in values:
            for one, units in values:
                if 20 <= ten < 100 and ten % 10 == 0 and 1 <= one < 10:
                    yield from ((pattern.format(unit=unit, ten=word), ten + one) for unit in units for word in tens)


def _affixes(lines: Sequence[str]) -> list[tuple[str, int]]:
    """Each line: affixes, and how many letters they leave at least. The longest first."""
    affixes = [(affix, int(line.split()[-1])) for line in lines for affix in line.split()[:-1]]
    return sorted(affixes, key=lambda affix: -len(affix[0]))


def _known(data: LanguageData) -> Iterator[str]:
    """Every word of a file: none of them is taken apart, and running text is cut at them."""
    texts = (data.tokens.whole, *_grammar(data), *_content(data), *data.contrasts.exclusive.values())
    return _split(texts)


def _grammar(data: LanguageData) -> Iterator[str]:
    """The texts of a file in which its little words are."""
    yield from data.lists.values()
    yield from (pattern for patterns in data.questions.values() for pattern in patterns)
    yield from (data.negation.whole, *data.negation.idle, *data.negation.of_next)
    yield from (data.roles.markers, data.roles.coordinators)


def _content(data: LanguageData) -> Iterator[str]:
    """The texts of a file in which its other words are, names left out."""
    yield from (data.numbers.words, data.numbers.scales, *data.numbers.idle, *data.numbers.operators)
    yield from (data.contrasts.opposites, *data.contrasts.particles, *data.contrasts.particles.values())
    yield from (data.meaning.nothing, data.meaning.greetings, data.meaning.same)
    yield from (words for name, words in data.contrasts.exclusive.items() if name not in _NAMED)


def _split(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for part in re.split(r"[\s|]+", text):
            if part and not part.startswith(("<", "!", "...")) and part not in ("^", "$", "_"):
                yield from (word for word in part.lower().split("_") if word and not word.isdigit())


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
