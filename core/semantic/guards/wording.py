"""What the guards read in a text: its words, numbers, negations, question, and the part each word plays.

Pure, and cheap: tens of microseconds for a question. It knows English and digits; in another language it still sees the
numbers and the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from .numbers import numbers_in
from .stems import stem
from .tokens import Token, tokenize
from .vocabulary import (
    AUXILIARIES,
    COORDINATORS,
    DURATIONS,
    GRAMMAR,
    HEDGES,
    INDIRECT,
    MARKERS,
    PRONOUNS,
    QUANTITIES,
    QUESTION_WORDS,
    STRONG_NEGATIONS,
    TIMES,
    WAYS,
    WEAK_ADVERBS,
)

_IDENTIFIER = re.compile(
    r"""
      (?<![\w-]) (?: -[A-Za-z]\b | --[A-Za-z][\w-]+ )      # -c, --force
    | \b \w+ _ \w+ \b                                      # snake_case
    | \b [a-z]{2,} [A-Z] \w* \b                            # camelCase
    | \b \w+ (?: \.\w+ ){0,8} \( \)                        # call(); bounded, as it is tried at every word
    | \b \w+ \. (?: py|js|ts|json|ya?ml|toml|md|txt|csv|html|css|sh|sql|java|go|rs|cpp|c|h ) \b
    | \b E [A-Z]{3,} \b                                    # ENOENT
    """,
    re.VERBOSE,
)
_NUMERONYM = re.compile(r"\b([a-z])(\d{1,2})([a-z])\b")


@dataclass(frozen=True, slots=True)
class Part:
    """A word that carries matter: its stem, the preposition right before it, whether and/or stands before it."""

    stem: str
    marker: str
    coordinated: bool


class Wording:
    """A text as the guards see it. `wording_of` builds it and remembers recent ones."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.words = tuple(token.word for token in self.tokens)

    @cached_property
    def word_count(self) -> int:
        """Words between white space, as a person counts them."""
        return len(self.text.split())

    @cached_property
    def word_set(self) -> frozenset[str]:
        """Every word of the text, case folded."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stem of every word."""
        return frozenset(stem(word) for word in self.words)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Every number in plain form, and arithmetic signs. A `?` at the end: may be a pronoun or an adverb."""
        return tuple(numbers_in(self.tokens))

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Names of code: options, functions, files, error codes; as written."""
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
        return tuple(_negations(self.words))

    @cached_property
    def asks(self) -> frozenset[str]:
        """What is asked for: reason, person, place, time, duration, frequency, quantity, way; empty when open."""
        return frozenset(_asks(self.words))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The words that carry matter, in order."""
        return tuple(_parts(self.tokens))

    @cached_property
    def initials(self) -> str:
        """The first letters of the words that carry matter, in order: an acronym may be in them."""
        return "".join(part.stem[0] for part in self.parts)

    @cached_property
    def names(self) -> frozenset[str]:
        """Words capitalised inside a sentence, folded; none in headlines and in texts all in capitals."""
        return frozenset(_names(self.tokens))


@lru_cache(maxsize=4096)
def wording_of(text: str) -> Wording:
    """The wording of a text; recent ones are kept, since a stored question is a candidate again and again."""
    return Wording(text)


def _negations(words: tuple[str, ...]) -> Iterator[str]:
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        after = words[index + 1 : index + 7]
        following = after[0] if after else ""
        if before == "or":  # whether or not
            continue
        if word == "not" or (word == "no" and following in ("longer", "idea", "clue")):
            if not _is_idle(words, index, before, following):
                matter = (later for later in after if later not in GRAMMAR and later not in WEAK_ADVERBS)
                yield stem(next(matter, ""))
        elif word in STRONG_NEGATIONS and not (word == "no" and (following in ("", ",") or following[:1].isdigit())):
            yield ""


def _is_idle(words: tuple[str, ...], index: int, before: str, following: str) -> bool:
    """Whether the `not` at this place turns nothing round: not only, can't you ..., isn't it?, I don't know how."""
    if following == "only":
        return True
    if before in AUXILIARIES and index == 1 and _is_polite(before, following):
        return True
    if before in AUXILIARIES and index == len(words) - 2 and following in PRONOUNS:
        return True
    return any(
        words[place] in HEDGES and QUESTION_WORDS.intersection(words[place + 1 : place + 4])
        for place in range(index + 1, min(index + 5, len(words)))
    )


def _is_polite(auxiliary: str, following: str) -> bool:
    """`Can't you tell me ...` asks what `Can you tell me ...` asks; `Don't delete ...` does not."""
    return following in PRONOUNS or auxiliary in ("is", "are", "was", "were")


def _asks(words: tuple[str, ...]) -> Iterator[str]:
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        after = words[index + 1] if index + 1 < len(words) else ""
        leads = index == 0 or before in INDIRECT
        if word == "why":
            if after in AUXILIARIES or (leads and after):
                yield "reason"
        elif word == "how" and after == "come":
            yield "reason"
        elif word == "how" and after in QUANTITIES:
            yield "quantity"
        elif word == "how" and after in DURATIONS:
            yield "duration"
        elif word == "how" and after == "often":
            yield "frequency"
        elif word == "how" and after in WAYS:
            yield "way"
        elif word in ("who", "whom", "whose") and leads and after not in WAYS:
            yield "person"
        elif word == "where" and (leads or after in AUXILIARIES):
            yield "place"
        elif (word == "when" and after in AUXILIARIES) or (word == "what" and leads and after in TIMES):
            yield "time"


def _parts(tokens: tuple[Token, ...]) -> Iterator[Part]:
    marker, coordinated = "", False
    for position, token in enumerate(tokens):
        word = token.word
        if word in MARKERS:
            marker = MARKERS[word]
        elif word in COORDINATORS:
            marker, coordinated = "", True
        elif _is_matter(token):
            owns = position + 1 < len(tokens) and tokens[position + 1].word == "'s"
            yield Part(stem(word), "'s" if owns else marker, coordinated)
            marker, coordinated = "", False
        elif word in AUXILIARIES or word in PRONOUNS or word in QUESTION_WORDS:
            marker = ""


def _is_matter(token: Token) -> bool:
    if token.word == "a":  # "Is A a subset of B?"
        return token.raw == "A" and not token.opens
    return token.word not in GRAMMAR and token.word not in ("'s", ",", "/")


def _names(tokens: tuple[Token, ...]) -> Iterator[str]:
    written = [token for token in tokens if token.raw[:1].isalpha()]
    capitalised = [token for token in written if token.raw[0].isupper()]
    if len(capitalised) > 0.6 * len(written):
        return
    for token in capitalised:
        acronym = len(token.raw) > 1 and token.raw.isupper()
        if token.raw not in ("I", "A") and token.word not in GRAMMAR and (acronym or not token.opens):
            yield token.word
