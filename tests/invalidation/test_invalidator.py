"""Invalidations on both stores: preview, apply, undo, sweep and what the history tells of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path

import pytest

from core.access.audit import AuditLog, AuditTrail
from core.bans import changes as bans
from core.bans.ban import TOMBSTONE_SECONDS, Ban, BanState
from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from core.bans.record import InvalidationRecord
from core.bootstrap import bootstrap
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.steps import Lead
from core.errors import (
    InvalidationNotFound,
    InvalidationRefused,
    InvalidInput,
    OutcomeUnknown,
    StoreUnavailable,
    WriteRefused,
)
from core.invalidation import sweep as sweeping
from core.invalidation.history import InvalidationState
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.preview import Previewed
from core.invalidation.sweep import Sweep, SweepProgress
from core.keys.names import Slot
from core.models import Answer, ChatRequest, Controls, For, OutcomeKind, Stamp
from core.settings import Settings
from core.stores import codec
from core.stores.base import Store, Write
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import Clock, a_ban, an_entry, digest_of

HOLD = 300.0


@dataclass
class World:
    """A cache and its invalidator on one store, with a clock that the test moves."""

    store: Store
    clock: Clock
    namespace: str
    provider: CountingProvider
    cache: LLMCache
    invalidator: CacheInvalidator
    counts: Outcomes

    @property
    def slot(self) -> Slot:
        return Slot(self.namespace, 0)

    def ask(self, prompt: str, *, model: str = "gpt-4o", tags: tuple[str, ...] = (), **controls) -> Answer:
        request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])
        return self.cache.complete(request, Controls(tags=tags, **({"ttl": For(86_400)} | controls)))

    @property
    def anna(self) -> AuditTrail:
        """A person, whose invalidations are audited step by step."""
        return self.invalidator.audit.by("anna", source="console")

    def is_cached(self, prompt: str, *, model: str = "gpt-4o") -> bool:
        request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])
        return self.cache.get(request) is not None

    def entries(self) -> dict[bytes, bytes]:
        """All values in the store, aliases too."""
        return {row.digest: row.value for rows in self.store.walk(self.slot, whole=True) for row in rows}

    def record(self) -> InvalidationRecord:
        _, record = self.store.read(self.slot, [])
        assert record is not None
        return record

    def bans(self) -> list[Ban]:
        """All active bans of the first bucket."""
        return self.store.bans(self.slot, limit=100_000)

    def lose_record(self) -> None:
        """What an eviction or a flush does to it."""
        if isinstance(self.store, MemoryStore):
            del self.store._records[self.slot.record]
        else:
            self.store._client.delete(self.slot.record)


def a_world(store: Store, audit: AuditLog, namespace: str, *, buckets: int = 1, **config) -> World:
    clock = Clock(time.time())
    if isinstance(store, MemoryStore):
        store._clock = clock
    counts = Outcomes()
    provider = CountingProvider()
    cache = LLMCache(
        CacheConfig(namespace=namespace, buckets=buckets, ttl_jitter=0, **config),
        store=store,
        provider=provider,
        metrics=counts,
        price=lambda model, usage: 0.5,
        clock=clock,
    )
    invalidator = CacheInvalidator(
        store, audit, namespace=namespace, buckets=buckets, hold_seconds=HOLD, clock=clock, count=counts.count
    )
    return World(store, clock, namespace, provider, cache, invalidator, counts)


@pytest.fixture(params=["memory", "redis"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, AuditLog]]:
    if request.param == "memory":
        yield MemoryStore(), AuditLog(None)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield store, AuditLog(client)
    store.close()


@pytest.fixture
def world(stores: tuple[Store, AuditLog], namespace: str) -> World:
    return a_world(*stores, namespace)


def no_pause(seconds: float) -> None:
    assert seconds >= 0


def sweep(world: World, **options):
    return world.invalidator.sweep(world.namespace, pause=no_pause, **options)


# Selection: preview and ban are one


QUESTIONS = {
    "How do refunds work?": {"model": "gpt-4o", "tags": ("doc:1",)},
    "What is the refund period?": {"model": "gpt-4o-mini", "tags": ("doc:2",)},
    "Why is the sky blue?": {"model": "gpt-4o"},
}


@pytest.mark.parametrize(
    ("criteria", "hidden"),
    [
        (Criteria(model="gpt-4o"), {"How do refunds work?", "Why is the sky blue?"}),
        (Criteria(model="gpt-4"), set()),
        (Criteria(tags=("doc:2", "doc:3")), {"What is the refund period?"}),
        (Criteria(pattern="*refund*"), {"How do refunds work?", "What is the refund period?"}),
        (Criteria(pattern="Why*blue?"), {"Why is the sky blue?"}),
        (Criteria(keywords=("SKY", "period")), {"What is the refund period?", "Why is the sky blue?"}),
        (Criteria(keywords=("refund", "period"), keyword_mode="all"), {"What is the refund period?"}),
        (Criteria(model="gpt-4o", keywords=("refund",)), {"How do refunds work?"}),
        (Criteria(all=True), set(QUESTIONS)),
    ],
    ids=lambda value: str(value) if isinstance(value, Criteria) else None,
)
def test_what_a_preview_counts_is_what_a_ban_hides_and_a_sweep_deletes(world, criteria, hidden):
    for prompt, how in QUESTIONS.items():
        world.ask(prompt, **how)
    preview = world.invalidator.preview(criteria)
    assert (preview.count, preview.exact, preview.total) == (len(hidden), True, 3)
    assert {row.prompt for row in preview.rows} == hidden
    assert preview.cost_usd == 0.5 * len(hidden)

    done = world.invalidator.invalidate(criteria, actor=world.anna, preview=preview)
    cached = {prompt for prompt, how in QUESTIONS.items() if world.is_cached(prompt, model=how["model"])}
    assert cached == QUESTIONS.keys() - hidden

    world.clock.forward(HOLD)
    progress = sweep(world)
    assert (progress.finished, progress.deleted, progress.scanned) == (True, len(hidden), 3)
    assert len(world.entries()) == 2 * (3 - len(hidden)), "aliases go with their entries"
    told = world.invalidator.find(done.id)
    assert (told.state, told.preview_count, told.deleted) == (InvalidationState.SWEPT, len(hidden), len(hidden))
    assert told.actor == "anna"


def test_an_age_selects_what_was_stored_before(world):
    world.ask("Why is the sky blue?")
    world.clock.forward(10)
    cutoff = world.clock()
    world.ask("How do refunds work?")
    world.invalidator.invalidate(Criteria(created_before=cutoff), actor="anna")
    assert not world.is_cached("Why is the sky blue?")
    assert world.is_cached("How do refunds work?")


def test_a_key_selects_one_entry_however_it_is_found(world):
    key = world.ask("Why is the sky blue?").key
    world.ask("How do refunds work?")
    assert world.invalidator.preview(Criteria(key=key)).count == 1
    world.invalidator.invalidate(Criteria(key=key), actor="anna")
    assert not world.is_cached("Why is the sky blue?")
    assert not world.is_cached("why is the sky blue"), "the alias of a hidden entry is hidden too"
    assert world.is_cached("How do refunds work?")


def test_namespaces_do_not_touch_each_other(world):
    other = world.namespace + "-other"
    world.ask("Why is the sky blue?", namespace=other)
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(all=True), actor="anna")
    assert not world.is_cached("Why is the sky blue?")
    assert world.ask("Why is the sky blue?", namespace=other).outcome.kind is OutcomeKind.HIT
    world.invalidator.invalidate(Criteria(all=True, namespace=other), actor="anna")
    assert world.ask("Why is the sky blue?", namespace=other).outcome.kind is OutcomeKind.MISS


# Preview


def test_a_preview_of_nothing_changes_nothing(world):
    preview = world.invalidator.preview(Criteria(all=True))
    assert (preview.count, preview.total, preview.share, preview.exact) == (0, 0, 0.0, True)
    assert world.store.namespaces() == [] or world.namespace not in world.store.namespaces()


def test_a_preview_leaves_out_what_is_hidden_already(world):
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(pattern="*sky*"), actor="anna")
    assert world.invalidator.preview(Criteria(all=True)).count == 0


def test_a_preview_tells_age_money_and_what_to_fetch_again(world):
    world.ask("Why is the sky blue?", tags=("doc:1",))
    first = world.clock()
    world.clock.forward(60)
    world.ask("How do refunds work?")
    preview = world.invalidator.preview(Criteria(all=True))
    assert (preview.oldest_at, preview.newest_at) == (first, world.clock())
    assert (preview.tokens, preview.cost_usd, preview.share) == (60, 1.0, 1.0)
    assert preview.bytes == sum(row.bytes for row in preview.rows) > 0
    row = next(row for row in preview.rows if row.tags)
    assert (row.prompt, row.age_seconds, row.fresh_seconds) == ("Why is the sky blue?", 60, 86_340)


def test_a_preview_token_changes_with_what_it_binds(world):
    world.ask("Why is the sky blue?")
    first = world.invalidator.preview(Criteria(model="gpt-4o"))
    assert world.invalidator.preview(Criteria(model="gpt-4o")).token == first.token
    assert world.invalidator.preview(Criteria(model="gpt-4")).token != first.token
    world.ask("How do refunds work?")
    grown = world.invalidator.preview(Criteria(model="gpt-4o"))
    assert grown.token != first.token
    world.invalidator.invalidate(Criteria(model="other"), actor="anna")
    assert world.invalidator.preview(Criteria(model="gpt-4o")).token == grown.token


def test_beyond_its_limit_a_preview_finds_a_key_and_counts_a_model_exactly(world):
    keys = [world.ask(f"Question number {word}", model=f"m-{len(word)}").key for word in NUMBERS]
    for key in keys:
        assert world.invalidator.preview(Criteria(key=key), exact_limit=1).count == 1
    of_three = sum(len(word) == 3 for word in NUMBERS)
    preview = world.invalidator.preview(Criteria(model="m-3"), exact_limit=1)
    assert (preview.count, preview.exact, preview.low, preview.high) == (of_three, True, of_three, of_three)
    assert preview.total == len(NUMBERS)
    assert preview.cost_usd == pytest.approx(0.5 * of_three)


def test_beyond_its_limit_a_preview_of_words_is_an_estimate_that_says_so(world, monkeypatch):
    walk = type(world.store).walk
    monkeypatch.setattr(type(world.store), "walk", partialmethod(walk, batch=2))
    for word in NUMBERS:
        world.ask(f"Question number {word}")
    preview = world.invalidator.preview(Criteria(keywords=("question",)), exact_limit=4)
    assert not preview.exact
    assert 4 <= preview.scanned < len(NUMBERS)
    assert preview.low <= len(NUMBERS) <= preview.high
    assert preview.count == len(NUMBERS)
    assert world.invalidator.preview(Criteria(keywords=("question",)), exact_limit=len(NUMBERS)).exact, "just within"


NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


# Effective when it returns


def test_an_answer_that_was_begun_before_is_not_stored_after(world):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    lead = world.cache.begin(request)
    assert isinstance(lead, Lead)
    world.invalidator.invalidate(Criteria(model="gpt-4o"), actor="anna")
    answer = lead.finish(world.provider.complete(request))
    assert (answer.outcome.stored, answer.outcome.not_stored) == (False, "refused-invalidated")
    assert not world.is_cached("Why is the sky blue?")


def test_an_answer_that_was_begun_before_is_refused_after_the_sweep_too(world):
    world.ask("How do refunds work?")
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    lead = world.cache.begin(request)
    assert isinstance(lead, Lead)
    world.invalidator.invalidate(Criteria(model="gpt-4o"), actor="anna", hold_seconds=0)
    assert sweep(world).finished
    assert world.bans() == []
    answer = lead.finish(world.provider.complete(request))
    assert (answer.outcome.stored, answer.outcome.not_stored) == (False, "refused-floor")


def test_what_is_generated_after_it_is_served(world):
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(all=True), actor="anna")
    fresh = world.ask("Why is the sky blue?")
    assert fresh.outcome.reason == "invalidated"
    assert world.ask("Why is the sky blue?").completion.text == fresh.completion.text
    world.clock.forward(HOLD)
    assert sweep(world).deleted == 1, "the old answer, which lay aside"
    assert world.ask("Why is the sky blue?").completion.text == fresh.completion.text


# Undo


def test_undo_brings_back_every_byte_with_its_own_remaining_ttl(world):
    world.ask("Why is the sky blue?")
    before, digest = world.entries(), next(iter(world.entries()))
    ttl_before = world.store.ttl_seconds(world.slot, digest)
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    assert done.can_undo
    undone = world.invalidator.undo(done.id, actor="ben")
    assert undone.state is InvalidationState.UNDONE
    assert world.entries() == before
    assert 0 <= ttl_before - world.store.ttl_seconds(world.slot, digest) < 30
    assert world.is_cached("Why is the sky blue?")
    told = world.invalidator.find(done.id)
    assert (told.state, told.can_undo) == (InvalidationState.UNDONE, False)
    world.clock.forward(HOLD)
    assert world.namespace not in world.invalidator.due_namespaces()


def test_undo_lifts_its_own_ban_only(world):
    world.ask("Why is the sky blue?")
    one = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    world.invalidator.invalidate(Criteria(pattern="*sky*"), actor="anna")
    world.invalidator.undo(one.id)
    assert not world.is_cached("Why is the sky blue?")


def test_undo_is_refused_once_the_sweep_has_begun(world):
    world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    assert not sweep(world, should_stop=lambda: True).finished
    with pytest.raises(InvalidationRefused, match="sweep has begun"):
        world.invalidator.undo(done.id)
    sweep(world)
    with pytest.raises(InvalidationRefused, match="over"):
        world.invalidator.undo(done.id)


def test_undo_of_what_never_was_says_so(world):
    with pytest.raises(InvalidationNotFound):
        world.invalidator.undo("nothing")


def test_ending_the_hold_makes_it_due(world):
    world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    assert world.namespace not in world.invalidator.due_namespaces()
    ended = world.invalidator.end_hold(done.id, actor="anna")
    assert ended.due_at == world.clock()
    assert world.namespace in world.invalidator.due_namespaces()
    assert sweep(world).deleted == 1


def test_bans_whose_list_was_lost_are_swept_all_the_same(world):
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    if not isinstance(world.store, MemoryStore):
        world.store._client.delete(world.slot.due)
    assert world.namespace in world.invalidator.due_namespaces()
    assert sweep(world).deleted == 1
    assert world.bans() == []


@pytest.mark.parametrize("hold", [-1, 86_401, float("nan")])
def test_a_hold_that_cannot_be_is_refused(world, hold):
    with pytest.raises(InvalidInput, match="hold_seconds"):
        world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=hold)


# One entry at once


def test_a_key_without_a_hold_is_deleted_in_the_same_step(world):
    key = world.ask("Why is the sky blue?").key
    done = world.invalidator.invalidate(Criteria(key=key), actor="anna", hold_seconds=0)
    assert (done.state, done.can_undo) == (InvalidationState.SWEPT, False)
    assert all(codec.decode_entry(value).header.target for value in world.entries().values()), "the alias is left"
    assert not world.is_cached("Why is the sky blue?")
    assert not world.is_cached("why is the sky blue")
    with pytest.raises(InvalidationRefused, match="deleted at once"):
        world.invalidator.undo(done.id)
    told = world.invalidator.find(done.id)
    assert (told.state, told.finished_at) == (InvalidationState.SWEPT, world.clock())


def test_a_key_with_further_criteria_that_do_not_match_deletes_nothing(world):
    key = world.ask("Why is the sky blue?").key
    world.invalidator.invalidate(Criteria(key=key, model="gpt-4"), actor="anna", hold_seconds=0)
    assert world.is_cached("Why is the sky blue?")


def test_the_ban_of_a_deleted_key_is_dropped_when_no_writer_can_be_left(world):
    key = world.ask("Why is the sky blue?").key
    world.invalidator.invalidate(Criteria(key=key), actor="anna", hold_seconds=0)
    before, [ban] = world.record(), world.bans()
    sweep(world)
    assert world.record() == before
    world.clock.forward(TOMBSTONE_SECONDS)
    assert world.namespace in world.invalidator.due_namespaces()
    assert sweep(world).finished
    assert world.bans() == []
    assert world.record().floor == ban.sequence


def test_no_number_of_key_bans_pushes_out_another(world):
    keys = [f"0-{digest_of(str(number)).hex()}" for number in range(2 * MOST_LISTED)]
    for key in keys:
        world.invalidator.invalidate(Criteria(key=key), actor="anna", hold_seconds=0)
    assert {ban.criteria.key for ban in world.bans()} == set(keys)
    assert (world.record().floor, world.record().listed) == (0, 0)


def test_too_many_invalidations_are_refused_with_the_way_out(world):
    for number in range(MOST_LISTED):
        world.invalidator.invalidate(Criteria(pattern=f"*{number}*"), actor="anna")
    with pytest.raises(InvalidationRefused, match="sweep the due ones now"):
        world.invalidator.invalidate(Criteria(keywords=("one more",)), actor="anna")
    refused = world.invalidator.history(namespace=world.namespace)[0]
    assert (refused.state, refused.effective) == (InvalidationState.REFUSED, False)
    assert "active" in refused.problem


# Soft


def test_a_soft_one_marks_stale_what_may_still_help_when_the_provider_fails(world):
    first = world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna", soft=True)
    assert done.state is InvalidationState.SOFT

    def fail(call: int) -> None:
        raise TimeoutError

    world.provider.before = fail
    stale = world.ask("Why is the sky blue?", stale_if_error=60.0)
    assert stale.outcome.stale
    assert stale.completion.text == first.completion.text
    world.provider.before = lambda call: None
    refreshed = world.ask("Why is the sky blue?")
    assert refreshed.outcome.stored
    assert world.ask("Why is the sky blue?").completion.text == refreshed.completion.text
    assert len(world.invalidator.active(world.namespace)) == 1


def test_a_soft_one_is_not_swept_in_its_time_and_can_be_undone(world):
    world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna", soft=True, hold_seconds=0)
    world.clock.forward(HOLD)
    assert world.namespace not in world.invalidator.due_namespaces()
    with pytest.raises(InvalidationRefused, match="deletes nothing"):
        world.invalidator.end_hold(done.id, actor="anna")
    world.invalidator.undo(done.id)
    assert world.is_cached("Why is the sky blue?")


def test_what_outlives_a_soft_one_does_not_become_fresh_again(world):
    world.ask("Why is the sky blue?", ttl=For(366 * 86_400))
    world.invalidator.invalidate(Criteria(all=True), actor="anna", soft=True)
    world.clock.forward(31 * 86_400)
    assert world.namespace in world.invalidator.due_namespaces()
    assert sweep(world).deleted == 1
    assert world.bans() == []
    assert not world.is_cached("Why is the sky blue?")


# Sweep


def test_one_pass_serves_all_that_is_due(world):
    for prompt, how in QUESTIONS.items():
        world.ask(prompt, **how)
    first = world.invalidator.invalidate(Criteria(model="gpt-4o-mini"), actor="anna", hold_seconds=0)
    second = world.invalidator.invalidate(Criteria(keywords=("sky",)), actor="anna", hold_seconds=0)
    held = world.invalidator.invalidate(Criteria(tags=("doc:1",)), actor="anna")
    progress = sweep(world)
    assert set(progress.invalidations) == {first.id, second.id}
    assert (progress.deleted, progress.scanned, progress.total) == (2, 3, 3)
    assert [ban.id for ban in world.bans()] == [held.id]
    assert world.invalidator.undo(held.id)
    assert world.is_cached("How do refunds work?")


@pytest.mark.parametrize("criteria", [Criteria(all=True), Criteria(model="模" * 256)], ids=["all", "model"])
def test_an_answer_of_a_model_with_a_very_long_name_is_swept(world, criteria):
    world.ask("Why is the sky blue?", model="模" * 256)
    world.ask("How do refunds work?")
    if isinstance(world.store, RedisStore):  # the index, which is a hint, would find it at once
        world.store._client.delete(world.slot.models, world.slot.by_model("模" * 256))
    world.invalidator.invalidate(criteria, actor=world.anna, hold_seconds=0)
    assert sweep(world).deleted == (2 if criteria.model is None else 1)


def test_sweeping_again_finds_nothing_to_do(world):
    world.ask("Why is the sky blue?")
    world.ask("How do refunds work?", model="gpt-4")
    world.invalidator.invalidate(Criteria(model="gpt-4o"), actor="anna", hold_seconds=0)
    assert sweep(world).deleted == 1
    record, entries = world.record(), world.entries()
    again = sweep(world)
    assert (again.finished, again.deleted, again.invalidations) == (True, 0, ())
    assert (world.record(), world.entries()) == (record, entries)


@pytest.mark.parametrize("criteria", [Criteria(all=True), Criteria(keywords=("question",))], ids=str)
def test_a_sweep_that_was_stopped_half_way_hides_the_rest_and_is_resumed(world, monkeypatch, criteria):
    monkeypatch.setattr(sweeping, "GENTLE_BATCH", 4)
    monkeypatch.setattr(sweeping, "BATCH", 4)
    for word in NUMBERS:
        world.ask(f"Question number {word}")
    done = world.invalidator.invalidate(criteria, actor=world.anna, hold_seconds=0)
    batches: list[int] = []
    stopped = sweep(world, on_batch=lambda so_far: batches.append(so_far.deleted), should_stop=lambda: any(batches))
    assert not stopped.finished
    assert 0 < stopped.deleted < len(NUMBERS)
    assert world.store.ban(world.slot, done.id).state is BanState.SWEEPING
    assert not any(world.is_cached(f"Question number {word}") for word in NUMBERS)
    assert world.namespace in world.invalidator.due_namespaces()

    resumed = sweep(world)
    assert (resumed.finished, stopped.deleted + resumed.deleted) == (True, len(NUMBERS))
    assert world.entries() == {}
    assert world.bans() == []
    told = world.invalidator.find(done.id)
    assert (told.state, told.deleted) == (InvalidationState.SWEPT, len(NUMBERS)), "both parts are counted"


def test_what_is_undone_while_its_sweep_begins_is_not_deleted(world):
    world.ask("What is up?")
    ban_id = world.invalidator.invalidate(Criteria(model="gpt-4o"), actor="me", hold_seconds=0).id
    progress = SweepProgress(namespace=world.namespace)
    Sweep(
        world.store,
        clock=world.clock,
        on_begin=lambda begun: world.store.change(world.slot, [ban_id], lambda found: bans.lift(found, ban_id)),
        on_batch=lambda progress: None,
        should_stop=lambda: False,
        rest=0,
        pause=no_pause,
    ).run([world.slot], progress)
    assert progress.finished
    assert progress.deleted == 0
    assert world.is_cached("What is up?")


def test_a_sweep_rests_as_long_as_it_works_and_not_at_full_speed(world):
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    pauses: list[float] = []
    world.invalidator.sweep(world.namespace, pause=pauses.append)
    assert pauses
    assert all(seconds > 0 for seconds in pauses)
    pauses.clear()
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    assert world.invalidator.sweep(world.namespace, pause=pauses.append, rest=0).deleted == 1
    assert pauses == []


def test_what_a_lost_record_left_behind_is_deleted_too(world):
    world.ask("Why is the sky blue?")
    world.lose_record()
    world.ask("How do refunds work?")
    world.invalidator.invalidate(Criteria(model="other"), actor="anna", hold_seconds=0)
    assert sweep(world).deleted == 1
    assert world.is_cached("How do refunds work?")
    assert len(world.entries()) == 2


@pytest.mark.parametrize(
    ("criteria", "way"),
    [
        (Criteria(all=True), "scan_matching"),
        (Criteria(keywords=("sky",)), "scan_matching"),
        (Criteria(pattern="*é"), "walk"),
        (Criteria(tags=("news",)), "remove_tags"),
        (Criteria(tags=("news",)), "scan_matching"),
    ],
    ids=str,
)
def test_a_record_lost_during_a_sweep_does_not_cost_the_new_ones_entries(world, monkeypatch, criteria, way):
    world.ask("Why is the sky blue?")
    world.invalidator.invalidate(criteria, actor="anna", hold_seconds=0)
    walk = getattr(type(world.store), way)

    def walk_after_a_loss(self, slot, *arguments, **options):
        world.lose_record()
        world.ask("How do refunds work?")
        yield from walk(self, slot, *arguments, **options)

    monkeypatch.setattr(type(world.store), way, walk_after_a_loss)
    assert not sweep(world).finished
    monkeypatch.undo()
    assert world.is_cached("How do refunds work?")
    assert not world.is_cached("Why is the sky blue?")


def test_an_entry_whose_header_is_longer_than_what_a_sweep_reads_is_deleted_too(world):
    model = "a-model-with-a-name-of-many-parts/" * 7
    key = world.ask("Why is the sky blue?", model=model).key
    world.invalidator.invalidate(Criteria(key=key, created_before=world.clock() + 1), actor="anna", hold_seconds=0)
    assert sweep(world).deleted == 1
    assert not world.is_cached("Why is the sky blue?", model=model)


def test_bytes_that_are_no_entry_do_not_stop_a_sweep(world):
    world.ask("Why is the sky blue?")
    record = world.record()
    garbage = Write(digest=digest_of("x"), value=b"no entry", ttl_ms=60_000, model="m", created_at=world.clock())
    world.store.write(world.slot, garbage, record.stamp, record.sequence)
    world.invalidator.invalidate(Criteria(keywords=("sky",)), actor="anna", hold_seconds=0)
    assert world.invalidator.preview(Criteria(all=True)).count == 0
    assert sweep(world).deleted == 1


def test_a_namespace_that_never_was_is_swept_at_once(world):
    progress = sweep(world)
    assert (progress.finished, progress.scanned) == (True, 0)
    assert world.store.read(world.slot, []) == ([], None)


# The same request again


def test_the_same_request_id_does_nothing_new(world):
    world.ask("Why is the sky blue?")
    first = world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="click-1")
    fresh = world.ask("Why is the sky blue?")
    again = world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="click-1")
    assert (again.id, again.applied_at) == (first.id, first.applied_at) == ("click-1", first.applied_at)
    assert world.ask("Why is the sky blue?").completion.text == fresh.completion.text
    assert world.counts.counts == {"all": 1}
    world.invalidator.undo("click-1")
    assert world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="click-1").state == "undone"


def test_a_request_id_cannot_be_used_for_something_else(world):
    world.invalidator.invalidate(Criteria(model="a"), actor="anna", request_id="one")
    with pytest.raises(InvalidInput, match="another invalidation"):
        world.invalidator.invalidate(Criteria(model="b"), actor="anna", request_id="one")
    with pytest.raises(InvalidInput, match="request_id"):
        world.invalidator.invalidate(Criteria(model="b"), actor="anna", request_id="no spaces")


def test_a_request_that_was_refused_can_be_repeated(world):
    first, *_ = [
        world.invalidator.invalidate(Criteria(pattern=f"*{number}*"), actor="anna") for number in range(MOST_LISTED)
    ]
    for _ in range(2):
        with pytest.raises(InvalidationRefused):
            world.invalidator.invalidate(Criteria(pattern="*x*"), actor="anna", request_id="again")
    world.invalidator.undo(first.id)
    assert world.invalidator.invalidate(Criteria(pattern="*x*"), actor="anna", request_id="again").effective


# Buckets


def test_all_buckets_are_invalidated_previewed_undone_and_swept(stores, namespace):
    world = a_world(*stores, namespace, buckets=4)
    for word in NUMBERS:
        world.ask(f"Question number {word}")
    assert world.invalidator.preview(Criteria(all=True)).count == len(NUMBERS)
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    assert not any(world.is_cached(f"Question number {word}") for word in NUMBERS)
    world.invalidator.undo(done.id)
    assert all(world.is_cached(f"Question number {word}") for word in NUMBERS)
    world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    assert sweep(world).deleted == len(NUMBERS)


def test_a_bucket_that_refuses_keeps_all_others_from_being_invalidated(stores, namespace):
    world = a_world(*stores, namespace, buckets=2)
    for number in range(MOST_LISTED):
        world.store.append(Slot(namespace, 1), a_ban(f"b{number}", Criteria(pattern=f"*{number}*")))
    with pytest.raises(InvalidationRefused):
        world.invalidator.invalidate(Criteria(keywords=("word",)), actor="anna")
    assert world.bans() == []


def test_undo_in_one_bucket_waits_for_all(stores, namespace):
    world = a_world(*stores, namespace, buckets=2)
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    world.store.change(Slot(namespace, 1), [done.id], bans.begin_sweep)
    with pytest.raises(InvalidationRefused, match="sweep has begun"):
        world.invalidator.undo(done.id)
    assert world.store.ban(world.slot, done.id)


def test_a_key_of_a_bucket_that_does_not_exist_is_refused(world):
    with pytest.raises(InvalidInput, match="buckets"):
        world.invalidator.preview(Criteria(key="5-" + "0" * 64))


# The short forms and what is told


def test_the_short_forms_select_what_they_say(world):
    short_forms: dict[str, Callable[[], object]] = {
        "model": lambda: world.invalidator.invalidate_by_model("gpt-4o"),
        "age": lambda: world.invalidator.invalidate_by_age(-1),
        "keywords": lambda: world.invalidator.invalidate_by_keywords(["sky", "blue"], match_all=True),
        "pattern": lambda: world.invalidator.invalidate_by_pattern("Why*"),
        "all": world.invalidator.invalidate_all,
    }
    for kind, invalidate in short_forms.items():
        world.ask("Why is the sky blue?")
        invalidate()
        assert not world.is_cached("Why is the sky blue?"), kind
        world.clock.forward(1)
    assert world.counts.counts == dict.fromkeys(short_forms, 1)
    told = [done for done in world.invalidator.get_invalidation_history() if done.namespace == world.namespace]
    assert [str(done.criteria) for done in told[:2]] == ["everything", "pattern Why*"]


def test_the_audit_log_has_every_step_in_order(world):
    world.ask("Why is the sky blue?")
    audit = world.invalidator.audit
    done = world.invalidator.invalidate(Criteria(all=True), actor=audit.by("anna", source="console"))
    world.invalidator.end_hold(done.id, actor=audit.by("ben", source="cli"))
    sweep(world)
    steps = audit.of(done.id)[::-1]
    assert [(step.action.removeprefix("invalidate."), step.actor, step.source) for step in steps] == [
        ("requested", "anna", "console"),
        ("applied", "anna", "console"),
        ("hold-ended", "ben", "cli"),
        ("sweeping", "worker", "worker"),
        ("swept", "worker", "worker"),
    ]
    assert steps[-1].details["deleted"] == 1
    assert steps[0].criteria == {"all": True}


def machine_records(world) -> list[tuple[str, dict]]:
    """What the machines' log says of the namespace, oldest first: action, and what stands in its details."""
    records = world.invalidator.audit.records(1000, namespace=world.namespace, machines=True)[::-1]
    return [(record.action.removeprefix("invalidate."), dict(record.details)) for record in records]


