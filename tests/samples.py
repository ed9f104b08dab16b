"""Entries, records and clocks for tests, with everything but what a test is about already filled in."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from core.bans.record import InvalidationRecord
from core.models import CacheEntry, EntryHeader

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


def an_entry(prompt: str = "What is the capital of France?", **fields: Any) -> CacheEntry:
    """An entry; header fields and entry fields may be given by name."""
    entry_fields = {name: fields.pop(name) for name in ("tags", "ttl_class", "body", "chunks") if name in fields}
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


def a_record(**fields: Any) -> InvalidationRecord:
    return InvalidationRecord(**({"incarnation": INCARNATION, "sequence": 1, "floor": 0} | fields))
