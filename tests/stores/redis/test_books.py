"""The Books of a process: how many it keeps, and what becomes of a load that fails."""

from __future__ import annotations

import logging

import pytest

from core.bans.criteria import Criteria
from core.keys.names import Slot
from core.stores.redis import books as loading
from core.stores.redis import records as reading
from core.stores.redis.store import RedisStore, request_client
from tests.samples import a_ban


@pytest.fixture
def store(redis_url: str):
    made = RedisStore(request_client(redis_url, 5), waits=False)
    yield made
    made.close()


def test_callers_who_name_any_namespace_do_not_fill_the_memory(store, namespace, monkeypatch):
    monkeypatch.setattr(loading, "MOST_BOOKS", 5)
    for number in range(20):
        slot = Slot(f"{namespace}-{number}", 0)
        store.append(slot, a_ban(criteria=Criteria(tags=("t",))))
        assert store.read(slot, [])[1].is_complete
        assert len(store._books.read) <= 5
        assert len(store._books._books) <= 5


def test_a_load_that_fails_is_told_once_and_asked_for_again(store, namespace, monkeypatch, caplog):
    monkeypatch.setattr(reading, "MOST_INLINE", 3)
    slot = Slot(namespace, 0)
    for number in range(9):
        store.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    store._client.rename(slot.bans, slot.bans + b"x")
    store._client.set(slot.bans, "something else")
    with caplog.at_level(logging.WARNING):
        assert not store.read(slot, [])[1].is_complete
        assert store._books.wait(slot, 60)
    assert "are not loaded" in caplog.text
    assert namespace not in caplog.text
    store._client.rename(slot.bans + b"x", slot.bans)
    assert not store.read(slot, [])[1].is_complete
    assert store._books.wait(slot, 60)
    assert store.read(slot, [])[1].is_complete


def test_a_store_of_a_process_shares_its_books(redis_url, namespace):
    from core.stores.redis.store import stores_of

    request, patient = stores_of(request_client(redis_url, 5), request_client(redis_url, 5))
    slot = Slot(namespace, 0)
    patient.append(slot, a_ban())
    assert request.read(slot, [])[1] is patient.read(slot, [])[1]
    request.close()
    patient.close()
