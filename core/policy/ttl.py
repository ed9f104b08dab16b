"""TTLPolicy: how long the answer to a prompt may be served, by rules that an operator can read, try and replace.

Rules see whole words, never parts of them: "know" is not "now", "zip code" is not code. Matching takes time linear in
the text, whatever the rules, and looks at the beginning and the end of a long prompt only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..models import LONGEST_SECONDS
from ..text import nfc

if TYPE_CHECKING:
    pass

PERSONALIZED: Final = "personalized"
"""The class whose answers belong to one user: the user joins the scope."""

LOOKED_AT: Final = 1000
"""Characters looked at from each end of a prompt: a question stands before or after what it is about."""

REMEMBERED: Final = 4096
"""Prompts of up to `LOOKED_AT` characters whose decision is remembered: hits are repeats."""

# Where a prompt is cut into words: at everything in ASCII that is neither letter, digit nor underscore, and at the
# punctuation of other scripts. What ends a sentence becomes a full stop, and no phrase reaches over one.
_STOP = "."
_CUTS = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
_CUTS |= {ord(mark): " " for mark in "‘’“”„«»‹›¿¡…–—，、；：（）「」『』《》【】·،؛"}
_CUTS |= {ord(mark): _STOP for mark in ".!?;\n\r。！？؟।"}
_GAP = 3
"""Words that `...` may stand for, at most."""
_MOST_GAPS = 3
_NUMBER = re.compile(r"\d{3}")
# Too common to look for a phrase by: it is looked for when a rarer word of it is there.
_COMMON = frozenset(
    {
        *("a", "an", "and", "are", "at", "can", "could", "did", "do", "does", "for", "have", "how", "i", "in", "is"),
        *("it", "me", "my", "of", "on", "or", "s", "t", "the", "this", "to", "was", "we", "what", "when", "where"),
        *("which", "who", "with", "you"),
    }
)


def _checked_phrase(phrase: str) -> str:
    parts = _parts(phrase)
    words = [part for part in parts if part not in ("...", "^", "$", "<number>")]
    if not words:
        raise ValueError(f"{phrase!r} has no word")
    if parts[0] == "..." or parts[-1] == "..." or "^" in parts[1:] or "$" in parts[:-1]:
        raise ValueError(f"{phrase!r}: ^ begins a sentence, $ ends one, ... stands between words")
    if parts.count("...") > _MOST_GAPS:
        raise ValueError(f"{phrase!r} has more than {_MOST_GAPS} gaps")
    for part in words:
        if not all(re.fullmatch(r"\w+", word) for word in part.split("|")):
            raise ValueError(f"{phrase!r}: {part!r} is not a word, nor words separated by |")
    return phrase


def _checked_word(word: str) -> str:
    if not re.fullmatch(r"\w+", word):
        raise ValueError(f"{word!r} is not one word: give it as a phrase, or as a sign")
    return word


Word = Annotated[str, Field(max_length=50), AfterValidator(_checked_word)]
Phrase = Annotated[str, Field(max_length=1000), AfterValidator(_checked_phrase)]
Sign = Annotated[str, Field(min_length=1, max_length=50)]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,64}$")]


class TTLRule(BaseModel):
    """One rule: which prompts belong to a class. Case never counts.

    `words` match alone. `phrases` are words in a row within a sentence: `a|b` is either, `...` up to three words,
    `<number>` a word with three digits in a row, `^` and `$` the sentence's beginning and end. `signs` are pieces of
    text, for code and for languages that write no spaces. A match counts unless its sentence has one of `unless`.
    `example` is a prompt that the rule must match.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    ttl_class: str
    words: tuple[Word, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    signs: tuple[Sign, ...] = ()
    unless: tuple[Phrase, ...] = ()
    example: str = ""

    @model_validator(mode="after")
    def _matches_its_example(self) -> Self:
        if self.example and self.can_match and not _Matcher([self]).first(self.example):
            raise ValueError(f"does not match its own example {self.example!r}")
        return self

    @property
    def can_match(self) -> bool:
        """Whether the rule has words, phrases or signs to match; the last two rules have none and take what is left."""
        return bool(self.words or self.phrases or self.signs)


class TTLDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's decision on a prompt: class, rule, TTL in seconds (0: do not store), and what the rule matched."""

    ttl_class: str
    rule: str
    seconds: float
    matched: str = ""

    @property
    def personal(self) -> bool:
        """Whether the answer belongs to one user."""
        return self.ttl_class == PERSONALIZED


class TTLPolicy:
    """The rules in order; the first that matches decides. Build it once: that compiles them.

    `classes` are seconds by class, over the default ones; new names are new classes. `rules` come before the default
    ones; one with the name of a default rule replaces it in its place. Raises ValueError for a rule of no known class
    or seconds out of range.
    """

    def __init__(self, classes: Mapping[str, float] | None = None, rules: Iterable[TTLRule] = ()) -> None:
        rules = tuple(rules)
        classes = classes or {}
        if problems := class_problems(classes) + rule_problems(rules, classes):
            raise ValueError("; ".join(problems))
        standard_classes, standard = _standard()
        self._classes = {**standard_classes, **classes}
        own = {rule.name: rule for rule in rules}
        replaced = {rule.name for rule in standard} & own.keys()
        self._rules = (
            *(rule for rule in rules if rule.name not in replaced),
            *(own.get(rule.name, rule) for rule in standard),
        )
        *matching, self._unread, self._rest = self._rules
        self._matcher = _compiled(tuple(matching))
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._classify)

    def classes(self) -> dict[str, float]:
        """Seconds by class."""
        return dict(self._classes)

    def rules(self) -> Sequence[TTLRule]:
        """All rules in order of precedence."""
        return self._rules

    def explain(self, prompt: str) -> TTLDecision:
        """Class, rule and TTL of a prompt. A hundred characters take about 6 us the first time, 0.1 us again."""
        return self._remembered(prompt) if len(prompt) <= LOOKED_AT else self._classify(prompt)

    def _classify(self, prompt: str) -> TTLDecision:
        found = self._matcher.first(_ends(prompt))
        if found is None:
            found = self._rest if _ENGLISH.search(prompt) else self._unread, ""
        rule, matched = found
        return TTLDecision(
            ttl_class=rule.ttl_class, rule=rule.name, seconds=self._classes[rule.ttl_class], matched=matched
        )