def test_an_invalidation_by_a_machine_has_one_record_that_says_all(world):
    world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="wiki", hold_seconds=60)
    [record] = world.invalidator.audit.records(namespace=world.namespace, machines=True)
    assert (record.action, record.actor, record.source, record.at) == (
        "invalidate.applied",
        "wiki",
        "api",
        done.applied_at,
    )
    assert (record.invalidation_id, record.criteria) == (done.id, {"all": True})
    assert record.details == {"mode": "hard", "hold_seconds": 60}
    assert world.invalidator.audit.records(namespace=world.namespace) == []
    [known] = world.invalidator.history(namespace=world.namespace)
    assert (known.actor, known.state, known.due_at) == ("wiki", InvalidationState.HELD, done.applied_at + 60)


def test_one_by_a_machine_that_is_refused_or_unknown_is_on_record_too(world, monkeypatch):
    def fail(error):
        def change(*arguments, **options):
            raise error

        return change

    for error in (WriteRefused("Redis takes no writes now"), OutcomeUnknown("no answer"), InvalidationRefused("many")):
        monkeypatch.setattr(world.store, "append", fail(error))
        with pytest.raises(type(error)):
            world.invalidator.invalidate(Criteria(model="m"), actor="wiki")
    problems = [(step, details["problem"]) for step, details in machine_records(world)]
    assert problems == [("refused", "Redis takes no writes now"), ("unknown", "no answer"), ("refused", "many")]
    monkeypatch.undo()
    states = [known.state for known in world.invalidator.history(namespace=world.namespace)]
    assert sorted(states) == ["refused", "refused", "unknown"]


