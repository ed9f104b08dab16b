"""Rights: what a user may not run is found without changing anything, and told by what does not work then."""

from __future__ import annotations

import pytest

from core.stores.redis.clients import open_client
from core.stores.redis.connection import ThreadConnections
from core.stores.redis.rights import (
    FEATURES,
    QUEUE_FEATURES,
    QUEUE_PREFIX,
    acl_line,
    losses,
    missing_rights,
    queue_rights,
    remedy,
)
from tests.conftest import RedisServer
from tests.stores.redis.users import url_of_user


@pytest.fixture(params=["redis_binary", "redis8_binary", "valkey_binary"])
def server(request, redis_server) -> RedisServer:
    return redis_server(binary=request.getfixturevalue(request.param))


def missing(server: RedisServer, *less: str) -> tuple[set[str], set[str]]:
    """What the cache's part and the queue's find, with these rights taken away."""
    with open_client(url_of_user(server, *less)) as client:
        connections = ThreadConnections(client)
        found = set(missing_rights(connections.ask_all)), set(queue_rights(client))
        connections.close()
    return found


def test_the_documented_user_lacks_nothing(server):
    assert missing(server) == (set(), set())
    with server.client() as client:
        assert client.dbsize() == 0, "looking changes nothing"


@pytest.mark.parametrize(
    ("less", "of_cache", "of_queue"),
    [
        ("-info", {"+info"}, set()),
        ("-script", {"+script|exists", "+script|load"}, set()),
        ("-config", {"+config|get"}, set()),
        ("-mget", {"+mget"}, set()),
        ("-sadd", {"+sadd"}, {"+sadd"}),
        ("-rpush", {"+rpush"}, {"+rpush"}),
        ("-hsetnx", {"+hsetnx"}, set()),
        ("-@set", {"+sadd", "+smembers", "+srem"}, {"+sadd", "+smembers", "+srem"}),
        ("-multi", set(), {"+multi"}),
        ("-subscribe", set(), {"+subscribe"}),
        ("resetkeys", {"~encore:*"}, {f"~{QUEUE_PREFIX}*"}),
        ("resetchannels", set(), {f"&{QUEUE_PREFIX}*"}),
    ],
)
def test_what_is_taken_away_is_found(server, less, of_cache, of_queue):
    assert missing(server, less) == (of_cache, of_queue)
    with server.client() as client:
        assert client.dbsize() == 0


def test_what_needs_a_transaction_to_be_found_out_is_judged_by_its_kin_without_one(server):
    of_cache, _ = missing(server, "-multi", "-@hash", "-@set", "-@list")
    assert {"+hsetnx", "+sadd", "+rpush"} <= of_cache
    assert "+multi" not in of_cache


@pytest.mark.parametrize("command", sorted({command for feature in FEATURES for command in feature.needs}))
def test_each_command_that_is_needed_is_looked_at(redis_server, command):
    server = redis_server()
    name = command.partition("|")[0]
    assert f"+{command}" in missing(server, f"-{name}")[0]


@pytest.mark.parametrize("command", sorted({command for feature in QUEUE_FEATURES for command in feature.needs}))
def test_each_command_of_the_queue_is_looked_at(redis_server, command):
    server = redis_server()
    name = command.partition("|")[0]
    assert f"+{command}" in missing(server, f"-{name}")[1]


def test_what_is_lost_is_told_the_most_important_first():
    found = losses(["+mget", "+info"])
    assert [(loss.feature, loss.commands) for loss in found] == [
        ("hits", ("MGET",)),
        ("invalidations", ("MGET",)),
        ("undo of what was answered again", ("MGET",)),
        ("sweeps", ("MGET",)),
        ("state of Redis", ("INFO",)),
    ]
    assert losses([]) == ()


def test_without_its_keys_all_is_lost_but_what_needs_none():
    lost = {loss.feature for loss in losses(["~encore:*"])}
    assert {"hits", "stores", "metrics"} <= lost
    assert not {"clock", "state of Redis", "jobs"} & lost


def test_the_remedy_names_what_is_missing_and_of_much_the_whole_line():
    assert remedy(("+info", "+script|exists"), "encore") == "ACL SETUSER encore +info +script|exists"
    many = tuple(f"+command{number}" for number in range(9))
    assert acl_line("encore", "secret").endswith(remedy(many, "encore").removeprefix("ACL SETUSER encore "))
