"""Whether a text points at what only its asker's surroundings know: "the report", "she", "what was decided". Pure.

English alone, since hardly anything of other languages is ever surely general; for the code that is asked for in those
their articles count. The words are data (`pointing.toml`). What is doubtful points.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from ..text import nfc
from .languages import Wording
from .matching import Matcher, split_words, words_of

_LONGEST: Final = 4
"""Words of the longest thing in the lists."""
_STOP: Final = "."
_ENGLISH: Final = "English"
_THAT_AFTER: Final = 4
_ERA: Final = re.compile(r"\d+(s|th|st|nd|rd)")
_YEAR: Final = re.compile("1[0-9]{3}|20[0-9]{2}")
_ASKED: Final = frozenset({"what", "who", "where", "when", "how", "why", "that", "there", "here", "let"})
_WRITES: Final = frozenset({"write", "implement", "create", "generate", "build", "make", "design"})
_LETTERS: Final = frozenset({"a", "i", "e"})
_LANGUAGE_AFTER: Final = frozenset({"in", "language", "using", "with", "to", "from", "the"})
_ASKS_WHO: Final = ("was", "were")
_ASKS: Final = ("did", "does", "do", "was", "were")
# Words that nobody writes with a capital inside a sentence whose capitals mean something.
_SMALL: Final = frozenset({"The", "Of", "At", "Was", "Is", "Are", "In", "On", "And", "To", "Did", "Does", "By", "For"})


class Pointing(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of `pointing.toml`, as looked up."""

    pointers: frozenset[str]
    events: frozenset[str]
    relations: frozenset[str]
    unique: frozenset[str]
    mentions: frozenset[str]
    verbs: frozenset[str]
    kinds: frozenset[str]
    surroundings: frozenset[str]
    dates: frozenset[str]
    things: frozenset[str]
    code_things: frozenset[str]
    of_given: frozenset[str]
    owners: frozenset[str]
    people: frozenset[str]
    titles: frozenset[str]
    numbered: frozenset[str]
    digits: frozenset[str]
    units: frozenset[str]
    arithmetic: frozenset[str]
    before_numbers: frozenset[str]
    before_years: frozenset[str]
    at: frozenset[str]
    ends: frozenset[str]
    makes: frozenset[str]
    others: frozenset[str]
    other_signs: tuple[str, ...]
    code: Matcher[Wording]

    def is_of_everybody(self, written: Sequence[str], words: Sequence[str], at: int, has_names: bool) -> bool:
        """Whether what stands after an article is a thing of the world, a name, or of something: `at` is its first
        word, `written` are the words with their capitals."""
        for length in range(_LONGEST, 0, -1):
            thing = " ".join(words[at : at + length])
            after = words[at + length] if at + length < len(words) else _STOP
            if thing in self.unique and (after == _STOP or after in self.ends or after in self.verbs):
                return True
        for begin in range(at, at + 3):
            for length in range(3, 0, -1):
                end = begin + length
                if " ".join(words[begin:end]) in self.relations and words[end : end + 1] in (["of"], ["between"]):
                    return words[end + 1] != _STOP
            if begin >= len(words) or words[begin] == _STOP or words[begin] in self.ends:
                break
        if words[at] in self.mentions:
            return words[at + 1] not in ("mean", "means", _STOP) and words[at + 1] not in self.ends
        return self._is_era(words, at) or (has_names and self._is_name(written, words, at))

    def is_somebodys(self, written: Sequence[str], words: Sequence[str], at: int, has_sums: bool) -> bool:
        """Whether a word is of what somebody has or knows: a name's possession, a person, a numbered thing, an
        organisation's. `has_sums`: numbers are to be reckoned with."""
        word, before, after = words[at], words[at - 1], words[at + 1]
        if word == "s":
            return before not in _ASKED and before not in self.owners
        if word in self.people:
            return before not in self.titles and not written[at + 1][0].isupper()
        if word in self.things:
            return not self._is_any(words, at) and not (word == "order" and (before == "in" or after in ("of", "to")))
        if word == "at":
            return after not in self.at and not after[0].isdigit()
        if len(word) == 1 and written[at].isupper() and word not in _LETTERS:
            return before not in self.numbered and before not in _LANGUAGE_AFTER
        return any(map(str.isdigit, word)) and not self._is_anybodys_number(words, at, has_sums)

    def _is_any(self, words: Sequence[str], at: int) -> bool:
        """Whether a thing is any of its kind: "what is an invoice", and not "explain an invoice"."""
        return words[at - 1] in ("a", "an") and words[max(at - 2, 0)] not in self.of_given

    def _is_anybodys_number(self, words: Sequence[str], at: int, has_sums: bool) -> bool:
        word, before, after = words[at], words[at - 1], words[at + 1]
        if word in self.digits or before in self.numbered or after in self.units or self._is_era(words, at):
            return True
        if _YEAR.fullmatch(word) and (before in self.before_years or before in self.dates):
            return True
        return has_sums and word.isdecimal() and (before in self.before_numbers or before.isdecimal())

    def has_code_at_hand(self, words: Sequence[str]) -> bool:
        """Whether words name what is in a program, a repository or a machine: "explain git status"."""
        if words[1] in _WRITES:
            return False
        return any(word in self.code_things and not self._is_any(words, place) for place, word in enumerate(words))

    def _is_era(self, words: Sequence[str], at: int) -> bool:
        if not _ERA.fullmatch(words[at]):
            return False
        return words[at].endswith("0s") or words[at + 1] in ("century", "amendment", "dynasty")

    def _is_name(self, written: Sequence[str], words: Sequence[str], at: int) -> bool:
        end = at
        while written[end][0].isupper() and not (len(written[end]) > 1 and written[end].isupper()):
            end += 1
        if end == at or not self.dates.isdisjoint(words[at:end]) or words[end - 1] in self.surroundings:
            return False
        if words[end] == _STOP or words[end] in self.ends or words[end] in self.kinds:
            return True
        return at > 1 and words[at - 2] in _ASKS and words[end] not in self.surroundings


