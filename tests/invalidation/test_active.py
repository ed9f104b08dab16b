"""The invalidations in force, page by page, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.errors import InvalidInput
from core.invalidation.active import ActiveCount, ActiveInvalidations
from core.invalidation.filter import InvalidationFilter
from core.invalidation.invalidator import CacheInvalidator
from core.keys import Slot, readable_key
from core.stores import MemoryStore, Store
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import Clock, digest_of


class World:
    """Two namespaces of two buckets on a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.invalidators = {
            name: CacheInvalidator(store, AuditLog(None), namespace=name, buckets=2, clock=self.clock)
            for name in ("farm", "shop")
        }
        self.active = ActiveInvalidations(store, buckets=2)

    def apply(self, criteria: Criteria, namespace: str = "shop", **options: Any) -> str:
        self.clock.forward(1)
        return self.invalidators[namespace].invalidate(criteria, actor="wiki", **options).id

    def pages(self, limit: int, **options: Any) -> list[list[str]]:
        found, cursor = [], None
        while not found or cursor is not None:
            page = self.active.page(limit, cursor=cursor, **options)
            found.append([one.id for one in page.items])
            cursor = page.next
        return found


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, redis_server) -> Iterator[World]:
    if request.param == "memory":
        yield World(MemoryStore())
        return
    store = RedisStore(patient_client(redis_server().url))
    yield World(store)
    store.close()


def tag(number: int) -> Criteria:
    return Criteria(tags=(f"doc:{number}",))


def test_one_page_comes_newest_first_with_who_asked_for_it(world):
    ids = [world.apply(tag(number), name) for number, name in enumerate(["shop", "farm", "shop"])]
    page = world.active.page()
    assert ([one.id for one in page.items], page.next) == (ids[::-1], None)
    assert {(one.actor, one.state, one.can_undo) for one in page.items} == {("wiki", "held", True)}
    assert [one.id for one in world.active.page(namespace="farm").items] == [ids[1]]


def test_of_several_pages_those_come_first_that_end_first(world):
    ids = {name: [world.apply(tag(number), name) for number in range(7)] for name in ("shop", "farm")}
    soon = world.apply(tag(9), "shop", hold_seconds=1)
    first, second, *none = world.pages(4, namespace="shop")
    assert [first, second] == [[soon, *ids["shop"][:3]], ids["shop"][3:]]
    assert none in ([], [[]]), "the other bucket has nothing that the first one has not"
    assert [one for page in world.pages(4) for one in page] == [*ids["farm"], soon, *ids["shop"]]


def test_each_is_told_once_however_many_buckets_have_it(world):
    keys = [world.apply(Criteria(key=readable_key(bucket, digest_of(f"{bucket}")))) for bucket in (0, 1)]
    other = world.apply(Criteria(model="m"))
    assert sorted(one.id for one in world.active.page().items) == sorted([*keys, other])
    gone = world.apply(Criteria(key=readable_key(1, digest_of("x"))), hold_seconds=0)
    assert gone not in {one.id for one in world.active.page().items}, "what was deleted at once hides nothing"


def test_what_is_looked_for_is_found_among_all_of_them(world):
    ids = [world.apply(tag(number)) for number in range(1200)]
    for text in ("doc:1077", ids[1077]):
        page = world.active.page(10, where=InvalidationFilter(text=text).matches)
        assert [one.id for one in page.items] == [ids[1077]]


def test_a_search_ends_and_says_where_to_go_on(world, monkeypatch):
    monkeypatch.setattr("core.invalidation.active.MOST_SEARCHED", 50)
    ids = [world.apply(tag(number)) for number in range(120)]
    pages = world.pages(10, where=lambda one: one.id == ids[99])
    assert [one for page in pages for one in page] == [ids[99]]
    assert len(pages) > 2


def test_they_are_counted_by_namespace_and_kind(world):
    for number in range(3):
        world.apply(tag(number))
    world.apply(Criteria(pattern="*x*"))
    world.apply(tag(1), "farm")
    assert world.active.counts() == {"farm": ActiveCount(active=1), "shop": ActiveCount(active=4, listed=1)}
    assert world.active.counts("farm") == {"farm": ActiveCount(active=1)}


def test_those_that_should_have_been_swept_are_told(world):
    late = world.apply(tag(1), hold_seconds=5)
    world.apply(tag(2), hold_seconds=500)
    assert [one.id for one in world.active.ended(world.clock() + 100)] == [late]
    assert world.active.ended(world.clock()) == []


def test_by_their_ids_many_are_found_in_one_read_of_each_bucket(world):
    ids = [world.apply(tag(number), name) for number in range(40) for name in ("shop", "farm")]
    assert world.active.bans_of([*ids, "never"]).keys() == set(ids)
    assert world.active.bans_of(ids, ["farm"]).keys() == set(ids[1::2])
    assert world.store.bans_of(Slot("shop", 0), []) == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "1/0/shop", "1/0/sh op/id", "1/zz/shop/id", "nan/0/shop/id", "1/0/shop/id\n", "0/1000/shop/id"]
)
def test_a_cursor_is_one_that_a_page_gave_or_it_is_refused(world, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        world.active.page(cursor=cursor)
