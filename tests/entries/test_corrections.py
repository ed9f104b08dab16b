"""Corrections: the right answer stands, and nothing of the wrong one is served, from the moment they return."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.audit import AuditLog
from core.access.roles import Actor, Role
from core.bans.criteria import Criteria
from core.bans.record import may_store, visibility
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.corrections import MOST_BYTES, MOST_VERSIONS, Corrections, versions_of, with_version
from core.entries.listing import EntryFilter, find_entry, page_entries
from core.entries.pins import Pins
from core.errors import AccessDenied, InvalidationRefused, InvalidInput, NotFound
from core.invalidation.invalidator import CacheInvalidator
from core.keys.names import Slot, parse_readable_key
from core.metrics.cache_metrics import CacheMetrics
from core.models import CacheEntry, ChatRequest, Completion, Controls, For
from core.stores import StoredAs, codec
from core.stores.base import Write
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import Clock
from tests.samples import an_entry as entry

QUESTION = "What is a card?"


class World:
    """A cache whose answers are corrected, on one of the stores."""

    def __init__(self, store, namespace, client=None):
        self.store, self.namespace, self.clock = store, namespace, store.clock
        self.audit = AuditLog(None, clock=self.clock)
        self.metrics = CacheMetrics(client, clock=self.clock)
        self.invalidation = CacheInvalidator(store, self.audit, namespace=namespace, clock=self.clock)
        config = CacheConfig(namespace=namespace, ttl_jitter=0)
        self.cache = LLMCache(
            config, store=store, clock=self.clock, metrics=self.metrics, invalidator=self.invalidation
        )
        self.pins = None
        if client is not None:
            self.pins = Pins(client, store, self.audit, release_seconds=lambda name: 3600.0, clock=self.clock)
        self.corrections = self.by(self.audit.by("olga", source="console"))

    def by(self, trail):
        return Corrections(self.cache, self.store, trail, pins=self.pins, clock=self.clock)

    def put(self, answer="A tree.", prompt=QUESTION, *, seconds=600, **controls):
        given = Controls(ttl=For(seconds), **controls)
        return self.cache.put(request(prompt), completion(answer), given).key

    def get(self, prompt=QUESTION, **controls):
        found = self.cache.get(request(prompt), Controls(**controls))
        return found.completion.text if found else None

    def entry(self, key):
        return find_entry(self.store, self.namespace, key, hits=self.metrics.hits, pins=self.pins)

    def correct(self, key, answer="A piece of plastic.", **given):
        if isinstance(self.clock, Clock):
            self.clock.now += 1
        return self.corrections.correct(self.namespace, key, answer, **given)

    def texts(self, key):
        return [Completion(body=one.body).text for one in versions_of(self.entry(key).entry)]

    def place(self, key):
        bucket, digest = parse_readable_key(key)
        return Slot(self.namespace, bucket), digest


def request(prompt):
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])


def completion(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return Completion(
        body={"id": "x", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": usage}
    )


@pytest.fixture(params=["memory", "redis"])
def world(request, namespace):
    if request.param == "memory":
        store, client = MemoryStore(clock=Clock()), None
    else:
        client = patient_client(request.getfixturevalue("redis_url"))
        store = RedisStore(client)
    yield World(store, namespace, client)
    store.close()


def test_the_right_answer_stands_at_the_same_key_with_tags_ttl_and_figures(world):
    key = world.put(tags=("doc:1", "doc:2"))
    before = world.entry(key).entry
    world.correct(key, reason="It is no tree")
    found = world.entry(key).entry
    assert world.get() == "A piece of plastic."
    assert (found.tags, found.ttl_class, found.parts) == (before.tags, before.ttl_class, before.parts)
    assert found.header.fresh_until == before.header.fresh_until
    assert (found.header.input_tokens, found.header.cost_usd) == (before.header.input_tokens, before.header.cost_usd)
    assert found.body["usage"] == before.body["usage"]
    left = world.store.ttl_seconds(*world.place(key))
    assert 4100 < left <= 4200  # with the time in which it may be served stale
    [record] = world.audit.records(action="entry.")
    assert (record.action, record.actor) == ("entry.corrected", "olga")
    assert record.details == {"key": key, "reason": "It is no tree"}
    assert "plastic" not in str(record)


def test_another_spelling_finds_the_right_answer_too(world):
    key = world.put()
    assert world.get("what is a card") == "A tree."
    world.correct(key)
    assert world.get("what is a card") == "A piece of plastic."


def test_a_corrected_answer_is_found_by_its_tags_and_listed_once(world):
    key = world.put(tags=("doc:1",))
    world.correct(key)
    slots = [world.place(key)[0]]
    page = page_entries(world.store, slots, EntryFilter())
    assert [one.key for one in page.entries] == [key]
    assert page.entries[0].entry.header.created_at == world.entry(key).entry.header.created_at
    rows = world.store.recent(slots[0], "gpt-4o")
    assert rows == [(world.entry(key).entry.header.created_at, world.place(key)[1])]
    assert world.store.count_model(slots[0], "gpt-4o") == 1
    world.invalidation.invalidate(Criteria(tags=("doc:1",)), actor="olga", hold_seconds=0)
    world.invalidation.sweep(world.namespace, rest=0)
    assert world.entry(key) is None
    assert world.store.recent(slots[0], "gpt-4o") == []


def test_no_answer_that_began_before_takes_its_place(world):
    """A stream or a refresh of the provider's wrong answer ends after the correction."""
    key = world.put()
    slot, digest = world.place(key)
    [value], record = world.store.read(slot, [digest])
    late = codec.decode_entry(value)
    world.correct(key)
    write = Write(digest=digest, value=value, ttl_ms=60_000, model="gpt-4o", created_at=late.header.created_at)
    result, now = world.store.write(slot, write, record.stamp, record.stamp.sequence)
    assert result is StoredAs.MOVED
    assert not may_store(late, now)
    assert world.get() == "A piece of plastic."