def test_the_sweep_of_what_machines_hid_is_one_record_however_many_those_were(world):
    for word in NUMBERS:
        world.ask(f"Question number {word}", tags=(word,))
        world.invalidator.invalidate(Criteria(tags=(word,)), actor="wiki", hold_seconds=0)
    by_anna = world.invalidator.invalidate(Criteria(model="gpt-4"), actor=world.anna, hold_seconds=0)
    sweep(world)
    *applied, (step, details) = machine_records(world)
    assert [one for one, _ in applied] == ["applied"] * len(NUMBERS)
    assert (step, details["invalidations"], details["deleted"]) == ("swept", len(NUMBERS), len(NUMBERS))
    steps = [record.action.removeprefix("invalidate.") for record in world.invalidator.audit.of(by_anna.id)[::-1]]
    assert steps == ["requested", "applied", "sweeping", "swept"]
    assert len(world.invalidator.audit.records(1000, namespace=world.namespace)) == 4


def test_what_machines_did_since_does_not_hide_what_a_person_did(world):
    by_anna = world.invalidator.invalidate(Criteria(model="gpt-4"), actor=world.anna, hold_seconds=0)
    world.clock.forward(1)
    sweep(world)
    for number in range(300):
        world.clock.forward(1)
        world.invalidator.invalidate(Criteria(tags=(f"doc:{number}",)), actor="wiki", hold_seconds=0)
        if number % 50 == 0:
            sweep(world)
    told = {known.id: known for known in world.invalidator.history(limit=1000, namespace=world.namespace)}
    assert (told[by_anna.id].state, len(told)) == (InvalidationState.SWEPT, 301)
    assert world.invalidator.find(by_anna.id).deleted == 0


