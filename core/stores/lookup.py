"""The checked lookup: the only way an answer leaves the store.

Schema, checksum, digest, namespace, scope and the invalidation record are checked for every value, an alias' own and
its target's. Whatever does not pass is a miss with a reason, never an exception. In place of the scope the family of a
conversation is checked, where that is given: for candidates of a semantic lookup, and for the target of an alias that a
judge has agreed to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from ..bans import CLOCKS_SECONDS, InvalidationRecord, Visibility, visibility
from ..errors import CacheError, DecodeError, NotPermitted, OutcomeUnknown, StoreTimeout, WriteRefused
from ..keys import Family, Identity, Slot
from ..models import CacheEntry, CacheStrategy, HitDetail
from . import codec
from .base import Reader, Seen

Result = TypeVar("Result")


class MissReason(StrEnum):
    """Why a lookup found nothing to serve; of several reasons, the most specific one.

    The last four are why the store gave no answer, or did not keep one. `bans-loading`: this process does not have the
    invalidations yet, so it cannot tell what they hide.
    """

    ABSENT = "absent"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    BANS_LOADING = "bans-loading"
    INCARNATION = "incarnation"
    CORRUPT = "corrupt"
    NO_RECORD = "no-record"
    CLOCK = "clock"
    MAX_AGE = "max-age"
    NO_CACHE = "no-cache"
    STORE_DOWN = "store-down"
    STORE_TIMEOUT = "store-timeout"
    NOT_PERMITTED = "not-permitted"
    WRITES_REFUSED = "writes-refused"

    @classmethod
    def of(cls, error: CacheError) -> MissReason:
        """The reason that lies in an error of a store."""
        match error:
            case WriteRefused():
                return cls.WRITES_REFUSED
            case NotPermitted():
                return cls.NOT_PERMITTED
            case StoreTimeout() | OutcomeUnknown(timed_out=True):
                return cls.STORE_TIMEOUT
            case _:
                return cls.STORE_DOWN


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that may be served; a `stale` one only by `stale-if-error` or `stale-while-revalidate`.

    It is stale past its freshness, and while an operator has marked it: then it is `soft` too. `copied`: it is a copy
    of this process' own.
    """

    entry: CacheEntry
    detail: HitDetail
    stale: bool = False
    soft: bool = False
    copied: bool = False


class Examined(msgspec.Struct, frozen=True):
    """An entry that passed all checks, and what the invalidation record says of it: FRESH or STALE.

    How old it is has not been looked at, but for a request's own `max_age`.
    """

    entry: CacheEntry
    visibility: Visibility


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """What one lookup saw: what it found, or why not; the record gives the stamp for a later store.

    `hidden`: a ban hides what stands at one of the places, or what an alias there leads to.
    """

    found: Found | None
    reason: MissReason
    record: InvalidationRecord | None
    hidden: bool = False


_TELLING = (
    MissReason.INVALIDATED,
    MissReason.BANS_LOADING,
    MissReason.MAX_AGE,
    MissReason.CLOCK,
    MissReason.CORRUPT,
    MissReason.INCARNATION,
    MissReason.EXPIRED,
    MissReason.ABSENT,
)


Wish = TypeVar("Wish")
Read = Callable[[Sequence[bytes]], Wish]
"""Makes of digests the wish to see what stands there, in the words of whoever reads."""
Looking = Generator[Wish, Seen | None, Result | None]
"""A lookup that touches no store: it yields wishes and is sent what was seen. It ends with None when nothing can be."""


def look_up(
    store: Reader,
    slot: Slot,
    identity: Identity,
    strategy: CacheStrategy,
    now: float,
    *,
    max_age: float | None = None,
    on_corrupt: Callable[[], None] = lambda: None,
) -> Lookup:
    """Looks up exactly and, where the strategy allows and applies, normalized.

    One round trip; an alias takes a second one.

    Raises StoreUnavailable.
    """
    steps = looking(_as_they_are, identity, strategy, now, max_age=max_age, on_corrupt=on_corrupt)
    return _read_for(store, slot, steps)


