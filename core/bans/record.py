"""The record of a bucket's invalidations, and the one rule of what it lets be served. Pure: no store, no clock.

Per namespace and bucket there is one record: a random incarnation, a sequence number that grows with each invalidation,
a floor below which no store is accepted, and a revision that grows with each change of the bans. A lookup reads it
together with the entry. The bans stand beside it: a process keeps them in a Book and fetches what has changed when the
revision has moved.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable

import msgspec

from ..errors import DecodeError
from ..models import CacheEntry, Stamp
from .book import Book, Visibility
from .names import Name

COPIES_SECONDS = 1.0
"""The longest time a process may serve its own copies without looking at the record again."""
CLOCKS_SECONDS = 60.0
"""How far apart the clocks of two machines may be."""
NO_MARK = b"00000000"
"""The mark of a record whose bans have never changed."""
CHANGED_BYTES = 104
"""So much of a record's line is another whenever a ban is added or gone, or decides otherwise: up to the mark."""


class InvalidationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket's record. `floor`: a store whose lookup saw an older sequence is refused.

    `mark` names the change that led to this `revision`. `active` is how many bans there are; `listed`, of them, those
    that every entry must be compared with. `book` has them, or more: None where there are none, or when they are not
    here yet. Until `copies_until` (Unix seconds) processes may serve their own copies for `copies_seconds` after a look
    at the record.
    """

    incarnation: bytes
    sequence: int
    floor: int
    revision: int = 0
    mark: bytes = NO_MARK
    active: int = 0
    listed: int = 0
    copies_seconds: float = 0.0
    copies_until: float = 0.0
    book: Book | None = None

    @property
    def stamp(self) -> Stamp:
        """The record's present incarnation and sequence: take it before the provider is called."""
        return Stamp(self.incarnation, self.sequence)

    @property
    def is_complete(self) -> bool:
        """Whether the bans are here, so that it can be said what they hide."""
        return self.book is not None or not self.active


def visibility(entry: CacheEntry, record: InvalidationRecord) -> Visibility:
    """Whether an entry may be served under a record: the one place that decides it."""
    header = entry.header
    if header.incarnation != record.incarnation or header.sequence > record.sequence:
        return Visibility.FOREIGN
    if not record.active:
        return Visibility.FRESH
    if record.book is None:
        return Visibility.UNKNOWN
    return record.book.verdict(header.sequence, header, entry.prompt, entry.tags)


def may_store(entry: CacheEntry, record: InvalidationRecord) -> bool:
    """Whether an entry generated under its own stamp may still be stored now that the record has moved on.

    False too while the bans are not here.
    """
    header = entry.header
    if header.incarnation != record.incarnation or record.floor > header.sequence:
        return False
    if not record.active:
        return True
    book = record.book
    return book is not None and book.verdict(header.sequence, header, entry.prompt, entry.tags) is Visibility.FRESH


def latest_of(names: Iterable[Name], record: InvalidationRecord) -> int:
    """The sequence of the latest invalidation that may be of an answer with these names, as far as a record tells.

    Callers who find the same one may wait for the same answer: none of the invalidations between them is of it.
    """
    if not record.active:
        return record.floor  # of those that have been swept it tells no more than this
    return record.sequence if record.book is None else max(record.floor, record.book.latest(names))


def may_share(entry: CacheEntry, record: InvalidationRecord) -> bool:
    """Whether another caller's answer may be given to one who has looked at this record.

    Either it was begun no earlier than that look, or nothing that the look saw is of it: its tags are those of the
    caller who asked for it.
    """
    header = entry.header
    if header.incarnation != record.incarnation:
        return False
    return header.sequence >= record.sequence or visibility(entry, record) is Visibility.FRESH


def new_record() -> InvalidationRecord:
    """A record for a bucket that has none: nothing stored before it can be served."""
    return InvalidationRecord(incarnation=secrets.token_bytes(16), sequence=1, floor=0)


def new_mark() -> bytes:
    """A mark for one change: no other change of the same bucket has it."""
    return secrets.token_hex(len(NO_MARK) // 2).encode()


# Stored form: a line of text that scripts can compare and change. Sequence, floor and revision have a fixed width, so
# that they compare as text: a Lua number would lose digits beyond 2^53. The grant for copies ends the line, if any.

_LINE = re.compile(
    rb"([0-9a-f]{32}) (\d{20}) (\d{20}) (\d{20}) ([0-9a-f]{8}) (\d{1,9}) (\d{1,9})(?: (\d{1,4}) (\d{1,12}))?"
)


def encode_record(record: InvalidationRecord) -> bytes:
    """The record as it is stored, without its bans."""
    line = (
        f"{record.incarnation.hex()} {record.sequence:020d} {record.floor:020d} {record.revision:020d} "
        f"{record.mark.decode()} {record.active} {record.listed}"
    )
    if record.copies_seconds:
        line += f" {math.ceil(record.copies_seconds * 1000)} {math.ceil(record.copies_until)}"
    return line.encode()


def decode_record(value: bytes) -> InvalidationRecord:
    """The record in bytes that `encode_record` made. Raises DecodeError for anything else."""
    match = _LINE.fullmatch(value)
    if match is None:
        raise DecodeError("not an invalidation record")
    return InvalidationRecord(
        incarnation=bytes.fromhex(match[1].decode()),
        sequence=int(match[2]),
        floor=int(match[3]),
        revision=int(match[4]),
        mark=match[5],
        active=int(match[6]),
        listed=int(match[7]),
        copies_seconds=int(match[8] or 0) / 1000,
        copies_until=float(match[9] or 0),
    )
