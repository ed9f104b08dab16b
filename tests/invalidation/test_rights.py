"""The right that an invalidation takes follows the share that it would hide, wherever it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core.access.audit import AuditLog
from core.access.roles import Action, Actor, Role
from core.bans.criteria import Criteria
from core.errors import AccessDenied
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.preview import LARGE_SHARE
from core.invalidation.rights import ending_hold, invalidating, scheduling, takes_admin
from core.invalidation.schedules import Schedules
from core.keys.names import Slot, readable_key
from core.stores.base import Write
from core.stores.codec import encode_entry
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import NOW, Clock, an_entry, digest_of

OLGA = Actor(name="olga", role=Role.OPERATOR)
ANNA = Actor(name="anna", role=Role.ADMIN)
DAY = 86_400.0

WORDS = [
    *("refund", "parcel", "invoice", "warranty", "catalogue", "address", "password", "voucher", "delivery", "colour"),
    *("size", "shoe", "coat", "lamp", "table", "chair", "carpet", "mirror", "clock", "vase"),
]
"""There is a question about each, so that each word is in a twentieth of the questions."""


def fill(store: MemoryStore | RedisStore, namespace: str = "shop", words: list[str] = WORDS) -> None:
    """Twenty entries, one an hour older than the next; one of them of another model."""
    slot = Slot(namespace, 0)
    record = store.ensure_record(slot)
    for number, word in enumerate(words):
        entry = an_entry(
            f"Where is the {word}?",
            namespace=namespace,
            model="gpt-4o-mini" if number == 0 else "gpt-4o",
            incarnation=record.incarnation,
            sequence=record.sequence,
            digest=digest_of(word),
            created_at=NOW - number * 3600,
            fresh_until=NOW + 30 * DAY,
            tags=("doc:1",),
        )
        write = Write(
            digest=entry.header.digest,
            value=encode_entry(entry),
            ttl_ms=int(30 * DAY * 1000),
            model=entry.header.model,
            created_at=entry.header.created_at,
        )
        store.write(slot, write, record.stamp, record.sequence)


@pytest.fixture
def invalidator() -> CacheInvalidator:
    store = MemoryStore(clock=lambda: NOW)
    fill(store)
    return CacheInvalidator(store, AuditLog(None), namespace="shop", clock=lambda: NOW)


EVERYTHING = {
    "everything": {"all": True},
    "an age in the future": {"created_before": NOW + 1e9},
    "an age of a second": {"created_before": NOW - 1},
    "a letter that most texts have": {"pattern": "*e*"},
    "any second character": {"pattern": "W?*"},
    "a class of characters": {"pattern": "[A-Z]*"},
    "a class that a digest has": {"pattern": "*[0-9a-f]*"},
    "a word that all have": {"keywords": ("where",)},
    "one word of all": {"keywords": tuple(WORDS[:16])},
    "the only model": {"model": "gpt-4o"},
    "a model and an age": {"model": "gpt-4o", "created_before": NOW + 1},
    "a pattern and a keyword": {"pattern": "*h*", "keywords": ("is",)},
    "three of twenty": {"keywords": tuple(WORDS[:3])},
}
SOME = {
    "a model of one entry": {"model": "gpt-4o-mini"},
    "a word": {"keywords": ("voucher",)},
    "just a tenth": {"keywords": tuple(WORDS[:2])},
    "a pattern": {"pattern": "*refund*"},
    "an age that few have": {"created_before": NOW - 18 * 3600},
    "a model and an age that few have": {"model": "gpt-4o", "created_before": NOW - 18 * 3600},
    "nothing": {"pattern": "*unheard of*"},
    "a tag, whatever its share": {"tags": ("doc:1",)},
    "a tag and a pattern": {"tags": ("doc:1",), "pattern": "*e*"},
    "a key": {"key": readable_key(0, digest_of("shoe"))},
}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", EVERYTHING)
def test_more_than_a_tenth_takes_an_admin(invalidator, name, soft):
    criteria = Criteria(**EVERYTHING[name])
    with pytest.raises(AccessDenied, match=r"more than a tenth of a namespace needs the role admin; olga"):
        invalidator.invalidate(criteria, actor=OLGA, soft=soft)
    assert invalidator.active() == []
    invalidator.invalidate(criteria, actor=ANNA, soft=soft)
    assert len(invalidator.active()) == 1


@pytest.mark.parametrize("name", SOME)
def test_a_tenth_or_what_is_named_takes_an_operator(invalidator, name):
    criteria = Criteria(**SOME[name])
    with pytest.raises(AccessDenied, match="needs the role operator"):
        invalidator.invalidate(criteria, actor=Actor(name="vera", role=Role.VIEWER))
    invalidator.invalidate(criteria, actor=OLGA)
    assert len(invalidator.active()) == 1


def test_the_share_is_that_of_the_moment_whatever_an_earlier_preview_said(invalidator):
    criteria = Criteria(keywords=("where",))
    before = CacheInvalidator(MemoryStore(), AuditLog(None), namespace="shop").preview(criteria)
    assert before.count == 0
    with pytest.raises(AccessDenied):
        invalidator.invalidate(criteria, actor=OLGA, preview=before)


def test_an_estimate_counts_as_the_upper_end_of_its_interval(invalidator, monkeypatch):
    criteria = Criteria(keywords=tuple(WORDS[:2]))
    estimate = invalidator.preview(criteria, exact_limit=18)
    assert not estimate.exact
    assert estimate.high / estimate.total > LARGE_SHARE
    assert estimate.is_large
    monkeypatch.setattr(invalidator, "preview", lambda criteria: estimate)
    with pytest.raises(AccessDenied):
        invalidator.invalidate(criteria, actor=OLGA)


def test_a_repeated_request_is_not_asked_again_for_its_share(invalidator):
    criteria = Criteria(keywords=("voucher",))
    done = invalidator.invalidate(criteria, actor=OLGA, request_id="r1")
    assert invalidator.invalidate(criteria, actor=OLGA, request_id="r1") == done


def test_a_program_and_an_admin_wait_for_no_preview(invalidator, monkeypatch):
    monkeypatch.setattr(invalidator, "preview", None)
    invalidator.invalidate(Criteria(pattern="*e*"), actor="nightly job")
    invalidator.invalidate(Criteria(pattern="*h*"), actor=ANNA)
    invalidator.invalidate(Criteria(tags=("doc:1",)), actor=OLGA)


@pytest.mark.parametrize(
    ("criteria", "previews", "may"),
    [
        (Criteria(model="gpt-4o"), True, False),
        (Criteria(model="gpt-4o"), False, False),
        (Criteria(model="gpt-4o-mini"), True, True),
        (Criteria(model="gpt-4o-mini"), False, False),
        (Criteria(tags=("doc:1",)), False, True),
        (Criteria(all=True), True, False),
    ],
)
def test_an_operator_ends_the_hold_of_what_an_operator_may_hide(invalidator, criteria, previews, may):
    preview = invalidator.preview(criteria) if previews else None
    done = invalidator.invalidate(criteria, actor=ANNA, preview=preview)
    [shown] = invalidator.history()
    assert OLGA.may(ending_hold(criteria, shown.share)) is may
    if may:
        invalidator.end_hold(done.id, actor=OLGA)
    else:
        with pytest.raises(AccessDenied, match="needs the role admin"):
            invalidator.end_hold(done.id, actor=OLGA)
        invalidator.end_hold(done.id, actor=ANNA)


def test_an_operator_ends_the_hold_of_what_an_operator_has_hidden(invalidator):
    done = invalidator.invalidate(Criteria(keywords=("voucher",)), actor=OLGA)
    assert done.share == 0.05
    invalidator.end_hold(done.id, actor=OLGA)


@pytest.mark.parametrize(
    ("fields", "share", "admin"),
    [
        ({"all": True}, 0.0, True),
        ({"model": "m"}, None, True),
        ({"model": "m"}, 0.1, False),
        ({"model": "m"}, 0.11, True),
        ({"tags": ("a",)}, None, False),
        ({"key": readable_key(0, digest_of("k"))}, 1.0, False),
    ],
)
def test_the_table(fields, share, admin):
    criteria = Criteria(**fields)
    assert takes_admin(criteria, share) is admin
    actions = {invalidating(criteria, share), scheduling(criteria, share), ending_hold(criteria, share)}
    wanted = {Action.INVALIDATE_ALL, Action.SCHEDULE_ALL, Action.END_HOLD_ALL}
    assert actions == (wanted if admin else {Action.INVALIDATE, Action.SCHEDULE, Action.END_HOLD})


# Schedules


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(redis_server: Callable, clock: Clock) -> Iterator[RedisStore]:
    store = RedisStore(patient_client(redis_server().url))
    yield store
    store.close()


@pytest.fixture
def schedules(store: RedisStore, clock: Clock) -> Schedules:
    client = store._client
    return Schedules(client, CacheInvalidator(store, AuditLog(client), namespace="shop", clock=clock), clock=clock)


def test_a_schedule_that_hides_much_now_is_added_by_an_admin(schedules, store):
    fill(store)
    with pytest.raises(AccessDenied, match="scheduling the invalidation of more than a tenth"):
        schedules.add(namespace="shop", actor=OLGA, older_than_seconds=1, every_seconds=60)
    assert schedules.all() == []
    schedules.add(namespace="shop", actor=OLGA, older_than_seconds=18 * 3600, every_seconds=60)
    schedules.add(namespace="shop", actor=ANNA, older_than_seconds=1, every_seconds=60)


def test_each_run_of_an_operators_schedule_is_bounded_too(schedules, store, clock):
    schedule = schedules.add(namespace="shop", actor=OLGA, older_than_seconds=1, every_seconds=60)
    fill(store)
    clock.forward(60)
    assert schedules.run_due() == []
    assert schedules.get(schedule.id).last.startswith("not applied: invalidating more than a tenth of a namespace")
    with pytest.raises(AccessDenied):
        schedules.run_now(schedule.id, actor=OLGA)
    with pytest.raises(AccessDenied):
        schedules.resume(schedule.id, actor=OLGA)
    assert schedules._invalidation.active() == []


def test_an_admin_who_adds_or_resumes_a_schedule_answers_for_its_runs(schedules, store, clock):
    first = schedules.add(namespace="shop", actor=OLGA, older_than_seconds=1, every_seconds=60)
    schedules.add(namespace="shop", actor=ANNA, older_than_seconds=30 * DAY, every_seconds=7200)
    fill(store)
    schedules.pause(first.id, actor=OLGA)
    schedules.resume(first.id, actor=ANNA)
    clock.forward(60)
    [done] = schedules.run_due()
    assert (done.actor, done.namespace) == ("olga", "shop")


def test_an_operator_resumes_an_admins_schedule_without_changing_what_it_may(schedules, store, clock):
    schedule = schedules.add(namespace="shop", actor=ANNA, older_than_seconds=1, every_seconds=60)
    schedules.pause(schedule.id, actor=OLGA)
    schedules.resume(schedule.id, actor=OLGA)
    fill(store)
    clock.forward(60)
    assert len(schedules.run_due()) == 1


@pytest.mark.parametrize(("criteria", "runs"), [({"all": True}, True), ({"model": "gpt-4o"}, False)])
def test_a_schedule_of_which_nobody_knows_who_answers_is_bounded(schedules, store, clock, criteria, runs):
    schedule = schedules.add(namespace="shop", actor="of an earlier version", criteria=criteria, every_seconds=60)
    schedules._change(schedule.id, unbounded=False)
    fill(store)
    clock.forward(60)
    assert bool(schedules.run_due()) is runs, "everything was always an admin's to schedule"


def test_a_schedule_by_tag_runs_whatever_its_share(schedules, store, clock):
    fill(store)
    schedules.add(namespace="shop", actor=OLGA, criteria={"tags": ("doc:1",)}, every_seconds=60)
    clock.forward(60)
    assert len(schedules.run_due()) == 1
