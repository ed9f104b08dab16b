"""Invalidations of all namespaces on both stores: one id, one row, a result for each namespace, one undo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from core.access.audit import AuditLog, AuditTrail
from core.access.roles import Actor, Role
from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.errors import (
    AccessDenied,
    InvalidationRefused,
    InvalidInput,
    NotPermitted,
    OutcomeUnknown,
    StoreUnavailable,
    WriteRefused,
)
from core.invalidation import everywhere
from core.invalidation.everywhere import MOST_SILENT, NOT_TRIED, Reach
from core.invalidation.filter import InvalidationFilter
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.preview import Previewed
from core.invalidation.telling import InvalidationState
from core.invalidation.whole import part_id
from core.keys.names import EVERYWHERE, Slot
from core.models import ChatRequest, Controls, For
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import Clock, a_ban

HOLD = 300.0
HELD, SWEPT, UNDONE, REFUSED = (
    InvalidationState.HELD,
    InvalidationState.SWEPT,
    InvalidationState.UNDONE,
    InvalidationState.REFUSED,
)


@dataclass
class World:
    """Three namespaces on one store, and their invalidator."""

    store: Store
    clock: Clock
    invalidator: CacheInvalidator
    counts: Outcomes
    caches: dict[str, LLMCache] = field(default_factory=dict)

    @property
    def anna(self) -> AuditTrail:
        return self.invalidator.audit.by("anna", source="console")

    def ask(self, namespace: str, prompt: str, *, user: str | None = None, tags: tuple[str, ...] = ()) -> None:
        cache = self.caches.get(namespace) or self.caches.setdefault(
            namespace,
            LLMCache(
                CacheConfig(namespace=namespace, ttl_jitter=0),
                store=self.store,
                provider=CountingProvider(),
                metrics=self.counts,
                price=lambda model, usage: 0.5,
                clock=self.clock,
            ),
        )
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        cache.complete(request, Controls(ttl=For(86_400), user=user, tags=tags))

    def is_cached(self, namespace: str, prompt: str) -> bool:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        return self.caches[namespace].get(request) is not None

    def cached_in(self, prompt: str) -> set[str]:
        return {namespace for namespace in self.caches if self.is_cached(namespace, prompt)}

    def fill(self, namespace: str) -> None:
        """As many patterns as a namespace takes: it refuses the next one."""
        for number in range(MOST_LISTED):
            criteria = Criteria(namespace=namespace, pattern=f"*none of this {number}*")
            self.invalidator.invalidate(criteria, actor="program")

    def refuse(self, monkeypatch: pytest.MonkeyPatch, errors: dict[str, Exception]) -> list[str]:
        """Lets writes of bans fail in some namespaces; the list gets those that were tried."""
        append, tried = self.store.append, []

        def failing(slot, ban, **given):
            tried.append(slot.namespace)
            if slot.namespace in errors:
                raise errors[slot.namespace]
            return append(slot, ban, **given)

        monkeypatch.setattr(self.store, "append", failing)
        return tried


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    clock, counts = Clock(time.time()), Outcomes()
    store: Store
    if request.param == "memory":
        store, audit = MemoryStore(clock=clock), AuditLog(None, clock=clock)
    else:
        client = patient_client(request.getfixturevalue("redis_server")().url)
        store, audit = RedisStore(client), AuditLog(client, clock=clock)
    invalidator = CacheInvalidator(
        store,
        audit,
        namespace="default",
        hold_seconds=HOLD,
        clock=clock,
        count=counts.count,
        pause=lambda seconds: None,
    )
    made = World(store, clock, invalidator, counts)
    for namespace in ("default", "shop", "shop~eu"):
        made.ask(namespace, "How do refunds work?", tags=("doc:1",))
        made.ask(namespace, "Why is the sky blue?")
    yield made
    store.close()


REFUNDS = Criteria(namespace=EVERYWHERE, pattern="*refund*")
EVERY = {"default", "shop", "shop~eu"}


def states(known) -> dict[str, InvalidationState]:
    return {part.namespace: part.state for part in known.parts}


def test_the_preview_counts_in_each_namespace_and_in_all(world):
    world.ask("shop", "Is a refund taxed?")
    preview = world.invalidator.preview(REFUNDS)
    assert (preview.namespace, preview.count, preview.total, preview.exact) == (EVERYWHERE, 4, 7, True)
    assert next((part.namespace, part.count, part.total) for part in preview.parts) == ("shop", 2, 3)
    assert {part.namespace for part in preview.parts} == EVERY
    assert preview.cost_usd == 2.0
    assert {row.namespace for row in preview.rows} == EVERY
    assert preview.is_large
    Previewed.parse(preview.token).require(world.invalidator.preview(REFUNDS))
    world.ask("shop~eu", "Which refund is the largest?")
    with pytest.raises(InvalidationRefused, match="4 entries matched then, 5 do now"):
        Previewed.parse(preview.token).require(world.invalidator.preview(REFUNDS))


def test_it_hides_in_every_namespace_and_one_undo_brings_all_back(world):
    preview = world.invalidator.preview(REFUNDS)
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna, preview=preview, reason="wrong terms")
    assert (done.namespace, done.state, done.preview_count, done.reason) == (EVERYWHERE, HELD, 3, "wrong terms")
    assert states(done) == dict.fromkeys(EVERY, HELD)
    assert world.cached_in("How do refunds work?") == set()
    assert world.cached_in("Why is the sky blue?") == EVERY
    world.ask("shop", "How do refunds work?")
    undone = world.invalidator.undo(done.id, actor=world.anna)
    assert (undone.state, undone.put_back, undone.problem) == (UNDONE, 1, "")
    assert world.cached_in("How do refunds work?") == EVERY
    assert world.invalidator.active() == []
    with pytest.raises(InvalidationRefused, match="undone already"):
        world.invalidator.undo(done.id, actor=world.anna)


@pytest.mark.parametrize("source", ["console", "api"])
def test_it_is_one_row_of_the_history_with_a_result_for_each_namespace(world, source):
    by = world.invalidator.audit.by("anna", source=source)
    world.fill("shop")
    done = world.invalidator.invalidate(REFUNDS, actor=by)
    assert (done.state, done.can_undo, done.effective) == (InvalidationState.PARTLY, True, True)
    assert states(done) == {"default": HELD, "shop": REFUSED, "shop~eu": HELD}
    assert done.problem.startswith(f"shop: {MOST_LISTED} invalidations by pattern")
    assert world.cached_in("How do refunds work?") == {"shop"}
    [row] = [one for one in world.invalidator.history(machines=source == "api") if one.namespace == EVERYWHERE]
    assert row == world.invalidator.find(done.id)
    assert (row.state, states(row), row.problem) == (done.state, states(done), done.problem)
    assert (row.criteria, row.actor, row.due_at) == (REFUNDS, "anna", done.due_at)
    assert row == world.invalidator.find(part_id(done.id, "shop~eu"))
    [active] = [one for one in world.invalidator.active_page().items if one.namespace == EVERYWHERE]
    assert active == row
    undone = world.invalidator.undo(done.id, actor=by)
    assert states(undone) == {"default": UNDONE, "shop": REFUSED, "shop~eu": UNDONE}
    assert undone.state is UNDONE
    assert world.cached_in("How do refunds work?") == EVERY
    found = world.invalidator.find(done.id)
    assert (found.state, states(found)) == (UNDONE, states(undone))


def test_the_history_of_a_namespace_has_what_reached_it(world):
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna, reach=Reach(within=("shop",)))
    assert set(states(done)) == {"shop", "shop~eu"}
    assert world.cached_in("How do refunds work?") == {"default"}
    assert [one.id for one in world.invalidator.history(namespace="shop~eu")] == [done.id]
    assert world.invalidator.history(namespace="default") == []
    assert [one.id for one in world.invalidator.active_page(namespace="shop").items] == [done.id]
    assert InvalidationFilter(namespace="shop").matches(done)
    assert not InvalidationFilter(namespace="default").matches(done)
    records = world.invalidator.audit.records(namespace="shop")
    assert {record.invalidation_id for record in records} == {done.id, part_id(done.id, "shop")}


def test_its_sweeps_end_it_namespace_by_namespace(world):
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna)
    due = world.invalidator.end_hold(done.id, actor=world.anna)
    assert due.due_at <= world.clock()
    assert world.invalidator.due_namespaces() == sorted(EVERY)
    world.invalidator.sweep("shop", pause=lambda seconds: None)
    between = world.invalidator.find(done.id)
    assert (between.state, states(between)["shop"], between.finished_at) == (InvalidationState.SWEEPING, SWEPT, None)
    assert between.deleted == 1
    part = world.invalidator.undo(done.id, actor=world.anna)
    assert states(part) == {"default": UNDONE, "shop": SWEPT, "shop~eu": UNDONE}
    assert part.state is InvalidationState.PARTLY
    found = world.invalidator.find(done.id)
    assert (found.state, states(found), found.can_undo) == (part.state, states(part), False)
    with pytest.raises(InvalidationRefused, match="over in every namespace"):
        world.invalidator.undo(done.id, actor=world.anna)


def test_swept_everywhere_it_is_swept(world):
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna, hold_seconds=0)
    for namespace in sorted(EVERY):
        world.invalidator.sweep(namespace, pause=lambda seconds: None)
    found = world.invalidator.find(done.id)
    assert (found.state, found.deleted, found.is_active) == (SWEPT, 3, False)
    assert found.finished_at is not None


@pytest.mark.parametrize("source", ["console", "api"])
def test_a_repeated_request_id_changes_nothing_and_completes_what_is_missing(world, monkeypatch, source):
    by = world.invalidator.audit.by("anna", source=source)
    with monkeypatch.context() as patch:
        world.refuse(patch, {"shop": WriteRefused("Redis takes no writes")})
        first = world.invalidator.invalidate(REFUNDS, actor=by, request_id="once")
    assert states(first)["shop"] is REFUSED
    tried = world.refuse(monkeypatch, {})
    second = world.invalidator.invalidate(REFUNDS, actor=by, request_id="once")
    assert (second.id, second.state, tried) == ("once", HELD, ["shop"])
    assert world.invalidator.invalidate(REFUNDS, actor=by, request_id="once") == world.invalidator.find("once")
    assert tried == ["shop"]
    with pytest.raises(InvalidInput, match="another invalidation"):
        world.invalidator.invalidate(Criteria(namespace=EVERYWHERE, all=True), actor=by, request_id="once")
    world.invalidator.undo("once", actor=by)
    assert world.invalidator.invalidate(REFUNDS, actor=by, request_id="once").state is UNDONE
    assert world.cached_in("How do refunds work?") == EVERY
    rows = world.invalidator.history()
    assert {row.id for row in rows} == {"once"}


def test_where_no_namespace_takes_it_it_is_refused(world, monkeypatch):
    world.refuse(monkeypatch, dict.fromkeys(EVERY, WriteRefused("Redis takes no writes")))
    with pytest.raises(WriteRefused, match="no writes"):
        world.invalidator.invalidate(REFUNDS, actor=world.anna)
    [row] = world.invalidator.history()
    assert (row.state, states(row)) == (REFUSED, dict.fromkeys(EVERY, REFUSED))


def test_an_unknown_outcome_is_told_for_its_namespace(world, monkeypatch):
    world.refuse(monkeypatch, {"shop": OutcomeUnknown("no answer came")})
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna)
    assert (done.state, states(done)["shop"]) == (InvalidationState.PARTLY, InvalidationState.UNKNOWN)
    world.refuse(monkeypatch, dict.fromkeys(EVERY, OutcomeUnknown("no answer came")))
    with pytest.raises(OutcomeUnknown):
        world.invalidator.invalidate(REFUNDS, actor=world.anna)


def test_a_namespace_that_may_not_be_written_does_not_keep_the_others_from_it(world, monkeypatch):
    world.refuse(monkeypatch, {"default": NotPermitted("may not run EVALSHA")})
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna)
    assert states(done) == {"default": REFUSED, "shop": HELD, "shop~eu": HELD}


def test_a_redis_that_does_not_answer_is_not_waited_for_in_every_namespace(world, monkeypatch):
    for number in range(10):
        world.ask(f"team-{number}", "How do refunds work?")
    tried = world.refuse(monkeypatch, {f"team-{number}": StoreUnavailable("timed out") for number in range(10)})
    done = world.invalidator.invalidate(REFUNDS, actor=world.anna)
    assert len(tried) == 3 + MOST_SILENT
    problems = {part.namespace: part.problem for part in done.parts}
    assert (problems["team-2"], problems["team-9"]) == ("timed out", NOT_TRIED)
    assert done.state is InvalidationState.PARTLY


def test_what_was_applied_when_its_process_died_is_found_and_undone(world, monkeypatch):
    class Died(BaseException):
        pass

    append = world.store.append

    def dying(slot, ban, **given):
        if slot.namespace == "shop~eu":
            raise Died
        return append(slot, ban, **given)

    monkeypatch.setattr(world.store, "append", dying)
    with pytest.raises(Died):
        world.invalidator.invalidate(REFUNDS, actor=world.anna)
    [one] = world.invalidator.active()
    assert states(one) == {"default": HELD, "shop": HELD, "shop~eu": InvalidationState.UNKNOWN}
    world.invalidator.undo(one.id, actor=world.anna)
    assert world.cached_in("How do refunds work?") == EVERY


def test_without_an_audit_record_it_is_found_by_its_bans(world):
    criteria = Criteria(namespace="shop", pattern="*refund*")
    world.store.append(Slot("shop", 0), a_ban(part_id("lost", "shop"), criteria, now=world.clock()))
    found = world.invalidator.find("lost")
    assert (found.id, states(found), found.criteria) == ("lost", {"shop": HELD}, REFUNDS)
    assert [one.id for one in world.invalidator.active()] == ["lost"]
    assert states(world.invalidator.undo("lost", actor=world.anna)) == {"shop": UNDONE}


def test_a_user_is_found_by_the_pseudonym_of_each_namespace(world):
    for namespace in EVERY:
        world.ask(namespace, "What did I order?", user="ann")
    criteria = Criteria.from_names(EVERYWHERE, user="ann")
    with pytest.raises(InvalidInput, match="another pseudonym in each namespace"):
        world.invalidator.preview(criteria)
    reach = Reach(user="ann")
    assert world.invalidator.preview(criteria, reach=reach).count == 3
    done = world.invalidator.invalidate(criteria, actor=world.anna, reach=reach)
    assert done.state is HELD
    assert all("ann" not in str(record.criteria) for record in world.invalidator.audit.records())
    for namespace in EVERY:
        assert world.invalidator.preview(Criteria.from_names(namespace, user="ann")).count == 0


def test_it_takes_an_admin_and_its_undo_an_operator(world):
    operator = Actor(name="otto", role=Role.OPERATOR)
    with pytest.raises(AccessDenied, match="in all namespaces at once needs the role admin"):
        world.invalidator.invalidate(REFUNDS, actor=operator)
    assert world.cached_in("How do refunds work?") == EVERY
    done = world.invalidator.invalidate(REFUNDS, actor=Actor(name="ada", role=Role.ADMIN))
    with pytest.raises(AccessDenied):
        world.invalidator.end_hold(done.id, actor=operator)
    assert world.invalidator.undo(done.id, actor=operator).state is UNDONE


@pytest.mark.parametrize(
    ("criteria", "reach", "field"),
    [
        (Criteria(namespace=EVERYWHERE, key=f"0-{'ab' * 32}"), Reach(), "key"),
        (REFUNDS, Reach(within=("nowhere",)), "namespace"),
    ],
)
def test_what_cannot_be_of_all_namespaces_is_refused(world, criteria, reach, field):
    with pytest.raises(InvalidInput) as refused:
        world.invalidator.invalidate(criteria, actor=world.anna, reach=reach)
    assert refused.value.field == field


def test_more_namespaces_than_it_reaches_are_refused_with_the_way_out(world, monkeypatch):
    monkeypatch.setattr(everywhere, "MOST_NAMESPACES", 2)
    with pytest.raises(InvalidInput, match="one by one"):
        world.invalidator.invalidate(REFUNDS, actor=world.anna)
    assert world.cached_in("How do refunds work?") == EVERY


def test_it_is_counted_once(world):
    world.invalidator.invalidate(REFUNDS, actor=world.anna)
    assert world.counts.counts["pattern"] == 1
