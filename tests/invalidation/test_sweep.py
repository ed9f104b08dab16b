"""What a sweep looks for, of many bans at once: one walk of each tag's index, one pass with a few filters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from core.access.audit import AuditLog
from core.bans.ban import Ban, BanState
from core.bans.criteria import Criteria
from core.invalidation.sweep import MOST_KEYS, filters_of
from core.keys import user_pseudonym
from core.stores.base import Store, SweepFilter
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.invalidation.test_invalidator import World, a_world, no_pause, sweep
from tests.samples import digest_of


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield a_world(MemoryStore(), AuditLog(None), namespace)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield a_world(store, AuditLog(client), namespace)
    store.close()


def hide(world: World, **criteria) -> None:
    world.invalidator.invalidate(Criteria(**criteria), actor="anna", hold_seconds=0)


class Watched:
    """A store that notes what walks and passes it was asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tags: list[str] = []
        self.filters: list[list[SweepFilter]] = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def remove_tags(self, slot, incarnation, before, **options):
        self.tags += before
        return self._store.remove_tags(slot, incarnation, before, **options)

    def scan_matching(self, slot, incarnation, filters, **options):
        self.filters.append(list(filters))
        return self._store.scan_matching(slot, incarnation, filters, **options)

    def walk(self, slot, **options):
        raise AssertionError("everything is read")


def questions(count: int) -> list[str]:
    return [f"What does word {number} mean?" for number in range(count)]


def is_kept(world: World) -> list[bool]:
    return [world.is_cached(text) for text in questions(40)]


def test_many_tags_cost_one_walk_each_and_one_pass_with_one_filter(world):
    for number, text in enumerate(questions(40)):
        world.ask(text, tags=(f"doc:{number}", "doc"))
    tags = [f"doc:{number}" for number in range(30)] + [f"page:{number}" for number in range(970)]
    for number, tag in enumerate((*tags, *tags[:30])):
        ban = a_ban(0, tags=(tag,))
        ban = msgspec.structs.replace(ban, id=str(number), state=BanState.HELD, created_at=world.clock())
        world.store.append(world.slot, ban)
    watched = world.invalidator._store = Watched(world.store)
    progress = sweep(world)
    assert (progress.finished, progress.deleted, progress.scanned) == (True, 30, 40)
    assert sorted(watched.tags) == sorted(tags)
    [[only]] = watched.filters
    assert (only.tagged, only.sequence) == (True, world.record().sequence)
    assert is_kept(world) == [False] * 30 + [True] * 10
    assert len(world.entries()) == 20
    assert world.invalidator.active(world.namespace) == []


def test_what_the_index_of_a_tag_does_not_list_is_swept_all_the_same(world, monkeypatch):
    world.ask("Why is the sky blue?", tags=("doc:1",))
    hide(world, tags=("doc:1",))
    monkeypatch.setattr(type(world.store), "remove_tags", lambda self, *arguments, **options: iter(()))
    assert sweep(world).deleted == 1
    assert world.entries() == {}


def test_what_is_swept_by_tag_is_counted_no_more(world):
    for number, text in enumerate(questions(6)):
        world.ask(text, tags=(f"doc:{number % 2}",))
    hide(world, tags=("doc:1",))
    assert sweep(world).deleted == 3
    assert world.store.models(world.slot) == {"gpt-4o": 3}


def test_a_tag_and_a_word_are_judged_by_the_whole_prompt(world):
    for text in questions(40)[:3]:
        world.ask(text, tags=("doc:1",))
    hide(world, tags=("doc:1",), keywords=("word 1",))
    assert sweep(world).deleted == 1
    assert is_kept(world)[:3] == [True, False, True]


@pytest.mark.parametrize("hidden", [1, MOST_KEYS, MOST_KEYS + 1])
def test_keys_go_with_their_aliases_however_many(world, hidden):
    keys = [world.ask(text).key for text in questions(20)]
    for key in keys[:hidden]:
        world.invalidator.invalidate(Criteria(key=key), actor="anna", hold_seconds=60)
    world.clock.forward(60)
    progress = sweep(world)
    assert (progress.deleted, progress.scanned) == (hidden, 20)
    assert len(world.entries()) == 2 * (20 - hidden)
    assert is_kept(world)[:20] == [False] * hidden + [True] * (20 - hidden)


def test_a_walk_is_stopped_between_batches_and_retires_nothing(world):
    world.ask("Why is the sky blue?", tags=("doc:1",))
    hide(world, tags=("doc:1",))
    assert not sweep(world, should_stop=lambda: True).finished
    assert len(world.invalidator.active(world.namespace)) == 1
    assert world.invalidator.sweep(world.namespace, pause=no_pause).finished


def a_ban(sequence: int, **criteria) -> Ban:
    given = Criteria(**criteria)
    return Ban(sequence=sequence, id=str(sequence), criteria=given, state=BanState.SWEEPING, created_at=0, due_at=0)


def key(number: int) -> str:
    return "0-" + digest_of(str(number)).hex()


def test_bans_alike_share_a_filter_that_has_the_newest_of_them():
    swept = [a_ban(number, tags=(f"doc:{number}",)) for number in range(1, 1000)]
    swept += [a_ban(2000 - number, user=user_pseudonym("n", str(number))) for number in range(1, 9)]
    swept += [a_ban(3000 + number, model="m") for number in range(3)]
    swept += [a_ban(4000, model="m", created_before=5.0), a_ban(4001, model="o"), a_ban(4002, tags=("x",), model="m")]
    assert filters_of(swept) == [
        SweepFilter(sequence=999, tagged=True),
        SweepFilter(sequence=1999, owned=True),
        SweepFilter(sequence=3002, model="m"),
        SweepFilter(sequence=4000, model="m", created_before=5.0),
        SweepFilter(sequence=4001, model="o"),
        SweepFilter(sequence=4002, tagged=True, model="m"),
    ]


def test_of_many_keys_every_alias_is_looked_at():
    few = [a_ban(number, key=key(number)) for number in range(1, MOST_KEYS + 1)]
    assert [each.digest for each in filters_of(few)] == [digest_of(str(number)) for number in range(1, MOST_KEYS + 1)]
    assert filters_of([*few, a_ban(99, key=key(99))]) == [SweepFilter(sequence=99, alias=True)]
