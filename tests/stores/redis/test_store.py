"""What only a store in Redis can meet: other hands in the same server, memory that is full, rows that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from core.access.audit import AuditLog
from core.bans import changes as bans
from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.errors import StoreUnavailable
from core.keys.names import NAMESPACES, Slot
from core.models import Stamp
from core.stores.base import Removal, Removed
from core.stores.redis.store import RedisStore, patient_client, request_client
from tests.cache.test_bypass import can_save, cannot_save
from tests.invalidation.test_invalidator import NUMBERS, a_world, no_pause
from tests.samples import NOW, digest_of
from tests.stores.test_contract import invalidate, put, remaining, removed_by_index


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    made = RedisStore(patient_client(redis_url))
    yield made
    made.close()


@pytest.fixture
def slot(namespace: str) -> Slot:
    return Slot(namespace, 0)


def test_what_is_no_string_under_an_entrys_name_is_left_alone(store, slot):
    put(store, slot, "p", alias="a")
    put(store, slot, "q")
    for name in ("p", "a"):
        store._client.delete(slot.entry(digest_of(name)))
        store._client.lpush(slot.entry(digest_of(name)), "x")
    before = invalidate(store, slot)
    assert removed_by_index(store, slot, before).entries == 1
    for whole in (True, False):
        assert [rows for rows in store.walk(slot, whole=whole) if rows] == []
    assert store._client.type(slot.entry(digest_of("p"))) == b"list"


def test_names_of_others_under_the_prefix_are_passed_over(store, slot):
    put(store, slot, "p")
    store._client.set(slot.entries + b"something else", "x")
    assert remaining(store, slot) == {"p"}
    assert [row.digest for rows in store.walk(slot, whole=False) for row in rows] == [digest_of("p")]


def test_rows_of_entries_that_are_gone_leave_the_index(store, slot):
    for number in range(5):
        put(store, slot, f"p{number}", alias=f"a{number}")
    store._client.delete(slot.entry(digest_of("p0")), slot.entry(digest_of("a1")))
    assert store.prune_index(slot) == 1
    assert store.count_model(slot, "gpt-4o") == 4
    store._client.delete(slot.entry(digest_of("p1")))
    removed = removed_by_index(store, slot, invalidate(store, slot))
    assert (removed.entries, removed.aliases) == (3, 3)
    assert store.count_model(slot, "gpt-4o") == 0
    assert remaining(store, slot) == {"a0"}, "its row was dropped: the pass over all finds it"


def rows_of(store: RedisStore, slot: Slot, tag: str) -> list[bytes]:
    return [bytes.fromhex(row.decode()) for row in store._client.zrange(slot.by_tag(tag), 0, -1)]


def test_the_index_of_a_tag_says_nothing_of_it_and_goes_with_the_last_entry(store, slot):
    put(store, slot, "p", alias="a", tags=("of-ann",))
    assert sorted(rows_of(store, slot, "of-ann")) == sorted(map(digest_of, ("p", "a")))
    assert not any(b"of-ann" in name for name in store._client.scan_iter(slot.prefix + b"*"))
    assert store.ttl_seconds(slot, digest_of("p")) < store._client.ttl(slot.by_tag("of-ann")) < 80
    stamp = store.ensure_record(slot).stamp
    removals = [
        Removal(digest=digest_of(name), stamp=stamp, model="gpt-4o", created_at=at, tags=("of-ann",))
        for name, at in (("p", NOW), ("a", None))
    ]
    store.remove(slot, removals)
    assert not store._client.exists(slot.by_tag("of-ann"))


def test_rows_of_what_is_gone_leave_the_index_of_a_tag_as_others_come(store, slot):
    store._client.zadd(slot.by_tag("doc:1"), {f"old {number}": 1.0 + number for number in range(200)})
    prompts = [f"p{number}" for number in range(100)]
    for prompt in prompts:
        put(store, slot, prompt, tags=("doc:1",))
    assert sorted(rows_of(store, slot, "doc:1")) == sorted(map(digest_of, prompts))


def test_what_is_kept_longer_stays_in_the_index_of_its_tags(store, slot):
    put(store, slot, "p", tags=("doc:1",))
    record = store.ensure_record(slot)
    [seen], _ = store.read(slot, [digest_of("p")])
    before = store._client.zscore(slot.by_tag("doc:1"), digest_of("p").hex())
    assert store.replace(slot, digest_of("p"), seen=seen, value=seen, ttl_ms=10_000_000, stamp=record.stamp)
    assert store._client.zscore(slot.by_tag("doc:1"), digest_of("p").hex()) > before + 9_000_000
    assert store._client.ttl(slot.by_tag("doc:1")) >= 10_000


def test_what_is_deleted_by_tag_leaves_the_index_of_its_model(store, slot):
    for number in range(3):
        put(store, slot, f"p{number}", alias=f"a{number}", tags=("doc:1",), created_at=NOW + number / 7)
        put(store, slot, f"q{number}", tags=("doc:2",), created_at=NOW + number / 7)
        put(store, slot, f"r{number}", alias=f"s{number}", tags=("doc:1",), model="other")
    before = invalidate(store, slot)
    removed = sum(store.remove_tags(slot, before.incarnation, {"doc:1": before.sequence}), Removed())
    assert (removed.entries, removed.aliases) == (6, 6)
    assert store.models(slot) == {"gpt-4o": 3, "other": 0}
    assert remaining(store, slot) == {"q0", "q1", "q2"}


def test_an_index_that_is_lost_or_no_index_loses_nothing_but_the_hint(store, slot):
    put(store, slot, "p", tags=("doc:1",))
    store._client.delete(slot.by_tag("doc:1"))
    assert list(store.walk_tags(slot, ["doc:1"])) == []
    store._client.set(slot.by_tag("doc:2"), "no index")
    assert list(store.walk_tags(slot, ["doc:2", "doc:1"])) == []
    assert remaining(store, slot) == {"p"}


def test_a_lost_list_of_namespaces_is_made_up_by_the_next_invalidation(store, slot):
    put(store, slot, "p")
    store._client.srem(NAMESPACES, slot.namespace)
    invalidate(store, slot)
    assert slot.namespace in store.namespaces()


def test_a_full_server_takes_records_and_gives_back_memory(redis_server):
    server = redis_server("maxmemory-policy noeviction")
    store = RedisStore(patient_client(server.url))
    slot = Slot("full", 0)
    put(store, slot, "p", alias="a")
    with server.client() as client:
        client.config_set("maxmemory", "1")
    before = invalidate(store, slot)
    assert removed_by_index(store, slot, before) == Removed(entries=1, aliases=1, bytes=pytest.approx(660, rel=0.3))
    store.change(slot, ["b"], bans.retire)
    store.close()


def test_scripts_are_sent_again_to_a_server_that_forgot_them(store, slot):
    put(store, slot, "p")
    store._client.script_flush()
    put(store, slot, "q")
    store._client.script_flush()
    assert removed_by_index(store, slot, invalidate(store, slot)).entries == 2


def test_a_page_of_newer_entries_ends_the_walk_by_the_index(store, slot):
    stamp = store.ensure_record(slot).stamp
    for number in range(20):
        put(store, slot, f"p{number}", created_at=NOW + number)
    batches = list(store.remove_model(slot, "gpt-4o", Stamp(stamp.incarnation, stamp.sequence), batch=10))
    assert batches == [Removed()]


def test_newer_entries_between_older_ones_are_passed_over(store, slot):
    for number in range(30):
        put(store, slot, f"p{number}", created_at=NOW + number)
    before = store.append(slot, new_ban("b", Criteria(model="x"), now=NOW, hold_seconds=60))[0].stamp
    # Their clocks were behind: stored after it, created before.
    for number in range(0, 30, 3):
        put(store, slot, f"p{number}", created_at=NOW + number)
    batches = list(store.remove_model(slot, "gpt-4o", before, batch=10))
    assert sum(batches, Removed()).entries == 20
    assert len(batches) > 2
    assert remaining(store, slot) == {f"p{number}" for number in range(0, 30, 3)}
    assert store.count_model(slot, "gpt-4o") == 10


def test_what_the_index_does_not_list_is_swept_all_the_same(store, namespace):
    world = a_world(store, AuditLog(None), namespace)
    for word in NUMBERS:
        world.ask(f"Question number {word}")
    store._client.zremrangebyrank(world.slot.by_model("gpt-4o"), 0, 5)
    store._client.delete(world.slot.models)
    world.invalidator.invalidate(Criteria(all=True), actor="anna", hold_seconds=0)
    assert world.invalidator.sweep(namespace, pause=no_pause).deleted == len(NUMBERS)
    assert world.entries() == {}
    assert world.bans() == []


def test_a_server_that_cannot_save_is_writable_when_it_was_told_to_go_on(redis_server):
    server = redis_server()
    store = RedisStore(patient_client(server.url))
    assert store.info().writable
    with server.client() as client:
        cannot_save(client)
        assert not store.info().writable
        can_save(client)
        assert store.info().writable
        client.config_set("save", "")  # else it would not end before it has saved
    store.close()


def test_a_server_of_a_cluster_that_is_down_is_no_store_that_is_up(redis_server):
    server = redis_server("cluster-enabled yes")
    store = RedisStore(request_client(server.url, 5))
    with pytest.raises(StoreUnavailable):
        store.ping()
    store.close()


def test_a_server_whose_user_may_not_read_is_up(redis_server):
    server = redis_server()
    store = RedisStore(request_client(server.url, 5))
    store.ping()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-get")
    store.ping()
    store.close()
