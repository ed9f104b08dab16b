from __future__ import annotations

from core.keys.names import Slot
from core.models import Stamp
from core.stores import codec
from core.stores.base import Claim, Write
from core.stores.memory import MemoryStore
from tests.samples import Clock, an_entry, digest_of

SLOT = Slot("test", 0)


def put(store: MemoryStore, prompt: str, ttl_ms: int = 60_000) -> None:
    record = store.ensure_record(SLOT)
    entry = an_entry(prompt, incarnation=record.incarnation)
    write = Write(digest=entry.header.digest, value=codec.encode_entry(entry), ttl_ms=ttl_ms, model="m", created_at=1.0)
    store.write(SLOT, write, Stamp(record.incarnation, record.sequence), record.sequence)


def has(store: MemoryStore, prompt: str) -> bool:
    return store.read(SLOT, [digest_of(prompt)])[0][0] is not None


def test_the_least_recently_used_leaves_first():
    store = MemoryStore(max_size=2)
    put(store, "a")
    put(store, "b")
    assert has(store, "a")
    put(store, "c")
    assert [has(store, name) for name in "abc"] == [True, False, True]
    assert store.statistics().evicted == 1


def test_an_entry_expires_and_reading_does_not_prolong_it():
    clock = Clock()
    store = MemoryStore(clock=clock)
    put(store, "a", ttl_ms=10_000)
    clock.forward(9)
    assert has(store, "a")
    clock.forward(1)
    assert not has(store, "a")
    assert store.statistics().expired == 1


def test_a_lease_ends_by_itself():
    clock = Clock()
    store = MemoryStore(clock=clock)
    one, two = (Claim(digest=b"d" * 32, sequence=1, token=token) for token in (b"1", b"2"))
    assert store.acquire(SLOT, one, 1000)
    clock.forward(0.9)
    assert store.renew(SLOT, [one], 1000) == [True]
    clock.forward(0.9)
    assert not store.acquire(SLOT, two, 1000)
    clock.forward(0.1)
    assert store.acquire(SLOT, two, 1000)


def test_pruning_drops_what_has_expired():
    clock = Clock()
    store = MemoryStore(clock=clock)
    put(store, "a", ttl_ms=1000)
    put(store, "b")
    clock.forward(2)
    assert store.prune_index(SLOT) == 1
    assert store.statistics().size == 1
