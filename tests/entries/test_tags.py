"""The known tags: counted where they stand, in as much of a namespace as a limit and a time allow, and said so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.entries import tags as module
from core.entries.tags import counted_words, known_tags
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.invalidation.test_invalidator import World, a_world


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield a_world(MemoryStore(), AuditLog(None), namespace)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield a_world(store, AuditLog(client), namespace)
    store.close()


def found(world: World, **options):
    return known_tags(world.store, [world.slot], **options)


def counted(world: World, **options) -> dict[str, int]:
    return {one.tag: one.entries for one in found(world, **options).tags}


def test_each_tag_has_its_entries_counted_once_and_when_the_latest_was_stored(world):
    world.ask("Why is the sky blue?", tags=("doc:1", "sky"))
    world.clock.forward(60)
    world.ask("Why is the sea salty?", tags=("doc:1",))
    world.ask("What is untagged?")
    known = found(world)
    assert [(one.tag, one.entries) for one in known.tags] == [("doc:1", 2), ("sky", 1)]
    assert [one.latest_at for one in known.tags] == [world.clock(), world.clock() - 60]
    assert (known.looked_at, known.listed, known.complete, known.others) == (3, 3, True, 0)
    assert counted_words(known) == ""


def test_a_tag_is_found_by_a_part_of_it(world):
    world.ask("Why is the sky blue?", tags=("Doc:1", "sky"))
    assert counted(world, find="doc") == {"Doc:1": 1}
    assert counted(world, find="nothing") == {}


def test_what_was_invalidated_by_its_tag_is_not_counted(world):
    world.ask("Why is the sky blue?", tags=("doc:1",))
    world.ask("Why is the sea salty?", tags=("doc:2",))
    done = world.invalidator.invalidate(Criteria(tags=("doc:1",)), actor=world.anna)
    assert counted(world) == {"doc:2": 1}
    world.invalidator.undo(done.id, actor=world.anna)
    assert counted(world) == {"doc:1": 1, "doc:2": 1}


def test_tags_too_long_for_a_header_are_counted_as_well(world):
    tags = tuple(f"{number}-{'t' * 250}" for number in range(20))
    world.ask("Why is the sky blue?", tags=tags)
    assert counted(world) == dict.fromkeys(tags, 1)


def test_hostile_tags_are_counted_as_they_are(world):
    tags = ("<script>x</script>", "=1+1", "a\u202eb", "`tick`")
    world.ask("Why is the sky blue?", tags=tags)
    assert counted(world).keys() == set(tags)


def test_a_part_is_looked_at_and_said_so_when_there_is_too_much(world):
    for number in range(250):
        world.ask(f"Why is number {number} odd?", tags=("all",))
    known = found(world, most=10)
    assert not known.complete
    assert 10 <= known.looked_at < 250
    assert known.listed == 250
    assert known.tags[0].entries == known.looked_at
    assert counted_words(known).startswith(f"Counted in {known.looked_at} of about 250 entries")
    assert not found(world, seconds=0).complete


def test_callers_with_a_tag_for_each_answer_take_bounded_memory(world, monkeypatch):
    monkeypatch.setattr(module, "MOST_COUNTED", 3)
    for number in range(5):
        world.ask(f"Why is number {number} odd?", tags=(f"request:{number}",))
    known = found(world, limit=2)
    assert (len(known.tags), known.others, known.complete) == (2, 1, False)
    assert "And 1 other tag: narrow it down." in counted_words(known)


def test_a_namespace_that_has_nothing_has_no_tags(world):
    assert found(world).tags == ()
