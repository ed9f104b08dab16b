"""What an invalidation selects, and the record that makes it effective at once. Pure: no store, no clock.

Per namespace and bucket there is one invalidation record: a random incarnation, a sequence number that grows with each
invalidation, a floor below which no store is accepted, and the active bans. A lookup reads it together with the entry;
an entry is hidden when a ban newer than it matches. Every change is a function record -> record; a store applies it by
compare-and-swap.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from ..errors import DecodeError, InvalidationNotFound, InvalidationRefused
from ..models import CacheEntry, Stamp
from .criteria import Criteria

MAX_ACTIVE_BANS = 64
TOMBSTONE_SECONDS = 7200.0
"""Longer than any answer takes; should one take longer still, the floor refuses it."""
COPIES_SECONDS = 1.0
"""The longest time a process may serve its own copies without looking at the record again."""
CLOCKS_SECONDS = 60.0
"""How far apart the clocks of two machines may be."""


class BanState(StrEnum):
    """`held`: can be undone. `sweeping`: being deleted, no undo. `soft`: marks stale.

    A tombstone stands for one entry that was deleted at once, and stops those who are still writing it.
    """

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    TOMBSTONE = "swept"


class Ban(msgspec.Struct, frozen=True, kw_only=True):
    """One active invalidation in a record. Times are Unix seconds; `due_at` is when the hold ends."""

    sequence: int
    id: str
    criteria: Criteria
    state: BanState
    created_at: float
    due_at: float

    def matches(self, entry: CacheEntry) -> bool:
        """Whether the ban selects this entry or alias: stored before it, and matched by its criteria."""
        return self.criteria.matches(entry.header, entry.prompt, entry.tags)


class InvalidationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket's record. `floor`: a store whose lookup saw an older sequence is refused.

    Until `copies_until` (Unix seconds) processes may serve their own copies for `copies_seconds` after a look at it.
    """

    incarnation: bytes
    sequence: int
    floor: int
    bans: tuple[Ban, ...] = ()
    copies_seconds: float = 0.0
    copies_until: float = 0.0

    @property
    def stamp(self) -> Stamp:
        """The record's present incarnation and sequence: take it before the provider is called."""
        return Stamp(self.incarnation, self.sequence)

    def find(self, ban_id: str) -> Ban | None:
        """The active ban with this id; None when there is none."""
        return next((ban for ban in self.bans if ban.id == ban_id), None)


class Visibility(StrEnum):
    """Whether an invalidation record lets an entry be served."""

    FRESH = "fresh"
    STALE = "stale"
    HIDDEN = "invalidated"
    FOREIGN = "incarnation"


def visibility(entry: CacheEntry, record: InvalidationRecord) -> Visibility:
    """Whether an entry may be served under a record: the one place that decides it."""
    header = entry.header
    if header.incarnation != record.incarnation or header.sequence > record.sequence:
        return Visibility.FOREIGN
    result = Visibility.FRESH
    for ban in record.bans:
        if ban.sequence > header.sequence and ban.matches(entry):
            if ban.state is not BanState.SOFT:
                return Visibility.HIDDEN
            result = Visibility.STALE
    return result


def may_store(entry: CacheEntry, record: InvalidationRecord) -> bool:
    """Whether an entry generated under its own stamp may still be stored now that the record has moved on."""
    header = entry.header
    if header.incarnation != record.incarnation or record.floor > header.sequence:
        return False
    return not any(ban.sequence > header.sequence and ban.matches(entry) for ban in record.bans)


# Changes: record -> record.


def new_record() -> InvalidationRecord:
    """A record for a bucket that has none: nothing stored before it can be served."""
    return InvalidationRecord(incarnation=secrets.token_bytes(16), sequence=1, floor=0)


def append(
    record: InvalidationRecord,
    ban_id: str,
    criteria: Criteria,
    *,
    now: float,
    hold_seconds: float,
    soft: bool = False,
    removed: bool = False,
) -> InvalidationRecord:
    """The record with one more ban; unchanged when `ban_id` is in it already (a repeated request).

    `removed` says that the one entry a key ban names is deleted in the same step: it then only stops late writers and
    may be pushed out by newer ones. Raises InvalidationRefused when MAX_ACTIVE_BANS are active.
    """
    if record.find(ban_id):
        return record
    bans, floor = record.bans, record.floor
    if len(bans) >= MAX_ACTIVE_BANS:
        oldest = next((ban for ban in bans if ban.state is BanState.TOMBSTONE), None)
        if oldest is None:
            raise InvalidationRefused(
                f"{MAX_ACTIVE_BANS} invalidations are active in this namespace; sweep the due ones now, or undo one"
            )
        bans = tuple(ban for ban in bans if ban is not oldest)
        floor = max(floor, oldest.sequence)
    sequence = max(record.sequence + 1, int(now * 1e6))
    state = BanState.SOFT if soft else BanState.TOMBSTONE if removed else BanState.HELD
    ban = Ban(sequence=sequence, id=ban_id, criteria=criteria, state=state, created_at=now, due_at=now + hold_seconds)
    return msgspec.structs.replace(record, sequence=sequence, floor=floor, bans=(*bans, ban))


