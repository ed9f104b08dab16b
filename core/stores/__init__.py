"""Where entries live: the `Store` protocol, the stored form, the checked lookup, the store in this process' memory."""

from . import codec
from .base import Claim, Doom, Persistence, Removal, Removed, Row, Sifted, Store, StoredAs, StoreFacts, Write
from .codec import Glance
from .local import Copies
from .lookup import Found, Lookup, MissReason, Reader, examine, follow, look_up
from .memory import MemoryStore

__all__ = [
    "Claim",
    "Copies",
    "Doom",
    "Found",
    "Glance",
    "Lookup",
    "MemoryStore",
    "MissReason",
    "Persistence",
    "Reader",
    "Removal",
    "Removed",
    "Row",
    "Sifted",
    "Store",
    "StoreFacts",
    "StoredAs",
    "Write",
    "codec",
    "examine",
    "follow",
    "look_up",
]
