"""The only place that speaks Redis for entries, invalidation records, leases and the indexes by model."""

from . import embedded
from .address import ServerKind, parse_address
from .clients import open_client
from .clock import WRONG_SECONDS, wrong_clocks
from .embedded import OLDEST_VERSION, EmbeddedRedis, ServerBinary, server_at
from .failures import is_refusal, reading, translated, writing
from .form import claim_form, has_older, remove_older
from .info import server_info
from .lock import lock
from .rights import losses, queue_rights, remedy, user_of
from .script import load_script
from .script_marks import MOST_MARKS, ScriptMarks
from .shared_hash import COPY_SECONDS, RecentReads, SharedHash, shared_hash
from .store import RedisStore, patient_client, request_client, stores_of

__all__ = [
    "COPY_SECONDS", "MOST_MARKS", "OLDEST_VERSION", "WRONG_SECONDS", "EmbeddedRedis", "RecentReads", "RedisStore",
    "ScriptMarks", "ServerBinary", "ServerKind", "SharedHash", "claim_form", "embedded", "has_older", "is_refusal",
    "load_script", "lock", "losses", "open_client", "parse_address", "patient_client", "queue_rights", "reading",
    "remedy", "remove_older", "request_client", "server_at", "server_info", "shared_hash", "stores_of",
    "translated", "user_of", "writing", "wrong_clocks",
]  # fmt: skip