def test_what_a_machine_hid_and_who_undid_it_is_known_when_it_is_over(world):
    one = world.invalidator.invalidate(Criteria(tags=("a",)), actor="wiki")
    other = world.invalidator.invalidate(Criteria(tags=("b",)), actor="wiki")
    by_anna = world.invalidator.invalidate(Criteria(tags=("c",)), actor=world.anna)
    for done, who in ((one, "wiki"), (other, world.anna), (by_anna, "wiki")):
        world.invalidator.undo(done.id, actor=who)
        with pytest.raises(InvalidationRefused, match="undone already"):
            world.invalidator.undo(done.id)
    assert world.invalidator.find(by_anna.id).actor == "anna"
    undone = [
        record.actor
        for record in world.invalidator.audit.records(action="invalidate.undone", namespace=world.namespace)
    ]
    assert sorted(undone) == ["anna", "wiki"], "of the person's own, and by the person"


def test_history_shows_what_its_records_tell_in_full_and_leaves_out_the_rest(world):
    for word in NUMBERS:
        done = world.invalidator.invalidate(Criteria(model=word), actor="anna", hold_seconds=0)
        sweep(world)
        world.clock.forward(1)
    told = world.invalidator.history(limit=2, namespace=world.namespace)
    assert told[0].id == done.id
    assert [str(known.criteria) for known in told] == ["model twelve", "model eleven"]
    assert world.invalidator.history(namespace="elsewhere") == []


