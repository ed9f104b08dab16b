"""None"""

from . import codec
from .base import Claim, Persistence, Removal, Removed, Row, ScanPage, Store, StoredAs, StoreInfo, SweepFilter, Write
from .codec import EntrySummary
from .local import LocalCache
from .lookup import Found, Lookup, MissReason, Reader, examine, follow, look_up
from .memory import MemoryStore

__all__ = [
    "Claim",
    "EntrySummary",
    "Found",
    "LocalCache",
    "Lookup",
    "MemoryStore",
    "MissReason",
    "Persistence",
    "Reader",
    "Removal",
    "Removed",
    "Row",
    "ScanPage",
    "Store",
    "StoreInfo",
    "StoredAs",
    "SweepFilter",
    "Write",
    "codec",
    "examine",
    "follow",
    "look_up",
]
