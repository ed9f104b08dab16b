"""What was asked: the beginnings of the questions at some keys, as far as anything stands there now.

A key names one question for good, so that whatever stands at it has it: an answer that an invalidation hides, or one
that came after it. Nothing is kept for this: where nothing is stored any more, only the key is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import DecodeError
from ..keys import Slot, parse_readable_key
from ..stores import EntryIndex, codec

BEGINNING = 300
"""Characters of a question that are given."""

Place = tuple[str, str]
"""A namespace and the readable key of an entry in it."""


def questions_at(store: EntryIndex, places: Iterable[Place]) -> Mapping[Place, str]:
    """The beginning of the question at each of these places where something is stored, hidden or not.

    A round trip for each bucket. Raises StoreUnavailable.
    """
    by_slot: dict[tuple[str, int], list[tuple[bytes, Place]]] = {}
    for namespace, key in dict.fromkeys(places):
        if parsed := parse_readable_key(key):
            by_slot.setdefault((namespace, parsed[0]), []).append((parsed[1], (namespace, key)))
    found: dict[Place, str] = {}
    for (namespace, bucket), wanted in by_slot.items():
        values, _ = store.read(Slot(namespace, bucket), [digest for digest, _ in wanted])
        for (_, place), value in zip(wanted, values, strict=True):
            try:
                prompt = codec.summarize(value, with_text=True).prompt if value is not None else ""
            except DecodeError:
                continue
            if prompt:
                found[place] = prompt[:BEGINNING]
    return found