@cache
def _pointing() -> Pointing:
    data = tomllib.loads((Path(__file__).parent / "pointing.toml").read_text(encoding="utf-8"))
    asked = (
        Wording(name=_ENGLISH, phrases=tuple(data.pop("code")), unless=tuple(data.pop("bare_code"))),
        Wording(name="other", phrases=tuple(data.pop("other_code")), signs=tuple(data.pop("other_code_signs"))),
    )
    other_signs = tuple(data.pop("other_signs"))
    lists = {name: frozenset(word.replace("_", " ") for word in text.split()) for name, text in data.items()}
    return Pointing(**lists, other_signs=other_signs, code=Matcher(asked))


def points(text: str, rule_phrase: str = "", *, by_operator: bool = False) -> bool:
    """Whether a text points at what only the surroundings of whoever asks know, or names what is somebody's.

    `rule_phrase` is what a rule matched, as `Matcher` gives it: "the" before it points at nothing. `by_operator`: the
    rule is the operator's own, and so nothing in the phrase is somebody's. Takes time linear in the text.
    """
    lists = _pointing()
    written = split_words(nfc(text))
    words = [word.lower() for word in written]
    named = rule_phrase.split()
    has_names = not any(word in _SMALL and written[place] != _STOP for place, word in enumerate(written[1:]))
    known = frozenset(named if by_operator else ())
    has_sums = not lists.arithmetic.isdisjoint(words)
    return any(
        word in lists.pointers
        or (word not in known and lists.is_somebodys(written, words, place, has_sums))
        or word in lists.events
        or f"{word} {words[place + 1]}" in lists.events
        or (word == "that" and not _is_relative(lists, words, place))
        or (word == "there" and not _is_existence(words, place))
        or (word == "who" and words[place + 1] in _ASKS_WHO and not _is_who_of_name(written, words, place + 2))
        or (
            word == "the"
            and not _follows(words, place, named)
            and not lists.is_of_everybody(written, words, place + 1, has_names)
        )
        for place, word in enumerate(words[:-1])
    )


def asks_for_code(text: str) -> bool:
    """Whether a question of code is one that anybody may ask: how something is done, or for a piece of code that is not
    there yet. In other languages than English neither may it have an article or a demonstrative."""
    lists = _pointing()
    asked = lists.code.first(text)
    if asked is None or lists.has_code_at_hand(words_of(text)):
        return False
    if asked[0].name == _ENGLISH:
        return True
    return lists.others.isdisjoint(word.lower() for word in split_words(text)) and not any(
        sign in text for sign in lists.other_signs
    )


def _follows(words: Sequence[str], place: int, named: Sequence[str]) -> bool:
    return bool(named) and any(
        list(words[begin : begin + len(named)]) == list(named) for begin in (place + 1, place + 2)
    )


def _is_relative(lists: Pointing, words: Sequence[str], place: int) -> bool:
    """Whether "that" goes on with a noun: "a function that reverses a list"."""
    before = words[max(place - _THAT_AFTER, 0) : place]
    return bool(before) and (before[-1] in lists.makes or not {"a", "an"}.isdisjoint(before[:-1]))


def _is_existence(words: Sequence[str], place: int) -> bool:
    """Whether "there" is no place: "how many planets are there in a galaxy"."""
    return words[place - 1] in ("is", "are") and words[place + 1] != _STOP


def _is_who_of_name(written: Sequence[str], words: Sequence[str], place: int) -> bool:
    return words[place] in ("the", "a", "an") or written[place][0].isupper()