def class_problems(classes: Mapping[str, float]) -> list[str]:
    """Everything wrong with an operator's classes."""
    problems = [
        f"class {name!r}: use 1 to 32 lower-case letters, digits and underscores"
        for name in classes
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name)
    ]
    return problems + [
        f"class {name!r}: give seconds between 1 and {LONGEST_SECONDS}, or 0 for no storing"
        for name, seconds in classes.items()
        if not (seconds == 0 or 1 <= seconds <= LONGEST_SECONDS)
    ]


def rule_problems(rules: Sequence[TTLRule], classes: Mapping[str, float]) -> list[str]:
    """Everything wrong with an operator's rules together, given the operator's classes."""
    known = _standard()[0].keys() | classes.keys()
    problems = [
        f"rule {rule.name!r}: no class {rule.ttl_class!r}; there are {', '.join(sorted(known))}"
        for rule in rules
        if rule.ttl_class not in known
    ]
    last = {rule.name for rule in _standard()[1] if not rule.can_match}
    problems += [
        f"rule {rule.name!r}: "
        + ("takes what no other rule does: give it no words" if rule.can_match else "give it words, phrases or signs")
        for rule in rules
        if rule.can_match == (rule.name in last)
    ]
    names = [rule.name for rule in rules]
    return problems + [f"rule {name!r}: given twice" for name in sorted(set(names)) if names.count(name) > 1]


@cache
def _standard() -> tuple[dict[str, float], tuple[TTLRule, ...]]:
    """The classes and rules of `ttl_rules.toml`."""
    data = tomllib.loads((Path(__file__).parent / "ttl_rules.toml").read_text(encoding="utf-8"))
    classes = {name: float(seconds) for name, seconds in data["classes"].items()}
    return classes, tuple(TTLRule(**fields) for fields in data["rules"])


_ENGLISH = re.compile(r"[A-Za-z]{2}")


def _ends(prompt: str) -> str:
    """The beginning and the end of a long prompt, without the words that the cut would break."""
    if len(prompt) <= 2 * LOOKED_AT:
        return prompt
    head, tail = prompt[: LOOKED_AT + 1], prompt[-LOOKED_AT - 1 :]
    return re.sub(r"(?<!\w)\w+$", "", head) + "\n" + re.sub(r"^\w+", "", tail)


def _lowered(text: str) -> str:
    return nfc(text.lower())


def _parts(phrase: str) -> list[str]:
    # As prompts are split: "what's" is the two words "what" and "s".
    return _lowered(phrase).replace("'", " ").replace("’", " ").split()


class _Phrase:
    """A phrase, compiled: one set of words for each of its places, None for a gap."""

    __slots__ = ("anchor", "farthest", "nearest", "places")

    def __init__(self, phrase: str) -> None:
        self.places: list[Collection[str] | None] = [_place(part) for part in _parts(phrase)]
        self.anchor = max(range(len(self.places)), key=lambda index: _rarity(self.places[index]))
        before = self.places[: self.anchor]
        self.nearest = sum(place is not None for place in before)
        self.farthest = self.nearest + _GAP * before.count(None)

    def around(self, tokens: Sequence[str], position: int) -> tuple[int, int] | None:
        """Where the phrase begins and ends, given where its anchor is."""
        for begin in range(position - self.nearest, max(position - self.farthest, 0) - 1, -1):
            if (end := self._end(tokens, begin, 0)) is not None:
                return begin, end
        return None

    def _end(self, tokens: Sequence[str], position: int, index: int) -> int | None:
        places = self.places
        while index < len(places):
            place = places[index]
            index += 1
            if place is None:
                for skipped in range(_GAP + 1):
                    if (end := self._end(tokens, position + skipped, index)) is not None:
                        return end
                    if tokens[position + skipped] == _STOP:
                        return None
                return None
            if position >= len(tokens) or tokens[position] not in place:
                return None
            position += 1
        return position

    def beside(self) -> tuple[int, Collection[str]]:
        """A word next to the anchor and its offset, so that one look excludes most texts without the phrase."""
        for step in (1, -1):
            if 0 <= self.anchor + step < len(self.places) and (place := self.places[self.anchor + step]):
                return step, place
        return 0, self.places[self.anchor] or ()


