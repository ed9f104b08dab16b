"""Headers that an operator should know of, named once, in bounded number, for all processes."""

from __future__ import annotations

import logging

import pytest
import redis

from core.keys import names
from core.monitoring.header_board import LOOKED_AT, MOST_NAMES, HeaderBoard, NamedHeader, Why
from tests.conftest import RedisFactory
from tests.http.running import until


@pytest.fixture
def client(redis_server: RedisFactory):
    with redis.Redis.from_url(redis_server().url) as client:
        yield client


def told(board: HeaderBoard) -> list[tuple[str, str]]:
    return [(header.name, header.why.value) for header in board.all()]


def test_what_is_dropped_is_named_once_in_the_log_and_for_all_processes(client, caplog):
    board = HeaderBoard(client)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            board.missed(["x-of-tomorrow", "prefer"], [])
    assert [record.getMessage().partition(" of ")[0] for record in caplog.records] == [
        "the header x-of-tomorrow",
        "the header prefer",
    ]
    until(lambda: len(told(HeaderBoard(client))) == 2)
    assert told(HeaderBoard(client)) == [("prefer", "dropped"), ("x-of-tomorrow", "dropped")]
    assert 0 < client.ttl(names.HEADERS) <= 7 * 86_400


def test_a_header_that_differs_at_every_request_is_named_and_its_values_are_not(caplog):
    board = HeaderBoard(None)
    with caplog.at_level(logging.WARNING):
        for number in range(LOOKED_AT):
            headers = [("x-my-token", f"secret-{number}"), ("openai-organization", f"org-{number % 5}")]
            assert board.missed([], headers) == (["x-my-token"] if number == LOOKED_AT - 1 else [])
    assert board.missed([], [("openai-organization", "org-1")]) == []
    assert told(board) == [("x-my-token", "differs")]
    assert "secret" not in caplog.text


def test_whatever_callers_send_the_number_of_names_is_bounded(client, caplog):
    board = HeaderBoard(client)
    for number in range(MOST_NAMES + 20):
        board.missed([f"x-{number}"], [(f"x-key-{number}", "v")])
    assert len(caplog.records) == MOST_NAMES
    assert len(board._values) <= MOST_NAMES
    until(lambda: client.zcard(names.HEADERS) == MOST_NAMES)
    HeaderBoard(client)._write(client, NamedHeader("x-one-more", Why.DROPPED))
    assert client.zcard(names.HEADERS) == MOST_NAMES
    assert len(told(board)) == MOST_NAMES


def test_a_long_name_is_cut_and_what_another_version_wrote_is_passed_over(client):
    HeaderBoard(client).missed(["x" * 5000], [])
    until(lambda: client.zcard(names.HEADERS) == 1)
    client.zadd(names.HEADERS, {b"\xff": 1e12, b"another:kind": 1e12})
    [(name, _)] = told(HeaderBoard(client))
    assert len(name) <= 60


def test_a_redis_that_takes_no_writes_costs_no_request(client):
    client.config_set("maxmemory", "1")
    board = HeaderBoard(client)
    board.missed(["x-of-tomorrow"], [])
    board._write(client, NamedHeader("x", Why.DROPPED))
