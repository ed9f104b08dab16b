"""In-process copies: served without asking the store, never past what rule (R) allows, in scheduled interleavings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from core.access.audit import AuditLog
from core.bans import changes as bans
from core.bans.criteria import Criteria
from core.bans.record import InvalidationRecord, decode_record, encode_record
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.errors import StoreUnavailable, WriteRefused
from core.invalidation.invalidator import CacheInvalidator
from core.keys.names import Slot
from core.models import Answer, ChatRequest, Controls, For, Stamp
from core.stores.base import Store, Write
from core.stores.local import GRANT_SECONDS, KEPT_SECONDS, OVERHEAD_BYTES, LocalCache
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import NOW, Clock, a_ban, a_record, digest_of

SECONDS = 0.5
PROMPT = "How do refunds work?"
OTHER = "Why is the sky blue?"


class Watched:
    """A store that counts what is asked of it; `during_read` runs while a read is under way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.during_read: Callable[[], object] = lambda: None
        self.refuses: Exception | None = None

    def read(self, slot, digests):
        self.reads += 1
        result = self._store.read(slot, digests)
        during, self.during_read = self.during_read, lambda: None
        during()
        return result

    def allow_copies(self, slot, seconds, **how):
        if self.refuses is not None:
            raise self.refuses
        return self._store.allow_copies(slot, seconds, **how)

    def __getattr__(self, name: str):
        return getattr(self._store, name)


class Process:
    """One process' cache on a store that others use too, with a monotonic clock of its own."""

    def __init__(self, store: Store, namespace: str, clock: Clock, **config) -> None:
        self.store = Watched(store)
        self.elapsed = Clock(1000.0)
        self.counts = Outcomes()
        self.provider = CountingProvider()
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, ttl_jitter=0, **({"l1_seconds": SECONDS} | config)),
            store=self.store,
            provider=self.provider,
            metrics=self.counts,
            clock=clock,
        )
        copies = self.cache.copies
        if copies is not None:
            copies._monotonic = self.elapsed
            copies._forgotten_at = 0.0

    def ask(self, prompt: str = PROMPT, **controls) -> Answer:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        return self.cache.complete(request, Controls(**({"ttl": For(3600)} | controls)))

    def serves_copy(self, prompt: str = PROMPT, **controls) -> bool:
        """Whether a question is answered without asking the store. Time goes on by a little."""
        reads = self.store.reads
        outcome = self.ask(prompt, **controls).outcome
        self.elapsed.forward(0.001)
        assert outcome.copied == (self.store.reads == reads)
        return outcome.copied

    def warm(self, *prompts: str) -> None:
        """Has copies of these."""
        for prompt in prompts or (PROMPT,):
            self.ask(prompt)
            self.elapsed.forward(0.001)
            assert self.ask(prompt).outcome.kind == "hit"


@dataclass
class World:
    """Two processes and an operator, who is a third one."""

    here: Process
    there: Process
    operator: CacheInvalidator
    store: Store
    clock: Clock
    namespace: str

    @property
    def slot(self) -> Slot:
        return Slot(self.namespace, 0)

    def time_passes(self, seconds: float) -> None:
        for clock in (self.clock, self.here.elapsed, self.there.elapsed):
            clock.forward(seconds)

    def record(self) -> InvalidationRecord:
        record = self.store.read(self.slot, [])[1]
        assert record is not None
        return record


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    clock = Clock(NOW)
    if request.param == "memory":
        stores: list[Store] = [MemoryStore(clock=clock)] * 3
    else:
        url = request.getfixturevalue("redis_url")
        stores = [RedisStore(patient_client(url)) for _ in range(3)]
    world = World(
        Process(stores[0], namespace, clock),
        Process(stores[1], namespace, clock),
        CacheInvalidator(stores[2], AuditLog(None), namespace=namespace, clock=clock),
        stores[2],
        clock,
        namespace,
    )
    world.operator.durability._pause = world.time_passes
    yield world
    for store in stores:
        store.close()


def test_a_repeated_question_is_answered_without_asking_the_store(world: World):
    world.here.warm()
    assert world.here.serves_copy()
    assert world.here.counts.words()[-1] == "hit (exact)"
    assert world.here.provider.calls == 1


