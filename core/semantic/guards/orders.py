"""What a few words ask for, and what of it another few words do not: for the places where two long texts differ.

Pure. Knows English only; the words are in `orders.toml`. Where it does not know a word, that word decides.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from .contrasts import sets_of
from .language import language
from .wording import wording_of

_WORDS: Mapping[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

_ENGLISH = language("en")

_Phrase = tuple[str, ...]


def _members(name: str) -> dict[_Phrase, str]:
    """phrase -> what stands for it: the first word of its member, or the word before a colon."""
    found: dict[_Phrase, str] = {}
    for line in sets_of(_WORDS[name]):
        for member in line.split("|"):
            first, _, named = member.rpartition(":")
            phrases = named.split()
            found |= {tuple(phrase.split("_")): first.strip() or phrases[0] for phrase in phrases}
    return found


_VERBS = {kind: _members(kind) for kind in ("tasks", "giving", "finding", "making")}
_MADE = _members("made")
_SAME = _members("same")
_IDLE = frozenset(_members("idle"))
_NEVER = frozenset(_WORDS["never"].split())
_LIGHT = frozenset(_WORDS["light"].split())
_APART = [(frozenset(one.split()), frozenset(other.split())) for one, other in _WORDS["apart"]]
_LEADING_ON = frozenset(_WORDS["leading_on"].split())
_LEADING = frozenset(_WORDS["leading"].split())
_CALLED = frozenset(_ENGLISH.stem(word) for word in _WORDS["called"].split())
_READ_AS = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in _WORDS["read_as"]]
_LONGEST = max(len(phrase) for phrase in (*_MADE, *_SAME, *_IDLE, *chain(*_VERBS.values())))


class Order(NamedTuple):
    """What a few words ask for, in their order.

    `tasks`: what is to be done, where a word says it; `giving`, `finding` and `making`: verbs whose object says it.
    `matter`: the words that carry matter; `small`: the others; `called`: what they call the text they are about.
    `is_order`: a verb of an order is among them.
    """

    tasks: tuple[str, ...]
    giving: frozenset[str]
    finding: frozenset[str]
    making: frozenset[str]
    matter: tuple[str, ...]
    small: tuple[str, ...]
    called: frozenset[str]
    is_order: bool


class Difference(NamedTuple):
    """What two orders do not share: why they may ask for different things, else the words whose meaning decides."""

    reason: str
    ours: str = ""
    theirs: str = ""


@lru_cache(maxsize=1024)
def order_in(text: str) -> Order:
    """What a short text asks for."""
    for pattern, instead in _READ_AS:
        text = pattern.sub(instead, text)
    wording = wording_of(text, _ENGLISH.code)
    numbers = {place for number in wording.counted for place in range(number.start, number.end)}
    words: dict[str, list[str]] = {kind: [] for kind in (*_VERBS, "matter", "small", "called", "idle")}
    is_order, may_order, position = False, True, 0
    while position < len(wording.words):
        token = wording.tokens[position]
        size, kind, member = _known(wording.words, position, is_verb=may_order or token.opens)
        is_order = is_order or kind in _VERBS
        may_order = kind == "idle" or token.word in _LEADING
        if kind == "made":
            kind = "tasks"
        is_number = position in numbers and token.word not in _ENGLISH.loose_numbers - {"one"}
        if not (kind == "matter" and is_number):  # numbers have a guard of their own, which lets "the first" pass
            words[kind].append(member)
        position += size
    return Order(
        tasks=tuple(words["tasks"]),
        giving=frozenset(words["giving"]),
        finding=frozenset(words["finding"]),
        making=frozenset(words["making"]),
        matter=tuple(words["matter"]),
        small=tuple(words["small"]),
        called=frozenset(words["called"]),
        is_order=is_order,
    )


def _known(words: Sequence[str], position: int, *, is_verb: bool) -> tuple[int, str, str]:
    """The longest phrase known at a place: of how many words, what it is, and what stands for it."""
    for size in range(min(_LONGEST, len(words) - position), 0, -1):
        phrase = tuple(words[position : position + size])
        if phrase in _IDLE or phrase in ((",",), ("/",)):
            return size, "idle", ""
        if phrase in _SAME:
            return size, "small", _SAME[phrase]
        for kind, members in _VERBS.items() if is_verb else ():
            if phrase in members:
                return size, kind, members[phrase]
        if phrase in _MADE:
            return size, "made", _MADE[phrase]
    word = words[position]
    root = _ENGLISH.stem(word)
    for form in _ENGLISH.base_forms(word):
        if (form,) in _MADE:
            return 1, "made", _MADE[(form,)]
    if root in _CALLED:
        return 1, "called", root
    return 1, "small" if word in _ENGLISH.grammar or word in _LIGHT else "matter", word


def difference(ours: Order, theirs: Order) -> Difference:
    """Why two orders may ask for different things, as far as words can tell."""
    if ours.tasks != theirs.tasks:
        return Difference(_said(ours.tasks, theirs.tasks))
    if ours.making != theirs.making and not (ours.tasks or ours.giving or theirs.giving):
        return Difference(_said(ours.making, theirs.making))
    if ours.called - theirs.called and theirs.called - ours.called:
        return Difference(_said(ours.called, theirs.called))
    is_order = ours.is_order or theirs.is_order
    small, other_small = _small(ours, is_order), _small(theirs, is_order)
    if Counter(small) != Counter(other_small):
        return Difference(_said(small, other_small))
    only_ours, only_theirs = set(ours.small) - set(theirs.small), set(theirs.small) - set(ours.small)
    if "from" in only_ours | only_theirs and not _LEADING_ON.isdisjoint(ours.tasks):
        return Difference(_said(only_ours, only_theirs))
    for one, other in _APART:
        if (only_ours & one and only_theirs & other) or (only_ours & other and only_theirs & one):
            return Difference(_said(only_ours, only_theirs))
    mine, yours = _apart(ours.matter, theirs.matter), _apart(theirs.matter, ours.matter)
    if not mine and not yours and [_root(word) for word in ours.matter] != [_root(word) for word in theirs.matter]:
        return Difference("the same words stand in another order")
    forms = {_ENGLISH.stem(word) for word in mine} & {_ENGLISH.stem(word) for word in yours}
    if mine or yours:
        may_mean_the_same = len(mine) == len(yours) and not forms  # "names" is not "name"
        if not (may_mean_the_same and ours.is_order and theirs.is_order):
            return Difference(_said(mine, yours))
    return Difference("", " ".join(mine), " ".join(yours))


def _small(order: Order, is_order: bool) -> list[str]:
    """The small words that decide: among pasted words all but a few, beside an order fewer."""
    return [word for word in order.small if word not in _NEVER and not (is_order and word in _LIGHT)]


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
    """The stem, as Americans spell it: `neighbour` is `neighbor`, `organise` is `organize`; a plural is apart."""
    root = _ENGLISH.stem(word)
    if word.endswith("s") and not word.endswith("ss"):
        return root + "s"
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
