"""What was asked anew while an invalidation hid it: an undo brings the hidden answer back, a sweep deletes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.access.audit import AuditLog
from core.bans.ban import TOMBSTONE_SECONDS
from core.bans.criteria import Criteria
from core.cache.steps import Lead
from core.errors import InvalidationRefused
from core.models import ChatRequest, Controls, For
from core.stores.aside import Aside
from core.stores.memory import MemoryStore
from core.stores.redis import store as store_module
from core.stores.redis.script import Script
from core.stores.redis.store import RedisStore, patient_client
from tests.invalidation.test_invalidator import HOLD, World, a_world, sweep
from tests.stores.redis.users import url_of_user

SKY, SEA = "Why is the sky blue?", "Why is the sea salty?"


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield a_world(MemoryStore(), AuditLog(None), namespace)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield a_world(store, AuditLog(client), namespace)
    store.close()


def text(world: World, prompt: str = SKY, **options) -> str:
    """The answer to a question: stored, or made now."""
    return world.ask(prompt, **options).completion.text


def hide(world: World, **criteria) -> str:
    options = {name: criteria.pop(name) for name in ("hold_seconds", "soft") if name in criteria}
    return world.invalidator.invalidate(Criteria(**(criteria or {"all": True})), actor=world.anna, **options).id


def undo(world: World, ban_id: str) -> tuple[int | None, int | None]:
    done = world.invalidator.undo(ban_id, actor=world.anna)
    assert done.reason == ""
    return done.put_back, done.kept_newer


def aside(world: World) -> list[Aside]:
    return [each for batch in world.store.walk_aside(world.slot) for each in batch]


def key(world: World, prompt: str = SKY) -> str:
    return world.ask(prompt).outcome.key


def test_an_undo_brings_back_what_was_asked_anew_byte_for_byte_with_its_own_ttl(world):
    first = text(world, ttl=For(1000))
    before = world.entries()
    digest = next(iter(before))
    left = world.store.ttl_seconds(world.slot, digest)
    banned = hide(world)
    assert text(world) != first
    assert len(aside(world)) == 2, "the entry and its alias"
    assert undo(world, banned) == (1, 0)
    assert world.entries() == before
    assert left - 60 < world.store.ttl_seconds(world.slot, digest) <= left
    assert text(world) == first
    assert aside(world) == []
    assert world.store.models(world.slot) == {"gpt-4o": 1}


def test_what_lies_aside_is_in_no_list_and_no_count(world):
    text(world)
    hide(world)
    text(world)
    assert len(world.entries()) == 2, "the newer answer and its alias"
    assert world.invalidator.preview(Criteria(all=True)).count == 1
    assert world.store.models(world.slot) == {"gpt-4o": 1}


def test_nothing_is_put_aside_where_nothing_is_hidden(world):
    text(world)
    world.ask(SKY, no_cache=True)
    hide(world, model="another")
    world.ask(SKY, no_cache=True)
    hide(world, soft=True)
    text(world)
    assert aside(world) == []


def test_of_two_bans_over_one_answer_the_undo_of_both_brings_it_back(world):
    first = text(world)
    one, two = hide(world), hide(world, model="gpt-4o")
    newer = text(world)
    assert undo(world, one) == (0, 0)
    assert text(world) == newer, "the other ban stands"
    assert undo(world, two) == (1, 0)
    assert text(world) == first


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_bans_that_came_one_after_the_other_are_undone_in_any_order(world, order):
    first = text(world)
    one = hide(world)
    second = text(world)
    two = hide(world)
    third = text(world)
    assert len({first, second, third}) == 3
    bans = (one, two)
    undo(world, bans[order[0]])
    assert text(world) == (second if order == (1, 0) else third)
    undo(world, bans[order[1]])
    assert text(world) == first


@pytest.mark.parametrize("spelled", [SKY, SKY.replace("Why", "why")])
@pytest.mark.parametrize("softs_place", [0, 1])
def test_what_a_soft_ban_still_marks_takes_the_place_of_no_fresh_answer(world, softs_place, spelled):
    first = text(world)
    bans = [hide(world, soft=place == softs_place) for place in range(2)]
    newer = text(world, spelled)
    assert undo(world, bans[1 - softs_place]) == (0, 0)
    assert text(world, spelled) == newer != first, "it is found still, and not asked once more"
    assert undo(world, bans[softs_place]) == (1, 0)
    assert text(world, spelled) == first == text(world)
    assert aside(world) == []


def test_what_a_soft_ban_marks_goes_back_where_there_is_no_fresh_answer(world):
    text(world)
    before = world.entries()
    banned = hide(world)
    text(world)
    hide(world, soft=True)
    assert undo(world, banned) == (1, 0)
    assert world.entries() == before, "the oldest of those that are marked"


def test_the_undo_of_a_soft_ban_brings_back_nothing_that_it_only_marked(world):
    text(world)
    softly = hide(world, soft=True)
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": SKY}])
    lead = world.cache.begin(request, Controls(ttl=For(1000)))
    assert isinstance(lead, Lead)
    hide(world, model="another")
    newer = lead.finish(world.provider.complete(request)).completion.text
    assert len(aside(world)) == 2, "the store could not tell that nothing hides them"
    assert undo(world, softly) == (None, None)
    assert text(world) == newer


def test_a_soft_ban_that_is_swept_deletes_what_waits_for_its_undo(world):
    text(world, ttl=For(86_400 * 40))
    banned, _ = hide(world), hide(world, soft=True)
    text(world)
    undo(world, banned)
    assert len(aside(world)) == 2, "the entry and its alias"
    [softly] = world.bans()
    world.clock.forward(softly.ends_at - world.clock())
    assert sweep(world).finished
    assert (world.bans(), aside(world)) == ([], [])


def test_what_is_past_its_freshness_takes_the_place_of_no_fresh_answer(world):
    first = text(world, ttl=For(1000))
    banned = hide(world)
    newer = text(world, ttl=For(86_400))
    world.clock.forward(1000)
    assert undo(world, banned) == (0, 0)
    assert text(world, ttl=For(86_400)) == newer != first
    assert aside(world) == []


def test_a_ban_that_is_swept_meanwhile_deletes_what_lies_aside_for_the_undo_of_another(world):
    first = text(world, tags=("doc:1",))
    undone = hide(world)
    newer = text(world)
    hide(world, tags=("doc:1",), hold_seconds=0)
    assert sweep(world).finished
    assert [ban.id for ban in world.bans()] == [undone], "the second ban has retired"
    assert undo(world, undone) == (0, 0)
    assert text(world) == newer != first


def test_a_ban_that_came_and_retired_before_the_answer_was_asked_anew_is_no_matter(world):
    first = text(world, tags=("doc:1",))
    hide(world, tags=("doc:2",), hold_seconds=0)
    banned = hide(world)
    text(world)
    assert sweep(world).finished
    assert undo(world, banned) == (1, 0)
    assert text(world) == first


def test_an_answer_deleted_at_once_by_its_key_does_not_come_back(world):
    first = text(world)
    banned = hide(world)
    newer = text(world)
    hide(world, key=key(world), hold_seconds=0)
    assert undo(world, banned) == (0, 0)
    third = text(world)
    assert len({first, newer, third}) == 3
    world.clock.forward(TOMBSTONE_SECONDS)
    sweep(world)
    assert (world.bans(), aside(world)) == ([], [])
    assert text(world) == third


def test_an_undo_is_refused_once_the_sweep_has_begun_and_the_sweep_deletes_both(world):
    text(world)
    banned = hide(world)
    newer = text(world)
    world.clock.forward(HOLD)
    assert sweep(world).deleted == 1
    assert aside(world) == []
    with pytest.raises(InvalidationRefused):
        undo(world, banned)
    assert text(world) == newer


def test_another_spelling_asked_anew_leads_back_to_the_answer_that_was_hidden(world):
    first = text(world)
    banned = hide(world)
    spelled = SKY.replace("Why", "why")
    assert text(world, spelled) != first
    assert undo(world, banned) == (1, 0)
    assert text(world, spelled) == first == text(world)


def test_the_last_stored_of_several_is_replaced_too(world):
    first = text(world)
    banned = hide(world)
    text(world)
    world.ask(SKY, no_cache=True)
    assert undo(world, banned) == (1, 0)
    assert text(world) == first


def test_it_is_put_back_where_the_newer_answer_has_gone(world):
    first = text(world, ttl=For(86_400))
    banned = hide(world)
    text(world)
    for digest in world.entries():
        forget(world, world.slot.entry(digest))
    assert undo(world, banned) == (1, 0)
    assert text(world) == first
    assert world.store.models(world.slot) == {"gpt-4o": 1}


def test_only_what_the_undone_ban_hid_comes_back(world):
    sky, sea = text(world, SKY, tags=("doc:1",)), text(world, SEA, tags=("doc:2",))
    one, two = hide(world, tags=("doc:1",)), hide(world, tags=("doc:2",))
    newer_sky, newer_sea = text(world, SKY), text(world, SEA)
    assert undo(world, one) == (1, 0)
    assert (text(world, SKY), text(world, SEA)) == (sky, newer_sea)
    assert undo(world, two) == (1, 0)
    assert (text(world, SKY), text(world, SEA)) == (sky, sea)
    assert newer_sky not in (sky, sea)


def test_an_answer_that_was_replaced_when_nothing_hid_it_does_not_come_back(world):
    text(world)
    hide(world, model="another")
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": SKY}])
    lead = world.cache.begin(request, Controls(no_cache=True, ttl=For(1000)))
    assert isinstance(lead, Lead)
    hide(world, model="another")
    second = lead.finish(world.provider.complete(request)).completion.text
    banned = hide(world)
    assert text(world) != second
    undo(world, banned)
    assert text(world) == second


def test_an_answer_that_memory_had_no_room_for_is_said_to_keep_the_newer_one(world):
    if isinstance(world.store, MemoryStore):
        return  # which does not tell what has left it
    text(world)
    banned = hide(world)
    newer = text(world)
    for each in aside(world):
        forget(world, world.slot.aside_value(each.field))
    assert undo(world, banned) == (0, 1)
    assert text(world) == newer
    assert aside(world) == []


def test_a_lost_record_takes_what_lies_aside_with_it(world):
    text(world)
    hide(world)
    text(world)
    world.lose_record()
    newer = text(world)
    banned = hide(world, model="another")
    assert undo(world, banned) == (0, 0)
    assert text(world) == newer


def test_an_undo_whose_record_was_lost_says_that_there_is_none(world):
    text(world)
    banned = hide(world)
    world.lose_record()
    with pytest.raises(InvalidationRefused):
        undo(world, banned)


def forget(world: World, name: bytes) -> None:
    if isinstance(world.store, MemoryStore):
        world.store._cells.pop(name, None)
    else:
        world.store._servers.ask(name, b"*2\r\n$3\r\nDEL\r\n$%d\r\n%b\r\n" % (len(name), name))


def test_an_undo_works_when_memory_is_full(redis_server, namespace):
    server = redis_server("maxmemory-policy noeviction")
    store = RedisStore(patient_client(server.url))
    world = a_world(store, AuditLog(None), namespace)
    first = text(world)
    banned, other = hide(world), hide(world, model="gpt-4o")
    text(world)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        assert world.ask(SEA).outcome.not_stored == "writes-refused"
        assert undo(world, banned) == (0, 0)
        assert undo(world, other) == (1, 0)
        assert text(world) == first
    store.close()


def test_a_full_server_leaves_what_it_does_not_store_over(redis_server, namespace):
    server = redis_server("maxmemory-policy noeviction")
    store = RedisStore(patient_client(server.url))
    world = a_world(store, AuditLog(None), namespace)
    first = text(world)
    banned = hide(world)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        assert world.ask(SKY).outcome.not_stored == "writes-refused"
        assert aside(world) == []
        assert undo(world, banned) == (0, 0)
        assert text(world) == first
    store.close()


def test_a_user_who_may_not_rename_stores_over_what_is_hidden_and_is_told_what_lacks(redis_server, namespace):
    server = redis_server()
    store = RedisStore(patient_client(url_of_user(server, "-rename")))
    world = a_world(store, AuditLog(None), namespace)
    text(world)
    banned = hide(world)
    newer = text(world)
    assert aside(world) == []
    assert undo(world, banned) == (0, 0)
    assert text(world) == newer
    store.close()


def test_a_bucket_keeps_only_so_much_aside(redis_url, namespace, monkeypatch):
    text_of_script = store_module._WRITE._text.decode()
    monkeypatch.setattr(store_module, "_WRITE", Script(text_of_script.replace("50000", "2")))
    store = RedisStore(patient_client(redis_url))
    world = a_world(store, AuditLog(None), namespace)
    for prompt in (SKY, SEA):
        text(world, prompt)
    banned = hide(world)
    newer = [text(world, prompt) for prompt in (SKY, SEA)]
    assert len(aside(world)) == 2, "the first with its alias"
    assert undo(world, banned) == (1, 0)
    assert text(world, SEA) == newer[1]
    store.close()


def test_what_the_index_does_not_name_is_never_served(redis_url, namespace):
    store = RedisStore(patient_client(redis_url))
    world = a_world(store, AuditLog(None), namespace)
    text(world)
    banned = hide(world)
    newer = text(world)
    store._client.delete(world.slot.aside)
    assert undo(world, banned) == (0, 0)
    assert text(world) == newer
    store.close()


def test_all_that_lies_aside_ends(redis_url, namespace):
    store = RedisStore(patient_client(redis_url))
    world = a_world(store, AuditLog(None), namespace)
    text(world, ttl=For(1000))
    hide(world)
    text(world)
    names = [world.slot.aside, *(world.slot.aside_value(each.field) for each in aside(world))]
    assert all(0 < store._client.ttl(name) <= 1.25 * 4600 for name in names)
    store.close()
