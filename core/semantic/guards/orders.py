"""What a few words ask for, and what of it another few words do not: for the places where two long texts differ.

Pure. Knows English only; the words are in `orders.toml`. Where it does not know a word, that word decides.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .contrasts import sets_of
from .language import language
from .wording import wording_of

_WORDS: Mapping[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

_ENGLISH = language("en")

_NEVER = frozenset(_WORDS["never"].split())
_LIGHT = frozenset(_WORDS["light"].split())

_Phrase = tuple[str, ...]


def _members(*names: str) -> dict[_Phrase, str]:
    """phrase -> the first word of its member."""
    return {
        tuple(phrase.split("_")): member.split()[0]
        for name in names
        for line in sets_of(_WORDS[name])
        for member in line.split("|")
        for phrase in member.split()
    }


_TASKS = _members("tasks")
_GIVING = _members("giving")
_FINDING = _members("finding")
_MAKING = _members("making")
_SAME = _members("same")
_IDLE = frozenset(_members("idle"))
_CALLED = frozenset(_ENGLISH.stem(word) for word in _WORDS["called"].split())
_LONGEST = max(len(phrase) for phrase in (*_TASKS, *_GIVING, *_FINDING, *_MAKING, *_SAME, *_IDLE))


class Order(NamedTuple):
    """What a few words ask for, in their order.

    `tasks`: what is to be done, where a word says it; `finding` and `making`: verbs whose object says it. `matter`: the
    words that carry matter, `small` the others. `called`: what they call the text that they are about.
    """

    tasks: tuple[str, ...]
    finding: bool
    making: bool
    matter: tuple[str, ...]
    small: tuple[str, ...]
    called: frozenset[str]

    @property
    def is_order(self) -> bool:
        """Whether a verb of an order is among the words."""
        return bool(self.tasks) or self.finding or self.making


class Difference(NamedTuple):
    """What two orders do not share: why they may ask for different things, else the words whose meaning decides."""

    reason: str
    ours: str = ""
    theirs: str = ""


@lru_cache(maxsize=1024)
def order_in(text: str) -> Order:
    """What a short text asks for."""
    wording = wording_of(text, _ENGLISH.code)
    numbers = {place for number in wording.counted for place in range(number.start, number.end)}
    words: dict[str, list[str]] = {
        kind: [] for kind in ("task", "giving", "finding", "making", "matter", "small", "called")
    }
    position = 0
    while position < len(wording.words):
        size, kind, member = _known(wording.words, position)
        if kind == "task" and member == "rewrite" and "as" in wording.words[position : position + 6]:
            member = "convert"
        if kind in words and not (kind == "matter" and position in numbers):
            words[kind].append(member)
        position += size
    return Order(
        tuple(words["task"]),
        bool(words["giving"] or words["finding"]),
        bool(words["making"]),
        tuple(words["matter"]),
        tuple(words["small"]),
        frozenset(words["called"]),
    )


def _known(words: Sequence[str], position: int) -> tuple[int, str, str]:
    """The longest phrase known at a place: of how many words, what it is, and what stands for it."""
    for size in range(min(_LONGEST, len(words) - position), 0, -1):
        phrase = tuple(words[position : position + size])
        if phrase in _IDLE or phrase in ((",",), ("/",)):
            return size, "idle", ""
        if phrase in _SAME:
            return size, "small", _SAME[phrase]
        for kind, members in _VERBS:
            if phrase in members:
                return size, kind, members[phrase]
    word = words[position]
    for form in _ENGLISH.base_forms(word):
        for kind, members in _VERBS:
            if (form,) in members:
                return 1, kind, members[(form,)]
    if _ENGLISH.stem(word) in _CALLED:
        return 1, "called", _ENGLISH.stem(word)
    return 1, "small" if word in _ENGLISH.grammar or word in _LIGHT else "matter", word


_VERBS = (("task", _TASKS), ("giving", _GIVING), ("finding", _FINDING), ("making", _MAKING))


def difference(ours: Order, theirs: Order) -> Difference:
    """Why two orders may ask for different things, as far as words can tell."""
    if ours.tasks != theirs.tasks:
        return Difference(_said(ours.tasks, theirs.tasks))
    if ours.making != theirs.making and not ours.tasks:
        return Difference("only one asks for something to be made")
    if ours.called - theirs.called and theirs.called - ours.called:
        return Difference(_said(ours.called, theirs.called))
    is_order = ours.is_order or theirs.is_order
    small, other_small = (
        [word for word in order.small if word not in _NEVER and not (is_order and word in _LIGHT)]
        for order in (ours, theirs)
    )
    if Counter(small) != Counter(other_small):
        return Difference(_said(small, other_small))
    mine, yours = _apart(ours.matter, theirs.matter), _apart(theirs.matter, ours.matter)
    if not mine and not yours and [_root(word) for word in ours.matter] != [_root(word) for word in theirs.matter]:
        return Difference("the same words stand in another order")
    if (mine or yours) and not (mine and yours and ours.is_order and theirs.is_order):
        return Difference(_said(mine, yours))
    return Difference("", " ".join(mine), " ".join(yours))


def _apart(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """The words of one that the other lacks in any form."""
    left = Counter(_root(word) for word in theirs)
    apart = []
    for word in ours:
        root = _root(word)
        if left[root]:
            left[root] -= 1
        else:
            apart.append(word)
    return apart


def _root(word: str) -> str:
    """The stem, as Americans spell it: `neighbour` is `neighbor`, `organise` is `organize`."""
    root = _ENGLISH.stem(word)
    root = root.replace("our", "or") if len(root) > 5 else root
    return root[:-2] + "iz" if len(root) > 5 and root.endswith("is") else root


def _said(ours: Iterable[str], theirs: Iterable[str]) -> str:
    mine, yours = Counter(ours), Counter(theirs)
    left, right = sorted((mine - yours).elements()), sorted((yours - mine).elements())
    if not left and not right:
        return "the same orders stand in another order"
    if left and right:
        return f"one says {', '.join(left)}, the other {', '.join(right)}"
    return f"only one says {', '.join(left or right)}"