# Redis in trouble


@pytest.fixture
def servers(redis_server) -> Callable[..., tuple]:
    def start(*options: str, **how):
        server = redis_server(*options, **how)
        store = RedisStore(patient_client(server.url, 2.0))
        return server, a_world(store, AuditLog(patient_client(server.url, 2.0)), "trouble")

    return start


def test_a_full_server_still_takes_invalidations_and_their_audit(servers):
    server, world = servers("maxmemory-policy noeviction")
    world.ask("Why is the sky blue?")
    with server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    assert world.ask("How do refunds work?").outcome.not_stored
    done = world.invalidator.invalidate(Criteria(all=True), actor=world.anna, hold_seconds=0)
    assert not world.is_cached("Why is the sky blue?")
    assert [step.action for step in world.invalidator.audit.of(done.id)][::-1] == [
        "invalidate.requested",
        "invalidate.applied",
    ]
    assert sweep(world).deleted == 1
    assert world.bans() == []


def test_a_replica_refuses_and_nothing_is_applied(servers):
    server, world = servers()
    world.ask("Why is the sky blue?")
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(WriteRefused, match="READONLY"):
            world.invalidator.invalidate(Criteria(all=True), actor="anna")
        assert world.is_cached("Why is the sky blue?")
        client.replicaof("NO", "ONE")
    assert world.invalidator.invalidate(Criteria(all=True), actor="anna").effective


