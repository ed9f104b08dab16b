"""Answers of `/v1/responses` that the provider keeps too: deleted there, they are served no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..keys import Slot, names, response_digest
from ..models import CacheEntry, Stamp
from ..stores import EntryStore, Removal, codec

if TYPE_CHECKING:
    from ..cache import LLMCache


def forget_response(cache: LLMCache, namespace: str, response_id: str) -> bool:
    """Removes the stored answer that is the response of this id; False when there is none.

    Copies in the memory of other processes may be served for a second more. Raises StoreUnavailable, WriteRefused or
    OutcomeUnknown.
    """
    digest = response_digest(namespace, response_id)
    for bucket in range(cache.config.buckets):
        slot = cache.slot(namespace, bucket)
        pointer = _value_at(cache.store, slot, digest)
        if pointer is None or pointer.header.target is None:
            continue
        entry = _value_at(cache.store, slot, pointer.header.target)
        is_there = entry is not None and (entry.body or {}).get("id") == response_id
        if entry is not None and is_there:
            cache.store.remove(slot, [_removal(pointer), _removal(entry)])
        # What an invalidation hid may lie aside, from where an undo would bring it back.
        cache.store.drop_aside(slot, [names.aside_field(pointer.header.target, pointer.header.sequence)])
        if entry is None or not is_there:
            return False  # another answer has taken its place
        if cache.copies is not None:
            cache.copies.forget(entry.header.digest)
        return True
    return False


def _value_at(store: EntryStore, slot: Slot, digest: bytes) -> CacheEntry | None:
    [value], _ = store.read(slot, [digest])
    try:
        return codec.decode_entry(value) if value is not None else None
    except DecodeError:
        return None


def _removal(entry: CacheEntry) -> Removal:
    header = entry.header
    return Removal(
        digest=header.digest,
        stamp=Stamp(header.incarnation, header.sequence),
        model=header.model,
        created_at=None if header.target is not None else header.created_at,
    )
