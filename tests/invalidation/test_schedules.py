"""Scheduled invalidations: when they are due, that each run happens once, and what is kept of it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.audit import AuditLog
from core.access.roles import Actor, Role
from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from core.errors import (
    AccessDenied,
    InvalidationNotFound,
    InvalidationRefused,
    InvalidInput,
    StoreUnavailable,
    WriteRefused,
)
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.schedules import MAX_SCHEDULES, Schedule, Schedules
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import NOW, Clock

DAY = 86_400


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def a_schedule(**fields) -> Schedule:
    return Schedule(**({"id": "s", "namespace": "shop", "actor": "anna", "created_at": NOW} | fields))


# When


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"every_seconds": 3600, "created_at": at("2026-03-01 10:00")}, "2026-03-01 11:00"),
        ({"every_seconds": 3600, "last_run_at": at("2026-03-01 12:34")}, "2026-03-01 13:34"),
        ({"daily_at": "03:30", "created_at": at("2026-03-01 01:00")}, "2026-03-01 03:30"),
        ({"daily_at": "03:30", "created_at": at("2026-03-01 04:00")}, "2026-03-02 03:30"),
        ({"daily_at": "03:30", "last_run_at": at("2026-02-28 03:30:05")}, "2026-03-01 03:30"),
        ({"daily_at": "00:00", "last_run_at": at("2026-12-31 00:00")}, "2027-01-01 00:00"),
    ],
)
def test_the_next_run_follows_from_the_last(fields, due):
    assert a_schedule(**fields).next_run_at == at(due)


@given(st.floats(0, 4e9), st.integers(0, 23), st.integers(0, 59))
def test_a_daily_run_is_due_within_a_day_at_its_minute(since, hour, minute):
    due = a_schedule(daily_at=f"{hour:02}:{minute:02}", last_run_at=since).next_run_at
    assert since < due <= since + DAY
    moment = datetime.fromtimestamp(due, UTC)
    assert (moment.hour, moment.minute, moment.second) == (hour, minute, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"daily_at": "03:30"}, "daily at 03:30 UTC"),
        ({"every_seconds": 2 * DAY}, "every 2 d"),
        ({"every_seconds": 5400}, "every 1 h 30 min"),
        ({"every_seconds": 61}, "every 1 min 1 s"),
    ],
)
def test_the_rhythm_is_said_in_words(fields, words):
    assert a_schedule(**fields).rhythm == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"older_than_seconds": 7 * DAY}, "older than 7 d"),
        ({"criteria": {"model": "gpt-4o"}, "older_than_seconds": 5400}, "model gpt-4o, older than 1 h 30 min"),
        ({"criteria": {"all": True}}, "everything"),
        ({"criteria": {"colour": "red"}}, "cannot be run: colour: is not a field of the criteria"),
    ],
)
def test_what_it_selects_is_said_in_words(fields, words):
    assert a_schedule(every_seconds=DAY, **fields).what == words


def test_an_age_is_reckoned_from_the_run():
    schedule = a_schedule(older_than_seconds=7 * DAY, criteria={"model": "gpt-4o"}, every_seconds=DAY)
    assert schedule.criteria_at(NOW) == Criteria(namespace="shop", model="gpt-4o", created_before=NOW - 7 * DAY)


# Kept and run


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedules(redis_server, clock) -> Schedules:
    """On a server of their own: schedules are those of a whole installation."""
    client = patient_client(redis_server().url)
    invalidation = CacheInvalidator(RedisStore(client), AuditLog(client), namespace="shop", clock=clock)
    return Schedules(client, invalidation, clock=clock)


def add(schedules: Schedules, **fields) -> Schedule:
    return schedules.add(
        **({"namespace": "shop", "actor": "anna", "criteria": {"model": "m"}, "every_seconds": 3600} | fields)
    )


def applied(schedules: Schedules) -> list[str]:
    return [known.id for known in schedules._invalidation.history()]


def test_what_is_due_runs_once_and_again_when_its_time_has_passed(schedules, clock):
    schedule = add(schedules)
    assert schedules.run_due() == []
    clock.forward(3600)
    [done] = schedules.run_due()
    assert (done.actor, done.criteria, done.namespace) == ("anna", Criteria(namespace="shop", model="m"), "shop")
    assert schedules.run_due() == []
    kept = schedules.get(schedule.id)
    assert (kept.last_run_at, kept.last) == (clock(), f"applied: {done.id}")
    clock.forward(3600)
    assert len(schedules.run_due()) == 1


def test_what_was_missed_for_days_runs_once(schedules, clock):
    add(schedules, every_seconds=None, daily_at="03:30")
    clock.forward(10 * DAY)
    assert len(schedules.run_due()) == 1
    assert schedules.run_due() == []


def test_many_that_look_at_once_run_it_once(schedules, clock):
    add(schedules)
    clock.forward(3600)
    together = threading.Barrier(8)

    def look() -> None:
        together.wait(120)
        schedules.run_due()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    schedules.run_due()
    assert len(applied(schedules)) == 1
    actions = [record.action for record in schedules._invalidation.audit.records()]
    assert actions.count("invalidate.applied") == 1


def test_a_run_that_was_applied_and_not_noted_is_not_applied_twice(schedules, clock):
    schedule = add(schedules)
    clock.forward(3600)
    schedules.run_due()
    # As if the process had died in between.
    schedules._change(schedule.id, last_run_at=None, last="")
    schedules.run_due()
    assert len(applied(schedules)) == 1


def test_a_process_that_died_with_the_lock_does_not_hold_it_for_ever(schedules, clock):
    add(schedules)
    clock.forward(3600)
    schedules._client.set(b"encore:schedules:lock", b"another", px=60_000)
    assert schedules.run_due() == []
    schedules._client.delete(b"encore:schedules:lock")
    assert len(schedules.run_due()) == 1
    assert schedules._client.get(b"encore:schedules:lock") is None


def test_what_is_refused_is_noted_and_does_not_keep_the_others_from_running(schedules, clock):
    for number in range(MOST_LISTED):
        schedules._invalidation.invalidate(Criteria(pattern=f"*{number}*"), actor="ben")
    refused = add(schedules, criteria={"keywords": ["word"]})
    other = add(schedules, namespace="other")
    clock.forward(3600)
    assert [done.namespace for done in schedules.run_due()] == ["other"]
    assert "not applied: 64 invalidations by pattern" in schedules.get(refused.id).last
    assert schedules.get(other.id).last.startswith("applied")
    assert schedules.run_due() == [], "it waits for its next time"


def test_a_server_that_takes_no_writes_is_tried_again(schedules, clock):
    schedule = add(schedules)
    clock.forward(3600)
    schedules._client.replicaof("127.0.0.1", "1")
    with pytest.raises(WriteRefused, match="READONLY"):
        schedules.run_due()
    schedules._client.replicaof("NO", "ONE")
    assert schedules.get(schedule.id).last_run_at is None
    assert len(schedules.run_due()) == 1


def test_a_paused_one_does_not_run_and_a_resumed_one_does_not_catch_up(schedules, clock):
    schedule = add(schedules)
    assert not schedules.pause(schedule.id, actor="ben").enabled
    clock.forward(2 * DAY)
    assert schedules.run_due() == []
    resumed = schedules.resume(schedule.id, actor="ben")
    assert (resumed.next_run_at, resumed.last_run_at) == (clock() + 3600, None)
    assert schedules.run_due() == []
    clock.forward(3600)
    assert len(schedules.run_due()) == 1


def test_running_one_now_runs_it_whenever(schedules, clock):
    schedule = add(schedules)
    schedules.pause(schedule.id, actor="ben")
    done = schedules.run_now(schedule.id, actor="ben")
    assert (done.actor, done.effective) == ("ben", True)
    assert schedules.get(schedule.id).last == f"applied: {done.id}"
    assert schedules.run_now(schedule.id, actor="ben").id != done.id


def test_one_is_run_only_if_it_has_not_run_since_it_was_seen(schedules, clock):
    seen = add(schedules)
    schedules.run_now(seen.id, actor="ben", expected=seen)
    with pytest.raises(InvalidationRefused, match="has run since"):
        schedules.run_now(seen.id, actor="anna", expected=seen)
    clock.forward(1)
    schedules.run_now(seen.id, actor="anna", expected=schedules.get(seen.id))
    assert len(applied(schedules)) == 2


def test_what_a_run_hides_can_be_undone_for_as_long_as_was_said(schedules, clock):
    schedule = add(schedules, hold_seconds=900)
    now = schedules.run_now(schedule.id, actor="ben")
    clock.forward(3600)
    [by_itself] = schedules.run_due()
    assert [done.due_at - done.applied_at for done in (now, by_itself)] == [900, 900]


def test_no_two_have_the_same_name(schedules):
    assert add(schedules, name=" Nightly ").name == "Nightly"
    with pytest.raises(InvalidInput, match="another schedule has it"):
        add(schedules, name="Nightly")
    add(schedules)
    add(schedules)
    assert len(schedules.all()) == 3


def test_a_removed_one_is_gone(schedules):
    schedule = add(schedules)
    schedules.remove(schedule.id, actor="ben")
    assert schedules.all() == []
    for act in (
        lambda: schedules.get(schedule.id),
        lambda: schedules.remove(schedule.id, actor="ben"),
        lambda: schedules.pause(schedule.id, actor="ben"),
        lambda: schedules.run_now(schedule.id, actor="ben"),
    ):
        with pytest.raises(InvalidationNotFound):
            act()


def test_they_are_listed_by_what_comes_next(schedules, clock):
    late = add(schedules, every_seconds=7200)
    soon = add(schedules, every_seconds=60)
    paused = add(schedules, every_seconds=60)
    schedules.pause(paused.id, actor="ben")
    assert [schedule.id for schedule in schedules.all()] == [soon.id, late.id, paused.id]


def test_every_change_is_audited(schedules, clock):
    audit = schedules._invalidation.audit
    schedule = add(schedules, actor=audit.by("anna", source="console"))
    schedules.pause(schedule.id, actor=audit.by("ben", source="cli"))
    schedules.resume(schedule.id, actor="ben")
    schedules.remove(schedule.id, actor="carl")
    records = schedules._invalidation.audit.records(action="schedule.")[::-1]
    assert [(record.action, record.actor) for record in records] == [
        ("schedule.created", "anna"),
        ("schedule.paused", "ben"),
        ("schedule.resumed", "ben"),
        ("schedule.removed", "carl"),
    ]
    assert (records[0].source, records[0].details["schedule"]) == ("console", schedule.id)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"daily_at": "03:30"}, "every_seconds"),
        ({"every_seconds": None}, "every_seconds"),
        ({"every_seconds": 59}, "every_seconds"),
        ({"every_seconds": float("nan")}, "every_seconds"),
        ({"every_seconds": None, "daily_at": "24:00"}, "daily_at"),
        ({"every_seconds": None, "daily_at": "3:30"}, "daily_at"),
        ({"older_than_seconds": 0}, "older_than_seconds"),
        ({"criteria": {"created_before": NOW}}, "created_before"),
        ({"criteria": {}}, "criteria"),
        ({"criteria": {"pattern": "*"}}, "pattern"),
        ({"criteria": {"colour": "red"}}, "colour"),
        ({"namespace": "a:b"}, "namespace"),
        ({"name": "n" * 81}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"hold_seconds": 86_401}, "hold_seconds"),
        ({"hold_seconds": -1}, "hold_seconds"),
    ],
)
def test_what_cannot_be_scheduled_names_the_field(schedules, fields, named):
    with pytest.raises(InvalidInput) as raised:
        add(schedules, **fields)
    assert raised.value.field == named
    assert schedules.all() == []


def test_there_is_an_end_to_how_many_there_are(schedules):
    for _ in range(MAX_SCHEDULES):
        add(schedules)
    with pytest.raises(InvalidInput, match="remove one first"):
        add(schedules)


def test_a_value_that_cannot_be_read_is_left_out(schedules):
    schedules._client.hset("encore:schedules", "x", b"{not json")
    assert schedules.all() == []
    with pytest.raises(InvalidationNotFound):
        schedules.get("x")


def test_without_redis_it_says_so(redis_server):
    server = redis_server()
    client = patient_client(server.url, 1.0)
    schedules = Schedules(client, CacheInvalidator(RedisStore(client), AuditLog(client)))
    server.kill()
    with pytest.raises(StoreUnavailable):
        schedules.all()


# How long a run can be undone, and what becomes of the one before


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"every_seconds": 3600}, 3600),
        ({"every_seconds": 7 * DAY}, 12 * 3600),
        ({"daily_at": "03:00"}, 12 * 3600),
        ({"daily_at": "03:00", "weekdays": ("mon",)}, 12 * 3600),
        ({"every_seconds": 3600, "hold_seconds": 0}, 0),
        ({"every_seconds": 3600, "hold_seconds": DAY}, DAY),
    ],
)
def test_a_run_can_be_undone_for_as_long_as_said_else_until_the_next_or_for_half_a_day(fields, seconds):
    assert a_schedule(**fields).hold == seconds


def held(schedules: Schedules) -> list[str]:
    return [one.id for one in schedules._invalidation.active()]


def test_a_run_takes_the_place_of_the_one_before_so_that_they_do_not_pile_up(schedules, clock):
    schedule = add(schedules, older_than_seconds=DAY, every_seconds=60, hold_seconds=3600)
    runs = []
    for _ in range(MOST_LISTED + 6):
        clock.forward(60)
        [done] = schedules.run_due()
        runs.append(done.id)
        assert runs[-1] in held(schedules)
        assert len(held(schedules)) <= 2
    assert schedules._invalidation.audit.records(action="invalidate.refused") == []
    assert schedules.get(schedule.id).last_applied == runs[-1]


def test_a_run_that_has_taken_places_for_as_long_as_a_hold_is_left_to_its_sweep(schedules, clock):
    add(schedules, every_seconds=1800, hold_seconds=3600)
    runs = []
    for _ in range(4):
        clock.forward(1800)
        [done] = schedules.run_due()
        runs.append(done.id)
    # The second took the place of the first; the third left it alone, and the fourth took the place of the third.
    assert set(held(schedules)) == {runs[1], runs[3]}
    clock.forward(1)
    assert schedules._invalidation.due_namespaces() == ["shop"]


def test_soft_runs_leave_one_mark_however_many_there_were(schedules, clock):
    add(schedules, older_than_seconds=DAY, every_seconds=3600, soft=True)
    for _ in range(MOST_LISTED + 6):
        clock.forward(3600)
        [done] = schedules.run_due()
    assert held(schedules) == [done.id]


def test_a_run_now_takes_the_place_of_the_run_before_too(schedules, clock):
    schedule = add(schedules, every_seconds=7 * DAY)
    schedules.run_now(schedule.id, actor="ben")
    clock.forward(60)
    latest = schedules.run_now(schedule.id, actor="ben")
    assert held(schedules) == [latest.id]


def test_runs_of_two_schedules_and_of_other_criteria_take_no_places(schedules, clock):
    first, second = add(schedules), add(schedules)
    mine = schedules.run_now(first.id, actor="ben")
    theirs = schedules.run_now(second.id, actor="ben")
    schedules.edit(first.id, actor="ben", criteria={"model": "another"})
    latest = schedules.run_now(first.id, actor="ben")
    assert set(held(schedules)) == {mine.id, theirs.id, latest.id}


def test_a_run_by_a_schedule_as_it_was_kept_before_takes_its_place_too(schedules, clock):
    schedule = add(schedules, every_seconds=7 * DAY)
    before = schedules.run_now(schedule.id, actor="ben")
    kept = schedules._client.hget("encore:schedules", schedule.id)
    plain = {
        name: value
        for name, value in json.loads(kept).items()
        if name not in ("weekdays", "rhythm_since", "last_applied", "taken_since")
    }
    schedules._client.hset("encore:schedules", schedule.id, json.dumps(plain))
    assert schedules.get(schedule.id).last == f"applied: {before.id}"
    latest = schedules.run_now(schedule.id, actor="ben")
    assert held(schedules) == [latest.id]


def test_both_stay_in_force_when_the_place_cannot_be_taken(schedules, clock, monkeypatch):
    schedule = add(schedules, every_seconds=7 * DAY)
    before = schedules.run_now(schedule.id, actor="ben")

    def silent(*_):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(schedules._invalidation._store, "change", silent)
    latest = schedules.run_now(schedule.id, actor="ben")
    assert set(held(schedules)) == {before.id, latest.id}
    assert schedules.get(schedule.id).last == f"applied: {latest.id}"


# Edited


def test_an_edited_one_keeps_its_id_and_what_was_not_given(schedules, clock):
    schedule = add(schedules, name="Nightly", older_than_seconds=DAY)
    schedules.run_now(schedule.id, actor="anna")
    clock.forward(60)
    edited = schedules.edit(schedule.id, actor="ben", name=" Hourly ", hold_seconds=600)
    assert (edited.id, edited.name, edited.hold_seconds, edited.actor) == (schedule.id, "Hourly", 600, "anna")
    assert edited.criteria == schedule.criteria
    assert edited.older_than_seconds == DAY
    assert edited.next_run_at == schedules.get(schedule.id).last_run_at + 3600, "its rhythm goes on"
    assert schedules.all() == [edited]


def test_a_new_rhythm_takes_the_place_of_the_other_and_makes_up_for_nothing(schedules, clock):
    schedule = add(schedules)
    clock.now = at("2026-12-04 12:00")
    edited = schedules.edit(schedule.id, actor="ben", daily_at="03:00", weekdays=("fri", "mon"))
    assert (edited.every_seconds, edited.daily_at, edited.weekdays) == (None, "03:00", ("mon", "fri"))
    assert edited.next_run_at == at("2026-12-07 03:00")
    back = schedules.edit(schedule.id, actor="ben", every_seconds=7200)
    assert (back.every_seconds, back.daily_at, back.weekdays) == (7200, None, ())
    assert back.next_run_at == clock() + 7200


def test_whoever_changes_what_it_hides_answers_for_its_runs(schedules, clock):
    schedule = add(schedules)
    schedules.edit(schedule.id, actor="ben", criteria={"model": "another"})
    clock.forward(3600)
    [done] = schedules.run_due()
    assert (done.actor, done.criteria.model) == ("ben", "another")


def test_an_edit_is_audited_with_what_was_and_what_is(schedules):
    schedule = add(schedules, name="Nightly")
    schedules.edit(schedule.id, actor="ben", name="Hourly", criteria={"model": "n"}, soft=True)
    [record] = schedules._invalidation.audit.records(action="schedule.edited")
    assert (record.actor, record.details["schedule"], record.criteria) == ("ben", schedule.id, {"model": "n"})
    assert record.details["before"] == {"name": "Nightly", "criteria": {"model": "m"}, "soft": False}
    assert record.details["after"] == {"name": "Hourly", "criteria": {"model": "n"}, "soft": True}
    schedules.edit(schedule.id, actor="ben", name="Hourly")
    assert len(schedules._invalidation.audit.records(action="schedule.edited")) == 1, "nothing was changed"


def test_one_that_was_changed_since_it_was_shown_is_not_edited(schedules, clock):
    shown = add(schedules, name="Nightly")
    schedules.run_now(shown.id, actor="ben")
    schedules.edit(shown.id, actor="ben", seen=shown, name="Hourly")
    with pytest.raises(InvalidationRefused, match="changed after it was shown"):
        schedules.edit(shown.id, actor="anna", seen=shown, name="Weekly")
    assert schedules.get(shown.id).name == "Hourly"


def test_an_operator_edits_no_more_than_an_operator_may_add(schedules):
    olga, admin = Actor(name="olga", role=Role.OPERATOR), Actor(name="adam", role=Role.ADMIN)
    schedule = add(schedules, actor=admin, criteria={"tags": ["x"]})
    assert schedule.unbounded
    assert schedules.edit(schedule.id, actor=olga, name="Named").unbounded, "an admin has said what it hides"
    narrowed = schedules.edit(schedule.id, actor=olga, criteria={"tags": ["y"]})
    assert (narrowed.unbounded, narrowed.actor) == (False, "olga")
    with pytest.raises(AccessDenied):
        schedules.edit(schedule.id, actor=olga, criteria={"all": True})
    with pytest.raises(AccessDenied):
        schedules.edit(schedule.id, actor=Actor(name="vera", role=Role.VIEWER), name="Mine")
    assert schedules.get(schedule.id) == narrowed


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "Taken"}, "name"),
        ({"daily_at": "25:00"}, "daily_at"),
        ({"weekdays": ("mon",)}, "weekdays"),
        ({"daily_at": "03:00", "weekdays": ("someday",)}, "weekdays"),
        ({"daily_at": "03:00", "every_seconds": 60}, "every_seconds"),
        ({"criteria": {}}, "criteria"),
        ({"criteria": {"created_before": NOW}}, "created_before"),
        ({"hold_seconds": 86_401}, "hold_seconds"),
        ({"reason": "r" * 201}, "reason"),
    ],
)
def test_what_cannot_be_scheduled_is_no_edit(schedules, fields, named):
    add(schedules, name="Taken")
    schedule = add(schedules, name="Nightly")
    with pytest.raises(InvalidInput) as raised:
        schedules.edit(schedule.id, actor="ben", **fields)
    assert raised.value.field == named
    assert schedules.get(schedule.id) == schedule


def test_a_run_that_is_noted_while_it_is_edited_is_not_lost(schedules, clock):
    schedule = add(schedules, name="Nightly")
    swap, runs = schedules._hash.swap, []

    def with_a_run_between(key, before, after):
        if not runs:
            runs.append(1)
            schedules.run_now(schedule.id, actor="carl")
        return swap(key, before, after)

    schedules._hash.swap = with_a_run_between
    edited = schedules.edit(schedule.id, actor="ben", name="Hourly")
    assert (edited.name, edited.last_run_at) == ("Hourly", clock())
