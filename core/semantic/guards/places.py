"""Where two long texts differ: what both share is cut, and the places that are left stand beside each other.

Shared are the beginning and the end that are the same, and between them runs of words that each text has once, as far
as they stand in the same order in both. Time and memory grow with the texts, never with their product. Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

RUN = 4
"""Words in a row that both texts have are shared from this many on; fewer meet by chance."""
NEAR = 8
"""Two places with fewer shared words than this between them are one: a sentence put in another way."""
AROUND = 6
"""Shared words on each side that a place is read with."""
BESIDE = 200
"""Shared characters beside the first and the last place that are taken apart with them."""
A_WORD = 6
"""Characters of a word with the space or sign after it, about, where they are not counted."""
APART = 12
"""An order that stands before a text of this many words at least in one, and after it in the other, has only moved."""

# Scripts that do not part words: each character counts as one.
_TOKEN = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+(?:['’]\w+)*|[^\w\s]|\n"
)
_PUNCTUATION = ".,;:?!'\"’“”"
_CALLS_ABOVE = re.compile(r"\b(?:above|below|following|preceding|previous)\b", re.IGNORECASE)


class Place(NamedTuple):
    """One place where two texts differ: the words of each there, and the same with the shared words around them.

    `signs`: characters of one that the other lacks there, words and closing punctuation aside.
    """

    ours: str
    theirs: str
    our_context: str
    their_context: str
    signs: str


class _Gap(NamedTuple):
    start: int
    end: int
    other_start: int
    other_end: int


class _Words:
    """A text as words and signs. A capital at the start of a sentence is not compared."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.keys: list[str] = []
        self.spans: list[tuple[int, int]] = []
        opens = True
        for match in _TOKEN.finditer(text, start, end):
            word = match.group()
            if word == "\n":
                opens = True
                continue
            self.keys.append(word.lower() if opens and word[1:].islower() else word)
            self.spans.append(match.span())
            opens = word in ".?!:"

    def between(self, start: int, end: int) -> str:
        """The text from one word to before another."""
        return self.text[self.spans[start][0] : self.spans[end - 1][1]] if start < end else ""

    def signs(self, start: int, end: int, *, harmless_before: str) -> Iterator[str]:
        """The signs among some words, but punctuation that stands before one of some characters, or at the end."""
        for place in range(start, end):
            sign, after = self.keys[place], self.spans[place][1]
            if not sign[0].isalnum() and not (sign in _PUNCTUATION and self.text[after : after + 1] in harmless_before):
                yield sign


class Cut(NamedTuple):
    """Two texts without what both share: `places` where they differ, in order; none when their words are the same.

    `left` is the share of its words that is left of the text of which less is left: 1.0 when nothing is shared.
    """

    places: tuple[Place, ...]
    left: float


def cut(question: str, stored: str) -> Cut:
    """Cuts what two texts share."""
    start, end = _shared_ends(question, stored)
    ours, theirs = _Words(question, start, len(question) - end), _Words(stored, start, len(stored) - end)
    apart = _gaps(ours.keys, theirs.keys)
    around = (start + end) // A_WORD
    left = min(
        sum(gap.end - gap.start for gap in apart) / max(1, len(ours.keys) + around),
        sum(gap.other_end - gap.other_start for gap in apart) / max(1, len(theirs.keys) + around),
    )
    gaps = _joined(apart)
    if _has_moved(ours, theirs, gaps):
        first, *between, last = gaps
        return Cut((_moved(ours, theirs, first, last), *(_place(ours, theirs, gap) for gap in between)), left)
    return Cut(tuple(_place(ours, theirs, gap) for gap in gaps), left)


def _shared_ends(ours: str, theirs: str) -> tuple[int, int]:
    """How many characters at the start and at the end are the same in both and far from any place."""
    least = min(len(ours), len(theirs))
    head = _shared(lambda size: ours[:size] == theirs[:size], least)
    tail = _shared(lambda size: ours[len(ours) - size :] == theirs[len(theirs) - size :], least - head)
    start = ours.rfind(" ", 0, max(0, head - BESIDE)) + 1
    end = ours.find(" ", len(ours) - max(0, tail - BESIDE))
    return start, 0 if end < 0 else len(ours) - end


