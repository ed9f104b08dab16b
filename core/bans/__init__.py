"""Invalidations as data: criteria, the record that a lookup reads, the one rule of what is visible. Pure."""

from .criteria import MAX_TAGS, MOST_TAGS, Criteria, Selection
from .prefilter import ASCII_FOLDING, FOLDING_LEADS, required_substrings
from .record import (
    CLOCKS_SECONDS,
    COPIES_SECONDS,
    MAX_ACTIVE_BANS,
    Ban,
    BanState,
    InvalidationRecord,
    Visibility,
    allow_copies,
    append,
    begin_sweep,
    decode_record,
    due,
    encode_record,
    expire_holds,
    expired_tombstones,
    lift,
    may_have_copies,
    may_store,
    new_record,
    retire,
    visibility,
)

__all__ = [
    "ASCII_FOLDING", "CLOCKS_SECONDS", "COPIES_SECONDS", "FOLDING_LEADS", "MAX_ACTIVE_BANS", "MAX_TAGS", "MOST_TAGS",
    "Ban", "BanState", "Criteria", "InvalidationRecord", "Selection", "Visibility", "allow_copies", "append",
    "begin_sweep", "decode_record", "due", "encode_record", "expire_holds", "expired_tombstones", "lift",
    "may_have_copies", "may_store", "new_record", "required_substrings", "retire", "visibility",
]  # fmt: skip