def test_nothing_comes_between_the_wrong_answer_and_the_right_one(world, monkeypatch):
    """Another invalidation, and another answer, just before it is put: it looks again."""
    key = world.put()
    correct, tries = world.store.correct, []

    def disturbed(slot, ban, correction):
        tries.append(slot)
        if len(tries) == 1:
            world.invalidation.invalidate(Criteria(tags=("doc:9",)), actor="api")
        if len(tries) == 2:
            world.put("A shrub.", seconds=500)
        return correct(slot, ban, correction)

    monkeypatch.setattr(world.store, "correct", disturbed)
    world.correct(key)
    assert len(tries) == 3
    assert world.get() == "A piece of plastic."
    assert world.texts(key) == ["A shrub."]


def test_an_answer_that_is_another_one_by_now_is_left_alone(world):
    key = world.put()
    seen_at = world.entry(key).entry.header.created_at
    world.correct(key, "A plate.", seen_at=seen_at)
    with pytest.raises(InvalidInput, match="another answer has taken its place"):
        world.correct(key, seen_at=seen_at)
    assert world.get() == "A plate."


def test_hits_are_counted_anew(world):
    key = world.put()
    for _ in range(20):
        world.get()
    world.metrics.flush()
    assert world.entry(key).hits.total == 20
    world.correct(key)
    assert (world.entry(key).hits.total, world.entry(key).hits.last_at) == (0, None)
    assert world.metrics.hits.in_last_day(world.place(key)[0], [world.place(key)[1]]) == [0]
    world.get()
    world.metrics.flush()
    assert world.entry(key).hits.total == 1


# Versions


def test_versions_are_bounded_shown_and_restored_and_never_served(world):
    key = world.put("0")
    for number in range(1, 8):
        world.correct(key, str(number), reason=f"because {number}")
    assert world.texts(key) == [str(number) for number in range(6, 6 - MOST_VERSIONS, -1)]
    version = versions_of(world.entry(key).entry)[2]
    assert (version.actor, version.reason) == ("olga", "because 5")
    world.corrections.restore(world.namespace, key, version.replaced_at)
    assert world.get() == "4"
    assert world.texts(key)[:2] == ["7", "6"]
    with pytest.raises(NotFound):
        world.corrections.restore(world.namespace, key, 1.0)


def test_of_long_versions_the_latest_is_kept(world):
    key = world.put("a" * 40_000)
    world.correct(key, "b" * 40_000)
    world.correct(key, "c" * 10)
    assert [text[0] for text in world.texts(key)] == ["b"]


def test_a_newer_answer_ends_the_versions(world):
    key = world.put()
    world.correct(key)
    world.put("A newer one.")
    assert world.texts(key) == []


def test_versions_go_with_the_erasure_of_a_user(world):
    """After the sweep nothing that was ever answered for the user is in the store, in no place."""
    key = world.put("Ann has a secret.", "What is my card?", user="ann")
    world.correct(key, "Ann has another secret.")
    assert world.texts(key) == ["Ann has a secret."]
    done = world.invalidation.invalidate(Criteria.from_names(world.namespace, user="ann"), actor="olga", hold_seconds=0)
    with pytest.raises(InvalidInput, match="an invalidation of more than this answer hides it"):
        world.correct(key, "Something else.")
    world.invalidation.sweep(world.namespace, rest=0)
    assert world.invalidation.find(done.id).effective
    left = [row for rows in world.store.walk(world.place(key)[0], whole=True) for row in rows]
    assert [codec.decode_entry(row.value).prompt for row in left] == []


def test_an_answer_that_its_key_hides_is_replaced_without_versions(world):
    """What was invalidated is to be deleted: no version of it stays."""
    key = world.put()
    world.correct(key, "A plate.")
    held = world.invalidation.invalidate(Criteria(key=key), actor="olga")
    assert world.get() is None
    world.correct(key)
    assert (world.get(), world.get("what is a card"), world.texts(key)) == ("A piece of plastic.",) * 2 + ([],)
    world.invalidation.end_hold(held.id, actor="olga")
    world.invalidation.sweep(world.namespace, rest=0)
    assert world.get() == "A piece of plastic."


