"""Finding words, phrases and signs in a text: one look at each word, in time linear in the text.

Whole words are seen, never parts of them: "know" is not "now". Knows nothing of what a match means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ..text import nfc

# Where a text is cut into words: at everything in ASCII that is neither letter, digit nor underscore, and at the
# punctuation of other scripts. What ends a sentence becomes a full stop, and no phrase reaches over one.
_STOP = "."
_CUTS: dict[int, str | None] = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
_CUTS |= {ord(mark): " " for mark in "‘’“”„«»‹›¿¡…–—‑，、；：（）「」『』《》【】·،؛־׳״՛՝\u200b\ufeff"}
_CUTS |= {ord(mark): _STOP for mark in ".!?;\n\r。！？؟।॥۔։።"}
_CUTS |= dict.fromkeys(map(ord, "՞՜\u200c\u200d\u200e\u200f\u00ad"), None)  # they stand inside a word
_GAP = 3
"""Words that `...` may stand for in a phrase, at most."""
_MOST_GAPS = 3
_SIGN_GAP = 12
"""Characters that `...` may stand for in a sign, at most."""
_LONGEST_SIGN = 50
_SENTENCE = re.compile(r"[.!?;\n\r。！？؟।॥۔]")
_NUMBER = re.compile(r"\d{3}")
_GLOB = re.compile(r"[^*]{2,}\*[^*]*|[^*]*\*[^*]{2,}|[^*\x00-\x7f]\*")
_SEEN = 8192
"""Words whose phrases are remembered by a matcher: most texts are made of the same few thousand."""
_SEEN_LETTERS = 32
# Too common to look for a phrase by: it is looked for when a rarer word of it is there.
_COMMON = frozenset(
    {
        *("a", "an", "and", "are", "at", "can", "could", "did", "do", "does", "for", "have", "how", "i", "in", "is"),
        *("it", "me", "my", "of", "on", "or", "s", "t", "the", "this", "to", "was", "we", "what", "when", "where"),
        *("which", "who", "with", "you"),
    }
)


def phrase_problem(phrase: str) -> str:
    """What is wrong with a phrase; empty for nothing."""
    parts = _parts(phrase)
    words = [part for part in parts if part not in ("...", "^", "$", "<number>")]
    if not words:
        return f"{phrase!r} has no word"
    if parts[0] == "..." or parts[-1] == "..." or "^" in parts[1:] or "$" in parts[:-1]:
        return f"{phrase!r}: ^ begins a sentence, $ ends one, ... stands between words"
    if parts.count("...") > _MOST_GAPS:
        return f"{phrase!r} has more than {_MOST_GAPS} gaps"
    for part in words:
        if any(word_problem(word) for word in part.split("|")):
            return f"{phrase!r}: {part!r} is not a word, nor words separated by |"
    return ""


def word_problem(word: str) -> str:
    """What is wrong with a word, which may have one * for any letters; empty for nothing."""
    if "*" in word and not _GLOB.fullmatch(word):
        return f"{word!r}: one * beside two letters or more stands for any others"
    bare = _lowered(word).replace("*", "").replace("\u200c", "")
    return "" if words_of(bare)[1:-1] == [bare] else f"{word!r} is not one word: give it as a phrase, or as a sign"


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, with a full stop before, after and between sentences."""
    return _words(_lowered(text))


def split_words(text: str) -> list[str]:
    """The words of a text as they are written, with a full stop before, after and between sentences."""
    return _words(text)


def _lowered(text: str) -> str:
    lowered = text.lower()
    return lowered if lowered.isascii() else nfc(lowered).replace("i\u0307", "i")  # "İ" in lower case is two characters


def _words(lowered: str) -> list[str]:
    return [_STOP, *lowered.translate(_CUTS).replace(_STOP, " . ").split(), _STOP]


def _parts(phrase: str) -> list[str]:
    # As prompts are split: "what's" is the two words "what" and "s".
    return _lowered(phrase).replace("'", " ").replace("’", " ").replace("\u200c", "").split()


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


