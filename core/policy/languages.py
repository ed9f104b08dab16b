"""Languages: how people say "I", "my order" and "now" in each, from `languages.toml`; and which texts are understood.

What these words decide is not known here: who may share an answer is in `audience`, how long it is kept in `ttl`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec

from .matching import words_of

_SHORT = 2
"""Letters of words that too many languages have to tell one by."""

_STOP = "."
_FEW, _ENOUGH, _ONE_IN = 5, 2, 6
"""An English text of more than five words has two little words of English at least, and one in six."""
_LITTLE_ENGLISH = frozenset(
    {"a", "an", "and", "as", "at", "be", "for", "in", "is", "may", "of", "on", "or", "to", "was"}
)

_STEM = 4
"""Letters that the stem of a noun has at least."""
_ENDING = re.compile("[aeiouyáéíóúàèìòùâêîôûäëïöüõåæøąęėįųāēīūôýěůűőаеёиоуыэюяйьіїєўαειουηωάέίόύήώəıãñ]s?$")

# Letters that have no decomposition and are typed without their mark all the same.
_PLAIN = str.maketrans("łøđıðŁæœßəñأإآىة", "lodidLaosenااايه")
# Letters beyond the scripts of `languages.toml`.
_UNREAD_LETTER = re.compile(
    "[^\\W\\d_A-\u02ffͰ-ԯԱ-ևא-ת\u0600-\u06ffݐ-ݿ\u0900-\u0aff\u0b80-\u0dff\u0e00-\u0eff\u1000-\u10ff\u1100-\u137f"
    "\u1780-\u17ffḀ-ỿἀ-\u1fff⁰-\u218f\u3040-\u30ff\u3130-\u318f㐀-鿿가-힣\uf900-\ufaff\uff00-\uffef\U0001d400-\U0001d7ff]"
)
_BARE_SCRIPTS = re.compile("[a-zĀ-ſƀ-ɏà-ÿḀ-ỿͰ-Ͽἀ-῿أإآىة]")


class Language(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language, or several that are told together. `languages.toml` explains the fields."""

    name: str
    marks: str
    me: str
    mine: str = ""
    have: str = ""
    things: str = ""
    unnamed: tuple[str, ...] | None = None
    own: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    timely: tuple[str, ...] = ()
    prices: str = ""
    holders: str = ""
    spaced: bool = True
    personal: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    general: tuple[str, ...] = ()


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """Words, phrases and signs of all languages for one thing, as a matcher takes them."""

    name: str
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class Languages(msgspec.Struct, frozen=True, kw_only=True):
    """All languages together: what is another each time, what is one's own, what is soon old, what is another within
    months, and what marks a text as personal or not understood.

    `own` is possession: what must not be shared when nobody is named. `reserved` holds the first person and the account
    nouns: with either of them a text is not surely general. `anybodys` is how something is done, and what everybody may
    know.
    """

    all: tuple[Language, ...]
    chance: Wording
    own: Wording
    timely: Wording
    holders: Wording
    reserved: tuple[Wording, ...]
    anybodys: tuple[Wording, ...]
    marks: frozenset[str]
    english: frozenset[str]
    foreign: frozenset[str]
    signs: tuple[str, ...]

    def understands(self, text: str) -> bool:
        """Whether a text has words of a language that the rules know, and no letter of a script that they do not.

        Takes time linear in the text.
        """
        if not text.isascii() and _UNREAD_LETTER.search(text):
            return False
        if not self.marks.isdisjoint(words_of(text)):
            return True
        return not text.isascii() and any(sign in text for sign in self.signs)

    def is_english(self, text: str) -> bool:
        """Whether a text is plainly English, whose rules are the only ones that know most of what is personal or soon
        old: it has words of English alone, more of them than of other languages, and others that English has too.

        Takes time linear in the text.
        """
        if not self.understands(text):
            return False
        words = [word for word in words_of(text) if word != _STOP]
        own = sum(word in self.english for word in words)
        little = sum(word in self.english or word in _LITTLE_ENGLISH for word in words)
        if own <= sum(word in self.foreign for word in words):
            return False
        if len(words) <= _FEW and any(len(word) > _SHORT for word in words if word in self.english):
            return True
        return little >= _ENOUGH and _ONE_IN * little >= len(words)

    def problems(self, kind_of: Callable[[str], str]) -> Iterator[str]:
        """Every example that does not hold. `kind_of` says what the rules take a text for: "own", "timely" or ""."""
        for one in self.all:
            for examples, expected in ((one.personal, "own"), (one.now, "timely"), (one.general, "")):
                for text in examples:
                    if (seen := kind_of(text)) != expected:
                        yield f"{one.name}: {text!r} is {seen or 'general'}"
                    elif not expected and not self.understands(text):
                        yield f"{one.name}: {text!r} has none of its marks"


