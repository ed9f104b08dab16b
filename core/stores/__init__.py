"""Where entries are kept: one protocol, its implementations, and the only way an answer leaves them."""

from . import codec
from .base import Claim, Doom, Persistence, Removal, Removed, Row, Sifted, Store, StoredAs, StoreFacts, Write
from .codec import Glance
from .local import Copies
from .lookup import Examined, Found, Looking, Lookup, MissReason, Reader, Seen, examine, follow, look_up, looking
from .memory import MemoryStore

__all__ = [
    "Claim",
    "Copies",
    "Doom",
    "Examined",
    "Found",
    "Glance",
    "Looking",
    "Lookup",
    "MemoryStore",
    "MissReason",
    "Persistence",
    "Reader",
    "Removal",
    "Removed",
    "Row",
    "Seen",
    "Sifted",
    "Store",
    "StoreFacts",
    "StoredAs",
    "Write",
    "codec",
    "examine",
    "follow",
    "look_up",
    "looking",
]