def test_without_the_setting_every_hit_asks_the_store(world: World, namespace: str):
    process = Process(world.store, namespace, world.clock, l1_seconds=0)
    process.warm()
    assert not process.serves_copy()
    assert world.record().copies_seconds == 0


def test_another_spelling_is_answered_from_copies_too(world: World):
    world.here.warm(PROMPT, PROMPT.lower())
    assert world.here.serves_copy(PROMPT.lower())
    assert world.here.counts.words()[-1] == "hit (normalized)"
    assert not world.here.serves_copy(PROMPT.upper().lower() + " ", strategy="exact")


def test_the_time_counts_from_when_the_record_was_asked_for(world: World):
    world.here.warm()
    world.time_passes(SECONDS)
    world.here.store.during_read = lambda: world.time_passes(SECONDS - 0.1)
    assert not world.here.serves_copy()
    assert world.here.serves_copy(), "a tenth of a second is left"
    world.time_passes(0.1)
    assert not world.here.serves_copy(), "no look at the record was asked for within the time"
    assert world.here.serves_copy()


def test_any_lookup_renews_the_time_for_all_copies_of_its_bucket(world: World):
    world.here.warm(PROMPT, OTHER)
    for _ in range(3):
        world.time_passes(SECONDS * 0.6)
        world.here.ask("Something new?", no_cache=True)
        assert world.here.serves_copy()


def test_an_invalidation_is_acknowledged_when_no_process_serves_copies_any_more(world: World):
    world.here.warm()
    world.there.ask()
    moments = []

    def pause(seconds: float) -> None:
        moments.append(seconds)
        assert world.here.serves_copy(), "else nothing would have to be waited for"
        world.time_passes(seconds)

    world.operator.durability._pause = pause
    world.operator.invalidate(Criteria(model="gpt-4o"), actor="test")
    assert len(moments) == 1
    assert SECONDS < moments[0] < SECONDS + 0.1
    assert world.here.ask().outcome.reason == "invalidated"
    assert world.there.ask().outcome.kind == "hit", "the answer that was made anew"


def test_a_slow_look_at_the_record_does_not_outlive_the_wait(world: World):
    world.here.warm()
    world.time_passes(SECONDS)
    # The record is read, then invalidated elsewhere, and only then does the answer arrive.
    world.here.store.during_read = lambda: world.operator.invalidate(Criteria(all=True), actor="test")
    assert world.here.ask().outcome.kind == "hit", "it began before the invalidation was acknowledged"
    assert not world.here.serves_copy(), "and this one after it"
    assert world.here.counts.all[-1].reason == "invalidated"


def test_an_old_copy_is_not_looked_at_again_with_a_newer_record(world: World):
    world.here.warm(PROMPT, OTHER)
    world.operator.invalidate(Criteria(pattern=PROMPT), actor="test", hold_seconds=0)
    world.operator.sweep(world.namespace, rest=0)
    assert world.record().active == 0
    assert world.here.ask(OTHER).outcome.kind == "hit"
    assert world.here.ask().outcome.kind == "miss", "the ban that hid it has come and retired"


def test_what_was_hidden_when_it_was_read_stays_so_when_its_ban_retires(world: World):
    world.there.warm(PROMPT, OTHER)
    world.operator.invalidate(Criteria(pattern=PROMPT), actor="test", hold_seconds=0)
    assert world.here.cache.get(_request(PROMPT)) is None
    before = world.record().sequence
    world.operator.sweep(world.namespace, rest=0)
    assert world.record().sequence == before
    world.here.elapsed.forward(0.001)
    assert world.here.ask(OTHER).outcome.kind == "hit"
    assert world.here.ask().outcome.kind == "miss"


def test_what_was_undone_is_there_again_at_once(world: World):
    world.here.warm()
    done = world.operator.invalidate(Criteria(all=True), actor="test")
    assert world.here.cache.get(_request(PROMPT)) is None
    world.operator.undo(done.id)
    assert world.here.ask().outcome.kind == "hit"


def test_a_lost_record_ends_all_copies(world: World):
    world.here.warm(PROMPT, OTHER)
    if isinstance(world.store, MemoryStore):
        del world.store._records[world.slot.record]
    else:
        world.store._client.delete(world.slot.record)
    world.store.ensure_record(world.slot)
    world.time_passes(SECONDS)
    assert world.here.ask(OTHER).outcome.kind == "miss"
    assert world.here.ask().outcome.kind == "miss"


