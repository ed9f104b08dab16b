"""Invalidations as data: criteria, the record that a lookup reads, the one rule of what is visible. Pure."""

from . import prefilter
from .criteria import Criteria
from .prefilter import needles
from .record import (
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
    "COPIES_SECONDS", "MAX_ACTIVE_BANS", "Ban", "BanState", "Criteria", "InvalidationRecord", "Visibility",
    "allow_copies", "append", "begin_sweep", "decode_record", "due", "encode_record", "expire_holds",
    "expired_tombstones", "lift", "may_have_copies", "may_store", "needles", "new_record", "prefilter", "retire",
    "visibility",
]  # fmt: skip
