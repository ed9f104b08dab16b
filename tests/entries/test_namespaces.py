"""Entries of all namespaces at one look: counted, searched within one bound, none passed over."""

from __future__ import annotations

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.listing import EntryFilter
from core.entries.namespaces import LEAST_LOOKED_THROUGH, MOST_NAMESPACES, by_namespace
from core.errors import NotPermitted, StoreUnavailable
from core.models import ChatRequest, Controls, For
from core.stores.memory import MemoryStore
from tests.fakes import CountingProvider, Outcomes


def fill(store: MemoryStore, namespace: str, *prompts: str) -> None:
    cache = LLMCache(
        CacheConfig(namespace=namespace),
        store=store,
        provider=CountingProvider(),
        metrics=Outcomes(),
        clock=store.clock,
    )
    for prompt in prompts:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        cache.complete(request, Controls(ttl=For(86_400)))


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    fill(made, "default", "Why is the sky blue?")
    fill(made, "shop", "How do refunds work?", "Is a refund taxed?", "Why is the sky blue?")
    fill(made, "blog", "How do refunds work?")
    return made


NAMES = ("blog", "default", "shop")


def test_each_namespace_is_counted_and_searched(store):
    found = by_namespace(store, NAMES, EntryFilter(text="refund"), monotonic=lambda: 0.0)
    assert [(one.namespace, one.listed, len(one.found), one.is_all) for one in found] == [
        ("shop", 3, 2, True),
        ("blog", 1, 1, True),
        ("default", 1, 0, True),
    ]
    assert {one.entry.header.namespace for one in found[0].found} == {"shop"}
    plain = found[0].to_dict(store.clock())
    assert (plain["namespace"], plain["looked_through"], len(plain["found"])) == ("shop", 3, 2)


def test_no_namespace_is_passed_over_because_another_is_large(store):
    fill(store, "a-large-one", *(f"Question {number}" for number in range(2 * LEAST_LOOKED_THROUGH)))
    names = ("a-large-one", *NAMES)
    found = {
        one.namespace: one
        for one in by_namespace(store, names, EntryFilter(text="refund"), most=1, monotonic=lambda: 0.0)
    }
    assert (found["a-large-one"].scanned, found["a-large-one"].is_all) == (LEAST_LOOKED_THROUGH, False)
    assert len(found["shop"].found) == 2
    in_no_time = by_namespace(
        store, names, EntryFilter(text="refund"), seconds=0, monotonic=iter(range(10_000)).__next__
    )
    assert {one.namespace for one in in_no_time} == set(names)
    assert not all(one.is_all for one in in_no_time)


def test_so_many_namespaces_are_looked_at_and_no_more(store):
    names = [f"n{number}" for number in range(MOST_NAMESPACES + 1)]
    assert len(by_namespace(store, names, EntryFilter())) == MOST_NAMESPACES


def test_one_that_may_not_be_read_does_not_hide_the_others(store, monkeypatch):
    models = store.models

    def refusing(slot):
        if slot.namespace == "default":
            raise NotPermitted("may not run SMEMBERS")
        return models(slot)

    monkeypatch.setattr(store, "models", refusing)
    found = {one.namespace: one for one in by_namespace(store, NAMES, EntryFilter(), monotonic=lambda: 0.0)}
    assert (found["default"].problem, found["shop"].listed) == ("may not run SMEMBERS", 3)
    monkeypatch.setattr(store, "models", lambda slot: (_ for _ in ()).throw(StoreUnavailable("down")))
    with pytest.raises(StoreUnavailable):
        by_namespace(store, NAMES, EntryFilter())