def looking(
    read: Read[Wish],
    identity: Identity,
    strategy: CacheStrategy,
    now: float,
    *,
    max_age: float | None = None,
    on_corrupt: Callable[[], None] = lambda: None,
) -> Looking[Wish, Lookup]:
    """The lookup as a generator of reads; prefers a fresh answer to a stale one."""
    digests = [identity.exact]
    if strategy is not CacheStrategy.EXACT and identity.normalized is not None:
        digests.append(identity.normalized)
    seen = yield read(digests)
    if seen is None:
        return None
    values, record = seen
    if record is None:
        # A namespace nobody has used yet, or a record that was lost: then no entry of it can be trusted.
        lost = any(value is not None for value in values)
        return Lookup(found=None, reason=MissReason.NO_RECORD if lost else MissReason.ABSENT, record=None)
    stale: Found | None = None
    reasons = [MissReason.ABSENT]  # not a set: an Enum's hash is Python code, and every hit would pay for it
    for digest, value in zip(digests, values, strict=True):
        if value is None:
            continue
        result = examine(value, digest, identity, record, now, max_age)
        if isinstance(result, Examined) and (target := result.entry.header.target) is not None:
            detail = HitDetail.NORMALIZED if digest == identity.normalized else HitDetail.ALIAS
            followed = yield from _following(read, identity, result.entry, target, now, max_age)
            if followed is None:
                return None
            result, record = followed
            if record is None:
                return Lookup(found=None, reason=MissReason.NO_RECORD, record=None)
        else:
            detail = HitDetail.EXACT
        if isinstance(result, MissReason):
            reasons.append(result)
            if result is MissReason.CORRUPT:
                on_corrupt()
        else:
            soft = result.visibility is Visibility.STALE
            is_stale = soft or now >= result.entry.header.fresh_until
            found = Found(entry=result.entry, detail=detail, stale=is_stale, soft=soft)
            if not is_stale:
                hidden = MissReason.INVALIDATED in reasons
                return Lookup(found=found, reason=MissReason.ABSENT, record=record, hidden=hidden)
            stale = stale or found
            reasons.append(MissReason.EXPIRED)
    reason = next(reason for reason in _TELLING if reason in reasons)
    return Lookup(found=stale, reason=reason, record=record, hidden=MissReason.INVALIDATED in reasons)


def _as_they_are(digests: Sequence[bytes]) -> Sequence[bytes]:
    return digests


def _read_for(store: Reader, slot: Slot, steps: Looking[Sequence[bytes], Result]) -> Result:
    """Carries a lookup out against a store."""
    try:
        digests = next(steps)
        while True:
            digests = steps.send(store.read(slot, digests))
    except StopIteration as end:
        result: Result = end.value
        return result


def examine(
    value: bytes,
    digest: bytes,
    identity: Identity,
    record: InvalidationRecord,
    now: float,
    max_age: float | None = None,
    family: Family | None = None,
) -> Examined | MissReason:
    """The entry in a value, if it is the requested one and the record does not hide it; else the reason why not.

    It is of the identity's scope, or of the `family`. The record's bans are matched here, once; a caller reads from the
    result whether the entry is stale.
    """
    try:
        entry = codec.decode_entry(value)
    except DecodeError:
        return MissReason.CORRUPT
    header = entry.header
    if header.digest != digest or header.namespace != identity.namespace:
        return MissReason.CORRUPT
    if header.scope != identity.scope and (family is None or not family.holds(header.scope, entry.family)):
        return MissReason.CORRUPT
    seen = visibility(entry, record)
    if seen is not Visibility.FRESH and seen is not Visibility.STALE:
        return MissReason(seen)  # in the same words
    if header.created_at > now + CLOCKS_SECONDS:
        return MissReason.CLOCK
    if max_age is not None and now - header.created_at > max_age:
        return MissReason.MAX_AGE
    return Examined(entry, seen)


def follow(
    store: Reader,
    slot: Slot,
    identity: Identity,
    alias: CacheEntry,
    target: bytes,
    now: float,
    max_age: float | None,
) -> tuple[Examined | MissReason, InvalidationRecord | None]:
    """The entry an alias names, both checked against the record as of the second read. Raises StoreUnavailable."""
    return _read_for(store, slot, _following(_as_they_are, identity, alias, target, now, max_age))


def _following(
    read: Read[Wish],
    identity: Identity,
    alias: CacheEntry,
    target: bytes,
    now: float,
    max_age: float | None,
    *,
    hops: int = 2,
) -> Looking[Wish, tuple[Examined | MissReason, InvalidationRecord | None]]:
    """Follows an alias.

    Another spelling of a near wording leads to that wording's alias, and from there to the entry: two hops, not more.
    """
    looked = yield read([target])
    if looked is None:
        return None
    values, record = looked
    if record is None:
        return MissReason.NO_RECORD, None
    if values[0] is None:
        return MissReason.ABSENT, record
    seen = visibility(alias, record)
    if seen is not Visibility.FRESH and seen is not Visibility.STALE:
        return MissReason(seen), record
    family = Family.unpack(alias.family)
    result = examine(values[0], target, identity, record, now, max_age, family if identity.converses else None)
    if result is MissReason.CORRUPT and family is not None and not identity.converses:
        return MissReason.ABSENT, record  # conversations have been switched off since
    if isinstance(result, Examined) and (further := result.entry.header.target) is not None:
        if hops < 2:
            return MissReason.CORRUPT, record
        return (yield from _following(read, identity, result.entry, further, now, max_age, hops=hops - 1))
    return result, record