def test_a_server_that_cannot_save_refuses_and_nothing_is_applied(servers):
    server, world = servers("save 3600 1")
    world.ask("Why is the sky blue?")
    with server.client() as client:
        shutil.rmtree(Path(client.config_get("dir")["dir"]))
        client.bgsave()
        deadline = time.monotonic() + 120
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            assert time.monotonic() < deadline
        with pytest.raises(WriteRefused, match="MISCONF"):
            world.invalidator.invalidate(Criteria(all=True), actor="anna")
        assert world.is_cached("Why is the sky blue?")
        client.config_set("save", "")  # else the server would not end


def test_a_server_that_hangs_makes_the_outcome_unknown_and_the_same_request_settles_it(servers):
    server, world = servers()
    world.ask("Why is the sky blue?")
    world.store.ensure_record(world.slot)
    with server.client() as client:
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        with pytest.raises(OutcomeUnknown):
            world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="r1")
        client.execute_command("CLIENT", "UNPAUSE")
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="r1")
    assert done.effective
    assert [ban.id for ban in world.bans()] == ["r1"]


def test_without_a_server_nothing_is_claimed(servers):
    server, world = servers()
    world.ask("Why is the sky blue?")
    server.kill()
    for attempt in (
        lambda: world.invalidator.preview(Criteria(all=True)),
        lambda: world.invalidator.invalidate(Criteria(all=True), actor="anna"),
        lambda: world.invalidator.undo("x"),
        lambda: sweep(world),
    ):
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            attempt()