@pytest.mark.parametrize(
    "criteria", [Criteria(tags=("doc:1",)), Criteria(all=True), Criteria(pattern="*card*"), Criteria(model="gpt-4o")]
)
def test_what_more_than_its_key_hides_is_not_brought_back(world, criteria):
    key = world.put(tags=("doc:1",))
    done = world.invalidation.invalidate(criteria, actor="olga")
    world.invalidation.invalidate(Criteria(key=key), actor="olga")
    with pytest.raises(InvalidInput, match="undo that first"):
        world.correct(key)
    world.invalidation.undo(done.id, actor="olga")
    world.correct(key)
    assert world.get() == "A piece of plastic."


def answered(text: str, before: CacheEntry) -> CacheEntry:
    return msgspec.structs.replace(before, body={"text": text})


@given(st.lists(st.integers(0, 2 * MOST_BYTES), min_size=1, max_size=9))
def test_the_latest_is_kept_and_the_others_as_far_as_they_fit(sizes):
    stands = answered("x" * sizes[0], entry())
    for number, size in enumerate(sizes[1:], 1):
        kept = with_version(stands, at=float(number), actor="olga")
        assert len(kept) <= MOST_BYTES + len(with_version(stands, at=0.0, actor="olga")) + 1000
        stands = msgspec.structs.replace(answered("x" * size, stands), versions=kept)
    found = [len(version.body["text"]) for version in versions_of(stands)]
    assert found == sizes[:-1][::-1][: len(found)]
    assert min(1, len(sizes) - 1) <= len(found) <= MOST_VERSIONS


def test_an_entry_has_none_before_it_is_corrected_and_takes_no_more_room():
    plain = entry()
    assert (versions_of(plain), plain.versions) == ((), b"")
    corrected = msgspec.structs.replace(plain, versions=with_version(plain, at=1.0, actor="olga"))
    assert codec.decode_entry(codec.encode_entry(corrected)) == corrected
    assert len(codec.encode_entry(plain)) < len(codec.encode_entry(corrected))


def test_what_cannot_be_read_is_none():
    assert versions_of(msgspec.structs.replace(entry(), versions=b"\xff")) == ()


# What may not be


@pytest.mark.parametrize(
    ("answer", "told"), [("  \n", "give the right answer"), ("x" * 100_001, "up to 100,000"), ("\ud800", "encoded")]
)
def test_what_is_no_answer_is_refused_and_not_on_record(world, answer, told):
    key = world.put()
    with pytest.raises(InvalidInput, match=told):
        world.correct(key, answer)
    assert world.get() == "A tree."


def test_nothing_an_alias_and_what_is_past_its_ttl_are_refused(world):
    with pytest.raises(NotFound):
        world.correct("0-" + "0" * 64)
    key = world.put()
    [alias] = [
        digest
        for rows in world.store.walk(world.place(key)[0], whole=True)
        for row in rows
        if codec.decode_entry(row.value).header.target is not None
        for digest in [row.digest]
    ]
    with pytest.raises(InvalidInput, match="an alias"):
        world.correct(f"0-{alias.hex()}")
    assert world.audit.records(action="entry.") == []


def test_a_viewer_corrects_nothing(world):
    key = world.put()
    viewer = world.by(world.audit.by(Actor(name="vera", role=Role.VIEWER), source="console"))
    with pytest.raises(AccessDenied):
        viewer.correct(world.namespace, key, "Mine.")
    with pytest.raises(AccessDenied):
        viewer.restore(world.namespace, key, 1.0)


def test_what_cannot_be_done_leaves_the_answer_and_its_record(world, monkeypatch):
    key = world.put()

    def refuse(*_):
        raise InvalidationRefused("too many")

    monkeypatch.setattr(world.store, "correct", refuse)
    with pytest.raises(InvalidationRefused):
        world.correct(key)
    assert [record.details.get("outcome") for record in world.audit.records(action="entry.")] == [
        "not known to be done: too many",
        None,
    ]


def test_an_embedding_is_not_corrected_by_hand(world):
    key = world.put()
    slot, digest = world.place(key)
    [value], record = world.store.read(slot, [digest])
    entry = msgspec.structs.replace(codec.decode_entry(value), body={"object": "list", "data": []})
    world.store.replace(slot, digest, seen=value, value=codec.encode_entry(entry), ttl_ms=60_000, stamp=record.stamp)
    assert visibility(entry, record).value == "fresh"
    with pytest.raises(InvalidInput, match="not one text"):
        world.correct(key)
    assert world.audit.records(action="entry.") == []


# Pins


@pytest.mark.parametrize("world", ["redis"], indirect=True)
def test_a_pin_is_kept_and_an_answer_can_be_pinned_as_it_is_corrected(world):
    key = world.put()
    trail = world.audit.by("olga", source="console")
    world.pins.pin(world.namespace, key, actor=trail)
    until = world.entry(key).entry.header.fresh_until
    world.correct(key)
    assert world.entry(key).pinned
    assert world.entry(key).entry.header.fresh_until == until
    world.pins.renew()
    assert world.entry(key).pinned, "the pin is of the answer that stands there now"
    other = world.put("A tree.", "What is a fee?")
    world.correct(other, "A price.", pin=True)
    assert world.entry(other).pinned
