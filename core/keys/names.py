"""Every key name in Redis, and the readable keys that people see."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from ..errors import InvalidInput

FORM: Final = 4
"""The form of entries, records and indexes. Whoever changes what is stored, the identity or the normal form raises it:
no code reads two forms, caches then start cold. What people made (audit, schedules, thresholds, labels) has forms of
its own and is carried over."""

FORM_KEY = b"encore:form"
"""The highest form in use on a Redis, as a decimal number."""

PART_SEPARATOR: Final = "~"
"""Between an operator's namespace and the part of it that a caller of the gateway names. No setting can hold it, so
that no caller can spell a namespace which an operator has configured."""

OWN_NAMESPACE_PATTERN = r"[A-Za-z0-9._-]{1,64}"
"""A namespace in the settings."""

NAMESPACE_PATTERN = rf"{OWN_NAMESPACE_PATTERN}(?:{PART_SEPARATOR}{OWN_NAMESPACE_PATTERN})?"
"""Any namespace: an operator's, or a caller's part of one."""


CONVERSATIONS: Final = ":conversations"
"""After a namespace in the names of what is known of its conversations: thresholds, evidence, the judge's budget. No
namespace can end so."""


def conversations_in(namespace: str) -> str:
    """The name under which everything on the conversations of a namespace stands, apart from its single questions."""
    return namespace + CONVERSATIONS


def namespace_in(subject: str) -> str:
    """The namespace of a name for conversations, or of a namespace itself."""
    return subject.removesuffix(CONVERSATIONS)


EVERYWHERE: Final = "*"
"""All namespaces, where an invalidation names one. No namespace can be called so."""


READABLE_KEY_PATTERN = re.compile(r"([0-9a-f]{1,3})-([0-9a-f]{64})")


def readable_key(bucket: int, digest: bytes) -> str:
    """The readable key of an entry, `0-9f86d08...`, as shown on screens and accepted by commands."""
    return f"{bucket:x}-{digest.hex()}"


def parse_readable_key(key: str) -> tuple[int, bytes] | None:
    """(bucket, digest) of a readable key, None when it is not one."""
    match = READABLE_KEY_PATTERN.fullmatch(key)
    return (int(match[1], 16), bytes.fromhex(match[2])) if match else None


def aside_field(digest: bytes, sequence: int) -> bytes:
    """Names what lies aside by its digest and the sequence it was stored under: each of an entry's pasts by itself."""
    return b"%b:%d" % (digest.hex().encode(), sequence)


