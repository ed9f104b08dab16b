"""Scopes among the latest requests: how many a namespace asks in, and what keeps its equal questions apart. Pure.

Counted in the request log: exactly, of as many requests as it holds, of all namespaces together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from ..keys import unpack
from ..models import OutcomeKind
from ..text import many
from .request_log import RequestRecord

HUNDRED = 100
FEWEST = 20
"""Requests of a namespace from which on it is said that its scopes are many."""
MANY = 20.0
"""Scopes in a hundred requests from which on they are many: no answer is asked for five times."""
FEWEST_APART = 5
OFTEN = 0.2
"""Misses whose question was asked in another scope, in number and as a part of all, from which on it is said."""

TALK = "earlier messages"
"""What differs in conversations by their nature."""
SYSTEM_PROMPTS = frozenset({"system prompt", "parameter instructions"})
_COMPARED = 4
"""Earlier scopes of a question that a miss is compared with."""
_NAMED = 5


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps questions apart: in how many scopes they were asked, and what differs, the most frequent first.

    `system_prompt` has the words of two system prompts that differ, where they may be shown.
    """

    scopes: int = 0
    differs: tuple[str, ...] = ()
    system_prompt: tuple[str, str] | None = None

    @property
    def in_words(self) -> str:
        """The parts that differ: `they differ in the system prompt`."""
        return differ_in(self.differs)


class NamespaceScopes(msgspec.Struct, frozen=True, kw_only=True):
    """The scopes of a namespace among the latest requests: of `requests` that were looked up, `misses` missed.

    `per_hundred` is how many different scopes a hundred requests in a row have, on average. Of the misses `repeated`
    asked a question that had been asked in another scope before; `apart` says what differs.
    """

    namespace: str
    requests: int
    misses: int
    per_hundred: float
    repeated: int
    apart: Apart

    @property
    def is_told(self) -> bool:
        """Whether the scopes are so many, or questions so often asked in others, that hits are lost by it."""
        if self.repeated:
            return self.repeated >= max(FEWEST_APART, OFTEN * self.misses)
        is_talk = self.apart.differs[:1] == (TALK,)
        return self.requests >= FEWEST and self.per_hundred >= MANY and self.misses * 2 > self.requests and not is_talk

    @property
    def in_words(self) -> str:
        """`180 of 190 misses repeat a question of another scope: they differ in ... 100 scopes per 100 requests`."""
        told = f"{many(round(self.per_hundred), 'scope')} per 100 requests"
        if self.repeated:
            repeat = "repeats" if self.misses == 1 else "repeat"
            misses = many(self.misses, "miss", "misses")
            return f"{self.repeated:,} of {misses} {repeat} a question of another scope: {self.apart.in_words}. {told}"
        return f"{told}: {self.apart.in_words}" if self.apart.differs else told

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"told": self.is_told, "words": self.in_words}