def test_an_audit_log_that_cannot_be_written_does_not_keep_an_answer_alive(redis_url, redis_server, namespace):
    gone = redis_server()
    audit = AuditLog(patient_client(gone.url, 1.0))
    store = RedisStore(patient_client(redis_url))
    world = a_world(store, audit, namespace)
    world.ask("Why is the sky blue?")
    gone.kill()
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna")
    assert not world.is_cached("Why is the sky blue?")
    gone.start()
    shown = [known.id for known in world.invalidator.history(namespace=world.namespace)]
    assert done.id in shown, "what is in force is shown all the same"
    assert world.invalidator.undo(done.id).state is InvalidationState.UNDONE
    assert world.is_cached("Why is the sky blue?")


def test_a_late_writer_of_another_incarnation_is_refused(world):
    before = world.store.ensure_record(world.slot)
    entry = an_entry("p", namespace=world.namespace, incarnation=before.incarnation, sequence=before.sequence)
    world.lose_record()
    world.store.ensure_record(world.slot)
    write = Write(
        digest=entry.header.digest, value=codec.encode_entry(entry), ttl_ms=1000, model="m", created_at=world.clock()
    )
    assert world.store.write(world.slot, write, Stamp(before.incarnation, before.sequence), before.sequence)[0] == (
        "incarnation"
    )


