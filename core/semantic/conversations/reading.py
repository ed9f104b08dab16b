"""One message as the rules see it: its words, what it points at, what it is about. Pure, and remembered by its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Final

from ..guards import Wording, codes, wording_of
from .references import WORD, References, begins, phrases_in, references_of
from .turns import sentences

_FEW: Final = 2
"""So many words that carry matter, or fewer, hardly ever say all that is asked."""
_DEFAULT: Final = "en"
"""As whose text a message is read of which the guards do not know the language."""
_SHORT: Final = 5
"""Words of a message that may be a name and nothing else."""
_RICH: Final = 5
"""More of them name what it is about, even beside a pronoun."""
_BEFORE_NOUNS: Final = frozenset({"is", "are", "was", "were", "do", "does", "did", "has", "have"})
_RELATIVE: Final = frozenset({"that", "who", "which", "whose", "where", "when"})
_VERB_FIRST: Final = frozenset({"to", "i", "you", "we", "they", "he", "she", "it", "please", "can", "should", "not"})
"""After these the first word that carries matter is a verb."""


@dataclass(frozen=True, slots=True)
class Matter:
    """A word that carries matter: its stem, as written, the place among the words, and whether it is surely a noun."""

    stem: str
    raw: str
    place: int
    is_noun: bool


class Reading:
    """A message. `reading_of` builds it and remembers recent ones."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spelt = tuple(WORD.findall(text.casefold().replace("’", "'")))
        self.references = references_of(self.spelt)
        code = self.references.code if self.references is not None else ""
        self.wording: Wording = wording_of(text, code if code in _guarded() else _DEFAULT)
        tokens = [token for token in self.wording.tokens if token.raw[:1].isalnum()]
        self.raws = tuple(token.raw for token in tokens)
        self.words = tuple(token.word for token in tokens)
        self.stems_in_order = tuple(map(self.wording.language.stem, self.words))

    @cached_property
    def matter(self) -> tuple[Matter, ...]:
        """The words that carry matter, in order."""
        known = self.references
        small = _small(known) if known is not None else frozenset()
        carrying = {part.stem for part in self.wording.parts}
        found: list[Matter] = []
        for place, (word, raw, stem) in enumerate(zip(self.words, self.raws, self.stems_in_order, strict=True)):
            if stem in carrying and word not in small:
                found.append(Matter(stem, raw, place, self._is_noun(place, found)))
        return tuple(found)

    def _is_noun(self, place: int, before: list[Matter]) -> bool:
        known = self.references
        if known is None or self.raws[place][0].isdigit():
            return True
        if before and before[-1].place == place - 1:
            first = before[-1]
            return first.is_noun or (first.place > 0 and self.words[first.place - 1] in _VERB_FIRST)
        previous = self.words[place - 1] if place else ""
        if previous in known.articles or previous in known.any or previous in _BEFORE_NOUNS:
            return True
        if previous[-1:].isdigit() or (place and self.raws[place][0].isupper()):
            return True
        return previous in known.complements and previous not in _VERB_FIRST and previous not in _RELATIVE

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of the words that carry matter, and the numbers."""
        return frozenset(one.stem for one in self.matter)

    @cached_property
    def nouns(self) -> frozenset[str]:
        """The stems that are surely nouns, or say more of one."""
        return frozenset(one.stem for one in self.matter if one.is_noun)

    @property
    def numbers(self) -> frozenset[str]:
        """Numbers in plain form."""
        return frozenset(number.removesuffix("?") for number in self.wording.numbers if not number.endswith("?"))

    @property
    def names(self) -> frozenset[str]:
        """Words with a capital inside a sentence, in small letters."""
        return self.wording.names

    @cached_property
    def spoken_names(self) -> frozenset[str]:
        """Names also where hardly anything else is said: "Steven Spielberg." and "And to Japan?"."""
        if self.names or len(self.words) > _SHORT:
            return self.names
        known = self.references
        opening = known.openers if known is not None else frozenset()
        return frozenset(
            one.raw.lower() for one in self.matter if one.raw[0].isupper() and one.raw.lower() not in opening
        )

    @cached_property
    def pointers(self) -> frozenset[str]:
        """Words that stand for something said before."""
        known = self.references
        if known is None:
            return frozenset()
        return frozenset(self._pointing(known))

    def _pointing(self, known: References) -> Iterator[str]:
        for place, word in enumerate(self.words):
            following = self.words[place + 1] if place + 1 < len(self.words) else ""
            if word in known.pointers and not (word == "that" and _is_relative(self.words, place)):
                if word == "one" and place + 1 < len(self.words) and following in self.stems:
                    continue  # a number
                if word == "there" and self.words[place - 1 : place] in (("is",), ("are",), ("was",), ("were",)):
                    continue  # "is there a train" points at no place
                if word == "it" and following in ("rains", "snows", "takes"):
                    continue
                yield word

    @cached_property
    def known_nouns(self) -> frozenset[str]:
        """Nouns said to be known, "the bridge", without a word on which one: they were spoken of before."""
        known = self.references
        if known is None:
            return frozenset()
        by_place = {one.place: one for one in self.matter}
        found = set()
        for place, word in enumerate(self.words[:-1]):
            if word not in known.articles or place + 1 not in by_place:
                continue
            end = place + 1
            while end + 1 in by_place:
                end += 1
            after = self.words[end + 1] if end + 1 < len(self.words) else ""
            run = [by_place[at] for at in range(place + 1, end + 1)]
            is_named = any(one.raw[0].isupper() for one in run)
            is_unique = any(one.raw.lower() in known.unique for one in run)
            if after not in known.complements and not is_named and not is_unique:
                found |= {one.stem for one in run}
        return frozenset(found)

    @property
    def begins_anew(self) -> tuple[str, ...]:
        """The words without fillers at the beginning."""
        words = self.words
        known = self.references
        while known is not None and (length := begins(words, known.fillers)) and length < len(words):
            words = words[length:]
        return words

    @cached_property
    def goes_on(self) -> bool:
        """Whether it begins as what goes on with something: "and in winter?", "what about Spain?", "why?"."""
        known = self.references
        if known is None:
            return False
        words = self.begins_anew
        length = begins(words, known.openers)
        # "Why is the sky blue?" says all itself; "why?" and "why not on Sundays?" do not.
        return bool(length) and not (words[0] in known.asking and len(self.stems) >= _FEW)

    @cached_property
    def compares(self) -> bool:
        """Whether it compares with what was said: "anything cheaper?", "another one", "what else?"."""
        known = self.references
        if known is None:
            return False
        if any(phrases_in(self.words, known.more)):
            return "than" not in self.words
        return not known.compared.isdisjoint(self.words)

    @cached_property
    def yes_or_no(self) -> str:
        """ "yes" or "no" for a message that begins as a reply of that kind; empty for any other."""
        known = self.references
        if known is None:
            return ""
        if begins(self.begins_anew, known.yes):
            return "yes"
        return "no" if begins(self.begins_anew, known.no) else ""

    @cached_property
    def is_question(self) -> bool:
        """Whether it ends with a question mark."""
        return self.text.rstrip().endswith(("?", "？", "؟", ";"))

    @cached_property
    def works_on_answer(self) -> bool:
        """Whether it has the last answer worked on: "shorter, please", "translate it into Italian", "go on"."""
        known = self.references
        if known is None:
            return False
        words = self.begins_anew
        while words and words[0] in ("please", "can", "could", "would", "you", "now", "then", "just"):
            words = words[1:]
        if not begins(words, known.orders):
            return False
        own = {one.stem for one in self.matter} - {"version", "word", "sentence", "list", "table", "line", "paragraph"}
        return bool(self.pointers) or len(own) <= _FEW

    @cached_property
    def says_all(self) -> bool:
        """Whether it names what it is about: a name, a number, or matter enough."""
        return bool(self.spoken_names or self.numbers) or len(self.stems) > _FEW

    @cached_property
    def depends(self) -> bool:
        """Whether it cannot be understood without what was said before, as far as its words tell."""
        if self.references is None:
            return True
        if self.pointers or self.goes_on or self.works_on_answer or self.yes_or_no or self.compares:
            return True
        return bool(self.known_nouns) or self._is_bare

    @cached_property
    def is_bound(self) -> bool:
        """Whether what it depends on decides what is asked: it has no names, and little matter, of its own."""
        if self.references is None:
            return True
        if self.works_on_answer or self.yes_or_no or (self.goes_on and not self.is_rich):
            return True
        if self.names or self.is_rich:
            return False
        return bool(self.pointers or self.compares or self.known_nouns) or self._is_bare

    @property
    def defines(self) -> bool:
        """Whether it asks what something is: that names all."""
        return _defines(self.spelt)

    @property
    def is_rich(self) -> bool:
        """Whether it has so much matter that it hardly leaves out what it is about."""
        return len(self.stems) > _RICH

    @property
    def _is_bare(self) -> bool:
        return len(self.stems) < _FEW and not self.names and not self.numbers and not _defines(self.spelt)

    @cached_property
    def standing(self) -> tuple[Reading, ...]:
        """Sentences that hold for the whole conversation: what users say of themselves, how all is to be answered."""
        return tuple(
            reading for sentence in sentences(self.text) if (reading := reading_of(sentence)).stands and reading.matter
        )

    @cached_property
    def stands(self) -> bool:
        """Whether a sentence is a statement of the user about themselves, or says how all is to be answered."""
        known = self.references
        if known is None or self.is_question:
            return False
        if any(phrases_in(self.words, known.manner)):
            return True
        words = self.spelt
        while (length := begins(words, known.fillers)) and length < len(words):
            words = words[length:]
        if not words or words[0].partition("'")[0] not in known.me:
            return False
        if any(word in known.wants for word in words[1:4]):
            return False
        return not known.states or any(word in known.states for word in words[:5])


@cache
def _guarded() -> frozenset[str]:
    """The languages that the guards know."""
    return frozenset(codes())


def _small(known: References) -> frozenset[str]:
    """Words of a language that carry no matter."""
    return (
        known.little | known.pointers | known.articles | known.any | known.complements | known.openers
        | known.fillers | known.me | known.yes | known.no
    )  # fmt: skip


def _is_relative(words: tuple[str, ...], place: int) -> bool:
    """Whether a "that" goes on with a noun: "a phone that rings"."""
    return place > 1 and words[place - 1] not in ("is", "was", "about", "of", "for", "do", "does", "in", "like", "with")


def _defines(words: tuple[str, ...]) -> bool:
    """Whether words ask what something is: that names all."""
    if words[:1] in (("what's",), ("who's",), ("define",)):
        return len(words) > 1
    return len(words) > 2 and words[0] in ("what", "who") and words[1] in ("is", "are", "was", "were")


@lru_cache(maxsize=4096)
def reading_of(text: str) -> Reading:
    """The reading of a text; recent ones are kept."""
    return Reading(text)
