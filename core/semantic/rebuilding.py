"""Adds rows of the embedder in use beside those of others: from their keys to entries, to questions, to vectors.

Rows of others say which entries have a row; the entry says all else: where its row belongs, until when, and the
question. Nothing of others is changed. Why nothing can come back by it: a row leads to an entry and has no answer, a
key is always of one and the same question, and a lookup reads the entry and its bans then. What is banned, expired,
removed or replaced meanwhile is a row that leads nowhere, as when it had been stored by the embedder in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from ..errors import DecodeError, EmbedderError
from ..keys import Family, Slot
from ..models import CacheEntry
from ..stores import Store, codec
from ..stores.redis import reading, writing
from .conversations import stored_conversation
from .embedding import CheckedEmbedder, NoVector
from .fetch import bucket_and_digest, is_in_family
from .index import OtherRows, Partition, Row
from .results import RebuildProgress

if TYPE_CHECKING:
    from .embedding import EmbedderIdentity

BATCH = 50
"""Entries in memory at once."""
ROWS_A_SECOND = 1000
"""At most: processes that follow the index read ten thousand events behind its end, and load it anew beyond that."""
FAILURES = 5
"""So many batches in a row without a vector are the embedder's fault, and the end."""
_FAULTS = frozenset({NoVector.FAILED, NoVector.LATE, NoVector.WRONG_SHAPE, NoVector.NOT_FINITE})
"""The embedder's fault and not the text's: another time there may be a vector."""


class Rows(Protocol):
    """The stored rows of one embedder beside those of others. Raises redis.RedisError."""

    AT_ONCE: int

    def others(self, namespaces: Sequence[str]) -> OtherRows:
        """How many rows of other embedders these namespaces have."""
        ...

    def keys_of_others(self, namespace: str, *, batch: int) -> Iterator[list[bytes]]:
        """The keys of all rows of other embedders, in batches. A key may come more than once."""
        ...

    def has(self, rows: Sequence[tuple[Partition, bytes, float]]) -> list[bool]:
        """Whether there is a row of this embedder, by partition, key and expiry."""
        ...

    def append_many(self, rows: Sequence[tuple[Partition, Row]]) -> None:
        """Adds or replaces rows, for all processes."""
        ...


class Wanted(NamedTuple):
    """A row that is to be there: where, its key and expiry (Unix seconds), and the text that its vector is of."""

    partition: Partition
    key: bytes
    expires_at: float
    text: str