def test_a_preview_says_how_often_its_entries_were_served_in_the_last_day(redis_url: str, namespace: str):
    with bootstrap(Settings(redis_url=redis_url, namespace=namespace), provider=CountingProvider()) as services:

        def ask(prompt: str) -> None:
            request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": prompt}])
            services.cache.complete(request)

        for prompt in ("What is a refund?",) * 4 + ("Why is the sky blue?",) * 3:
            ask(prompt)
        assert services.invalidation.preview(Criteria(keywords=("refund",))).hits_last_day == 3
        assert services.invalidation.preview(Criteria(all=True)).hits_last_day == 5
        assert services.invalidation.preview(Criteria(model="none")).hits_last_day == 0


def test_a_token_tells_what_has_changed_since_its_preview(world):
    for prompt, options in QUESTIONS.items():
        world.ask(prompt, **options)
    criteria = Criteria(created_before=world.clock() + 0.25)
    then = Previewed.parse(world.invalidator.preview(criteria).token)
    assert then.created_before == criteria.created_before
    assert then.drift(world.invalidator.preview(criteria)) == ""
    later = Criteria(created_before=world.clock() + 5)
    assert then.drift(world.invalidator.preview(later)) == "", "the cut-off is in the token"
    world.invalidator.invalidate(Criteria(model="none"), actor="test")
    assert then.drift(world.invalidator.preview(criteria)) == "", "invalidations of something else come all the time"
    world.ask("Something else?")
    assert then.drift(world.invalidator.preview(criteria)) == "3 entries matched then, 4 do now"
    with pytest.raises(InvalidInput, match="other criteria"):
        then.drift(world.invalidator.preview(Criteria(model="gpt-4o")))
    with pytest.raises(InvalidInput, match="not a token"):
        Previewed.parse("9455e14413ca9b25")


def test_a_token_tells_that_others_match_though_they_are_as_many(world):
    first = world.ask("Why is the sky blue?", tags=("a",))
    world.ask("Why is the sea blue?", tags=("a",))
    criteria = Criteria(tags=("a",))
    then = Previewed.parse(world.invalidator.preview(criteria).token)
    assert then == Previewed.parse(str(then))
    world.invalidator.invalidate(Criteria(key=first.key), actor="test", hold_seconds=0)
    world.ask("Why is the night dark?", tags=("a",))
    changed = world.invalidator.preview(criteria)
    assert (then.count, changed.count) == (2, 2)
    assert then.drift(changed) == "2 entries match as then, but not the same ones"
    with pytest.raises(InvalidationRefused, match="not the same ones"):
        then.require(changed)


def test_a_token_tells_that_an_answer_was_replaced(world):
    first = world.ask("Why is the sky blue?")
    criteria = Criteria(model="gpt-4o")
    then = Previewed.parse(world.invalidator.preview(criteria).token)
    world.invalidator.invalidate(Criteria(key=first.key), actor="test", hold_seconds=0)
    world.clock.forward(1)
    assert world.ask("Why is the sky blue?").key == first.key
    assert "not the same" in then.drift(world.invalidator.preview(criteria))


def test_of_an_estimate_the_count_decides_what_a_token_notices(world):
    first = world.ask("Why is the sky blue?", model="m-1")
    world.ask("Why is the sea blue?", model="m-1")
    criteria = Criteria(model="m-1")
    then = Previewed.parse(world.invalidator.preview(criteria, exact_limit=1).token)
    assert (then.count, then.matched) == (2, "")
    world.invalidator.invalidate(Criteria(key=first.key), actor="test", hold_seconds=0)
    world.ask("Why is the night dark?", model="m-1")
    assert then.drift(world.invalidator.preview(criteria)) == ""


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda world, done: world.invalidator.undo(done.id), "undone already"),
        (lambda world, done: (world.clock.forward(HOLD), sweep(world)), "was deleted"),
    ],
)
def test_an_undo_that_comes_too_late_says_why(world, end, told):
    world.ask("Why is the sky blue?")
    done = world.invalidator.invalidate(Criteria(all=True), actor="test")
    end(world, done)
    with pytest.raises(InvalidationRefused, match=told):
        world.invalidator.undo(done.id)