class _Globbed(Collection[str]):
    """Words, and all others that begin and end as a glob says."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self.globs = [(begin, end) for word in self._words if "*" in word for begin, _, end in [word.partition("*")]]

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and (word in self._words or any(_fits(word, *glob) for glob in self.globs))

    def __iter__(self) -> Iterator[str]:
        return (word for word in self._words if "*" not in word)

    def __len__(self) -> int:
        return len(self._words)


def _fits(word: str, begin: str, end: str) -> bool:
    return len(word) >= len(begin) + len(end) and word.startswith(begin) and word.endswith(end)


def _place(part: str) -> Collection[str] | None:
    match part:
        case "...":
            return None
        case "^" | "$":
            return (_STOP,)
        case "<number>":
            return _Numbers()
        case _:
            return _Globbed(part.split("|")) if "*" in part else frozenset(part.split("|"))


def _rarity(place: Collection[str] | None) -> tuple[int, int]:
    if not place or _STOP in place:
        return 0, 0
    if isinstance(place, _Globbed):
        return 2, 0
    return (3 if _COMMON.isdisjoint(place) else 1), min(map(len, place))


_Entry = tuple[int, int, Collection[str], _Phrase]


class _Index:
    """Phrases by the words of their anchors, each with its rank, a step and what must stand there."""

    __slots__ = ("_begins", "_by_word", "_ends", "_lengths", "_seen")

    def __init__(self, phrases: Iterable[tuple[int, str]]) -> None:
        self._by_word: dict[str, list[_Entry]] = {}
        self._begins: dict[str, list[tuple[str, _Entry]]] = {}
        self._ends: dict[str, list[tuple[str, _Entry]]] = {}
        for rank, text in phrases:
            phrase = _Phrase(text)
            entry = (rank, *phrase.beside(), phrase)
            anchor = phrase.places[phrase.anchor] or ()
            for word in anchor:
                self._by_word.setdefault(word, []).append(entry)
            for begin, end in anchor.globs if isinstance(anchor, _Globbed) else ():
                if begin:
                    self._begins.setdefault(begin, []).append((end, entry))
                else:
                    self._ends.setdefault(end, []).append((begin, entry))
        self._lengths = sorted({(len(begin), 1) for begin in self._begins} | {(len(end), 0) for end in self._ends})
        self._seen: dict[str, Sequence[_Entry]] = {}

    def candidates(self, tokens: Sequence[str], begin: int, end: int) -> list[tuple[int, int, _Phrase]]:
        """(rank, position, phrase) of every phrase that may stand in this stretch. It begins and ends with a stop."""
        seen, known = self._seen, self._known
        return [
            (rank, position, phrase)
            for position, word in enumerate(tokens[begin:end], begin)
            for rank, step, beside, phrase in (seen[word] if word in seen else known(word))
            if tokens[position + step] in beside
        ]

    def _known(self, word: str) -> Sequence[_Entry]:
        found = (*self._by_word.get(word, ()), *self._globbed(word))
        if len(word) <= _SEEN_LETTERS:
            if len(self._seen) >= _SEEN:
                self._seen = {}
            self._seen[word] = found
        return found

    def _globbed(self, word: str) -> Iterator[_Entry]:
        for length, begins in self._lengths:
            if length > len(word):
                return
            if begins:
                for end, entry in self._begins.get(word[:length], ()):
                    if len(word) >= length + len(end) and word.endswith(end):
                        yield entry
            else:
                for _, entry in self._ends.get(word[-length:], ()):
                    yield entry


class _Signs:
    """Pieces of text, each with its rank: `...` in one stands for up to `_SIGN_GAP` characters of a sentence."""

    __slots__ = ("_ascii", "_by_first", "_first", "_maybe_ascii")

    def __init__(self, signs: Iterable[tuple[int, str]]) -> None:
        self._ascii: list[tuple[int, str]] = []
        # By the beginning of a sign: what comes after the gap, empty without one.
        self._by_first: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for rank, sign in signs:
            first, _, second = sign.partition("...")
            if sign.isascii():
                self._ascii.append((rank, sign))
            else:
                self._by_first.setdefault(first[0], {}).setdefault(first, []).append((rank, second))
        self._maybe_ascii = _one_of_each([sign for _, sign in self._ascii])
        self._first = re.compile(f"[{re.escape(''.join(self._by_first))}]" if self._by_first else "(?!)")

    def first(self, lowered: str, none: int) -> tuple[int, str]:
        """The least rank of a sign in the text, and what was found; `none` without any."""
        best = none, ""
        if self._maybe_ascii.search(lowered):
            best = next(((rank, sign) for rank, sign in self._ascii if sign in lowered), best)
        return best if lowered.isascii() else min((best, *self._others(lowered)), key=_rank)

    def _others(self, lowered: str) -> Iterator[tuple[int, str]]:
        for found in self._first.finditer(lowered):
            for first, seconds in self._by_first[found[0]].items():
                if lowered.startswith(first, found.start()):
                    after = found.start() + len(first)
                    sentence = re.split(_SENTENCE, lowered[after : after + _SIGN_GAP + _LONGEST_SIGN], maxsplit=1)[0]
                    for rank, second in seconds:
                        if not second:
                            yield rank, first
                        elif 0 <= (place := sentence.find(second)) <= _SIGN_GAP:
                            yield rank, first + sentence[: place + len(second)]


class Matchable(Protocol):
    """What is looked for: words, phrases and signs, unless the sentence has one of `unless`."""

    @property
    def words(self) -> Sequence[str]: ...
    @property
    def phrases(self) -> Sequence[str]: ...
    @property
    def signs(self) -> Sequence[str]: ...
    @property
    def unless(self) -> Sequence[str]: ...


Rule = TypeVar("Rule", bound=Matchable)


class Matcher(Generic[Rule]):
    """Rules, compiled together: one look at each word, whatever their number."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        ranked = list(enumerate(rules))
        self._phrases = _Index((rank, phrase) for rank, rule in ranked for phrase in (*rule.phrases, *rule.words))
        self._unless = [_Index((0, phrase) for phrase in rule.unless) for rule in rules]
        self._signs = _Signs((rank, _lowered(sign)) for rank, rule in ranked for sign in rule.signs)

    def first(self, text: str) -> tuple[Rule, str] | None:
        """The first rule that matches, and what it matched."""
        lowered = _lowered(text)
        tokens = _words(lowered)
        candidates = self._phrases.candidates(tokens, 1, len(tokens) - 1)
        sign_rank, sign = self._signs.first(lowered, len(self._rules))
        if candidates:
            candidates.sort(key=_rank)
            for rank, position, phrase in candidates:
                if rank >= sign_rank:
                    break
                found = phrase.around(tokens, position)
                if found is not None and not self._disarmed(rank, tokens, *found):
                    return self._rules[rank], " ".join(tokens[slice(*found)])
        return (self._rules[sign_rank], sign) if sign else None

    def _disarmed(self, rank: int, tokens: Sequence[str], begin: int, end: int) -> bool:
        while tokens[begin] != _STOP:
            begin -= 1
        while tokens[end - 1] != _STOP:
            end += 1
        candidates = self._unless[rank].candidates(tokens, begin + 1, end - 1)
        return any(phrase.around(tokens, position) for _, position, phrase in candidates)


def _rank(candidate: tuple[int, Any] | tuple[int, Any, Any]) -> int:
    return candidate[0]


def _one_of_each(signs: Sequence[str]) -> re.Pattern[str]:
    """A quick look whether there may be a sign: its least ordinary character is there."""
    rare = {max(sign, key=lambda letter: (not letter.isalnum() and letter not in " .", ord(letter))) for sign in signs}
    return re.compile(f"[{re.escape(''.join(sorted(rare)))}]" if rare else "(?!)")