def rebuild(
    store: Store,
    rows: Rows,
    embedder: CheckedEmbedder,
    *,
    clock: Callable[[], float],
    rest: Callable[[float], None] = time.sleep,
    on_batch: Callable[[RebuildProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RebuildProgress:
    """Adds a row of this embedder for every entry that has one of another; what has one already costs no embedding.

    Rests between batches as long as each took, so that the server, the embedder's processor and those who follow the
    index are never busy with it for long. May end anywhere, and be run again or twice at the same time.

    Raises StoreUnavailable, WriteRefused, OutcomeUnknown, and EmbedderError for an embedder that fails again and again.
    """
    namespaces = store.namespaces()
    with reading():
        total = rows.others(namespaces).rows
    so_far = RebuildProgress(embedder=embedder.identity.name, total=total)
    failures = 0
    for namespace, keys in _batches(rows, namespaces):
        if should_stop():
            return so_far
        began = time.perf_counter()
        batch = _add(store, rows, embedder, namespace, keys, clock())
        so_far = _sum(so_far, batch)
        on_batch(so_far)
        failures = failures + 1 if batch.failed and not batch.added else 0
        if failures == FAILURES:
            raise EmbedderError("gives no vectors")
        took = time.perf_counter() - began
        rest(max(took, batch.added / ROWS_A_SECOND - took))
    return msgspec.structs.replace(so_far, finished=True)


def _batches(rows: Rows, namespaces: Sequence[str]) -> Iterator[tuple[str, list[bytes]]]:
    """The keys of all rows of others, at most a batch at once."""
    for namespace in namespaces:
        found = rows.keys_of_others(namespace, batch=BATCH)
        while True:
            with reading():
                keys = next(found, None)
            if keys is None:
                break
            for start in range(0, len(keys), BATCH):  # a small hash comes as a whole, whatever was asked for
                yield namespace, keys[start : start + BATCH]


def _add(
    store: Store, rows: Rows, embedder: CheckedEmbedder, namespace: str, keys: Sequence[bytes], now: float
) -> RebuildProgress:
    """Adds what is missing of a batch. The counts are of it alone."""
    wanted = _wanted(store, embedder.identity, namespace, keys, now)
    with reading():
        there = rows.has([(one.partition, one.key, one.expires_at) for one in wanted])
    missing = [one for one, is_there in zip(wanted, there, strict=True) if not is_there]
    vectors = embedder.vectors([one.text for one in missing])
    made = [
        (one.partition, Row(key=one.key, vector=vector, expires_at=one.expires_at))
        for one, vector in zip(missing, vectors, strict=True)
        if not isinstance(vector, NoVector)
    ]
    for start in range(0, len(made), rows.AT_ONCE):
        with writing():
            rows.append_many(made[start : start + rows.AT_ONCE])
    failed = sum(vector in _FAULTS for vector in vectors if isinstance(vector, NoVector))
    return RebuildProgress(
        embedder="",
        total=0,
        done=len(keys),
        added=len(made),
        present=len(wanted) - len(missing),
        gone=len(keys) - len(wanted),
        unreadable=len(missing) - len(made) - failed,
        failed=failed,
    )


def _wanted(
    store: Store, embedder: EmbedderIdentity, namespace: str, keys: Sequence[bytes], now: float
) -> list[Wanted]:
    """The rows of a batch whose entries are there and fresh."""
    by_bucket: dict[int, list[bytes]] = {}
    for key in keys:
        by_bucket.setdefault(bucket_and_digest(key)[0], []).append(key)
    found = []
    for bucket, of_bucket in by_bucket.items():
        values, record = store.read(Slot(namespace, bucket), [bucket_and_digest(key)[1] for key in of_bucket])
        if record is None:
            continue
        for key, value in zip(of_bucket, values, strict=True):
            entry = None if value is None else _entry(value)
            if (
                entry is not None
                and (entry.header.namespace, entry.header.digest) == (namespace, bucket_and_digest(key)[1])
                # Of what a ban hides: an undo brings it back, and until then lookups do not see it.
                and entry.header.incarnation == record.incarnation
                and entry.header.fresh_until > now
                and (home := _home(entry, key)) is not None
            ):
                scope, text = home
                partition = Partition(namespace=namespace, scope=scope, embedder=embedder)
                found.append(Wanted(partition, key, entry.header.fresh_until, text))
    return found


def _home(entry: CacheEntry, key: bytes) -> tuple[bytes, str] | None:
    """The scope of an entry's row, and the text that it is found by; None where the entry does not say."""
    if not is_in_family(key):
        return entry.header.scope, entry.prompt
    family = Family.unpack(entry.family)
    # Of an alias only the entry it leads to has a history, and that one has a row of its own.
    if family is None or entry.header.target is not None:
        return None
    stored = stored_conversation(entry)
    return None if stored is None else (family.digest, stored.completed.text)


def _entry(value: bytes) -> CacheEntry | None:
    try:
        return codec.decode_entry(value)
    except DecodeError:
        return None


def _sum(so_far: RebuildProgress, batch: RebuildProgress) -> RebuildProgress:
    counts = {
        name: getattr(so_far, name) + getattr(batch, name)
        for name in ("done", "added", "present", "gone", "unreadable", "failed")
    }
    return msgspec.structs.replace(so_far, **counts)
