"""The name of each namespace on screens: its label, or its id; hashes shortened so that no two look the same. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..keys import EVERYWHERE, names
from ..text import fold, nfkc
from .labels import ELLIPSIS, NamespaceLabel

ALL_NAMESPACES = "all namespaces"
"""What EVERYWHERE is called; a label that is the same is followed by its id."""
SHORTEST_START = 8
"""Characters of a hash that are always shown."""
END = 4
"""Characters of its end that are."""

_HASH = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{16,}")


class _Hashed(NamedTuple):
    """An id with a hash in it: what stands before it, the hash, and what follows."""

    before: str
    digest: str
    after: str

    @property
    def stem(self) -> str:
        return self.before + self.digest


class _Shortener:
    """Shortens hashes to the shortest start that no other known id has, and their end."""

    def __init__(self, known: Iterable[str]) -> None:
        self._stems = sorted({hashed.stem for one in known if (hashed := _hashed(one)) is not None})

    def short(self, one: str) -> str:
        """The short form of an id, known or not; the id itself when it has no hash."""
        hashed = _hashed(one)
        if hashed is None:
            return one
        start = max(SHORTEST_START, self._shared_with_others(hashed.stem) + 1 - len(hashed.before))
        if start + END >= len(hashed.digest):
            return one
        return f"{hashed.before}{hashed.digest[:start]}{ELLIPSIS}{hashed.digest[-END:]}{hashed.after}"

    def _shared_with_others(self, stem: str) -> int:
        """How many characters from the beginning some other stem has too: the neighbours in order share most."""
        place = bisect_left(self._stems, stem)
        is_known = place < len(self._stems) and self._stems[place] == stem
        neighbours = (*self._stems[max(0, place - 1) : place], *self._stems[place + is_known :][:1])
        return max((_shared(stem, other) for other in neighbours), default=0)


class Naming:
    """The names of namespaces, from their labels and the ids that are known. Threads may share it.

    Two known namespaces never have one name: where labels are equal, or equal to another's id, the short form of the id
    follows. A part that a caller names (`acme~eu`) has the label of its namespace, unless it has its own.
    """

    def __init__(self, labels: Mapping[str, NamespaceLabel] | None = None, known: Iterable[str] = ()) -> None:
        self.labels = dict(labels or {})
        self.known = frozenset({*known, *self.labels})
        """The ids that are told from each other, those with a label among them."""
        halves = [_halves(one) for one in self.known]
        self._owns = _Shortener(own for own, _ in halves)
        self._parts = _Shortener(part for _, part in halves)
        self._names = self._of_labelled()

    def knowing(self, more: Iterable[str]) -> Naming:
        """The same for more ids: all rows of a table, say, so that each of them is told from the others."""
        new = {one for one in map(names.namespace_in, more) if one not in self.known}
        return Naming(self.labels, self.known | new) if new else self

    def shown(self, namespace: str) -> str:
        """The name: the label, or the id with its hash shortened. Text from outside, on one line."""
        if namespace == EVERYWHERE:
            return ALL_NAMESPACES
        if namespace.endswith(names.CONVERSATIONS):
            return f"{self.shown(names.namespace_in(namespace))}, conversations"
        if (name := self._names.get(namespace)) is not None:
            return name
        own, part = _halves(namespace)
        if not part:
            return self._owns.short(own)
        return f"{self._names.get(own) or self._owns.short(own)}{names.PART_SEPARATOR}{self._parts.short(part)}"

    def whole(self, namespace: str) -> str:
        """The name with the whole id, for what is pasted into commands: `Support (key-3f9a…)` spelt out, or the id."""
        if namespace == EVERYWHERE:
            return ALL_NAMESPACES
        if namespace.endswith(names.CONVERSATIONS):
            return f"{self.whole(names.namespace_in(namespace))}, conversations"
        given = self.label(namespace)
        return f"{given.label} ({namespace})" if given is not None else namespace

    def label(self, namespace: str) -> NamespaceLabel | None:
        """The label of a namespace, of the whole one for a part without its own; None where nobody gave one."""
        namespace = names.namespace_in(namespace)
        return self.labels.get(namespace) or self.labels.get(_halves(namespace)[0])

    def short(self, namespace: str) -> str:
        """The id with its hash shortened."""
        own, part = _halves(namespace)
        return self._owns.short(own) + (f"{names.PART_SEPARATOR}{self._parts.short(part)}" if part else "")

    def _of_labelled(self) -> dict[str, str]:
        names = {namespace: given.label for namespace, given in self.labels.items()}
        ids = {_compared(ALL_NAMESPACES), *(_compared(one) for one in self.known if one not in names)}
        followed: set[str] = set()
        while True:
            counts = Counter(map(_compared, names.values()))
            alike = [
                namespace
                for namespace, name in names.items()
                if namespace not in followed and (counts[_compared(name)] > 1 or _compared(name) in ids)
            ]
            if not alike:
                return names
            for namespace in alike:
                names[namespace] = f"{names[namespace]} ({self.short(namespace)})"
            followed.update(alike)


def _hashed(one: str) -> _Hashed | None:
    found = _HASH.search(one)
    return _Hashed(one[: found.start()], found[0], one[found.end() :]) if found else None


def _halves(namespace: str) -> tuple[str, str]:
    own, _, part = namespace.partition(names.PART_SEPARATOR)
    return own, part


def _shared(one: str, other: str) -> int:
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


def _compared(name: str) -> str:
    """A name as the eye compares it: case and width of letters do not tell two apart."""
    return fold(nfkc(name))
