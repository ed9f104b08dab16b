"""Invalidations as records and the audit log show them, and repeated requests."""

from __future__ import annotations

from itertools import chain

import pytest

from core.access.audit import AuditLog
from core.access.repeats import Repeats
from core.bans import Criteria
from core.errors import InvalidationNotFound, InvalidationRefused, InvalidInput
from core.invalidation.history import History
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.telling import InvalidationState, from_audit, from_ban
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
        self.repeats = Repeats(None, clock=self.clock)
        self.invalidator = self.an_invalidator()
        self.history = History(self.store, self.audit, self.repeats, buckets=2)

    def an_invalidator(self, **options) -> CacheInvalidator:
        options = {"audit": self.audit, "buckets": 2, "repeats": self.repeats} | options
        return CacheInvalidator(self.store, namespace="shop", clock=self.clock, **options)

    def apply(self, criteria: Criteria = MODEL, *, actor="anna", **options) -> str:
        self.clock.forward(1)
        return self.invalidator.invalidate(criteria, actor=actor, **options).id

    def repeated(self, request_id: str, criteria: Criteria = MODEL):
        """The id of the invalidation that it was applied as, and whether that is in force."""
        known = self.invalidator.repeated(request_id, criteria)
        return known and (known.id, known.finished_at is None)


@pytest.fixture
def world() -> World:
    return World()


def test_the_latest_come_first_with_their_states(world):
    first, second = world.apply(), world.apply(Criteria(all=True), soft=True)
    world.invalidator.undo(first)
    assert [(known.id, known.state) for known in world.history.past().items] == [
        (second, InvalidationState.SOFT),
        (first, InvalidationState.UNDONE),
    ]
    assert [known.id for known in world.history.active("shop")] == [second]
    assert [known.id for known in world.history.past(1).items] == [second]
    assert world.history.past(namespace="elsewhere").items == []


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
    bare = History(world.store, AuditLog(None), world.repeats, buckets=2)
    [known] = bare.past().items
    assert (known.id, known.criteria, known.actor, known.applied_at) == (done, MODEL, "anna", NOW + 1)
    assert known == from_ban("shop", world.store.ban(Slot("shop", 1), done))


@pytest.mark.parametrize("source", ["console", "api"])
def test_an_invalidation_is_read_from_its_audit_records_alone(world, source):
    done = world.apply(hold_seconds=60, actor=world.audit.by("anna", source=source))
    records = world.audit.of(done)
    known = from_audit(records, None)
    assert (known.id, known.actor, known.criteria, known.due_at) == (done, "anna", MODEL, NOW + 61)
    assert from_audit(records[:1], None) == known


def test_what_another_did_to_it_does_not_say_who_asked_for_it(world):
    done = world.apply()
    world.invalidator.undo(done, actor=world.audit.by("ben", source="console"))
    assert [record.actor for record in world.history.trail_of(done)] == ["ben", "anna"]
    assert world.history.find(done).actor == "anna"


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_repeated_request_is_known_for_a_day_and_while_it_is_in_force(world, is_kept):
    world.apply(request_id="one", hold_seconds=86_400)
    if not is_kept:
        world.invalidator = world.an_invalidator(audit=AuditLog(None), repeats=Repeats(None))
    assert world.repeated("one") == ("one", True)
    assert world.repeated("two") is None


def test_a_request_that_is_over_is_known_and_nothing_of_it_is_in_force(world):
    world.apply(request_id="one")
    world.invalidator.undo("one")
    assert world.repeated("one") == ("one", False)
    assert world.history.find("one").state is InvalidationState.UNDONE


def test_a_request_is_known_for_a_day_though_the_log_has_forgotten_it(world):
    world.apply(request_id="one", hold_seconds=0)
    world.invalidator.sweep("shop", rest=0)
    world.invalidator = world.an_invalidator(audit=AuditLog(None))
    world.clock.forward(86_390)
    known = world.invalidator.repeated("one", MODEL)
    assert (known.id, known.state, known.actor, known.applied_at) == ("one", "swept", "anna", NOW + 1)
    with pytest.raises(InvalidInput, match="was used for another invalidation"):
        world.invalidator.repeated("one", Criteria(model="other"))
    world.clock.forward(10)
    assert world.repeated("one") is None