@cache
def languages() -> Languages:
    """The languages of `languages.toml`; whoever compiles their rules checks the examples."""
    data = tomllib.loads((Path(__file__).parent / "languages.toml").read_text(encoding="utf-8"))
    every = msgspec.convert(data["languages"], tuple[Language, ...])
    english = frozenset(data["english"].split()) | set(every[0].marks.split()) | set(every[0].me.split())
    spaced = [one for one in every if one.spaced]
    signed = [one for one in every if not one.spaced]
    how = Wording(
        name="how",
        phrases=_spelled(english, (phrase for one in spaced for phrase in one.how)),
        signs=tuple(sign for one in signed for sign in one.how),
    )
    asks = Wording(
        name="asks",
        phrases=_spelled(english, (phrase for one in spaced for phrase in one.asks)),
        signs=tuple(sign for one in signed for sign in one.asks),
    )
    own = Wording(
        name="own",
        phrases=_spelled(
            english, (phrase for one in spaced for phrase in (*one.own, *_pairs(one), *_bare_nouns(one, english)))
        ),
        signs=tuple(sign for one in signed for sign in (*one.own, *_pairs(one))),
        unless=how.phrases,
    )
    timely = Wording(
        name="timely",
        phrases=_spelled(
            english,
            (
                _conversion(data["currencies"]),
                *(phrase for one in spaced for phrase in (*one.timely, *_traded(one, data["traded"]))),
            ),
        ),
        signs=(
            *(f"{first}...{second}" for first, second in permutations(data["currency_signs"].split(), 2)),
            *(sign for one in signed for sign in (*one.timely, *_traded(one, data["traded_signs"]))),
        ),
    )
    holders = Wording(
        name="holders",
        phrases=_spelled(english, (word for one in spaced[1:] for word in _words(one.holders) if word not in english)),
        signs=tuple(word for one in signed for word in _words(one.holders)),
    )
    first_person = Wording(
        name="first-person",
        phrases=_spelled(english, (word for one in spaced for word in _words(one.me))),
        signs=tuple(word for one in signed for word in _words(one.me)),
    )
    account = Wording(
        name="account",
        phrases=_spelled(english, (phrase for one in spaced for phrase in _account_nouns(one, english))),
        signs=tuple(word for one in signed for word in _words(one.things)),
    )
    spoken = frozenset(spaced[0].marks.split())
    plain = [word for one in spaced[1:] for word in one.marks.split() if "_" not in word and "'" not in word]
    others = frozenset(filter(_tells, plain)).union(filter(_tells, map(_bare, plain)))
    return Languages(
        all=every,
        chance=_chance(data["chance"], english, how.phrases),
        own=own,
        timely=timely,
        holders=holders,
        reserved=(first_person, account),
        anybodys=(how, asks),
        marks=spoken.union(others),
        english=spoken.union(spaced[0].me.split()).difference(plain),
        foreign=others.union(*(_words(one.me) for one in spaced[1:])) - english,
        signs=tuple(sign for one in signed for sign in one.marks.split()),
    )


def _words(text: str) -> list[str]:
    # An apostrophe parts words: "to'lov" is two, as it is in a text.
    return [word.replace("_", " ").replace("'", " ") for word in text.split()]


def _tells(word: str) -> bool:
    return len(word) > _SHORT or not word.isascii()


