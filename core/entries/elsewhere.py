"""The same question elsewhere: under other models, in other scopes and namespaces, with what keeps them apart.

A scope is hashed, so no index knows where else a question stands: the entries are looked through, a bounded number at a
time, and the next look goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..access import Acting, Action
from ..bans import Criteria
from ..errors import CacheError, DecodeError, InvalidInput
from ..invalidation import CacheInvalidator, Invalidation, plain_invalidation
from ..keys import Slot, parse_readable_key, unpack
from ..metrics import HitCounts, differ_in
from ..stores import EntryIndex, codec
from ..text import many
from .listing import LOOKED_THROUGH, LOOKING_SECONDS, EntryFilter, FoundEntry, Place, count_listed, page_entries

MOST_TOGETHER = 200
"""Answers that are invalidated together, and that one look gives."""

BEGINNING = 300
"""Characters of a question that are given."""

Position = tuple[str, Place | None]
"""From where a look goes on: a namespace, and the place in it after which."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it was asked: its text, all else that its answer depends on as entries keep it, and its key."""

    prompt: str
    namespace: str
    model: str
    parts: bytes
    key: str

    @classmethod
    def of(cls, found: FoundEntry) -> Question:
        """The one that an entry answers."""
        entry, header = found.entry, found.entry.header
        return cls(
            prompt=entry.prompt, namespace=header.namespace, model=header.model, parts=entry.parts, key=found.key
        )


EXPLAINED = 2000
"""Entries that are looked through to explain a miss."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with the same question, and the names of the parts in which its request is another one."""

    found: FoundEntry
    differs: tuple[str, ...]

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain JSON. `now` is Unix seconds."""
        scope = self.found.entry.header.scope.hex()
        return self.found.to_dict(now) | {"scope": scope, "differs": list(self.differs)}


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found among `looked_through` of the `listed` entries. It goes on at `next`, None at the end."""

    found: tuple[Standing, ...]
    looked_through: int
    listed: int
    next: Position | None

    def followed_by(self, later: Elsewhere) -> Elsewhere:
        """This look and the one after it as one."""
        return Elsewhere(
            found=(*self.found, *later.found),
            looked_through=self.looked_through + later.looked_through,
            listed=later.listed,
            next=later.next,
        )

    @property
    def scopes(self) -> int:
        """In how many other scopes they are."""
        return len({(one.found.entry.header.namespace, one.found.entry.header.scope) for one in self.found})

    @property
    def differs(self) -> tuple[str, ...]:
        """The parts in which their requests are others, the most frequent first."""
        counts: dict[str, int] = {}
        for one in self.found:
            for name in one.differs:
                counts[name] = counts.get(name, 0) + 1
        return tuple(sorted(counts, key=lambda name: (-counts[name], name)))

    @property
    def in_words(self) -> str:
        """How many there are and what keeps them apart: `3 answers in 3 other scopes: they differ in the model`."""
        if not self.found:
            return "nowhere else"
        where = f"in {many(self.scopes, 'other scope')}"
        return f"{many(len(self.found), 'answer')} {where}: {differ_in(self.differs)}"


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """What became of invalidating several answers: those done, and why it ended before the last of them, if it did."""

    done: tuple[Invalidation, ...]
    asked: int
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = list(map(plain_invalidation, self.done))
        return {"invalidations": plain, "asked": self.asked, "problem": self.problem}