def test_an_operator_who_knows_of_copies_waits_for_those_of_a_record_that_was_lost(world: World):
    waits: list[float] = []
    operator = CacheInvalidator(
        world.store,
        AuditLog(None),
        namespace=world.namespace,
        clock=world.clock,
        copies_seconds=SECONDS,
        pause=waits.append,
    )
    operator.invalidate(Criteria(all=True), actor="test")
    assert waits
    assert waits[0] > SECONDS


def test_without_copies_nothing_is_waited_for(world: World, namespace: str):
    Process(world.store, namespace, world.clock, l1_seconds=0).ask()
    world.operator.durability._pause = pytest.fail
    world.operator.invalidate(Criteria(all=True), actor="test")


def test_a_repeated_request_waits_like_the_first_one(world: World):
    world.here.warm()
    criteria = Criteria(all=True)

    def pause(seconds: float) -> None:
        # The first one is still waiting when the second comes.
        world.operator.durability._pause = world.time_passes
        world.operator.invalidate(criteria, actor="test", request_id="twice")
        assert not world.here.serves_copy()
        assert world.here.counts.all[-1].reason == "invalidated"

    world.operator.durability._pause = pause
    world.operator.invalidate(criteria, actor="test", request_id="twice")
    assert world.record().active == 1


# Grants


def test_no_copy_is_served_without_a_grant(world: World):
    world.here.store.refuses = WriteRefused("Redis takes no writes now (MISCONF)")
    world.here.ask()
    for _ in range(3):
        assert not world.here.serves_copy()
    world.here.store.refuses = None
    world.time_passes(1.0)
    assert not world.here.serves_copy(), "the grant is requested by this request"
    assert not world.here.serves_copy(), "which changed the record"
    assert world.here.serves_copy()


def test_a_grant_of_others_is_good_for_no_longer_than_they_took_it(world: World, namespace: str):
    Process(world.here.store._store, namespace, world.clock, l1_seconds=0.1).ask()
    world.here.store.refuses = WriteRefused("Redis takes no writes now (MISCONF)")
    world.here.warm()
    assert world.here.serves_copy()
    world.time_passes(0.1)
    assert not world.here.serves_copy()


def test_a_grant_that_is_refused_is_requested_once_a_second(world: World):
    asked = []
    world.here.store.refuses = WriteRefused("Redis takes no writes now (READONLY)")
    world.here.cache.metrics = type("Counts", (Outcomes,), {"count": lambda self, name, n=1: asked.append(name)})()
    for _ in range(5):
        world.here.ask(no_cache=True, no_store=False)
    assert asked.count("writes_refused") == 1


def test_a_grant_ends_and_is_requested_again(world: World):
    world.here.warm()
    first = world.record()
    assert first.copies_seconds == SECONDS
    world.time_passes(GRANT_SECONDS / 2 + 1)
    world.here.ask()
    assert world.record().copies_until > first.copies_until
    assert world.record().stamp == first.stamp, "in-flight answers may still be stored"


def test_by_a_grant_that_has_ended_nothing_is_served(world: World):
    world.here.warm()
    world.here.elapsed.forward(0.001)
    world.clock.forward(GRANT_SECONDS + 1)
    world.here.store.refuses = StoreUnavailable("Redis does not answer")
    copies = world.here.cache.copies
    assert copies is not None
    assert copies.read(world.slot, [digest_of("any")]) == ([None], None)
    assert not world.here.serves_copy(ttl=For(10_000))


def test_operators_wait_until_the_grant_has_ended_by_any_clock():
    record = bans.allow_copies(a_record(), 0.5, now=NOW, until=NOW + 600)
    assert bans.may_have_copies(record, NOW)
    assert bans.may_have_copies(record, NOW + 600 + bans.CLOCKS_SECONDS - 1)
    assert not bans.may_have_copies(record, NOW + 600 + bans.CLOCKS_SECONDS)
    assert not bans.may_have_copies(a_record(), NOW)


def test_a_grant_in_force_is_extended_and_never_cut():
    record = bans.allow_copies(a_record(), 0.5, now=NOW, until=NOW + 600)
    shorter = bans.allow_copies(record, 0.1, now=NOW, until=NOW + 60)
    assert (shorter.copies_seconds, shorter.copies_until) == (0.5, NOW + 600)
    later = bans.allow_copies(record, 0.1, now=NOW + 1000, until=NOW + 1600)
    assert (later.copies_seconds, later.copies_until) == (0.1, NOW + 1600)


