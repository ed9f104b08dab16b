"""Scopes among the latest requests: how many a namespace asks in, and what keeps its equal questions apart. Pure.

Counted in the request log: exactly, of as many requests as it holds, of all namespaces together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from typing import Any

import msgspec

from ..keys import unpack
from ..models import OutcomeKind
from ..text import many
from .request_log import RequestRecord

HUNDRED = 100
FEWEST = 20
"""Requests of a namespace from which on it is said that its scopes are many."""
MOSTLY = 0.8
"""Of the requests, those with a new value, from which on it is said that the value changes with every one."""
MANY = 20.0
"""Scopes in a hundred requests from which on they are many: no answer is asked for five times."""
FEWEST_APART = 5
OFTEN = 0.2
"""Misses whose question was asked in another scope, in number and as a part of all, from which on it is said."""

TALK = "earlier messages"
"""What differs in conversations by their nature."""
MODEL = "model"
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


class Changing(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the requests of a namespace that is another one again and again, such as a system prompt with a time.

    It had `values` new values in `requests` requests, from `since` to `until` (Unix seconds; None: to the latest).
    `is_older`: the first requests that are known had it already. `has_number`: what differs is digits; None where it
    is not kept.
    """

    part: str
    values: int
    requests: int
    since: float
    is_older: bool = False
    until: float | None = None
    has_number: bool | None = None

    def in_words(self, clock: Callable[[float], str]) -> str:
        """`the system prompt changes with every request, e.g. by a time stamp, since 14:05:10`."""
        if self.values >= MOSTLY * self.requests:
            often = "changes with every request"
        else:
            often = f"changes often, {self.values:,} times in {many(self.requests, 'request')}"
        example = "" if self.part not in SYSTEM_PROMPTS or self.has_number is False else ", e.g. by a time stamp"
        if self.until is not None:
            return f"the {self.part} {often}{example}, from {clock(self.since)} to {clock(self.until)}"
        return f"the {self.part} {often}{example}, since {clock(self.since)}{' or before' if self.is_older else ''}"


class NamespaceScopes(msgspec.Struct, frozen=True, kw_only=True):
    """The scopes of a namespace among the latest requests: of `requests` that were looked up, `misses` missed.

    `per_hundred` is how many different scopes a hundred requests in a row have, on average. Of the misses `repeated`
    asked a question that had been asked in another scope before; `apart` says what differs, `changing` since when.
    """

    namespace: str
    requests: int
    misses: int
    per_hundred: float
    repeated: int
    apart: Apart
    changing: Changing | None = None

    @property
    def is_told(self) -> bool:
        """Whether the scopes are so many, or questions so often asked in others, that hits are lost by it.

        Questions asked of several models are apart by their nature.
        """
        if self.apart.differs[:1] == (MODEL,):
            return False
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


def scopes_of(records: Sequence[RequestRecord], *, starts_at: float | None = None) -> Scopes:
    """The scopes by namespace of records that are given newest first. Linear.

    Those before `starts_at` (Unix seconds) only help to say since when something changes.
    """
    by_namespace: dict[str, list[RequestRecord]] = {}
    for record in records:
        if record.scope and record.kind in (OutcomeKind.HIT, OutcomeKind.MISS):
            by_namespace.setdefault(record.namespace, []).append(record)
    counted = [record for record in records if starts_at is None or record.at >= starts_at]
    found = []
    for name, known in by_namespace.items():
        latest = [record for record in known if starts_at is None or record.at >= starts_at]
        if latest:
            found.append(_of_namespace(name, latest, known))
    found.sort(key=lambda one: (-one.requests, one.namespace))
    since = counted[-1].at if counted else None
    return Scopes(looked_at=len(counted), since=since, namespaces=tuple(found))


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


def _of_namespace(
    namespace: str, records: Sequence[RequestRecord], known_records: Sequence[RequestRecord]
) -> NamespaceScopes:
    """Of the records that count; all `known_records` of it say since when."""
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
    apart = _apart(len(scopes), counts if repeated else between, next(prompts, None))
    return NamespaceScopes(
        namespace=namespace,
        requests=len(records),
        misses=len(misses),
        per_hundred=_per_hundred([record.scope for record in records]),
        repeated=repeated,
        apart=apart,
        changing=_changing(apart, known_records),
    )


def _changing(apart: Apart, records: Sequence[RequestRecord]) -> Changing | None:
    """Since when the part that differs most has new values again and again, of records newest first; None: it has few.

    It begins where the number of new values so far is furthest below what it would be had they come evenly.
    """
    if not apart.differs or apart.differs[0] in (TALK, MODEL):
        return None
    part = apart.differs[0]
    oldest_first = records[::-1]
    new = _new_values(part, oldest_first)
    count, total = len(new), sum(new)
    ahead = [sofar * count - place * total for place, sofar in enumerate(accumulate(new, initial=0))]
    begins = ahead.index(min(ahead))
    before = sum(new[:begins])
    # As often before as after, by and large, or too short before to tell: then it was so from the first on.
    is_older = begins < FEWEST_APART or before * (count - begins) * 3 > (total - before) * begins
    first = new.index(1, 0 if is_older else begins) if total else 0
    last = count - new[::-1].index(1) if total else 0
    values, requests = sum(new[first:last]), last - first
    if values < FEWEST_APART:
        return None
    is_over = count - last > FEWEST + 3 * requests / values
    return Changing(
        part=part,
        values=values,
        requests=requests,
        since=oldest_first[first].at,
        is_older=is_older,
        until=oldest_first[last - 1].at if is_over else None,
        has_number=None if apart.system_prompt is None else all(map(_has_number, apart.system_prompt)),
    )


def _new_values(part: str, records: Sequence[RequestRecord]) -> list[int]:
    """1 for each record whose value of a part is in none before it, else 0. A hit has none: its scope was there."""
    seen: set[str | None] = set()
    new = []
    for record in records:
        is_new = False
        if record.kind is OutcomeKind.MISS and record.parts:
            found = unpack(record.parts).get(part)
            value = None if found is None else found.digest
            is_new = value not in seen
            seen.add(value)
        new.append(int(is_new))
    return new


def _has_number(text: str) -> bool:
    return any(character.isdigit() for character in text)


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
