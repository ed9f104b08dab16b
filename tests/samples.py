"""Entries, records and clocks for tests, with everything but what a test is about already filled in."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from core.access.keys import KEY_PREFIX, OperationKey, key_digest
from core.access.roles import Role
from core.bans.ban import Ban
from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.bans.record import InvalidationRecord, encode_record
from core.keys.names import Slot
from core.models import CacheEntry, EntryHeader
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore

INCARNATION = b"i" * 16
NOW = 1_800_000_000.0


class Clock:
    """Unix seconds that a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def digest_of(name: str) -> bytes:
    return sha256(name.encode()).digest()


_OF_ENTRY = ("tags", "ttl_class", "body", "chunks", "family", "history")


def an_entry(prompt: str = "What is the capital of France?", **fields: Any) -> CacheEntry:
    """An entry; header fields and entry fields may be given by name."""
    entry_fields = {name: fields.pop(name) for name in _OF_ENTRY if name in fields}
    header: dict[str, Any] = {
        "digest": digest_of(prompt),
        "scope": digest_of("scope"),
        "namespace": "test",
        "model": "gpt-4o",
        "incarnation": INCARNATION,
        "sequence": 1,
        "created_at": NOW,
        "fresh_until": NOW + 3600,
    }
    body = {"choices": [{"message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}]}
    return CacheEntry(header=EntryHeader(**(header | fields)), prompt=prompt, **({"body": body} | entry_fields))


def a_ban(ban_id: str = "b", criteria: Criteria | None = None, **how: Any) -> Ban:
    """A ban of everything for a minute, to be appended."""
    return new_ban(ban_id, criteria or Criteria(all=True), **({"now": NOW, "hold_seconds": 60} | how))


def plant_record(store: Store, slot: Slot, record: InvalidationRecord) -> None:
    """Puts a record in a store as it never comes about there."""
    if isinstance(store, MemoryStore):
        store.ensure_record(slot)
        store._records[slot.record].record = record
    else:
        assert isinstance(store, RedisStore)
        store._client.set(slot.record, encode_record(record))


def delete_value(store: Store, slot: Slot, digest: bytes) -> None:
    """Deletes an entry or alias and nothing else, as an eviction does."""
    if isinstance(store, MemoryStore):
        store._drop(slot.entry(digest))
    else:
        assert isinstance(store, RedisStore)
        store._client.delete(slot.entry(digest))


def a_record(**fields: Any) -> InvalidationRecord:
    return InvalidationRecord(**({"incarnation": INCARNATION, "sequence": 1, "floor": 0} | fields))


def operation_key(name: str, role: Role, *namespaces: str) -> tuple[str, OperationKey]:
    """An operation key and what is kept of it: the same in every process, so that it may stand among parameters."""
    key = KEY_PREFIX + sha256(name.encode()).hexdigest()
    return key, OperationKey(name=name, role=role, namespaces=namespaces, digest=key_digest(key))