def lift(record: InvalidationRecord, ban_id: str) -> InvalidationRecord:
    """The record without a ban that nothing has been deleted for yet.

    Raises InvalidationNotFound, or InvalidationRefused when the sweep has begun or the entry is gone.
    """
    ban = record.find(ban_id)
    if ban is None:
        raise InvalidationNotFound(f"no active invalidation has the id {ban_id}")
    if ban.state is BanState.SWEEPING:
        raise InvalidationRefused("the sweep has begun: answers are being deleted and cannot be brought back")
    if ban.state is BanState.TOMBSTONE:
        raise InvalidationRefused("the answer was deleted at once and cannot be brought back")
    return msgspec.structs.replace(record, bans=tuple(other for other in record.bans if other is not ban))


def begin_sweep(record: InvalidationRecord, ban_ids: Iterable[str]) -> InvalidationRecord:
    """The record with these bans marked as being swept: from here on they hide, and there is no undo."""
    wanted = set(ban_ids)
    return msgspec.structs.replace(
        record,
        bans=tuple(
            msgspec.structs.replace(ban, state=BanState.SWEEPING)
            if ban.id in wanted and ban.state in (BanState.HELD, BanState.SOFT)
            else ban
            for ban in record.bans
        ),
    )


def expire_holds(record: InvalidationRecord, ban_ids: Iterable[str], now: float) -> InvalidationRecord:
    """The record with these holds ended now ("sweep now")."""
    wanted = set(ban_ids)
    return msgspec.structs.replace(
        record,
        bans=tuple(
            msgspec.structs.replace(ban, due_at=min(ban.due_at, now)) if ban.id in wanted else ban
            for ban in record.bans
        ),
    )


def retire(record: InvalidationRecord, ban_ids: Iterable[str]) -> InvalidationRecord:
    """The record without these bans, the floor raised past them. Only after a full pass that began after the hold."""
    wanted = set(ban_ids)
    gone = [ban for ban in record.bans if ban.id in wanted]
    if not gone:
        return record
    return msgspec.structs.replace(
        record,
        floor=max(record.floor, *(ban.sequence for ban in gone)),
        bans=tuple(ban for ban in record.bans if ban.id not in wanted),
    )


def allow_copies(record: InvalidationRecord, seconds: float, *, now: float, until: float) -> InvalidationRecord:
    """The record with a grant: processes may serve copies for `seconds` after they read the record, until `until`.

    A grant in force is only ever extended, because processes that have seen it act on it. `now` and `until` are Unix
    seconds.
    """
    if may_have_copies(record, now):
        seconds, until = max(seconds, record.copies_seconds), max(until, record.copies_until)
    return msgspec.structs.replace(record, copies_seconds=seconds, copies_until=until)


def may_have_copies(record: InvalidationRecord, now: float) -> bool:
    """Whether some process, by its own clock, may still serve copies by the grant of this record or an earlier one."""
    return bool(record.copies_seconds) and now < record.copies_until + CLOCKS_SECONDS


def due(record: InvalidationRecord, now: float) -> tuple[Ban, ...]:
    """Bans whose entries may be deleted now, those of an interrupted sweep included.

    A soft ban is due when hardly any entry it marks can still exist; a remaining one must not become fresh again.
    """
    return tuple(
        ban
        for ban in record.bans
        if ban.state is BanState.SWEEPING or (ban.state in (BanState.HELD, BanState.SOFT) and ban.due_at <= now)
    )


def expired_tombstones(record: InvalidationRecord, now: float) -> tuple[Ban, ...]:
    """Tombstones so old that every writer they stop has ended."""
    return tuple(
        ban for ban in record.bans if ban.state is BanState.TOMBSTONE and ban.created_at <= now - TOMBSTONE_SECONDS
    )


# Stored form: a line of text that scripts can compare without parsing numbers (a Lua number would lose digits), then
# the bans in msgpack, which only Python reads. The grant for copies (milliseconds, Unix seconds) ends the line, if any.

_LINE = re.compile(rb"([0-9a-f]{32}) (\d{20}) (\d{20})(?: (\d{1,4}) (\d{1,12}))?\n")
_bans_decoder = msgspec.msgpack.Decoder(tuple[Ban, ...])


def encode_record(record: InvalidationRecord) -> bytes:
    """The record as bytes, as it is stored in Redis."""
    line = f"{record.incarnation.hex()} {record.sequence:020d} {record.floor:020d}"
    if record.copies_seconds:
        line += f" {math.ceil(record.copies_seconds * 1000)} {math.ceil(record.copies_until)}"
    return line.encode() + b"\n" + msgspec.msgpack.encode(record.bans)


def decode_record(value: bytes) -> InvalidationRecord:
    """The record in bytes that `encode_record` made. Raises DecodeError for anything else."""
    match = _LINE.match(value)
    if match is None:
        raise DecodeError("not an invalidation record")
    try:
        bans = _bans_decoder.decode(value[match.end() :])
    except msgspec.MsgspecError as error:
        raise DecodeError("not an invalidation record") from error
    return InvalidationRecord(
        incarnation=bytes.fromhex(match[1].decode()),
        sequence=int(match[2]),
        floor=int(match[3]),
        bans=bans,
        copies_seconds=int(match[4] or 0) / 1000,
        copies_until=float(match[5] or 0),
    )
