"""A response that was deleted at the provider is served no more."""

from __future__ import annotations

from typing import Any

import pytest

from core.bans import Criteria
from core.cache import CacheConfig, LLMCache
from core.entries import forget_response
from core.models import ChatRequest, Completion, Controls
from core.stores import MemoryStore
from tests.data.make_store_fixture import response_body


def asking(question: str, **fields: Any) -> ChatRequest:
    request = ChatRequest.from_wire("responses", {"model": "m", "input": question, **fields})
    assert request is not None
    return request


def completion(response_id: str) -> Completion:
    return Completion(body=response_body("m", "An answer") | {"id": response_id})


@pytest.fixture(params=[1, 4], ids=["one bucket", "four buckets"])
def cache(request) -> LLMCache:
    return LLMCache(CacheConfig(buckets=request.param), store=MemoryStore(100))


def test_a_deleted_response_is_a_miss_in_every_spelling_and_others_stay(cache):
    for number, question in enumerate(("What is a loan?", "What is a mortgage?")):
        assert cache.set(asking(question), completion(f"resp_{number}"))
    assert forget_response(cache, "default", "resp_0")
    assert cache.get(asking("What is a loan?")) is None
    assert cache.get(asking("what is a loan")) is None
    assert cache.get(asking("What is a mortgage?")) is not None
    assert not forget_response(cache, "default", "resp_0")


def test_nobody_deletes_what_is_in_another_namespace(cache):
    cache.set(asking("What is a loan?"), completion("resp_0"), Controls(namespace="acme"))
    assert not forget_response(cache, "default", "resp_0")
    assert cache.get(asking("What is a loan?"), Controls(namespace="acme")) is not None


def test_the_deletion_of_an_older_response_does_not_touch_the_present_answer(cache):
    for response_id in ("resp_0", "resp_1"):
        cache.set(asking("What is a loan?"), completion(response_id))
    assert not forget_response(cache, "default", "resp_0")
    answer = cache.get(asking("What is a loan?"))
    assert answer is not None
    assert answer.completion["id"] == "resp_1"
    assert forget_response(cache, "default", "resp_1")


def test_a_deleted_response_does_not_come_back_by_an_undo_either(cache):
    cache.set(asking("What is a loan?"), completion("resp_0"))
    hidden = cache.invalidate(Criteria(all=True), actor="anna")
    cache.set(asking("What is a loan?"), completion("resp_1"))
    forget_response(cache, "default", "resp_0")
    cache.invalidator.undo(hidden.id)
    answer = cache.get(asking("What is a loan?"))
    assert answer is not None
    assert answer.completion["id"] == "resp_1"


def test_what_the_provider_does_not_keep_is_noted_nowhere(cache):
    cache.set(asking("What is a loan?", store=False), completion("resp_0"))
    assert not forget_response(cache, "default", "resp_0")
    assert cache.get(asking("What is a loan?", store=False)) is not None
