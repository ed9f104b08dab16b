"""What lies aside, as every store promises it."""

from __future__ import annotations

import pytest

from core.bans import changes
from core.bans.criteria import Criteria
from core.bans.names import entry_digests
from core.bans.record import InvalidationRecord
from core.keys.names import Slot, aside_field
from core.models import CacheEntry, Stamp
from core.stores import codec
from core.stores.aside import Aside, Return
from core.stores.base import Store, StoredAs, Write
from tests.samples import a_ban, an_entry, delete_value, digest_of
from tests.stores.test_contract import slot, store

__all__ = ["slot", "store"]


def put(store: Store, slot: Slot, created_at: float, *, over_hidden: bool = True, **fields) -> CacheEntry:
    """Stores an entry at one place, under the record as it is now."""
    record = store.ensure_record(slot)
    made = {"incarnation": record.incarnation, "sequence": record.sequence, "created_at": created_at} | fields
    entry = an_entry("p", namespace=slot.namespace, **made)
    write = Write(
        digest=entry.header.digest,
        value=codec.encode_entry(entry),
        ttl_ms=60_000,
        model=entry.header.model,
        created_at=created_at,
        names=entry_digests(entry),
        tags=entry.tags,
        over_hidden=over_hidden,
    )
    stamp = Stamp(entry.header.incarnation, entry.header.sequence)
    assert store.write(slot, write, stamp, record.sequence)[0] is StoredAs.STORED
    return entry


def ban(store: Store, slot: Slot, ban_id: str = "b", **criteria) -> None:
    store.append(slot, a_ban(ban_id, Criteria(**(criteria or {"all": True}))))


def lift(store: Store, slot: Slot, ban_id: str = "b") -> InvalidationRecord:
    store.change(slot, [ban_id], lambda found: changes.lift(found, ban_id))
    record = store.record(slot)
    assert record is not None
    return record


def aside(store: Store, slot: Slot) -> list[Aside]:
    return [each for batch in store.walk_aside(slot) for each in batch]


def a_return(what: Aside, entry: CacheEntry, instead_of: CacheEntry | None, record: InvalidationRecord) -> Return:
    return Return(
        aside=what,
        stamp=Stamp(entry.header.incarnation, entry.header.sequence),
        instead_of=None if instead_of is None else Stamp(instead_of.header.incarnation, instead_of.header.sequence),
        record=record,
        model=entry.header.model,
        created_at=entry.header.created_at,
        tags=entry.tags,
    )


def at(store: Store, slot: Slot) -> bytes | None:
    return store.read(slot, [digest_of("p")])[0][0]


def test_what_a_ban_may_hide_is_put_aside_in_the_step_that_stores(store, slot):
    first = put(store, slot, 1.0, tags=("t",))
    ban(store, slot)
    put(store, slot, 2.0)
    [found] = aside(store, slot)
    assert found.value == codec.encode_entry(first)
    assert found.field == aside_field(digest_of("p"), first.header.sequence)
    assert found.put_at == store.record(slot).sequence


def test_it_comes_back_by_compare_and_is_listed_again(store, slot):
    first = put(store, slot, 1.0, tags=("t",))
    ban(store, slot)
    newer = put(store, slot, 2.0)
    [found] = aside(store, slot)
    assert store.put_back(slot, a_return(found, first, newer, lift(store, slot)))
    assert at(store, slot) == codec.encode_entry(first)
    assert aside(store, slot) == []
    assert store.recent(slot, "gpt-4o") == [(1.0, digest_of("p"))]
    assert [row.digest for rows in store.walk_tags(slot, ["t"]) for row in rows] == [digest_of("p")]
    assert 0 < store.ttl_seconds(slot, digest_of("p")) <= 60


def test_it_does_not_come_back_when_bans_have_changed_since_they_were_looked_at(store, slot):
    first = put(store, slot, 1.0)
    ban(store, slot)
    newer = put(store, slot, 2.0)
    [found] = aside(store, slot)
    record = lift(store, slot)
    ban(store, slot, "c", model="gpt-4o")
    assert not store.put_back(slot, a_return(found, first, newer, record))
    assert not store.keep_for_undo(slot, found, record)
    lift(store, slot, "c")
    assert not store.put_back(slot, a_return(found, first, newer, record)), "another one came and went"
    assert at(store, slot) == codec.encode_entry(newer)


@pytest.mark.parametrize("now_there", ["another", "nothing"])
def test_it_does_not_come_back_when_something_else_stands_there(store, slot, now_there):
    first = put(store, slot, 1.0)
    ban(store, slot)
    newer = put(store, slot, 2.0)
    [found] = aside(store, slot)
    record = lift(store, slot)
    if now_there == "nothing":
        delete_value(store, slot, digest_of("p"))
        assert not store.put_back(slot, a_return(found, first, newer, record))
        assert store.put_back(slot, a_return(found, first, None, record))
        return
    assert not store.put_back(slot, a_return(found, first, None, record))
    assert store.put_back(slot, a_return(found, first, newer, record))
    assert not store.put_back(slot, a_return(found, first, first, record)), "it does so once"


def test_it_waits_for_another_undo_when_it_is_told_to(store, slot):
    put(store, slot, 1.0)
    ban(store, slot)
    put(store, slot, 2.0)
    [found] = aside(store, slot)
    assert store.keep_for_undo(slot, found, store.record(slot))
    [waiting] = aside(store, slot)
    assert (waiting.put_at, waiting.value, waiting.field) == (None, found.value, found.field)


def test_what_is_dropped_is_gone(store, slot):
    first = put(store, slot, 1.0)
    ban(store, slot)
    newer = put(store, slot, 2.0)
    [found] = aside(store, slot)
    assert store.drop_aside(slot, [found.field, aside_field(digest_of("q"), 1)]) == len(codec.encode_entry(first))
    assert store.drop_aside(slot, [found.field]) == store.drop_aside(slot, []) == 0
    assert not store.put_back(slot, a_return(found, first, newer, lift(store, slot)))
    assert aside(store, slot) == []


def test_nothing_is_put_aside_without_a_ban_or_when_the_lookup_saw_nothing_hidden(store, slot):
    put(store, slot, 1.0)
    put(store, slot, 2.0)
    ban(store, slot, model="another")
    put(store, slot, 3.0, over_hidden=False)
    assert aside(store, slot) == []


def test_a_ban_that_came_after_the_lookup_is_heeded_though_that_saw_nothing_hidden(store, slot):
    first = put(store, slot, 1.0, tags=("t",))
    seen = store.record(slot)
    ban(store, slot, tags=("t",))
    put(store, slot, 2.0, over_hidden=False, sequence=seen.sequence)
    assert [each.value for each in aside(store, slot)] == [codec.encode_entry(first)]