def test_a_request_that_only_some_buckets_have_is_applied_again(world):
    world.invalidator = world.an_invalidator(audit=AuditLog(None), buckets=1, repeats=Repeats(None))
    world.apply(request_id="one")
    world.invalidator = world.an_invalidator(audit=AuditLog(None), repeats=Repeats(None))
    assert world.repeated("one") is None


def test_a_request_that_was_refused_is_none_that_was_applied(world, monkeypatch):
    def refuse(*arguments, **options):
        raise InvalidationRefused("too many")

    monkeypatch.setattr(world.store, "append", refuse)
    with pytest.raises(InvalidationRefused):
        world.apply(request_id="one")
    assert world.repeated("one") is None


def test_a_day_of_machines_costs_a_question_nothing(world, monkeypatch):
    """Counted in the records that are looked at, which are all kept in this process here."""
    by_anna = world.apply(actor=world.audit.by("anna", source="console"), request_id="by-anna")
    for number in range(5000):
        world.apply(Criteria(tags=(f"doc:{number}",)), actor="wiki", hold_seconds=0)
        world.invalidator.sweep("shop", rest=0)
    seen = []
    records = AuditLog._newest_first

    def counted(*arguments):
        for record in records(*arguments):
            seen.append(record)
            yield record

    monkeypatch.setattr(AuditLog, "_newest_first", counted)
    assert {known.actor for known in world.history.past(20).items} == {"anna", "wiki"}
    # Sweeps have a record each, and one begins the next page of each log.
    assert len(seen) <= 4 + 2 * 20 + 2
    assert [known.actor for known in world.history.past(machines=False).items] == ["anna"]
    assert len(world.history.past(30, machines=True).items) == 30
    seen.clear()
    assert world.history.find(by_anna).state is InvalidationState.SWEPT
    assert world.repeated("by-anna") == ("by-anna", False)
    assert seen == []


def test_pages_go_on_where_the_last_one_ended_in_both_logs(world):
    everything = [world.apply(actor=world.audit.by("anna", source="cli")) for _ in range(7)]
    for number in range(25):
        everything.append(world.apply(Criteria(tags=(f"doc:{number}",)), actor="wiki"))
        world.invalidator.undo(everything[-1], actor="wiki")
    pages, cursor = [], None
    while not pages or cursor is not None:
        page = world.history.past(10, cursor=cursor)
        pages.append([known.id for known in page.items])
        cursor = page.next
    assert [len(page) for page in pages] == [10, 10, 10, 2]
    assert sorted(chain.from_iterable(pages)) == sorted(everything)
    assert sum(known in everything[:7] for known in pages[0]) == 5, "half of it is of people"


def test_a_page_of_what_is_selected_says_where_to_go_on(world):
    for number in range(40):
        world.apply(Criteria(tags=(f"doc:{number}",)), actor="wiki", hold_seconds=0)

    def is_odd(known):
        return known.criteria.tags[0] in {f"doc:{number}" for number in range(1, 40, 2)}

    page = world.history.past(15, where=is_odd)
    rest = world.history.past(15, where=is_odd, cursor=page.next)
    assert [len(page.items), len(rest.items), rest.next] == [15, 5, None]
    assert world.history.past(5, where=lambda known: False).items == []


@pytest.mark.parametrize("cursor", ["", "/", "x/y", "1/2", "-", "1-1/2-2/3-3", "(1-1/"])
def test_a_cursor_is_one_that_a_page_gave_or_it_is_refused(world, cursor):
    if cursor == "/":
        assert world.history.past(cursor=cursor).items == []
        return
    with pytest.raises(InvalidInput, match="cursor"):
        world.history.past(cursor=cursor)


def test_an_age_counts_from_each_request_and_is_not_compared(world):
    world.apply(Criteria(model="gpt-4o", created_before=NOW), request_id="one")
    assert world.repeated("one", Criteria(model="gpt-4o", created_before=NOW + 9)) == ("one", True)
    assert world.repeated("one", Criteria(namespace="shop", model="gpt-4o", created_before=NOW)) == ("one", True)
    for other in (MODEL, Criteria(model="other", created_before=NOW)):
        with pytest.raises(InvalidInput, match="was used for another invalidation"):
            world.repeated("one", other)


def test_an_id_that_cannot_be_one_is_refused(world):
    with pytest.raises(InvalidInput, match="request_id"):
        world.repeated("no spaces")