def _shared(is_same: Callable[[int], bool], most: int) -> int:
    """The largest size up to `most` for which the ends are the same."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_same(middle) else (low, middle - 1)
    return low


def _place(ours: _Words, theirs: _Words, gap: _Gap) -> Place:
    before = min(AROUND, gap.start, gap.other_start)
    after = min(AROUND, len(ours.keys) - gap.end, len(theirs.keys) - gap.other_end)
    return Place(
        ours=ours.between(gap.start, gap.end),
        theirs=theirs.between(gap.other_start, gap.other_end),
        our_context=_read(ours.between(gap.start - before, gap.end + after)),
        their_context=_read(theirs.between(gap.other_start - before, gap.other_end + after)),
        signs=_signs(ours, theirs, gap),
    )


def _signs(ours: _Words, theirs: _Words, gap: _Gap) -> str:
    """Signs that differ. Where no word does, a comma decides; beside other words it goes with them."""
    keys = (*ours.keys[gap.start : gap.end], *theirs.keys[gap.other_start : gap.other_end])
    harmless_before = " \n\t" if any(key[0].isalnum() for key in keys) else "\n"
    return _apart(
        ours.signs(gap.start, gap.end, harmless_before=harmless_before),
        theirs.signs(gap.other_start, gap.other_end, harmless_before=harmless_before),
    )


def _read(text: str) -> str:
    """A place as it is read: the end of a line ends a sentence."""
    return text.replace("\n", ".\n")


def _apart(ours: Iterator[str], theirs: Iterator[str]) -> str:
    mine, yours = sorted(ours), sorted(theirs)
    return "" if mine == yours else "".join(dict.fromkeys((*mine, *yours)))


def _has_moved(ours: _Words, theirs: _Words, gaps: Sequence[_Gap]) -> bool:
    """Whether one text begins, and the other ends, with words that the other has not there."""
    if len(gaps) < 2 or gaps[-1].start - gaps[0].end < APART:
        return False
    first, last = gaps[0], gaps[-1]
    if first.start or any(key[0].isalnum() for key in ours.keys[last.end :]):
        return False
    filled = tuple(
        bool(text.strip())
        for text in (
            ours.between(first.start, first.end),
            theirs.between(first.other_start, first.other_end),
            ours.between(last.start, last.end),
            theirs.between(last.other_start, last.other_end),
        )
    )
    return filled in ((True, False, False, True), (False, True, True, False))


def _moved(ours: _Words, theirs: _Words, first: _Gap, last: _Gap) -> Place:
    """What begins one text and ends the other, as one place."""
    mine, yours = (
        _CALLS_ABOVE.sub("", (words.between(*one) or words.between(*other)).strip(" .\n"))
        for words, one, other in (
            (ours, (first.start, first.end), (last.start, last.end)),
            (theirs, (first.other_start, first.other_end), (last.other_start, last.other_end)),
        )
    )
    return Place(ours=mine, theirs=yours, our_context=mine, their_context=yours, signs="")


def _gaps(ours: Sequence[str], theirs: Sequence[str]) -> list[_Gap]:
    least = min(len(ours), len(theirs))
    head = next((index for index in range(least) if ours[index] != theirs[index]), least)
    tail = next((index for index in range(least - head) if ours[-1 - index] != theirs[-1 - index]), least - head)
    end, other_end = len(ours) - tail, len(theirs) - tail
    gaps: list[_Gap] = []
    at = other_at = head
    for anchor, other_anchor in _anchors(ours, theirs, head, end, other_end):
        if anchor < at or other_anchor < other_at:
            continue  # inside a run that was followed already
        start, other_start = anchor, other_anchor
        while start > at and other_start > other_at and ours[start - 1] == theirs[other_start - 1]:
            start, other_start = start - 1, other_start - 1
        gaps.append(_Gap(at, start, other_at, other_start))
        at, other_at = start, other_start
        while at < end and other_at < other_end and ours[at] == theirs[other_at]:
            at, other_at = at + 1, other_at + 1
    gaps.append(_Gap(at, end, other_at, other_end))
    return [gap for gap in gaps if gap.start < gap.end or gap.other_start < gap.other_end]


def _anchors(ours: Sequence[str], theirs: Sequence[str], start: int, end: int, other_end: int) -> list[tuple[int, int]]:
    """Where runs stand that each text has once: the longest chain of them in the order of both."""
    here, there = _once(ours, start, end), _once(theirs, start, other_end)
    pairs = [(place, there[run]) for run, place in here.items() if place >= 0 and there.get(run, -1) >= 0]
    lasts: list[int] = []
    rows: list[int] = []
    before: list[int] = []
    for row, (_, other) in enumerate(pairs):
        length = bisect_left(lasts, other)
        before.append(rows[length - 1] if length else -1)
        lasts[length : length + 1] = [other]
        rows[length : length + 1] = [row]
    chain: list[tuple[int, int]] = []
    row = rows[-1] if rows else -1
    while row >= 0:
        chain.append(pairs[row])
        row = before[row]
    return chain[::-1]


def _once(words: Sequence[str], start: int, end: int) -> dict[tuple[str, ...], int]:
    """run -> where it stands; -1 when it stands in more than one place."""
    found: dict[tuple[str, ...], int] = {}
    for place in range(start, end - RUN + 1):
        run = tuple(words[place : place + RUN])
        found[run] = -1 if run in found else place
    return found


def _joined(gaps: Sequence[_Gap]) -> list[_Gap]:
    """Places that a few shared words part are one."""
    joined: list[_Gap] = []
    for gap in gaps:
        if joined and gap.start - joined[-1].end < NEAR:
            joined[-1] = _Gap(joined[-1].start, gap.end, joined[-1].other_start, gap.other_end)
        else:
            joined.append(gap)
    return joined
