"""What tells two requests apart is told completely, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cache import LLMCache
from core.explanation import differences, explain
from core.keys import identify
from core.models import ChatRequest, Controls

CACHE = LLMCache()


def a_request(prompt: str = "What is a cat?", **fields):
    messages = [{"role": "system", "content": system}] if (system := fields.pop("system", "")) else []
    return ChatRequest.from_openai(
        **({"model": "gpt-4o", "messages": [*messages, {"role": "user", "content": prompt}]} | fields)
    )


def names(first, second, **controls):
    given = Controls(**controls) if controls else Controls()
    return [found.name for found in differences(explain(CACHE, first), explain(CACHE, second, given))]


def test_a_request_is_told_part_by_part():
    told = explain(CACHE, a_request("  What is a CAT".replace("CAT", "cat"), temperature=0.2, system="Be brief."))
    parts = {part.name: part.words for part in told.parts}
    assert parts["namespace"] == "default"
    assert parts["model"] == "gpt-4o"
    assert parts["parameter temperature"] == "0.2"
    assert "Be brief." in parts["earlier messages"]
    assert told.normal == "what is a cat"
    assert told.ttl.ttl_class == "general_knowledge"
    assert told.key == identify(a_request("  What is a cat", temperature=0.2, system="Be brief."), "default").key
    assert told.bypass == ""


@pytest.mark.parametrize(
    ("fields", "different"),
    [
        ({}, []),
        ({"model": "gpt-4o-mini"}, ["model"]),
        ({"temperature": 0.5}, ["parameter temperature"]),
        ({"system": "Be brief."}, ["earlier messages"]),
        ({"prompt": "what is  a cat"}, ["prompt, not its normal form"]),
        ({"prompt": "What is a dog?"}, ["prompt"]),
        ({"model": "o1", "seed": 1, "prompt": "Why?"}, ["model", "parameter seed", "prompt"]),
        ({"extra_headers": {"OpenAI-Beta": "x"}}, ["header openai-beta"]),
        ({"metadata": {"trace": "1"}}, []),
    ],
)
def test_what_keeps_two_requests_apart_is_named(fields, different):
    assert names(a_request(), a_request(**fields)) == different


def test_another_namespace_is_named():
    assert names(a_request(), a_request(), namespace="other") == ["namespace"]


def test_a_header_is_told_by_name_and_never_by_value():
    told = explain(CACHE, a_request(extra_headers={"Authorization": "Bearer sk-secret"}))
    assert "sk-secret" not in str(told)
    assert "header authorization" in [part.name for part in told.parts]


def test_a_request_that_bypasses_says_why():
    told = explain(CACHE, a_request(temperature=1.5))
    assert (told.bypass, told.key, told.ttl) == ("temperature", "", None)


def test_explaining_counts_nothing():
    before = CACHE.get_stats().requests
    explain(CACHE, a_request())
    assert CACHE.get_stats().requests == before


requests = st.builds(
    a_request,
    prompt=st.sampled_from(["What is a cat?", "what is a cat", "Why?"]),
    model=st.sampled_from(["a", "b"]),
    system=st.sampled_from(["", "Be brief."]),
    temperature=st.sampled_from([None, 0, 0.5]),
    seed=st.sampled_from([None, 1, "1"]),
    tools=st.sampled_from([None, [{"type": "function", "function": {"name": "f"}}]]),
    user=st.sampled_from([None, "u"]),
    base_url=st.sampled_from(["", "http://provider.test/v1"]),
    extra_headers=st.sampled_from([None, {"X-Org": "1"}, {"X-Org": "2"}, {"traceparent": "1"}]),
)


@given(requests, requests)
def test_no_difference_is_told_exactly_when_two_requests_are_the_same(first, second):
    same = identify(first, "default").exact == identify(second, "default").exact
    assert (differences(explain(CACHE, first), explain(CACHE, second)) == []) == same
