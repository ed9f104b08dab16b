"""Invalidations as records and the audit log show them, and repeated requests."""

from __future__ import annotations

import pytest

from core.access.audit import AuditLog
from core.bans import Criteria
from core.errors import InvalidationNotFound, InvalidationRefused, InvalidInput
from core.invalidation.history import History, InvalidationState, from_audit, from_ban
from core.invalidation.invalidator import CacheInvalidator
from core.keys import Slot
from core.stores import MemoryStore
from tests.samples import NOW, Clock

MODEL = Criteria(model="gpt-4o")


class World:
    """An invalidator on two buckets, and the history that it reads."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.audit = AuditLog(None, clock=self.clock)
        self.slots = [Slot("shop", 0), Slot("shop", 1)]
        self.invalidator = CacheInvalidator(self.store, self.audit, namespace="shop", buckets=2, clock=self.clock)
        self.history = History(self.store, self.audit, buckets=2)

    def apply(self, criteria: Criteria = MODEL, **options) -> str:
        self.clock.forward(1)
        return self.invalidator.invalidate(criteria, actor="anna", **options).id

    def repeated(self, request_id: str, criteria: Criteria = MODEL):
        found = self.history.repeated(request_id, criteria, self.slots)
        return found and (found[0].id, len(found[1]))


@pytest.fixture
def world() -> World:
    return World()


def test_the_latest_come_first_with_their_states(world):
    first, second = world.apply(), world.apply(Criteria(all=True), soft=True)
    world.invalidator.undo(first)
    assert [(known.id, known.state) for known in world.history.latest()] == [
        (second, InvalidationState.SOFT),
        (first, InvalidationState.UNDONE),
    ]
    assert [ban.id for _, ban in world.history.active("shop")] == [second]
    assert [known.id for known in world.history.latest(limit=1)] == [second]
    assert world.history.latest(namespace="elsewhere") == []


def test_one_that_is_over_says_how_it_ended(world):
    done = world.apply()
    assert world.history.get(done).state is InvalidationState.HELD
    world.invalidator.undo(done)
    with pytest.raises(InvalidationRefused, match="undone already"):
        world.history.get(done)
    with pytest.raises(InvalidationNotFound):
        world.history.get("never")


def test_what_is_in_force_is_shown_without_its_audit_records(world):
    done = world.apply()
    bare = History(world.store, AuditLog(None), buckets=2)
    [known] = bare.latest()
    assert (known.id, known.criteria, known.actor) == (done, MODEL, "")
    assert known == from_ban("shop", world.history.active()[0][1])


def test_an_invalidation_is_read_from_its_audit_records_alone(world):
    done = world.apply(hold_seconds=60)
    records = world.audit.records(invalidation_id=done)
    known = from_audit(records, None)
    assert (known.id, known.actor, known.criteria, known.due_at) == (done, "anna", MODEL, NOW + 61)
    assert from_audit(records[:1], None) == known


@pytest.mark.parametrize("is_logged", [True, False])
def test_a_repeated_request_is_known_by_the_log_or_by_the_records(world, is_logged):
    world.apply(request_id="one")
    if not is_logged:
        world.history = History(world.store, AuditLog(None), buckets=2)
    assert world.repeated("one") == ("one", 2)
    assert world.repeated("two") is None


def test_a_request_that_is_over_is_known_and_nothing_of_it_is_in_force(world):
    world.apply(request_id="one")
    world.invalidator.undo("one")
    assert world.repeated("one") == ("one", 0)


def test_a_request_that_only_some_buckets_have_is_applied_again(world):
    world.invalidator = CacheInvalidator(world.store, AuditLog(None), namespace="shop", buckets=1, clock=world.clock)
    world.apply(request_id="one")
    assert world.repeated("one") is None


def test_an_age_counts_from_each_request_and_is_not_compared(world):
    world.apply(Criteria(model="gpt-4o", created_before=NOW), request_id="one")
    assert world.repeated("one", Criteria(model="gpt-4o", created_before=NOW + 9)) == ("one", 2)
    assert world.repeated("one", Criteria(namespace="shop", model="gpt-4o", created_before=NOW)) == ("one", 2)
    for other in (MODEL, Criteria(model="other", created_before=NOW)):
        with pytest.raises(InvalidInput, match="was used for another invalidation"):
            world.repeated("one", other)


def test_an_id_that_cannot_be_one_is_refused(world):
    with pytest.raises(InvalidInput, match="request_id"):
        world.repeated("no spaces")