def _pairs(one: Language) -> Iterator[str]:
    """A possessive and a thing, in either order, up to three words between them."""
    mine = _words(one.mine)
    if not one.spaced:
        yield from (
            f"{first}...{second}"
            for word in mine
            for thing in _words(one.things)
            for first, second in _orders(word, thing)
        )
        return
    # Alternatives of one place are one word each: what has several is a phrase by itself.
    for thing in _places(map(_inflected, _words(one.things))):
        for word in _places(mine):
            yield from (f"{first} ... {second}" for first, second in _orders(word, thing))
        yield from (f"{thing} ... {word}" for word in _places(_words(one.have)))


def _inflected(word: str) -> str:
    """A noun in whatever case and number, as far as they show at its end."""
    stem = _ENDING.sub("", word)
    return f"{stem}*" if len(stem) >= _STEM and "*" not in word and " " not in word else word


def _bare_nouns(one: Language, english: frozenset[str]) -> Iterator[str]:
    """A noun that is all of a sentence: "Kontostand?"."""
    yield from (f"^ {noun} $" for noun in _words(one.things) if noun not in english)


def _chance(data: Mapping[str, Any], english: frozenset[str], how: tuple[str, ...]) -> Wording:
    """What is to be made up or drawn: a maker and a secret in either order, or a word that says it by itself."""
    makers, secrets, alone = (_words(data[name]) for name in ("makers", "secrets", "alone"))
    pairs = [
        phrase
        for maker in _places(makers)
        for secret in _places(secrets)
        for phrase in (f"{maker} ... ... {secret}", f"{secret} ... ... {maker}")
    ]
    signs = data["secret_signs"].split()
    return Wording(
        name="chance",
        phrases=_spelled(english, (*pairs, *alone, *data["games"])),
        signs=(
            *data["alone_signs"].split(),
            *(
                f"{one}...{two}"
                for maker in data["maker_signs"].split()
                for sign in signs
                for one, two in _orders(maker, sign)
            ),
        ),
        unless=(*how, *_words(data["unless"])),
    )


def _conversion(currencies: str) -> str:
    """Two sorts of money in a row."""
    anyone = "|".join(currencies.split())
    return f"{anyone} ... {anyone}"


def _traded(one: Language, traded: str) -> Iterator[str]:
    if not one.spaced:
        for price in one.prices.split():
            yield from (f"{first}...{second}" for thing in traded.split() for first, second in _orders(price, thing))
        return
    for price in _places(_words(one.prices)):
        for thing in _places(traded.split()):
            yield from (f"{first} ... {second}" for first, second in _orders(price, thing))


def _orders(one: str, other: str) -> Sequence[tuple[str, str]]:
    return (one, other), (other, one)


def _places(words: Iterable[str]) -> list[str]:
    """Words as alternatives of one place, then each that consists of several."""
    words = list(words)
    single = "|".join(word for word in words if " " not in word)
    return [*([single] if single else []), *(word for word in words if " " in word)]


def _account_nouns(one: Language, english: frozenset[str]) -> Sequence[str]:
    if one.unnamed is not None:
        return one.unnamed
    return [word for word in _words(one.things) if word not in english]


def _spelled(english: frozenset[str], phrases: Iterable[str]) -> tuple[str, ...]:
    """Phrases in which each word may also be typed without its accents, unless that makes an English word of it."""
    return tuple(dict.fromkeys(" ".join(_spelled_part(part, english) for part in phrase.split()) for phrase in phrases))


@cache
def _spelled_part(part: str, english: frozenset[str]) -> str:
    if part.isascii():
        return part
    words = part.split("|")
    bare = [_bare(word) for word in words if len(word) > _SHORT]
    return "|".join(dict.fromkeys((*words, *(word for word in bare if word not in english))))


def _bare(word: str) -> str:
    """A word of a Latin or Greek script without accents, an Arabic one with its letters as they are often typed."""
    if word.isascii() or not _BARE_SCRIPTS.search(word):
        return word
    decomposed = unicodedata.normalize("NFD", word.translate(_PLAIN))
    return unicodedata.normalize("NFC", "".join(letter for letter in decomposed if not unicodedata.combining(letter)))


@cache
def language_marks() -> dict[str, frozenset[str]]:
    """By the name of a language the words that it is told by: little words, and those for the person who speaks.

    `_` joins the words of a phrase.
    """
    data = languages().all
    return {one.name: frozenset((one.marks + " " + one.me + " " + one.mine).replace("*", "").split()) for one in data}
