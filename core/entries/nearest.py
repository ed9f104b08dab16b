"""The stored question most like a request's, in any scope: to explain why the request was not a hit.

Goes by words, and looks at the newest entries only: it explains a miss to a person and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from heapq import nlargest

import msgspec

from ..keys import Slot
from ..stores import Store
from .explanation import Difference, Explanation, differences_from_entry
from .listing import EntryFilter, FoundEntry, page_entries

MOST_OWN = 2000
MOST_OTHERS = 300
MOST_NAMESPACES = 10
"""Entries looked at: of the request's namespace, of each other one, and of how many others."""
LOOKING_SECONDS = 0.5
LIKE = 0.5
"""What is less like it than this is another question."""

_WORDS = re.compile(r"\w+")


class Nearest(msgspec.Struct, frozen=True, kw_only=True):
    """The nearest entry, how like the two questions are (0 to 1, by words), and what keeps the requests apart."""

    found: FoundEntry
    likeness: float
    differences: tuple[Difference, ...]


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a search: the nearest entries, the nearest first, of `looked_at` entries."""

    nearest: tuple[Nearest, ...]
    looked_at: int


def nearest_entries(
    store: Store,
    namespaces: Sequence[str],
    explained: Explanation,
    *,
    buckets: int = 1,
    strip_stop_words: bool = False,
    k: int = 1,
    seconds: float = LOOKING_SECONDS,
) -> Looked:
    """Of the newest entries those most like a request, the request's own entry left out. Raises StoreUnavailable.

    The first of the `namespaces` is the request's.
    """
    candidates: list[FoundEntry] = []
    for number, namespace in enumerate(namespaces[: MOST_NAMESPACES + 1]):
        slots = [Slot(namespace, bucket) for bucket in range(buckets)]
        most = MOST_OTHERS if number else MOST_OWN
        page = page_entries(store, slots, EntryFilter(), size=most, most=most, seconds=seconds)
        candidates += [one for one in page.entries if number or one.key != explained.key]
    wanted = _words(explained.prompt)
    rough = nlargest(20, candidates, key=lambda one: _shared(wanted, _words(one.entry.prompt)))
    found = []
    for one in rough:
        likeness = _likeness(explained.prompt, one.entry.prompt)
        if likeness >= LIKE:
            apart = differences_from_entry(explained, one.entry, strip_stop_words=strip_stop_words)
            found.append(Nearest(found=one, likeness=likeness, differences=tuple(apart)))
    found.sort(key=lambda one: (-one.likeness, len(one.differences), -one.found.entry.header.created_at))
    return Looked(nearest=tuple(found[:k]), looked_at=len(candidates))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text[:2000].casefold()))


def _shared(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second) if first or second else 1.0


def _likeness(first: str, second: str) -> float:
    first, second = first[:2000].casefold(), second[:2000].casefold()
    # By words in common, whatever their order: to align them takes the square of their number, and more.
    return (
        SequenceMatcher(None, first.split(), second.split(), autojunk=False).quick_ratio() if first != second else 1.0
    )