def test_a_grant_is_stored_and_kept_by_all_changes_of_the_record():
    record = bans.allow_copies(a_record(), 0.25, now=NOW, until=NOW + 600)
    assert decode_record(encode_record(record)) == record
    banned, ban = bans.appended(record, a_ban())
    for change in (bans.lift([ban], "b"), bans.begin_sweep([ban]), bans.expire_holds([ban], NOW), bans.retire([ban])):
        for changed in (banned, bans.applied(banned, change)):
            assert (changed.copies_seconds, changed.copies_until) == (0.25, NOW + 600)


# What is asked, and what was stored since


def test_what_a_request_asks_for_holds_for_copies_too(world: World):
    world.here.warm()
    assert not world.here.serves_copy(no_cache=True)
    world.here.warm()
    world.clock.forward(100)
    assert not world.here.serves_copy(max_age=99)
    world.here.warm()
    assert world.here.serves_copy(max_age=101)


def test_an_answer_that_is_no_longer_fresh_is_no_hit(world: World):
    world.here.ask(ttl=For(5))
    world.here.elapsed.forward(0.001)
    world.here.ask()
    world.clock.forward(5)
    assert world.here.ask().outcome.reason == "expired"


def test_a_soft_invalidation_marks_copies_stale_too(world: World):
    world.here.warm()
    world.operator.invalidate(Criteria(all=True), actor="test", soft=True)
    assert world.here.ask().outcome.kind == "miss"


def test_the_process_own_newer_answer_is_served_at_once(world: World):
    world.here.warm()
    newer = world.here.ask(no_cache=True).completion.text
    assert world.here.ask().completion.text == newer


def test_a_read_that_was_under_way_while_the_process_wrote_is_not_kept(world: World):
    world.here.warm()
    world.time_passes(SECONDS)
    world.here.store.during_read = lambda: world.here.ask(no_cache=True)
    world.here.ask()
    world.here.elapsed.forward(0.001)
    assert world.here.ask().completion.text == "answer 2"


def test_another_process_newer_answer_is_served_before_long(world: World):
    world.here.warm()
    world.there.ask("Something else?")
    newer = world.there.ask(no_cache=True).completion.text
    assert world.here.ask().completion.text != newer
    for _ in range(int(KEPT_SECONDS / SECONDS * 2) + 1):
        world.time_passes(SECONDS / 2)
        world.here.ask(OTHER)
    assert world.here.ask().completion.text == newer


def test_callers_get_a_body_of_their_own(world: World):
    world.here.warm()
    first = world.here.ask()
    first.completion.body["choices"][0]["message"]["content"] = "changed"
    assert world.here.ask().completion.text == "answer 1"


# Memory


def test_the_least_recently_used_leave_when_memory_is_full(namespace: str):
    store, slot, elapsed = MemoryStore(), Slot(namespace, 0), Clock(1000.0)
    copies = LocalCache(store, seconds=1, max_bytes=3 * (OVERHEAD_BYTES + 1000), clock=store.clock, monotonic=elapsed)
    stamp = store.ensure_record(slot).stamp
    digests = [digest_of(f"entry {number}") for number in range(4)]
    for digest in digests:
        _write(store, slot, digest, b"v" * 1000, stamp)
    copies.request_grant(slot)
    for digest in digests[:3]:
        copies.fetch(slot, [digest])
    assert copies.read(slot, digests[:1])[1] is not None
    copies.fetch(slot, digests[3:])
    assert [copies.read(slot, [digest])[0] != [None] for digest in digests] == [True, False, True, True]
    _write(store, slot, digests[0], b"v" * 10_000, stamp)
    copies.fetch(slot, digests[:1])
    assert copies.read(slot, digests[:1]) == ([None], None), "larger than all the memory there is"
    assert copies._kept.currsize == sum(OVERHEAD_BYTES + len(copy.value or b"") for copy in copies._kept.values())


def _write(store: Store, slot: Slot, digest: bytes, value: bytes, stamp: Stamp) -> None:
    write = Write(digest=digest, value=value, ttl_ms=60_000, model="m", created_at=NOW)
    assert store.write(slot, write, stamp, stamp.sequence)[0] == "stored"


def _request(prompt: str) -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