class Scopes(msgspec.Struct, frozen=True, kw_only=True):
    """The scopes of each namespace among the latest `looked_at` requests, which go back to `since` (Unix seconds; None:
    no request), the namespace with the most first."""

    looked_at: int
    since: float | None
    namespaces: tuple[NamespaceScopes, ...] = ()

    @property
    def told(self) -> tuple[NamespaceScopes, ...]:
        """Those by which hits are lost."""
        return tuple(one for one in self.namespaces if one.is_told)

    def of(self, namespace: str) -> NamespaceScopes | None:
        """Those of one namespace."""
        return next((one for one in self.namespaces if one.namespace == namespace), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        namespaces = [one.to_dict() for one in self.namespaces]
        return {"looked_at": self.looked_at, "since": self.since, "namespaces": namespaces}


def differ_in(names: Sequence[str]) -> str:
    """By which parts of the request questions differ, in words: `they differ in the system prompt`."""
    if not names:
        return "nothing that is kept tells them apart"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"they differ in {', '.join(f'the {name}' for name in names[:_NAMED])}{more}"


def scopes_of(records: Sequence[RequestRecord]) -> Scopes:
    """The scopes by namespace of records that are given newest first. Linear."""
    by_namespace: dict[str, list[RequestRecord]] = {}
    for record in records:
        if record.scope and record.kind in (OutcomeKind.HIT, OutcomeKind.MISS):
            by_namespace.setdefault(record.namespace, []).append(record)
    found = [_of_namespace(name, of_name) for name, of_name in by_namespace.items()]
    found.sort(key=lambda one: (-one.requests, one.namespace))
    since = records[-1].at if records else None
    return Scopes(looked_at=len(records), since=since, namespaces=tuple(found))


def asked_elsewhere(record: RequestRecord, records: Iterable[RequestRecord]) -> Apart:
    """In how many other scopes of its namespace the question of a miss was asked, among records newest first."""
    if not record.question:
        return Apart()
    others: dict[str, RequestRecord] = {}
    for other in records:
        if (other.question, other.namespace) == (record.question, record.namespace) and other.scope != record.scope:
            others.setdefault(other.scope, other)
    counts: dict[str, int] = {}
    here = _Miss(record)
    for other in others.values():
        _add(counts, _differing(here, _Miss(other)))
    system_prompt = record.apart or next((other.apart for other in others.values() if other.apart is not None), None)
    return _apart(len(others), counts, system_prompt)


def differing(first: RequestRecord, second: RequestRecord) -> tuple[str, ...]:
    """The names of the parts in which two misses differ, as far as they are kept."""
    return _differing(_Miss(first), _Miss(second))


class _Miss:
    """A miss with the digests of its parts, read once."""

    __slots__ = ("digests", "model", "question", "scope")

    def __init__(self, record: RequestRecord) -> None:
        self.question, self.scope, self.model = record.question, record.scope, record.model
        self.digests = {name: part.digest for name, part in unpack(record.parts).items()}


def _differing(first: _Miss, second: _Miss) -> tuple[str, ...]:
    here, there = first.digests, second.digests
    found = ["model"] if first.model != second.model else []
    if here != there:
        found += (name for name in dict.fromkeys((*here, *there)) if here.get(name) != there.get(name))
    return tuple(found)


def _nearest(miss: _Miss, others: Iterable[_Miss]) -> tuple[str, ...] | None:
    """The fewest parts in which it differs from one of the others; None without any."""
    nearest: tuple[str, ...] | None = None
    for other in others:
        found = _differing(miss, other)
        if nearest is None or len(found) < len(nearest):
            nearest = found
        if len(found) == 1:
            break
    return nearest


def _of_namespace(namespace: str, records: Sequence[RequestRecord]) -> NamespaceScopes:
    scopes = {record.scope for record in records}
    misses = [record for record in reversed(records) if record.kind is OutcomeKind.MISS]
    asked: dict[bytes, dict[str, _Miss]] = {}
    repeated = 0
    counts: dict[str, int] = {}
    between: dict[str, int] = {}
    before: dict[str, _Miss] = {}
    for miss in map(_Miss, misses):
        known = asked.setdefault(miss.question, {}) if miss.question else {}
        latest = islice(reversed(known.values()), _COMPARED)
        nearest = _nearest(miss, (other for other in latest if other.scope != miss.scope))
        if nearest is not None:
            repeated += 1
            _add(counts, nearest)
        last = before.get(miss.model)
        if last is not None and last.scope != miss.scope:
            _add(between, _differing(miss, last))
        before[miss.model] = known[miss.scope] = miss
    if repeated:
        scopes = {scope for known in asked.values() if len(known) > 1 for scope in known}
    prompts = (miss.apart for miss in reversed(misses) if miss.apart is not None)
    return NamespaceScopes(
        namespace=namespace,
        requests=len(records),
        misses=len(misses),
        per_hundred=_per_hundred([record.scope for record in records]),
        repeated=repeated,
        apart=_apart(len(scopes), counts if repeated else between, next(prompts, None)),
    )


def _per_hundred(scopes: Sequence[str]) -> float:
    """Different ones in a hundred in a row, on average over all whole hundreds; of fewer, in proportion."""
    starts = range(0, len(scopes) - HUNDRED + 1, HUNDRED)
    hundreds = [scopes[start : start + HUNDRED] for start in starts] or [scopes]
    return sum(len(set(some)) * HUNDRED / len(some) for some in hundreds) / len(hundreds)


def _apart(scopes: int, counts: dict[str, int], system_prompt: tuple[str, str] | None) -> Apart:
    differs = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
    is_shown = bool(SYSTEM_PROMPTS & set(differs))
    return Apart(scopes=scopes, differs=differs, system_prompt=system_prompt if is_shown else None)


def _add(counts: dict[str, int], names: Iterable[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1