class _Numbers(Collection[str]):
    """All words with three digits in a row."""

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and _NUMBER.search(word) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _place(part: str) -> Collection[str] | None:
    match part:
        case "...":
            return None
        case "^" | "$":
            return (_STOP,)
        case "<number>":
            return _Numbers()
        case _:
            return frozenset(part.split("|"))


def _rarity(place: Collection[str] | None) -> tuple[bool, int]:
    if not place or _STOP in place:
        return False, 0
    return _COMMON.isdisjoint(place), min(map(len, place))


class _Index:
    """Phrases by the words of their anchors, each with its rank, a step and what must stand there."""

    __slots__ = ("_by_word",)

    def __init__(self, phrases: Iterable[tuple[int, str]]) -> None:
        self._by_word: dict[str, list[tuple[int, int, Collection[str], _Phrase]]] = {}
        for rank, text in phrases:
            phrase = _Phrase(text)
            for word in phrase.places[phrase.anchor] or ():
                self._by_word.setdefault(word, []).append((rank, *phrase.beside(), phrase))

    def candidates(self, tokens: Sequence[str], begin: int, end: int) -> list[tuple[int, int, _Phrase]]:
        """(rank, position, phrase) of every phrase that may stand in this stretch. It begins and ends with a stop."""
        by_word = self._by_word
        return [
            (rank, position, phrase)
            for position, word in enumerate(tokens[begin:end], begin)
            if word in by_word
            for rank, step, beside, phrase in by_word[word]
            if tokens[position + step] in beside
        ]


class _Matcher:
    """Rules, compiled together: one look at each word, whatever their number."""

    def __init__(self, rules: Sequence[TTLRule]) -> None:
        self._rules = rules
        self._phrases = _Index(
            (rank, phrase) for rank, rule in enumerate(rules) for phrase in (*rule.phrases, *rule.words)
        )
        self._unless = [_Index((0, phrase) for phrase in rule.unless) for rule in rules]
        self._signs = [(_lowered(sign), rank) for rank, rule in enumerate(rules) for sign in rule.signs]
        self._maybe_sign = _one_of_each([sign for sign, _ in self._signs])

    def first(self, prompt: str) -> tuple[TTLRule, str] | None:
        """The first rule that matches, and what it matched."""
        lowered = _lowered(prompt)
        tokens = [_STOP, *lowered.translate(_CUTS).replace(_STOP, " . ").split(), _STOP]
        candidates = self._phrases.candidates(tokens, 1, len(tokens) - 1)
        sign_rank, sign = self._first_sign(lowered)
        if candidates:
            candidates.sort(key=_rank)
            for rank, position, phrase in candidates:
                if rank >= sign_rank:
                    break
                found = phrase.around(tokens, position)
                if found is not None and not self._disarmed(rank, tokens, *found):
                    return self._rules[rank], " ".join(tokens[slice(*found)])
        return (self._rules[sign_rank], sign) if sign else None

    def _first_sign(self, lowered: str) -> tuple[int, str]:
        if self._maybe_sign.search(lowered):
            for sign, rank in self._signs:
                if sign in lowered:
                    return rank, sign
        return len(self._rules), ""

    def _disarmed(self, rank: int, tokens: Sequence[str], begin: int, end: int) -> bool:
        while tokens[begin] != _STOP:
            begin -= 1
        while tokens[end - 1] != _STOP:
            end += 1
        candidates = self._unless[rank].candidates(tokens, begin + 1, end - 1)
        return any(phrase.around(tokens, position) for _, position, phrase in candidates)


@lru_cache(maxsize=8)
def _compiled(rules: tuple[TTLRule, ...]) -> _Matcher:
    """What rules are compiled to takes milliseconds to make, and never changes: each job of a worker needs it."""
    return _Matcher(rules)


def _rank(candidate: tuple[int, int, _Phrase]) -> int:
    return candidate[0]


def _one_of_each(signs: Sequence[str]) -> re.Pattern[str]:
    """A quick look whether there may be a sign: its least ordinary character is there."""
    rare = {max(sign, key=lambda letter: (not letter.isalnum() and letter not in " .", ord(letter))) for sign in signs}
    return re.compile(f"[{re.escape(''.join(sorted(rare)))}]" if rare else "(?!)")
