"""How surely a question or an order holds no text that somebody said, so that each of its marks and blanks counts.

A list of what may be said, or of how one asks about it, is never complete. So what counts are the words that are known
to be safe (`known` in `plain_texts.toml`), and the forms of one clause (`clauses`): what they do not cover is compared
as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import cache, lru_cache
from itertools import pairwise

from .phrases import SENTENCE_END, Openings, Phrases, TextKind, rules_data, words_of
from .spelling import lower, lower_in_turkish

REMEMBERED = 4096
LONGEST_TAIL = 4
LONGEST_REST = 3
LONGEST_ELSEWHERE = 5
LONGEST_UNSPACED = 20
SHORTEST_LAST = 4
SHORTEST_FIRST = 5

_AROUND = ".,!?;:()'’…¿¡？！"
_SHORT_FORM = re.compile(r"'(?:s|m|re|ve|ll|d)$")
_NUMBER = re.compile(r"\d+(?:st|nd|rd|th)?")
_ASKING = frozenset({"do", "does", "did"})
_JOINING = frozenset({"a", "an", "and", "or", "the"})
_NOT_AFTER = {
    "is": frozenset({"i", "you", "we", "they"}),
    "was": frozenset({"you", "we", "they"}),
    "are": frozenset({"i", "he", "she", "it"}),
}
"""Subjects that a verb has not: `is you` is where a second clause begins."""
_WHEN = frozenset({"when", "where", "why", "how"})
_DOING = frozenset({"do", "did", "can", "could", "should", "must"})
_ASKERS_OF_TIME = frozenset({"when", "how", "what"})
_ASKERS = frozenset({"i", "we"})
_SUBJECTS = frozenset({"i", "you", "we", "they"})
_VERBS_FOLLOW = frozenset(
    {"do", "did", "can", "could", "should", "would", "will", "must", "don't", "can't", "how", "if"}
)
_TALL = frozenset({"tall", "high", "deep", "hot", "cold", "heavy", "expensive", "far", "fast", "old"})
"""What no text is."""
_POINTING = frozenset({"this", "that", "these", "those"})


class Certainty(IntEnum):
    """What of a plain text may be folded beside the case of its first word."""

    UNSURE = 0
    """Nothing."""
    NAMED = 1
    """It is about something that is not known, at its end: its closing mark, and the case of what is a name only."""
    SURE = 2
    """All its words are known: runs of blanks too."""


@lru_cache(maxsize=REMEMBERED)
def certainty(lowered: str, kind: TextKind) -> Certainty:
    """How sure it is that a text in lower case, which is of this kind, holds no other text. Remembers the latest."""
    sentences = [one for one in SENTENCE_END.split(lowered.replace("’", "'")) if one.strip()]
    split = list(map(words_of, sentences))
    if not all(_english().openings.kind(words) for words in split):
        return _elsewhere(sentences, split, kind)
    return min((_english().certainty(words, kind) for words in split), default=Certainty.UNSURE)


@lru_cache(maxsize=REMEMBERED)
def is_english(lowered: str) -> bool:
    """Whether each sentence opens as a question or an order in English. Remembers the latest."""
    sentences = SENTENCE_END.split(lowered.replace("’", "'"))
    return all(_english().openings.kind(words_of(sentence)) for sentence in sentences if sentence.strip())


def is_everyday(word: str) -> bool:
    """Whether a word in lower case is known, and is no other word with a capital."""
    english = _english()
    if word in english.names or word in english.everyday or _NUMBER.fullmatch(word):
        return True
    short = _SHORT_FORM.sub("", word)
    return short != word and is_everyday(short)


def is_plain_after(word: str, before: Sequence[str]) -> bool:
    """Whether a word in lower case is no name after those before it, though it may be one elsewhere: `my order`."""
    english = _english()
    last = " ".join(before[-1:])
    if last in english.plain_after.get(word, ()):
        return True
    if last in _SUBJECTS:  # "can i get", and not "are you bill"
        return before[-2:-1] != [] and before[-2] in _VERBS_FOLLOW
    singulars = (word[:-1], word.removesuffix("es")) if len(word) > 3 and word.endswith("s") else ()
    return last != "the" and any(one in english.everyday for one in singulars)


def is_usual(word: str) -> bool:
    """Whether the capitals of a name are those it is written with: `Sweden`, `DVD`, `YouTube`, and not `dVD`."""
    return word in (word.capitalize(), word.upper()) or word in _english().styled


def is_acronym(word: str) -> bool:
    """Whether a word in lower case is known as an acronym that is another word, or code, in small letters."""
    return word in _english().acronyms


def has_two_meanings(words: Sequence[str]) -> bool:
    """Whether words in lower case would be others in capitals: `it support`."""
    return _english().two_meanings.stand_in(words)


def names_a_work(words: Sequence[str]) -> int:
    """How many words in lower case stand before the title of a work; 0 where none is asked about."""
    return _english().works.end([*words, ""])


def is_name(word: str, before: Sequence[str]) -> bool:
    """Whether a word in lower case is a name and nothing else after those before it."""
    english = _english()
    after = english.after.get(word, frozenset())
    return word in english.names or before[-1] in after or " ".join(before[-2:]) in after


def without_shout(text: str) -> str:
    """A text in capitals that is not English, as it is otherwise written, where all its words are known."""
    if not text.isupper():
        return text
    found = {" ".join(folded) for known in _capitals() if (folded := known.written(text.split(" ")))}
    return found.pop() if len(found) == 1 else text


def _elsewhere(sentences: Sequence[str], split: Sequence[Sequence[str]], kind: TextKind) -> Certainty:
    """In other languages only a short question is sure to hold nothing else: their words are not known."""
    if kind is not TextKind.QUESTION or len(sentences) != 1 or len(split[0]) > LONGEST_ELSEWHERE:
        return Certainty.UNSURE
    unspaced = max(map(len, split[0]), default=0)
    return Certainty.NAMED if unspaced <= LONGEST_UNSPACED else Certainty.UNSURE


class _English:
    """What is known of English."""

    def __init__(self) -> None:
        data = rules_data()
        known = data["known"]
        english = data["languages"]["en"]
        self.everyday = frozenset(known["everyday"].split())
        self.names = frozenset(known["names"].split())
        self.after = {word: frozenset(one["after"]) for one in known["named_after"] for word in one["words"].split()}
        self.plain_after: dict[str, set[str]] = {}
        for one in known["plain_after"]:
            for word in one["words"].split():
                self.plain_after.setdefault(word, set()).update(one["after"])
        self.styled = frozenset(known["styled"])
        self._made = frozenset(known["made"])
        self.acronyms = frozenset(known["acronyms"].split())
        self.two_meanings, self.works = Phrases(known["two_meanings"]), Phrases(known["works"])
        self.openings = Openings([english])
        self._words = self.everyday | self.names | frozenset(self.after) | self.acronyms
        self._words |= frozenset(known["capitalised"].split())
        self._words |= frozenset(english["subjects"])
        self._said = frozenset(known["said"])
        self._stopped = Phrases(known["stopped"])
        self._short_ends = frozenset(known["short_ends"])
        clauses = {name: frozenset(words) for name, words in data["clauses"].items()}
        self._being = clauses["being"]
        self._auxiliary = self._being | clauses["auxiliary"]
        self._subjects, self._either = clauses["subjects"], clauses["either"]
        self._after_object = clauses["after_object"]
        self._joins, self._owning = clauses["joins"], clauses["owning"]
        self._commands, self._before_commands = clauses["commands"], clauses["before_commands"]
        self._measured, self._done = clauses["measured"], clauses["done"]

    def certainty(self, words: Sequence[str], kind: TextKind) -> Certainty:
        """How sure it is of a sentence, given the words of it."""
        words = words[self.openings.greeted(words) :]
        if not words or self._has_second_clause(words) or self._has_command(words) or self._is_measured(words):
            return Certainty.UNSURE
        if kind is TextKind.ORDER and not (self._stopped.end([*words, ""]) and self._is_whole(words[-1])):
            return Certainty.UNSURE
        unknown = [at for at, word in enumerate(words) if not self._is_known(word)]
        if not unknown:
            return Certainty.SURE
        return Certainty.NAMED if self._is_tail(words, unknown, kind) else Certainty.UNSURE

    def _is_known(self, word: str) -> bool:
        word = _SHORT_FORM.sub("", word)
        if word in self._words or _NUMBER.fullmatch(word):
            return True
        return (
            len(word) > 3 and word[-1] == "s" and (word[:-1] in self._words or word.removesuffix("es") in self._words)
        )

    def _is_whole(self, last: str) -> bool:
        """Whether a last word is surely no abbreviation, which would end in a point itself."""
        return len(last) >= SHORTEST_LAST or last in self._short_ends

    def _is_tail(self, words: Sequence[str], unknown: Sequence[int], kind: TextKind) -> bool:
        """Whether all that is not known is one thing that a sentence ends with, as in `who wrote hamlet`.

        Questions of size may ask for that of a text, and an order may end in an abbreviation.
        """
        tail = words[unknown[0] :]
        if words[0] in _WHEN and words[1] in self._being and words[-1] in self._made:
            tail = tail[:-1]  # "when was napoleon born"
        is_how = words[0] == "how" and words[1] not in _TALL
        if any(word in self._said for word in tail) or (is_how and not self._is_done(words)):
            return False
        if kind is TextKind.ORDER and (len(tail) > 1 or len(tail[0]) <= SHORTEST_LAST):
            return False
        if len(unknown) == 1 and len(tail) <= LONGEST_REST and words[unknown[0] - 1] in _ASKING:
            return True  # "when did columbus land"
        return len(tail) <= LONGEST_TAIL and (
            is_how or all(not self._is_known(word) or word in _JOINING or word in self.acronyms for word in tail)
        )

    def _is_done(self, words: Sequence[str]) -> bool:
        """Whether `how` asks how the one who asks does something, or how something works, and so for nothing said.

        `how do i reset my router`, `how does tcp work`.
        """
        if words[1:2] == ["does"]:
            return words[-1] == "work"
        return len(words) > 3 and words[1] in _DOING and words[2] in _ASKERS and words[3] in self._done

    def _has_second_clause(self, words: Sequence[str]) -> bool:
        """Whether there is a subject with its verb that no word joins to the first one: it may be what was said."""
        first = next((at for at, word in enumerate(words) if word in self._auxiliary), -1)
        joined = False
        for at in range(1, len(words)):
            joined = joined or (at > first and words[at] in self._joins)
            if words[at] in self._being and at > max(first, 0) and not joined:
                return True
            if self._begins_clause(words, at, first):
                return True
        return False

    def _begins_clause(self, words: Sequence[str], at: int, first: int) -> bool:
        """Whether a word is a subject that neither the first auxiliary, at `first`, nor a conjunction stands before."""
        before, after = words[at - 1], words[at + 1] if at + 1 < len(words) else ""
        subject, is_short, _ = words[at].partition("'")
        if subject not in self._subjects and subject not in self._either:
            return False
        if before in self._joins:
            return False
        if not is_short:
            if subject in self._either and (not after or after in self._after_object):
                return False  # an object
            if subject in _POINTING and after not in self._auxiliary:
                return False  # "this card"
            if at - 1 == first and subject not in _NOT_AFTER.get(before, ()):
                return False
        return not (subject == "i" and not self._owning.isdisjoint(words[max(at - 3, 0) : at - 1]))  # "the card i lost"

    def _has_command(self, words: Sequence[str]) -> bool:
        """Whether a verb stands where no verb is expected, so that it may be a command that was said."""
        if self._is_main_verb(words):
            return False
        return any(
            word in self._commands
            and before not in self._before_commands
            and (before in self._being or not before.endswith(("s", "n't")))
            for before, word in pairwise(words)
        )

    def _is_main_verb(self, words: Sequence[str]) -> bool:
        """Whether the one command is the verb of the question: `what time does the store open`."""
        found = [at for at, word in enumerate(words) if word in self._commands]
        asking = next((at for at, word in enumerate(words) if word in _ASKING), len(words))
        return len(found) == 1 and asking + 1 < found[0] and asking <= 2 and words[0] in _ASKERS_OF_TIME

    def _is_measured(self, words: Sequence[str]) -> bool:
        """Whether it is asked how big a thing is that may be a text: `how long is welcome`."""
        if len(words) < 4 or words[0] != "how" or words[2] not in self._being:
            return False
        is_person = words[3] in self._subjects or words[3] in self._either
        if words[1] in _TALL and not is_person:
            return False
        return words[3] not in self._measured and not (is_person and len(words) == 4)


class _Capitals:
    """The words of a language that are not English, each as it is written inside a sentence."""

    def __init__(self, words: str, *, is_turkish: bool) -> None:
        self._lower = lower_in_turkish if is_turkish else lower
        self._words = {self._lower(word): word for word in words.split()}
        self._may_begin = is_turkish

    def written(self, words: Sequence[str]) -> list[str] | None:
        """Words in capitals as they are written otherwise; None where one is not known."""
        found = []
        for at, word in enumerate(words):
            small = self._lower(word)
            bare = small.strip(_AROUND)
            one = self._words.get(bare)
            if one is None and self._may_begin and not at and len(words) > 1 and len(bare) >= SHORTEST_FIRST:
                one = bare  # the first word has a capital anyway
            if one is None:
                return None
            found.append(small.replace(bare, one))
        return found if len(words) > 1 else None


@cache
def _capitals() -> list[_Capitals]:
    return [
        _Capitals(rules["written"], is_turkish=name == "tr")
        for name, rules in rules_data()["languages"].items()
        if "written" in rules
    ]


@cache
def _english() -> _English:
    return _English()
