"""From rows of the index to entries: each is read from the store and passes the checked lookup, or is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..bans import InvalidationRecord, Visibility
from ..keys import Family, Identity, Slot
from ..models import CacheEntry, Controls
from ..stores import Examined, MissReason, Store, examine, follow

if TYPE_CHECKING:
    from .index import Candidate


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One request's question, where its near ones are read from, and as of when (Unix seconds).

    `slot_of` gives the slot of a namespace's bucket. With a `family` its entries are read too.
    """

    store: Store
    slot_of: Callable[[str, int], Slot]
    identity: Identity
    controls: Controls
    now: float
    family: Family | None = None


class Live(NamedTuple):
    """A fresh entry, the bucket it is in, and its row's cosine."""

    entry: CacheEntry
    bucket: int
    similarity: float


def row_key(bucket: int, digest: bytes) -> bytes:
    """The key of an entry in the index."""
    return bucket.to_bytes(2, "big") + digest


def family_row_key(bucket: int, digest: bytes) -> bytes:
    """The key of an entry in the partition of its family: another one, since all rows of an hour share a hash."""
    return row_key(bucket, digest) + _IN_FAMILY


def is_in_family(key: bytes) -> bool:
    """Whether the key of a row is of the partition of a family."""
    return len(key) == _KEY_BYTES + len(_IN_FAMILY)


_KEY_BYTES = 34
_IN_FAMILY = b"c"


def live_entries(query: Query, rows: Sequence[Candidate], forget: Callable[[bytes], None]) -> Iterator[Live]:
    """The fresh entries that rows lead to, in the order of the rows, each entry once. Raises StoreUnavailable.

    Nothing is read before it is needed: the first row's value by itself, since it mostly decides, the values of all
    others in one round trip a bucket, an alias' target when its turn comes. A row that leads nowhere is given to
    `forget`.
    """
    met: set[bytes] = set()
    for group in (rows[:1], rows[1:]):
        values = _read(query, group)
        for row in group:
            value, record = values[row.key]
            if record is None:
                continue
            found = _examined(query, row.key, value, record)
            # An invalidated one may come back by an undo, until it is swept.
            if found in (MissReason.INCARNATION, MissReason.CORRUPT, MissReason.ABSENT):
                forget(row.key)
            if not isinstance(found, Examined) or found.visibility is not Visibility.FRESH:
                continue
            header = found.entry.header
            if query.now < header.fresh_until and header.digest not in met:
                met.add(header.digest)
                yield Live(found.entry, bucket_and_digest(row.key)[0], row.similarity)


def _examined(query: Query, key: bytes, value: bytes | None, record: InvalidationRecord) -> Examined | MissReason:
    """The entry that a value holds or, as an alias, leads to."""
    if value is None:
        return MissReason.ABSENT
    identity, max_age = query.identity, query.controls.max_age
    bucket, digest = bucket_and_digest(key)
    found = examine(value, digest, identity, record, query.now, max_age, query.family)
    if isinstance(found, Examined) and (target := found.entry.header.target) is not None:
        slot = query.slot_of(identity.namespace, bucket)
        found, _ = follow(query.store, slot, identity, found.entry, target, query.now, max_age)
    return found


def _read(query: Query, rows: Sequence[Candidate]) -> dict[bytes, tuple[bytes | None, InvalidationRecord | None]]:
    """The values at the rows' keys, with their bucket's record: one round trip a bucket."""
    by_bucket: dict[int, list[bytes]] = {}
    for row in rows:
        by_bucket.setdefault(bucket_and_digest(row.key)[0], []).append(row.key)
    found: dict[bytes, tuple[bytes | None, InvalidationRecord | None]] = {}
    for bucket, keys in by_bucket.items():
        slot = query.slot_of(query.identity.namespace, bucket)
        values, record = query.store.read(slot, [bucket_and_digest(key)[1] for key in keys])
        found |= {key: (value, record) for key, value in zip(keys, values, strict=True)}
    return found


def bucket_and_digest(key: bytes) -> tuple[int, bytes]:
    """Where the entry of a row's key is: its bucket and its own key."""
    return int.from_bytes(key[:2], "big"), key[2:_KEY_BYTES]
