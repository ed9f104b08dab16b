"""The nearest stored question, across models and namespaces, and what keeps a request from it."""

from __future__ import annotations

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.explanation import explain
from core.entries.nearest import nearest_entries
from core.models import ChatRequest, Completion, Controls


@pytest.fixture
def cache():
    return LLMCache(CacheConfig(ttl_jitter=0))


def a_request(prompt, **fields):
    return ChatRequest.from_openai(**({"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]} | fields))


def put(cache, prompt, namespace="default", **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    return cache.put(a_request(prompt, **fields), Completion(body={"choices": [choice]}), Controls(namespace=namespace))


def look(cache, prompt, k=1, **fields):
    request = a_request(prompt, **fields)
    return nearest_entries(cache.store, ["default", "acme"], explain(cache, request), k=k)


def test_the_same_question_with_another_setting_is_nearer_than_another_question(cache):
    put(cache, "How do I block my card?", temperature=0.2)
    put(cache, "How do I unblock my card?")
    put(cache, "What is the weather in Oslo?")
    looked = look(cache, "how do I block my card?")
    assert looked.looked_at == 3
    assert [one.name for one in looked.nearest[0].differences] == [
        "parameter temperature",
        "prompt, not its normal form",
    ]
    assert looked.nearest[0].likeness == 1.0


def test_of_equal_questions_the_one_with_the_fewest_differences_comes_first(cache):
    put(cache, "How do I block my card?", temperature=0.2, seed=1)
    put(cache, "How do I block my card?", model="gpt-4o-mini")
    found = look(cache, "How do I block my card?", k=2).nearest
    assert [[part.name for part in one.differences] for one in found] == [
        ["model"],
        ["parameter seed", "parameter temperature"],
    ]


def test_another_tenants_question_is_found_and_the_requests_own_entry_is_not(cache):
    put(cache, "How do I block my card?")
    put(cache, "How do I block my card?", namespace="acme")
    [nearest] = look(cache, "How do I block my card?").nearest
    assert (nearest.found.entry.header.namespace, [one.name for one in nearest.differences]) == ("acme", ["namespace"])


def test_nothing_is_named_when_nothing_is_like_it(cache):
    put(cache, "What is the weather in Oslo?")
    looked = look(cache, "How do I block my card?")
    assert (looked.nearest, looked.looked_at) == ((), 1)
    assert look(LLMCache(), "Why?").looked_at == 0
