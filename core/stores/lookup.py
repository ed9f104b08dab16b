"""The checked lookup: the only way an answer leaves the store.

Schema, checksum, digest, namespace, scope and the invalidation record are checked for every value, an alias' own and
its target's. Whatever does not pass is a miss with a reason, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from ..bans import InvalidationRecord, Visibility, visibility
from ..errors import DecodeError
from ..keys import Identity, Slot
from ..models import CacheEntry, CacheStrategy, HitDetail
from . import codec
from .base import Reader


class MissReason(StrEnum):
    """Why a lookup found nothing to serve, the most telling one when there are several."""

    ABSENT = "absent"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    INCARNATION = "incarnation"
    CORRUPT = "corrupt"
    NO_RECORD = "no-record"
    MAX_AGE = "max-age"
    NO_CACHE = "no-cache"
    STORE_DOWN = "store-down"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that may be served. `expired`: past its freshness. `soft`: an operator marked it stale.

    `copied`: it is a copy of this process' own.
    """

    entry: CacheEntry
    detail: HitDetail
    expired: bool = False
    soft: bool = False
    copied: bool = False

    @property
    def stale(self) -> bool:
        """Whether only `stale-if-error` or `stale-while-revalidate` may serve it."""
        return self.expired or self.soft


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """What one lookup saw: what it found, or why not; the record gives the stamp for a later store."""

    found: Found | None
    reason: MissReason
    record: InvalidationRecord | None


_TELLING = (
    MissReason.INVALIDATED,
    MissReason.MAX_AGE,
    MissReason.CORRUPT,
    MissReason.INCARNATION,
    MissReason.EXPIRED,
    MissReason.ABSENT,
)


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
    """Exact and, where the strategy allows and applies, normalized, in one round trip; an alias takes a second one.

    A fresh answer is preferred to a stale one. Raises StoreUnavailable.
    """
    digests = [identity.exact]
    if strategy is not CacheStrategy.EXACT and identity.normalized is not None:
        digests.append(identity.normalized)
    values, record = store.read(slot, digests)
    if record is None:
        # A namespace nobody has used yet, or a record that was lost: then no entry of it can be trusted.
        lost = any(value is not None for value in values)
        return Lookup(found=None, reason=MissReason.NO_RECORD if lost else MissReason.ABSENT, record=None)
    stale: Found | None = None
    reasons = {MissReason.ABSENT}
    for digest, value in zip(digests, values, strict=True):
        if value is None:
            continue
        result = examine(value, digest, identity, record, now, max_age)
        if isinstance(result, CacheEntry) and (target := result.header.target) is not None:
            detail = HitDetail.NORMALIZED if digest == identity.normalized else HitDetail.ALIAS
            result, record = follow(store, slot, identity, result, target, now, max_age)
            if record is None:
                return Lookup(found=None, reason=MissReason.NO_RECORD, record=None)
        else:
            detail = HitDetail.EXACT
        if isinstance(result, MissReason):
            reasons.add(result)
            if result is MissReason.CORRUPT:
                on_corrupt()
        else:
            found = Found(
                entry=result,
                detail=detail,
                expired=now >= result.header.fresh_until,
                soft=visibility(result, record) is Visibility.STALE,
            )
            if not found.stale:
                return Lookup(found=found, reason=MissReason.ABSENT, record=record)
            stale = stale or found
            reasons.add(MissReason.EXPIRED)
    reason = next(reason for reason in _TELLING if reason in reasons)
    return Lookup(found=stale, reason=reason, record=record)


def examine(
    value: bytes,
    digest: bytes,
    identity: Identity,
    record: InvalidationRecord,
    now: float,
    max_age: float | None = None,
) -> CacheEntry | MissReason:
    """The entry a value holds, if it is the one asked for and the record does not hide it."""
    try:
        entry = codec.decode_entry(value)
    except DecodeError:
        return MissReason.CORRUPT
    header = entry.header
    if header.digest != digest or header.namespace != identity.namespace or header.scope != identity.scope:
        return MissReason.CORRUPT
    seen = visibility(entry, record)
    if seen is Visibility.HIDDEN:
        return MissReason.INVALIDATED
    if seen is Visibility.FOREIGN:
        return MissReason.INCARNATION
    if max_age is not None and now - header.created_at > max_age:
        return MissReason.MAX_AGE
    return entry


def follow(
    store: Reader,
    slot: Slot,
    identity: Identity,
    alias: CacheEntry,
    target: bytes,
    now: float,
    max_age: float | None,
    *,
    hops: int = 2,
) -> tuple[CacheEntry | MissReason, InvalidationRecord | None]:
    """The entry an alias names, both checked against the record as of the second read.

    Another spelling of a near wording leads to that wording's alias, and from there to the entry: two hops, not more.
    """
    values, record = store.read(slot, [target])
    if record is None:
        return MissReason.NO_RECORD, None
    if values[0] is None:
        return MissReason.ABSENT, record
    seen = visibility(alias, record)
    if seen is Visibility.HIDDEN:
        return MissReason.INVALIDATED, record
    if seen is Visibility.FOREIGN:
        return MissReason.INCARNATION, record
    entry = examine(values[0], target, identity, record, now, max_age)
    if isinstance(entry, CacheEntry) and (further := entry.header.target) is not None:
        if hops < 2:
            return MissReason.CORRUPT, record
        return follow(store, slot, identity, entry, further, now, max_age, hops=hops - 1)
    return entry, record
