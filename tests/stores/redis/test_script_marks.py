"""Marks: numbers that can be raised on a Redis that takes no writes."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis

from core.errors import StoreUnavailable
from core.stores.redis.script_marks import MOST_MARKS, ScriptMarks
from core.stores.redis.store import request_client


@pytest.fixture
def client(redis_server) -> redis.Redis:
    return request_client(redis_server().url, 5)


@pytest.fixture
def marks(client: redis.Redis) -> ScriptMarks:
    return ScriptMarks(client, "{name} of a test: {number} " + uuid4().hex)


def test_a_name_without_marks_has_the_number_zero(marks: ScriptMarks):
    assert marks.numbers(["a", "b"]) == [0, 0]


def test_numbers_of_names_are_raised_apart_and_seen_by_all(client: redis.Redis, marks: ScriptMarks):
    marks.raise_to("a", 3)
    marks.raise_to("b", MOST_MARKS)
    assert ScriptMarks(client, marks._sentence).numbers(["b", "none", "a"]) == [MOST_MARKS, 0, 3]
    marks.raise_to("a", 2)
    assert marks.numbers(["a"]) == [3], "it is never lowered"


def test_they_are_raised_on_a_server_that_takes_no_writes(client: redis.Redis, marks: ScriptMarks):
    client.config_set("maxmemory", "1")
    marks.raise_to("a", 1)
    client.config_set("maxmemory", "0")
    client.replicaof("127.0.0.1", "1")
    marks.raise_to("a", 2)
    assert marks.numbers(["a"]) == [2]
    assert client.dbsize() == 0


def test_they_are_lost_with_the_scripts_of_the_server(client: redis.Redis, marks: ScriptMarks):
    marks.raise_to("a", 2)
    client.script_flush()
    assert marks.numbers(["a"]) == [0]


def test_a_server_that_is_away_is_said_to_be():
    marks = ScriptMarks(request_client("redis://127.0.0.1:1", 0.2), "{name} {number}")
    with pytest.raises(StoreUnavailable):
        marks.numbers(["a"])
    with pytest.raises(StoreUnavailable):
        marks.raise_to("a", 1)
