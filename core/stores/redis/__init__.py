"""The only place that speaks Redis for entries, invalidation records, leases and indexes."""

from . import embedded
from .address import ServerKind, parse_address
from .clients import open_client
from .embedded import OLDEST_VERSION, EmbeddedRedis, ServerBinary, server_at
from .failures import reading, writing
from .form import claim_form, has_older, remove_older
from .lock import lock
from .script import load_script
from .script_marks import MOST_MARKS, ScriptMarks
from .shared_hash import COPY_SECONDS, RecentReads, SharedHash, shared_hash
from .store import RedisStore, patient_client, request_client

__all__ = [
    "COPY_SECONDS", "MOST_MARKS", "OLDEST_VERSION", "EmbeddedRedis", "RecentReads", "RedisStore", "ScriptMarks",
    "ServerBinary", "ServerKind", "SharedHash", "claim_form", "embedded", "has_older", "load_script", "lock",
    "open_client", "parse_address", "patient_client", "reading", "remove_older", "request_client", "server_at",
    "shared_hash", "writing",
]  # fmt: skip
