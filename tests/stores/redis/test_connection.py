"""Each thread of each process talks to Redis over a connection of its own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from core.stores.redis.connection import ThreadConnections, packed
from core.stores.redis.store import request_client
from tests.processes import in_child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

WHO = packed([b"CLIENT", b"ID"])
PATIENCE_SECONDS = 30


@pytest.fixture
def connections(redis_url: str) -> Iterator[ThreadConnections]:
    made = ThreadConnections(request_client(redis_url, 5))
    yield made
    made.close()


def test_a_thread_keeps_its_connection_and_shares_it_with_none(connections):
    mine, others = connections.ask(WHO), []
    thread = threading.Thread(target=lambda: others.append(connections.ask(WHO)))
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert connections.ask(WHO) == mine
    assert others != [mine]


def test_with_its_thread_a_connection_goes_too(connections):
    sockets = []

    def ask() -> None:
        connections.ask(WHO)
        sockets.append(connections._local.connection._sock)

    for _ in range(3):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(PATIENCE_SECONDS)
    gc.collect()
    assert [socket.fileno() for socket in sockets] == [-1, -1, -1], "each is closed"


def test_a_forked_child_opens_its_own_and_leaves_its_parents_open(connections):
    mine = connections.ask(WHO)

    def check() -> None:
        assert connections.ask(WHO) != mine
        connections.close()

    in_child(check)
    assert connections.ask(WHO) == mine
