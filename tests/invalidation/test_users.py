"""To be forgotten: what is a user's own is found by the user's name, and the name is kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.errors import InvalidInput
from core.invalidation.schedules import Schedules
from core.keys import user_digests, user_pseudonym
from core.models import ChatRequest, Completion, Controls
from core.policy import Audience
from core.stores import codec
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.data.make_store_fixture import response_body
from tests.invalidation.test_invalidator import HOLD, World, a_world, sweep

GENERAL = "What is the capital of France?"
OWN = "How do I activate a card?"
PERSONAL = "What is my balance?"


def request(text: str, user: Any = None, **unkeyed: Any) -> ChatRequest:
    named = {"user": user, **unkeyed} if user is not None else unkeyed
    return ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": text}], **named)


def asked(world: World, text: str, user: Any = None, **more: Any) -> None:
    world.cache.complete(request(text, user, **more))


def is_kept(world: World, text: str, user: Any = None, **more: Any) -> bool:
    return world.cache.get(request(text, user, **more)) is not None


def of_ann(world: World) -> Criteria:
    return Criteria.from_names(world.namespace, user="ann")


@pytest.fixture(params=["memory", "redis"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, AuditLog]]:
    if request.param == "memory":
        yield MemoryStore(), AuditLog(None)
        return
    client = patient_client(request.getfixturevalue("redis_url"))
    store = RedisStore(client)
    yield store, AuditLog(client)
    store.close()


def the_world(stores: tuple[Store, AuditLog], namespace: str, audience: Audience = Audience.AUTO) -> World:
    return a_world(*stores, namespace, audience=audience)


@pytest.mark.parametrize(
    ("audience", "own"),
    [
        (Audience.AUTO, {OWN, PERSONAL}),
        (Audience.USER, {GENERAL, OWN, PERSONAL}),
        (Audience.SHARED, set()),
    ],
)
def test_what_is_a_users_own_is_found_hidden_and_swept_and_nothing_else(stores, namespace, audience, own):
    world = the_world(stores, namespace, audience)
    for text in (GENERAL, OWN, PERSONAL):
        for user in ("ann", "bob"):
            asked(world, text, user)
    preview = world.invalidator.preview(of_ann(world))
    assert {row.prompt for row in preview.rows} == own
    assert preview.count == len(own)

    world.invalidator.invalidate(of_ann(world), actor="anna")
    assert {text for text in (GENERAL, OWN, PERSONAL) if not is_kept(world, text, "ann")} == own
    assert all(is_kept(world, text, "bob") for text in (GENERAL, OWN, PERSONAL))

    world.clock.forward(HOLD)
    assert sweep(world).deleted == len(own)
    digest = user_digests(namespace, "ann")[0]
    left = [codec.summarize(value, with_text=False) for value in world.entries().values()]
    assert not any(digest in seen.users for seen in left), "aliases go with their entries"
    assert all(is_kept(world, text, "bob") for text in (GENERAL, OWN, PERSONAL))


def test_it_is_undone_within_the_hold(stores, namespace):
    world = the_world(stores, namespace)
    asked(world, OWN, "ann")
    done = world.invalidator.invalidate_by_user("ann")
    assert not is_kept(world, OWN, "ann")
    world.invalidator.undo(done.id)
    assert is_kept(world, OWN, "ann")


def test_an_answer_that_was_being_made_meanwhile_is_not_kept(stores, namespace):
    world = the_world(stores, namespace)
    world.provider.before = lambda call: world.invalidator.invalidate_by_user("ann")
    world.cache.complete(request(OWN, "ann"))
    assert not is_kept(world, OWN, "ann")


@pytest.mark.parametrize(
    "named",
    [
        {"user": "ann"},
        {"safety_identifier": "ann"},
        {"user": "bob", "safety_identifier": "ann"},
        {"user": "ann", "safety_identifier": "bob"},
    ],
)
def test_however_a_request_names_its_user_the_answer_is_found(stores, namespace, named):
    world = the_world(stores, namespace)
    asked(world, OWN, **named)
    assert world.invalidator.preview(of_ann(world)).count == 1
    world.invalidator.invalidate(of_ann(world), actor="anna")
    assert not is_kept(world, OWN, **named)


def test_a_number_is_named_by_its_digits(stores, namespace):
    world = the_world(stores, namespace)
    asked(world, OWN, 17)
    world.invalidator.invalidate_by_user("17")
    assert not is_kept(world, OWN, 17)


def test_the_note_of_a_response_is_the_users_too(stores, namespace):
    world = the_world(stores, namespace)
    wire = ChatRequest.from_wire("responses", {"model": "m", "input": OWN, "user": "ann"})
    assert wire is not None
    assert world.cache.set(wire, Completion(body=response_body("m", "An answer") | {"id": "resp_1"}))
    users = [codec.summarize(value, with_text=False).users for value in world.entries().values()]
    assert users == [user_digests(namespace, "ann")] * 3, "the entry, its alias and the note"
    world.invalidator.invalidate_by_user("ann")
    world.clock.forward(HOLD)
    sweep(world)
    assert world.entries() == {}


def test_it_is_combined_with_other_criteria(stores, namespace):
    world = the_world(stores, namespace)
    for text in (OWN, PERSONAL):
        asked(world, text, "ann")
    for other in ({"model": "another"}, {"tags": ("doc:1",)}):
        world.invalidator.invalidate(Criteria.from_names(namespace, user="ann", **other), actor="anna")
    world.invalidator.invalidate(Criteria.from_names(namespace, user="ann", keywords=["card"]), actor="anna")
    assert not is_kept(world, OWN, "ann")
    assert is_kept(world, PERSONAL, "ann")
    world.invalidator.invalidate(Criteria.from_names(namespace, user="ann", model="m"), actor="anna")
    assert not is_kept(world, PERSONAL, "ann")


def test_it_counts_in_every_bucket(namespace):
    world = a_world(MemoryStore(), AuditLog(None), namespace, buckets=8)
    texts = [f"How do I activate card {number}?" for number in range(16)]
    for text in texts:
        asked(world, text, "ann")
    assert world.invalidator.preview(of_ann(world)).count == len(texts)
    world.invalidator.invalidate(of_ann(world), actor="anna")
    assert not any(is_kept(world, text, "ann") for text in texts)


def test_another_namespaces_user_of_the_same_name_is_another(stores, namespace):
    world = the_world(stores, namespace)
    other = namespace + "-b"
    world.cache.complete(request(OWN, "ann"), Controls(namespace=other))
    world.invalidator.invalidate_by_user("ann")
    assert world.cache.get(request(OWN, "ann"), Controls(namespace=other)) is not None
    assert user_pseudonym(namespace, "ann") != user_pseudonym(other, "ann")


# The name


NAME = "ann.example-4711@mail.test"


def everything_in(client: redis.Redis) -> Iterator[bytes]:
    """Each key, and each value as it stands."""
    for key in client.scan_iter(b"*"):
        yield key
        match client.type(key):
            case b"string":
                yield client.get(key) or b""
            case b"hash":
                yield repr(client.hgetall(key)).encode()
            case b"stream":
                yield repr(client.xrange(key)).encode()
            case b"zset":
                yield repr(client.zrange(key, 0, -1)).encode()
            case b"set":
                yield repr(client.smembers(key)).encode()
            case _:
                yield client.dump(key) or b""


def test_the_name_is_nowhere_in_redis(redis_url, namespace, caplog):
    client = patient_client(redis_url)
    world = the_world((RedisStore(client), AuditLog(client)), namespace)
    asked(world, OWN, NAME)
    schedules = Schedules(client, world.invalidator, clock=world.clock)
    criteria = {"user": user_pseudonym(namespace, NAME)}
    schedule = schedules.add(namespace=namespace, actor="anna", criteria=criteria, every_seconds=60)
    world.invalidator.invalidate_by_user(NAME)
    found = b"".join(everything_in(client))
    assert NAME.encode() not in found
    assert criteria["user"].encode() in found
    assert schedule.what in [str(one.criteria) for one in world.invalidator.active(namespace)]
    assert NAME not in caplog.text
    world.store.close()


def test_criteria_go_through_json_and_show_a_short_pseudonym():
    criteria = Criteria.from_names("shop", user=NAME)
    assert Criteria.from_dict(criteria.to_dict()) == criteria
    assert NAME not in str(criteria)
    assert str(criteria) == f"user {user_pseudonym('shop', NAME)[:10]}…"


@pytest.mark.parametrize("user", ["ann", "", "u-12", "u-" + "0" * 31 + "G", "u-" + "0" * 33, 7, "f" * 32])
def test_a_name_is_not_taken_for_a_pseudonym(user):
    with pytest.raises(InvalidInput, match="user"):
        Criteria.from_dict({"user": user})


@pytest.mark.parametrize("user", ["", "x" * 257, 7, "\ud800"])
def test_what_is_no_name_is_refused_at_the_door(user):
    with pytest.raises(InvalidInput, match="user"):
        Criteria.from_names("shop", user=user)