def same_question(
    store: EntryIndex,
    namespaces: Sequence[str],
    here: FoundEntry | Question,
    *,
    buckets: int = 1,
    hits: HitCounts | None = None,
    after: Position | None = None,
    most: int = LOOKED_THROUGH,
    seconds: float = LOOKING_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> Elsewhere:
    """Entries with the question of this one, but for case, spaces and the closing mark; this one left out.

    `namespaces` are those that the asker may see. Reads no more than `most` entries nor for much longer than `seconds`;
    `after` is where the look before has ended. Raises StoreUnavailable.
    """
    here = here if isinstance(here, Question) else Question.of(here)
    where = EntryFilter(question=here.prompt)
    names = sorted(dict.fromkeys(namespaces))
    slots = {name: [Slot(name, bucket) for bucket in range(buckets)] for name in names}
    listed = sum(count_listed(store, of_name, where) for of_name in slots.values())
    ends_at = monotonic() + seconds
    found: list[Standing] = []
    looked_through = 0
    first, place = after or ("", None)
    for name in names:
        if name < first:
            continue
        place = place if name == first else None
        while True:
            left = most - looked_through, ends_at - monotonic(), MOST_TOGETHER - len(found)
            if looked_through and min(left) <= 0:
                return Elsewhere(found=tuple(found), looked_through=looked_through, listed=listed, next=(name, place))
            page = page_entries(
                store, slots[name], where, hits=hits, after=place, size=left[2], most=left[0], seconds=left[1]
            )
            looked_through += page.scanned
            found += [
                Standing(found=one, differs=differing(here, Question.of(one)))
                for one in page.entries
                if (one.key, name) != (here.key, here.namespace)
            ]
            place = page.last
            if place is None:
                break
    return Elsewhere(found=tuple(found), looked_through=looked_through, listed=listed, next=None)


def differing(first: Question, second: Question) -> tuple[str, ...]:
    """The names of the parts in which two requests differ, as far as entries keep them."""
    names = [name for name in ("namespace", "model") if getattr(first, name) != getattr(second, name)]
    if first.prompt != second.prompt:
        names.append("spelling")
    here, there = unpack(first.parts), unpack(second.parts)
    for name in sorted(here.keys() | there.keys()):
        digests = {part.digest for part in (here.get(name), there.get(name)) if part is not None}
        if len(digests) > 1 or (name in here) is not (name in there):
            names.append(name)
    return tuple(names)


def invalidate_together(
    invalidation: CacheInvalidator,
    places: Sequence[tuple[str, str]],
    *,
    actor: Acting,
    reason: str = "",
    hold_seconds: float | None = None,
    request_id: str | None = None,
) -> Together:
    """Hides the answers at these places, each a namespace and a readable key, one after the other.

    Each is an invalidation of its own, to be undone by itself. What fails ends it, and is told beside those that are
    done; repeated with the same `request_id` it goes on. Raises AccessDenied, and InvalidInput for none, too many, or
    what is no key, before anything is done.
    """
    trail = invalidation.audit.by(actor)
    trail.require(Action.INVALIDATE)
    if not 0 < len(places) <= MOST_TOGETHER:
        raise InvalidInput("entries", f"give 1 to {MOST_TOGETHER}")
    criteria = [Criteria(namespace=namespace, key=key) for namespace, key in places]
    done: list[Invalidation] = []
    try:
        for number, one in enumerate(criteria):
            done.append(
                invalidation.invalidate(
                    one,
                    actor=trail,
                    hold_seconds=hold_seconds,
                    request_id=None if request_id is None else f"{request_id}-{number}",
                    reason=reason,
                )
            )
    except CacheError as error:
        if not done:
            raise
        return Together(done=tuple(done), asked=len(places), problem=str(error))
    return Together(done=tuple(done), asked=len(places))


def questions_at(store: EntryIndex, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The beginning of the question at each of these places, a namespace and a key, where something is stored.

    A key names one question for good, so that whatever stands at it has it: what an invalidation hides, or what came
    after it. Nothing is kept for this: where nothing is stored any more, only the key is left.

    A round trip for each bucket. Raises StoreUnavailable.
    """
    by_slot: dict[tuple[str, int], list[tuple[bytes, tuple[str, str]]]] = {}
    for namespace, key in dict.fromkeys(places):
        if parsed := parse_readable_key(key):
            by_slot.setdefault((namespace, parsed[0]), []).append((parsed[1], (namespace, key)))
    found: dict[tuple[str, str], str] = {}
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
