"""Invalidations as data: criteria, the record that a lookup reads, the one rule of what is visible. Pure."""

from . import changes
from .ban import SEQUENCE_DIGITS, TOMBSTONE_SECONDS, Ban, BanState, decode_ban, encode_ban
from .book import Book, BookAt, Logged, Visibility, changes_between
from .changes import MOST_ACTIVE, MOST_LISTED, Change
from .criteria import MAX_TAGS, MOST_TAGS, Criteria, Selection
from .names import DIGEST_BYTES, Name, digests_of, entry_digests, filed_under, names_of, says_only_names
from .prefilter import ASCII_FOLDING, FOLDING_LEADS, required_substrings
from .record import (
    CHANGED_BYTES,
    CLOCKS_SECONDS,
    COPIES_SECONDS,
    NO_MARK,
    InvalidationRecord,
    decode_record,
    encode_record,
    latest_of,
    may_share,
    may_store,
    new_mark,
    new_record,
    visibility,
)

__all__ = [
    "ASCII_FOLDING", "CHANGED_BYTES", "CLOCKS_SECONDS", "COPIES_SECONDS", "DIGEST_BYTES", "FOLDING_LEADS", "MAX_TAGS",
    "MOST_ACTIVE", "MOST_LISTED", "MOST_TAGS", "NO_MARK", "SEQUENCE_DIGITS", "TOMBSTONE_SECONDS", "Ban", "BanState",
    "Book", "BookAt", "Change", "Criteria", "InvalidationRecord", "Logged", "Name", "Selection", "Visibility",
    "changes", "changes_between", "decode_ban", "decode_record", "digests_of", "encode_ban", "encode_record",
    "entry_digests", "filed_under", "latest_of", "may_share", "may_store", "names_of", "new_mark", "new_record",
    "required_substrings", "says_only_names", "visibility",
]  # fmt: skip
