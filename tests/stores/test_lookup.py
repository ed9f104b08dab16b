"""The checked lookup: whatever stands at a name, only the right answer leaves the store."""

from __future__ import annotations

import pytest

from core.bans.book import Visibility
from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.bans.record import InvalidationRecord, visibility
from core.keys.identity import identify
from core.keys.names import Slot
from core.models import CacheEntry, CacheStrategy, ChatRequest, HitDetail
from core.stores import codec
from core.stores.base import Write
from core.stores.lookup import Lookup, MissReason, look_up
from core.stores.memory import MemoryStore
from tests.samples import NOW, an_entry

SLOT = Slot("test", 0)
REQUEST = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is the capital?"}])
IDENTITY = identify(REQUEST, "test")
OTHER = identify(REQUEST, "other")


class Shelf:
    """A memory store on which a test puts any bytes."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock=lambda: NOW)
        self.record = self.store.ensure_record(SLOT)

    def put(self, digest: bytes, value: bytes) -> None:
        write = Write(digest=digest, value=value, ttl_ms=60_000, model="m", created_at=NOW)
        record = self.store.ensure_record(SLOT)
        self.store.write(SLOT, write, record.stamp, record.sequence)

    def entry(self, **fields) -> CacheEntry:
        header = {
            "digest": IDENTITY.exact,
            "scope": IDENTITY.scope,
            "incarnation": self.record.incarnation,
            "sequence": self.record.sequence,
        }
        return an_entry("What is the capital?", **(header | fields))

    def alias(self, prompt: str = "What is the capital?", **fields) -> CacheEntry:
        header = {
            "digest": IDENTITY.normalized,
            "scope": IDENTITY.scope,
            "incarnation": self.record.incarnation,
            "sequence": self.record.sequence,
            "target": IDENTITY.exact,
            "body": None,
        }
        return an_entry(prompt, **(header | fields))

    def look_up(self, **options) -> Lookup:
        return look_up(self.store, SLOT, IDENTITY, CacheStrategy.NORMALIZED, NOW, **options)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_the_right_entry_is_found(shelf):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    found = shelf.look_up().found
    assert (found.detail, found.stale) == (HitDetail.EXACT, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": OTHER.exact},
        {"scope": OTHER.scope},
        {"namespace": "other"},
    ],
)
def test_a_value_of_another_request_is_a_counted_miss(shelf, fields):
    counted = []
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry(**fields)))
    lookup = shelf.look_up(on_corrupt=lambda: counted.append(1))
    assert (lookup.found, lookup.reason) == (None, MissReason.CORRUPT)
    assert counted == [1]


@pytest.mark.parametrize("value", [b"", b"x" * 500, b"\x80\x04pickle"])
def test_a_value_that_is_no_entry_is_a_miss(shelf, value):
    shelf.put(IDENTITY.exact, value)
    assert shelf.look_up().reason is MissReason.CORRUPT


def test_an_alias_leads_to_its_entry(shelf):
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias()))
    assert shelf.look_up().reason is MissReason.ABSENT, "an alias without its entry is a miss"
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    exact_only = look_up(shelf.store, SLOT, IDENTITY, CacheStrategy.EXACT, NOW)
    assert exact_only.found.detail is HitDetail.EXACT


def normalized_lookup(shelf: Shelf) -> Lookup:
    """Of another spelling: only the alias can answer it."""
    spelled = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "what is the capital"}])
    return look_up(shelf.store, SLOT, identify(spelled, "test"), CacheStrategy.NORMALIZED, NOW)


def test_another_spelling_is_a_normalized_hit(shelf):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias()))
    assert normalized_lookup(shelf).found.detail is HitDetail.NORMALIZED


@pytest.mark.parametrize("keyword", ["alias wording", "What is the capital?"])
def test_a_ban_on_either_side_of_an_alias_hides_it(shelf, keyword):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias("the alias wording")))
    assert normalized_lookup(shelf).found
    shelf.store.append(SLOT, new_ban("b", Criteria(keywords=(keyword,)), now=NOW, hold_seconds=60))
    lookup = normalized_lookup(shelf)
    assert (lookup.found, lookup.reason) == (None, MissReason.INVALIDATED)


def test_an_invalidation_between_the_two_reads_of_an_alias_hides_it(shelf):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias("the alias wording")))
    read = shelf.store.read

    def invalidate_before_the_second(slot, digests):
        if list(digests) == [IDENTITY.exact]:
            shelf.store.append(SLOT, new_ban("b", Criteria(keywords=("wording",)), now=NOW, hold_seconds=60))
        return read(slot, digests)

    shelf.store.read = invalidate_before_the_second
    lookup = normalized_lookup(shelf)
    assert (lookup.found, lookup.reason) == (None, MissReason.INVALIDATED)


def test_an_alias_of_an_alias_is_refused(shelf):
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias()))
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.alias(digest=IDENTITY.exact, target=IDENTITY.normalized)))
    assert normalized_lookup(shelf).reason is MissReason.CORRUPT


def test_a_fresh_normalized_answer_is_preferred_to_an_expired_exact_one(shelf):
    older = shelf.entry(fresh_until=NOW - 1)
    shelf.put(IDENTITY.exact, codec.encode_entry(older))
    other_digest = b"o" * 32
    shelf.put(other_digest, codec.encode_entry(shelf.entry(digest=other_digest)))
    shelf.put(IDENTITY.normalized, codec.encode_entry(shelf.alias(target=other_digest)))
    found = shelf.look_up().found
    assert (found.detail, found.stale) == (HitDetail.NORMALIZED, False)


def test_an_expired_answer_is_found_as_stale(shelf):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry(fresh_until=NOW)))
    lookup = shelf.look_up()
    assert lookup.reason is MissReason.EXPIRED
    assert lookup.found.stale
    assert not lookup.found.soft


def test_an_answer_older_than_max_age_is_not_found(shelf):
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry(created_at=NOW - 100)))
    assert shelf.look_up(max_age=100).found
    assert shelf.look_up(max_age=99).reason is MissReason.MAX_AGE


def test_the_bans_are_matched_once_for_an_entry(shelf, monkeypatch):
    matched: list[CacheEntry] = []

    def counted(entry: CacheEntry, record: InvalidationRecord) -> Visibility:
        matched.append(entry)
        return visibility(entry, record)

    monkeypatch.setattr("core.stores.lookup.visibility", counted)
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry()))
    shelf.store.append(SLOT, new_ban("b", Criteria(all=True), now=NOW, hold_seconds=60, soft=True))
    found = shelf.look_up().found
    assert (found.stale, found.soft) == (True, True)
    assert len(matched) == 1


def test_an_answer_from_the_future_is_not_served(shelf):
    """Its writer had a wrong clock and could not ask Redis for the time: until when it is fresh is not known."""
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry(created_at=NOW + 3000, fresh_until=NOW + 3300)))
    assert shelf.look_up().reason is MissReason.CLOCK
    shelf.put(IDENTITY.exact, codec.encode_entry(shelf.entry(created_at=NOW + 1, fresh_until=NOW + 301)))
    assert shelf.look_up().found is not None, "clocks are never quite alike"