class Slot:
    """The key names of one bucket of one namespace. Built once per bucket and kept."""

    __slots__ = ("_entry", "bucket", "namespace", "prefix", "record")

    def __init__(self, namespace: str, bucket: int) -> None:
        if not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        self.namespace = namespace
        self.bucket = bucket
        self.prefix = f"encore:{FORM}:{{{namespace}:{bucket:x}}}:".encode()
        self.record = self.prefix + b"record"
        self._entry = self.prefix + b"e:"

    def entry(self, digest: bytes) -> bytes:
        """Name of the entry (or alias) with this digest."""
        return self._entry + digest.hex().encode()

    def digest(self, name: bytes) -> bytes:
        """The digest an entry's name ends in."""
        return bytes.fromhex(name[len(self._entry) :].decode())

    @property
    def entries(self) -> bytes:
        """What the names of all entries begin with."""
        return self._entry

    @property
    def bans(self) -> bytes:
        """Hash of the active bans: id to ban. Like the record it has no TTL: what it hides must stay hidden."""
        return self.prefix + b"bans"

    @property
    def changes(self) -> bytes:
        """Stream of the latest changes of the bans, numbered without gaps by the revision each led to."""
        return self.prefix + b"changes"

    @property
    def due(self) -> bytes:
        """Sorted set of the active bans' ids by when a sweep has something to do for them."""
        return self.prefix + b"due"

    @property
    def aside(self) -> bytes:
        """Hash of what lies aside (see `core.stores.aside`): field to what is known of it.

        It ends a little later than the last of them. What it does not name is never served, wherever it lies.
        """
        return self.prefix + b"aside"

    def aside_value(self, field: bytes) -> bytes:
        """Name of a value that lies aside. It has the TTL that it had in its place."""
        return self.prefix + b"aside:" + field

    @property
    def nothing(self) -> bytes:
        """A name at which there is never anything: a script that deletes it may write when memory is full."""
        return self.prefix + b"nothing"

    def lease(self, digest: bytes, stamp_sequence: int) -> bytes:
        """Single-flight lease: per answer and per point in the history of invalidations."""
        return self.prefix + f"lease:{digest.hex()}:{stamp_sequence}".encode()

    def by_model(self, model: str) -> bytes:
        """Sorted set of a model's entries by creation time: a hint for counting, listing and walking."""
        return self.indexes + sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()

    def by_tag(self, tag: str) -> bytes:
        """Sorted set of the entries and aliases with a tag by when they are gone (ms): a hint for walking them.

        Of the last parts of their names. Its TTL is a little longer than that of the last of them.
        """
        return self.prefix + b"tag:" + sha256(tag.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()

    @property
    def indexes(self) -> bytes:
        """What the names of all models' sorted sets begin with."""
        return self.prefix + b"model:"

    @property
    def models(self) -> bytes:
        """Hash of the models that have a sorted set: digest to name."""
        return self.prefix + b"models"

    @property
    def hits(self) -> bytes:
        """Sorted set of entries by how often they were served."""
        return self.prefix + b"hits"

    @property
    def hit_times(self) -> bytes:
        """Sorted set of entries by when they were served last."""
        return self.prefix + b"hit-times"

    def hits_of_part(self, part: int) -> bytes:
        """Hash of hits by entry, within one part of a day."""
        return self.prefix + b"hits:%d" % part


PREFIX = b"encore:"
"""What every name begins with: the user that Redis knows needs no other keys, beside those of the job queue."""


NAMESPACES = b"encore:%d:namespaces" % FORM
"""Set of all namespaces ever written to (and their bucket count as `name:buckets`)."""


METRICS = "encore:metrics:"


AUDIT = b"encore:audit"


MACHINE_AUDIT = b"encore:{encore:audit}:machines"
"""What machines did as often as their data changed. The hash tag is the name above: a cluster keeps both in a slot."""


def audit_trail(invalidation_id: str) -> bytes:
    """List of the ids that the records of an invalidation have in the audit log."""
    return b"encore:{encore:audit}:of:" + _short(invalidation_id)


def repeated(request_id: str) -> bytes:
    """What was done for a request id, or answered to an operator's `Idempotency-Key`; each is kept for a day."""
    return b"encore:repeated:" + _short(request_id)


def _short(text: str) -> bytes:
    """A name of fixed length for what others have named."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()


REQUESTS = b"encore:requests"


SCHEDULES = b"encore:schedules"


PINS = b"encore:pins"


POOLS = b"encore:pools"


BYPASS = b"encore:bypass"


NAMESPACE_LABELS = b"encore:namespace-labels"
"""Hash of what people call each namespace."""


DEPLOY_MARKS = b"encore:deploy-marks"
"""Hash of the moments that are marked on charts, by id."""


ALERTS = b"encore:alerts"


CLOCKS = b"encore:clocks"
"""Hash of the machines whose clocks differ from Redis'."""


GAUGES = b"encore:{gauges}:"


HEADERS = b"encore:headers"
"""Sorted set of callers' headers that an operator should know of, by when they were named last."""


VECTORS = b"encore:%d:vs:" % FORM
"""Rows of the semantic index."""


REFRESH = b"encore:refresh:"


REFRESHES = b"encore:refreshes"


THRESHOLDS = b"encore:thresholds"


ENDED_LOGINS = b"encore:logins:ended:"


RATES = "encore:rates"
"""What the counters of operation keys' requests begin with; each expires within a minute."""


EVIDENCE = b"encore:evidence"


LOOKUPS = b"encore:lookups"


SAMPLES = b"encore:samples"


QUESTIONS = b"encore:{questions}"
"""The map of what people ask."""


QUESTIONS_ASKED = b"encore:{questions}:asked"
"""There while a person waits for a new map."""


NEAR_INDEX = b"encore:{near-index}:rebuilt:"
"""By embedder: when the index of near questions was last rebuilt for it, and with what result. Kept as long as rows of
other embedders are."""


NEAR_INDEX_ASKED = b"encore:{near-index}:asked"
"""There while a person waits for a rebuild."""


JUDGE_BUDGET = b"encore:judge:"


REJECTED_PAIRS = "encore:refused:"


# What older forms have left

_OLDER = re.compile(rb"encore:(?:\{[A-Za-z0-9._-]{1,64}:[0-9a-f]+\}:|vs:|namespaces\Z|([0-9]{1,9}):)")

OLDER_NAMESPACES = (b"encore:namespaces", *(b"encore:%d:namespaces" % form for form in range(2, FORM)))
"""The lists of namespaces of older forms. The first form had no number in its names."""


def is_older(name: bytes) -> bool:
    """Whether a key is an entry, a record or an index of an older form."""
    found = _OLDER.match(name)
    return found is not None and (found[1] is None or int(found[1]) < FORM)
