"""What the guards read in a text: its words, numbers, negations, question, and the part each word plays.

Pure, and cheap: tens of microseconds for a question. What it knows of a language is in `languages`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from ...text import nfc
from .language import Language, language
from .letters import fold_letters
from .numbers import Number, in_smaller_units, numbers_in
from .patterns import Patterns
from .tokens import Token, tokenize

_IDENTIFIER = re.compile(
    r"""
      (?<![\w-]) (?: -[A-Za-z]\b | --[A-Za-z][\w-]+ )      # -c, --force
    | \b \w+ _ \w+ \b                                      # snake_case
    | \b [a-z]{2,} [A-Z] \w* \b                            # camelCase
    | \b \w+ (?: \.\w+ ){0,8} \( \)                        # call(); bounded, as it is tried at every word
    | \b \w+ \. (?: py|js|ts|json|ya?ml|toml|md|txt|csv|html|css|sh|sql|java|go|rs|cpp|c|h ) \b
    | \b E [A-Z]{3,} \b                                    # ENOENT
    | [=!<>]=+ | && | \|\| | \+\+ | [+*/-]= | \[\^ | \\\w | ~/ | (?<=\w\s)[<>](?=\s\w) | (?<=\w)[<>](?=\w)
    | (?<![\w*&!~]) (?: [!&~] | \*(?!\w[\w\ ]{0,40}\*) ) (?=[a-z])    # not x, a pointer; no *emphasis*
    """,
    re.VERBOSE,
)
_WRITTEN = re.compile(r"[^\W\d_]+")
_NUMERONYM = re.compile(r"\b([a-z])(\d{1,2})([a-z])\b")
_SILENT = frozenset({",", "/", "'s"})
_REACH = 6
"""Words after a `not` among which is what it negates."""


class Part(NamedTuple):
    """A word that carries matter: its stem, the preposition right before it, whether and/or stands before it."""

    stem: str
    marker: str
    coordinated: bool


class Wording:
    """A text as the guards see it. `wording_of` builds it and remembers recent ones."""

    def __init__(self, text: str, language: Language) -> None:
        self.text = text
        self.language = language
        self.tokens = in_smaller_units(tokenize(text, self.language), self.language)
        self.words = tuple(token.word for token in self.tokens)

    @cached_property
    def word_count(self) -> int:
        """Words between white space, as a person counts them; two letters are one where there is none."""
        if self.language.data.is_spaced:
            return len(self.text.split())
        return len(self.text.split()) + len(self.text) // 2

    @cached_property
    def word_set(self) -> frozenset[str]:
        """Every word of the text, case folded."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stem of every word."""
        return frozenset(self.language.stem(word) for word in self.words)

    @cached_property
    def counted(self) -> tuple[Number, ...]:
        """Every number, and arithmetic signs, with their places."""
        return tuple(numbers_in(self.tokens, self.language))

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Every number in plain form, and arithmetic signs. A `?` at the end: may be a pronoun or an adverb."""
        return tuple(number.plain for number in self.counted)

    @cached_property
    def meaning(self) -> tuple[str, ...]:
        """The words in order, without those that the language's file says carry nothing; one word for what means the
        same, the stem of any other. A word whose place says nothing stands at the end, where there is one.
        """
        words = (*_meaning(self, 0 if self.quotes else self.language.longest_phrase), *self._twins)
        movable = [word for word in words if word in self.language.anywhere]
        if len(movable) != 1 or not self.language.reporting.isdisjoint(self.words):
            return words  # eats when and sleeps why; said when that he comes
        return (*(word for word in words if word not in movable), *movable)

    @property
    def _twins(self) -> Iterator[str]:
        """Words as they are written, where a letter that is read as another one makes another word of them."""
        if self.language.twins and not self.text.isascii():
            for word in _WRITTEN.findall(nfc(self.text).lower()):
                if (folded := fold_letters(word)) != word and folded in self.language.twins:
                    yield word

    @cached_property
    def quotes(self) -> bool:
        """Whether it asks about words: what is "hello" in German?"""
        return _quotes(self.words, self.language)

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Names and signs of code: options, functions, files, error codes, operators; as written."""
        return frozenset(_IDENTIFIER.findall(self.text))

    @cached_property
    def numeronyms(self) -> tuple[tuple[str, str, str], ...]:
        """Words like k8s: first letter, count of letters left out, last letter."""
        return tuple(_NUMERONYM.findall(self.text.lower()))

    @cached_property
    def negations(self) -> tuple[str, ...]:
        """Every negation that turns the meaning round: the stem of what a `not` negates, "" for without, never, no ...

        Politeness, tags, hedges and `or not` turn nothing round.
        """
        return tuple(_negations(self.words, self.language))

    @cached_property
    def prefixed(self) -> tuple[tuple[str, str], ...]:
        """Words that a prefix may turn round, and what they are without it: unsafe and safe."""
        return tuple(
            (word, bare)
            for word in self.word_set
            for prefix in self.language.negative_prefixes
            if len(bare := word.removeprefix(prefix)) >= 4 and bare != word
        )

    @cached_property
    def is_passive(self) -> bool:
        """Whether it says by whom something is done, behind what is done."""
        return any(self.language.passive.find(self.words))

    @cached_property
    def tenses(self) -> frozenset[str]:
        """Of which times beside the present it speaks."""
        return frozenset(match.name for match in self.language.tenses.find(self.words))

    @cached_property
    def particles(self) -> frozenset[str]:
        """Its particles, which make another verb of one."""
        return self.word_set & self.language.particles

    @cached_property
    def asks(self) -> frozenset[str]:
        """What is asked for: reason, person, place, time, duration, frequency, quantity, way; empty when open."""
        return frozenset(match.name for match in self.language.asking.find(self.words))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The words that carry matter, in order."""
        return tuple(_parts(self.tokens, self.language))

    @cached_property
    def matter(self) -> Counter[str]:
        """The stems of the words that carry matter, numbers and signs left out."""
        return Counter(stem for stem, carries in self._carrying if carries)

    @cached_property
    def weighty(self) -> Counter[str]:
        """Those of them that do not come and go without asking something else."""
        weightless = self.language.weightless
        return Counter({stem: count for stem, count in self.matter.items() if stem not in weightless})

    @cached_property
    def little(self) -> Counter[str]:
        """The stems of all other words."""
        weightless = self.language.weightless
        return Counter(stem for stem, carries in self._carrying if not carries or stem in weightless)

    @cached_property
    def _carrying(self) -> list[tuple[str, bool]]:
        language, words = self.language, self.words
        idle = _places(language.idle, words)
        return [
            (language.stem(token.word), _is_matter(token, language))
            for place, token in enumerate(self.tokens)
            if token.word.lstrip("°")[:1].isalpha() and place not in idle
        ]

    @cached_property
    def initials(self) -> str:
        """The first letters of the words that carry matter, in order: an acronym may be in them."""
        return "".join(part.stem[0] for part in self.parts)

    @cached_property
    def names(self) -> frozenset[str]:
        """Words capitalised inside a sentence, folded; none in headlines and in texts all in capitals."""
        return frozenset(_names(self.tokens, self.language))


@lru_cache(maxsize=4096)
def wording_of(text: str, code: str) -> Wording:
    """The wording of a text in a language, by its file's name; recent ones are kept, since a stored question is a
    candidate again and again.
    """
    return Wording(text, language(code))


def _meaning(text: Wording, longest: int) -> list[str]:
    """`longest`: of the phrases that are looked for, so many words; 0 where every word counts."""
    words, language = text.words, text.language
    numbers = {number.start: number for number in text.counted}
    meaning: list[str] = []
    said: dict[str, tuple[str, ...]] = {}
    place = 0
    while place < len(words):
        for size in range(min(longest, len(words) - place), 0, -1):
            phrase = words[place : place + size]
            if phrase in language.nothing or phrase in language.same or _greets(text, place, size):
                break
        else:
            phrase = ()
        if phrase:
            if same := language.same.get(phrase):
                if said.setdefault(same, phrase) != phrase:  # a car or an automobile: the text sets them apart
                    return _meaning(text, 0)
                meaning.append(same)
            place += len(phrase)
        elif number := numbers.get(place):
            # "un" and "una" make two nouns of one: un pez, una pez.
            meaning.append(words[place] if number.plain.endswith("?") else number.plain)
            place = number.end
        else:
            if words[place] not in _SILENT:
                meaning.append(language.stem(words[place]))
            place += 1
    return meaning


def _greets(text: Wording, place: int, size: int) -> bool:
    """Whether a greeting stands here, between marks or at the start, but in no name: not in "Who sings Hello?"."""
    tokens, after = text.tokens, place + size
    if text.words[place:after] not in text.language.greetings:
        return False
    begins = tokens[place].opens or text.words[place - 1] == ","
    ends = after == len(tokens) or tokens[after].opens or text.words[after] == ","
    return (begins and ends) or (place == 0 and not tokens[after].raw[:1].isupper())


def _quotes(words: tuple[str, ...], language: Language) -> bool:
    """Whether a text asks about words: what is "hello" in German? Not where it is politeness: can you tell me ..."""
    if language.quoting.isdisjoint(words):
        return False
    sizes = range(2, language.longest_phrase + 1)
    return any(
        word in language.quoting
        and not any(
            words[start : start + size] in language.nothing
            for size in sizes
            for start in range(max(0, place - size + 1), place + 1)
        )
        for place, word in enumerate(words)
    )


def _places(patterns: Patterns, words: tuple[str, ...]) -> set[int]:
    return {place for match in patterns.find(words) for place in match.places}


def _negations(words: tuple[str, ...], language: Language) -> Iterator[str]:
    idle = _places(language.idle_negations, words)
    naming = {match.places[0] for match in language.negating_next.find(words)}
    for index, word in enumerate(words):
        if index in idle:
            continue
        if index in naming:
            after = words[index + 1 : index + 1 + _REACH]
            yield language.stem(next((later for later in after if later not in language.passed_over), ""))
        elif word in language.negating or _is_negative_inside(word, language):
            yield ""
            if language.data.negation.once:
                return


def _is_negative_inside(word: str, language: Language) -> bool:
    return word not in language.known and any(part in word for part in language.negating_inside)


def _parts(tokens: tuple[Token, ...], language: Language) -> list[Part]:
    parts: list[Part] = []
    marker, coordinated = "", False
    for position, token in enumerate(tokens):
        word = token.word
        if word in language.markers:
            if not language.data.roles.follow:
                marker = language.markers[word]
            elif parts and not parts[-1].marker:
                parts[-1] = parts[-1]._replace(marker=language.markers[word])
        elif word in language.coordinators:
            marker, coordinated = "", True
        elif _is_matter(token, language):
            owns = position + 1 < len(tokens) and tokens[position + 1].word == "'s"
            parts.append(Part(language.stem(word), "'s" if owns else marker, coordinated))
            marker, coordinated = "", False
        elif word in language.unmarking and marker not in language.clauses:
            marker = ""
    return parts


def _is_matter(token: Token, language: Language) -> bool:
    if token.word == "a":  # "Is A a subset of B?"
        return token.raw == "A" and not token.opens
    return token.word not in language.grammar and token.word not in ("'s", ",", "/")


def _names(tokens: tuple[Token, ...], language: Language) -> Iterator[str]:
    written = [token for token in tokens if token.raw[:1].isalpha()]
    only_acronyms = language.data.capitals == "nouns"
    capitalised = [token for token in written if token.raw[0].isupper()]
    if len(capitalised) > 0.6 * len(written):
        return
    for token in capitalised:
        acronym = len(token.raw) > 1 and token.raw.isupper()
        if not acronym and (token.opens or only_acronyms):
            continue
        if token.raw not in ("I", "A") and token.word not in language.grammar:
            yield token.word
