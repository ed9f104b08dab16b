"""A later invalidation in the place of an earlier one: at no moment is anything shown that either of them hides."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from core.access.audit import AuditLog
from core.bans.ban import BanState
from core.bans.changes import MOST_LISTED, take_place
from core.bans.criteria import Criteria
from core.cache.steps import Lead
from core.errors import InvalidationRefused
from core.invalidation.telling import InvalidationState
from core.keys.names import EVERYWHERE
from core.models import ChatRequest, Controls, For
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.invalidation.test_aside import SEA, SKY, text
from tests.invalidation.test_everywhere import world as everywhere  # noqa: F401
from tests.invalidation.test_invalidator import HOLD, World, a_world, sweep
from tests.samples import NOW, a_ban

TAGGED = Criteria(tags=("doc:1",))


@pytest.fixture(params=["memory", "redis", "two buckets"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield a_world(MemoryStore(), AuditLog(None), namespace)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield a_world(store, AuditLog(client), namespace, buckets=1 + (request.param == "two buckets"))
    store.close()


def hide(world: World, criteria: Criteria = TAGGED, **options):
    return world.invalidator.invalidate(criteria, actor=world.anna, **options)


def put_in_place(world: World, earlier, later) -> bool:
    return world.invalidator.take_place(earlier.id, later, actor=world.anna)


def test_what_the_earlier_one_hid_stays_hidden_and_an_undo_of_the_later_one_brings_it_back(world):
    sky = text(world, SKY, tags=("doc:1",))
    earlier = hide(world)
    sea = text(world, SEA, tags=("doc:1",))
    later = hide(world)
    assert put_in_place(world, earlier, later)
    assert not world.is_cached(SKY)
    assert not world.is_cached(SEA)
    assert [one.id for one in world.invalidator.active(world.namespace)] == [later.id]
    world.invalidator.undo(later.id, actor=world.anna)
    assert (text(world, SKY), text(world, SEA)) == (sky, sea)


def test_a_writer_that_began_before_the_earlier_one_is_kept_out_still(world):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": SKY}])
    step = world.cache.begin(request, Controls(tags=("doc:1",), ttl=For(3600)))
    assert isinstance(step, Lead)
    earlier = hide(world)
    assert put_in_place(world, earlier, hide(world))
    step.finish(world.provider.complete(request))
    assert not world.is_cached(SKY)


def test_the_earlier_one_tells_which_took_its_place_and_cannot_be_undone(world):
    earlier = hide(world)
    later = hide(world)
    put_in_place(world, earlier, later)
    known = world.invalidator.find(earlier.id)
    assert (known.state, known.replaced_by, known.can_undo) == (InvalidationState.REPLACED, later.id, False)
    with pytest.raises(InvalidationRefused, match="later run of its schedule took its place: undo that one"):
        world.invalidator.undo(earlier.id, actor=world.anna)
    assert world.invalidator.trail_of(earlier.id)[0].action == "invalidate.replaced"


def test_of_a_machine_it_is_told_as_well(world):
    earlier = world.invalidator.invalidate(TAGGED, actor="program")
    later = world.invalidator.invalidate(TAGGED, actor="program")
    assert world.invalidator.take_place(earlier.id, later, actor="program")
    [known] = [one for one in world.invalidator.history(namespace=world.namespace) if one.id == earlier.id]
    assert (known.state, known.replaced_by) == (InvalidationState.REPLACED, later.id)
    with pytest.raises(InvalidationRefused, match="took its place"):
        world.invalidator.undo(earlier.id, actor=world.anna)


def test_one_that_was_undone_meanwhile_leaves_the_earlier_one_in_force(world):
    text(world, SKY, tags=("doc:1",))
    earlier = hide(world)
    later = hide(world)
    world.invalidator.undo(later.id, actor=world.anna)
    assert not put_in_place(world, earlier, later)
    assert not world.is_cached(SKY)
    assert [one.id for one in world.invalidator.active(world.namespace)] == [earlier.id]


def test_a_sweep_of_the_later_one_deletes_what_both_hid(world):
    text(world, SKY, tags=("doc:1",))
    earlier = hide(world)
    text(world, SEA, tags=("doc:1",))
    later = hide(world)
    put_in_place(world, earlier, later)
    world.clock.forward(HOLD + 1)
    assert sweep(world).finished
    assert world.invalidator.find(later.id).deleted == 2
    assert not world.is_cached(SKY)


def test_one_that_hides_less_or_otherwise_takes_no_place(world):
    earlier = hide(world, Criteria(created_before=world.clock()))
    for criteria, options in (
        (Criteria(created_before=world.clock() - 1), {}),
        (Criteria(created_before=world.clock() + 1, model="m"), {}),
        (Criteria(model="m"), {}),
        (Criteria(created_before=world.clock() + 1), {"soft": True}),
    ):
        assert not put_in_place(world, earlier, hide(world, criteria, **options)), criteria
    assert earlier.id in {one.id for one in world.invalidator.active(world.namespace)}
    later = hide(world, Criteria(created_before=world.clock() + 1))
    assert put_in_place(world, earlier, later)


# Pure: which bans may


def of(number: int, **fields):
    return msgspec.structs.replace(a_ban(f"b{number}", TAGGED), sequence=number, **fields)


@pytest.mark.parametrize(
    ("earlier", "later", "may"),
    [
        (of(1), of(2), True),
        (of(2), of(1), False),
        (of(1, state=BanState.SOFT), of(2, state=BanState.SOFT), True),
        (of(1, state=BanState.SWEEPING), of(2), False),
        (of(1), of(2, state=BanState.SWEEPING), False),
        (of(1), of(2, state=BanState.SOFT), False),
        (of(1, state=BanState.TOMBSTONE), of(2, state=BanState.TOMBSTONE), False),
        (of(1, criteria=Criteria(created_before=NOW)), of(2, criteria=Criteria(created_before=NOW + 1)), True),
        (of(1, criteria=Criteria(created_before=NOW)), of(2, criteria=Criteria(created_before=NOW - 1)), False),
        (of(1, criteria=Criteria(model="m")), of(2, criteria=Criteria(model="m", created_before=NOW)), False),
        (of(1, criteria=Criteria(model="m", created_before=NOW)), of(2, criteria=Criteria(model="m")), True),
    ],
)
def test_only_a_later_ban_that_does_all_of_it_takes_a_place(earlier, later, may):
    change = take_place([earlier, later], earlier.id, later.id)
    assert change.floor == 0
    assert list(change.bans) == ([(earlier, None), (later, later)] if may else [])


def test_nothing_is_taken_away_without_the_later_one():
    earlier = of(1)
    assert list(take_place([earlier], earlier.id, "b2").bans) == []
    assert list(take_place([], earlier.id, "b2").bans) == []


# Of all namespaces


def test_of_all_namespaces_it_takes_the_place_in_each(everywhere):  # noqa: F811
    criteria = Criteria(namespace=EVERYWHERE, tags=("doc:1",))
    earlier = everywhere.invalidator.invalidate(criteria, actor=everywhere.anna)
    later = everywhere.invalidator.invalidate(criteria, actor=everywhere.anna)
    assert everywhere.invalidator.take_place(earlier.id, later, actor=everywhere.anna)
    assert everywhere.cached_in("How do refunds work?") == set()
    assert [one.id for one in everywhere.invalidator.active()] == [later.id]
    known = everywhere.invalidator.find(earlier.id)
    assert (known.state, known.replaced_by) == (InvalidationState.REPLACED, later.id)
    assert {part.state for part in known.parts} == {InvalidationState.REPLACED}
    everywhere.invalidator.undo(later.id, actor=everywhere.anna)
    assert everywhere.cached_in("How do refunds work?") == {"default", "shop", "shop~eu"}


def test_a_namespace_that_refuses_the_later_one_keeps_the_earlier_one(everywhere):  # noqa: F811
    criteria = Criteria(namespace=EVERYWHERE, pattern="*refund*")
    earlier = everywhere.invalidator.invalidate(criteria, actor=everywhere.anna)
    for number in range(MOST_LISTED - 1):
        everywhere.invalidator.invalidate(Criteria(namespace="shop", pattern=f"*none {number}*"), actor="program")
    later = everywhere.invalidator.invalidate(criteria, actor=everywhere.anna)
    assert everywhere.invalidator.take_place(earlier.id, later, actor=everywhere.anna)
    assert everywhere.cached_in("How do refunds work?") == set()
    known = everywhere.invalidator.find(earlier.id)
    assert {part.namespace: part.state for part in known.parts} == {
        "default": InvalidationState.REPLACED,
        "shop": InvalidationState.HELD,
        "shop~eu": InvalidationState.REPLACED,
    }
    assert everywhere.invalidator.undo(earlier.id, actor=everywhere.anna).parts[1].state is InvalidationState.UNDONE
    assert everywhere.cached_in("How do refunds work?") == {"shop"}
