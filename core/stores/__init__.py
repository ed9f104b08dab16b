"""Where entries, invalidation records and leases live: roles of a store, stored form, checked lookup, local copies."""

from . import codec
from .aside import Aside, AsideStore, Return
from .base import (
    Claim,
    Correction,
    EntryIndex,
    EntryStore,
    LeaseStore,
    Persistence,
    Reader,
    RecordStore,
    Removal,
    Removed,
    Row,
    ScanPage,
    Seen,
    Store,
    StoredAs,
    StoreInfo,
    SweepFilter,
    Write,
)
from .clock import Clock
from .codec import EntrySummary
from .leases import HeldLease, Leases
from .local import LocalCache
from .lookup import Examined, Found, Looking, Lookup, MissReason, examine, follow, look_up, looking
from .memory import MemoryStore
from .refusal import Refusal

__all__ = [
    "Aside", "AsideStore", "Claim", "Clock", "Correction", "EntryIndex", "EntryStore", "EntrySummary", "Examined",
    "Found", "HeldLease", "LeaseStore", "Leases", "LocalCache", "Looking", "Lookup", "MemoryStore", "MissReason",
    "Persistence", "Reader", "RecordStore", "Refusal", "Removal", "Removed", "Return", "Row", "ScanPage", "Seen",
    "Store", "StoreInfo", "StoredAs", "SweepFilter", "Write", "codec", "examine", "follow", "look_up", "looking",
]  # fmt: skip
