"""Nothing crosses: two tenants and a hostile third with the same questions. A million lookups are one command away."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from core.models import NO_CONTROLS
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.index.numpy_index import NumpyIndex
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.semantic import crossings


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        made: Store = MemoryStore()
    else:
        made = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    yield made
    made.close()


def test_no_answer_crosses_tenants_system_prompts_or_models(store, namespace, wordllama: WordLlamaEmbedder):
    report = crossings.run(store, CheckedEmbedder(wordllama), 1_000, prefix=f"{namespace[:20]}.")
    assert report.crossings == []
    assert report.poisoned > 200
    assert report.outcomes["hit semantic"] > 50, "an over-isolated cache would cross nothing either"
    assert report.outcomes["hit exact"] > 10
    assert report.conversations > 20


def test_a_crossing_would_be_seen(namespace, wordllama: WordLlamaEmbedder, monkeypatch):
    """The check itself, told of another name than the answers carry."""
    monkeypatch.setattr(crossings, "tenant_of", lambda cache: "somebody else")
    assert crossings.run(MemoryStore(), CheckedEmbedder(wordllama), 20).crossings


def test_a_value_put_under_another_tenants_key_is_not_served(redis_url, namespace, wordllama: WordLlamaEmbedder):
    """Somebody with write access to Redis copies an entry of one tenant to where another one looks."""
    store = RedisStore(request_client(redis_url, 5))
    client = request_client(redis_url, 5)
    embedder, index = CheckedEmbedder(wordllama), NumpyIndex()
    evil, good = (crossings.cache_of(f"{name}-{namespace[:20]}", store, embedder, index) for name in ("evil", "good"))
    request = crossings.request_of(Random(1))
    evil.complete(request)
    slots = [cache.identify(request, NO_CONTROLS).keyed for cache in (evil, good)]
    names = [keyed.slot.entry(keyed.identity.exact) for keyed in slots]
    good.complete(request)  # creates the record
    client.set(names[1], client.get(names[0]), ex=60)
    answer = good.complete(request)
    assert answer.outcome.kind == "miss"
    assert answer.completion.text == crossings.label(good.config.namespace, request)
    store.close()
    client.close()
