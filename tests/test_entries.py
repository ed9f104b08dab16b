"""Listing and searching what is stored, on both stores."""

from __future__ import annotations

import pytest

from core import bans, codec
from core.bans import Criteria, Visibility
from core.entries import EntryFilter, find_entries
from core.keys import Slot, readable_key
from core.stores.base import Write
from core.stores.memory import MemoryStore
from core.stores.redis import RedisStore, patient_client
from tests.entries import NOW, an_entry, digest_of


@pytest.fixture(params=["memory", "redis"])
def store(request):
    made = (
        MemoryStore() if request.param == "memory" else RedisStore(patient_client(request.getfixturevalue("redis_url")))
    )
    yield made
    made.close()


@pytest.fixture
def slots(namespace):
    return [Slot(namespace, 0), Slot(namespace, 1)]


def put(store, slot, prompt, *, alias="", **fields):
    record = store.ensure_record(slot)
    stamped = {"incarnation": record.incarnation, "sequence": record.sequence, "namespace": slot.namespace}
    entry = an_entry(prompt, **(stamped | fields))
    aliases = an_entry(alias, target=entry.header.digest, **stamped)
    write = Write(
        digest=entry.header.digest,
        value=codec.encode_entry(entry),
        ttl_ms=60_000,
        model=entry.header.model,
        created_at=entry.header.created_at,
        alias=(digest_of(alias), codec.encode_entry(aliases)) if alias else None,
    )
    store.write(slot, write, record.stamp, record.sequence)


def prompts(found):
    return {one.entry.prompt for one in found}


def test_entries_of_all_buckets_are_found_and_aliases_are_not(store, slots):
    put(store, slots[0], "Straße", alias="strasse")
    put(store, slots[1], "the sky")
    found = find_entries(store, slots, EntryFilter(), 10)
    assert prompts(found) == {"Straße", "the sky"}
    assert {one.key for one in found} == {readable_key(0, digest_of("Straße")), readable_key(1, digest_of("the sky"))}
    assert all(one.bytes > 0 and one.state is Visibility.FRESH for one in found)
    assert len(find_entries(store, slots, EntryFilter(), 1)) == 1
    assert find_entries(store, [Slot("never-" + slots[0].namespace[:20], 0)], EntryFilter(), 10) == []


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (EntryFilter(text="STRASSE"), {"Straße"}),
        (EntryFilter(text="nothing"), set()),
        (EntryFilter(model="gpt-4"), {"old"}),
        (EntryFilter(model="gpt-4", text="sky"), set()),
        (EntryFilter(created_before=NOW), {"old"}),
        (EntryFilter(created_after=NOW), {"Straße", "the sky"}),
        (EntryFilter(model="gpt-4", created_before=NOW - 100), set()),
    ],
)
def test_all_that_is_given_must_match(store, slots, where, expected):
    put(store, slots[0], "Straße")
    put(store, slots[0], "the sky")
    put(store, slots[0], "old", model="gpt-4", created_at=NOW - 50)
    assert prompts(find_entries(store, slots, where, 10)) == expected


def test_what_is_invalidated_is_shown_when_asked_for(store, slots):
    put(store, slots[0], "hidden")
    put(store, slots[0], "stale")
    for ban_id, criteria, soft in (("a", Criteria(pattern="hid*"), False), ("b", Criteria(pattern="sta*"), True)):
        store.change_record(
            slots[0],
            lambda record, ban_id=ban_id, criteria=criteria, soft=soft: bans.append(
                record, ban_id, criteria, now=NOW, hold_seconds=60, soft=soft
            ),
        )
    [stale] = find_entries(store, slots, EntryFilter(), 10)
    assert (stale.state, stale.is_stale(NOW)) == (Visibility.STALE, True)
    states = {one.entry.prompt: one.state for one in find_entries(store, slots, EntryFilter(invalidated=True), 10)}
    assert states == {"hidden": Visibility.HIDDEN, "stale": Visibility.STALE}


def test_an_entry_is_stale_when_its_time_is_over(store, slots):
    put(store, slots[0], "p", fresh_until=NOW + 10)
    [found] = find_entries(store, slots, EntryFilter(), 10)
    assert (found.is_stale(NOW), found.is_stale(NOW + 10)) == (False, True)
