"""What tells two requests apart is told completely, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.explanation import SOMETHING, differences, differences_from_entry, explain
from core.entries.listing import find_entry
from core.keys.identity import identify
from core.keys.parts import unpack
from core.models import ChatRequest, Completion, Controls

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
    assert "Be brief." in parts["system prompt"]
    assert parts["earlier messages"] == "none"
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
        ({"system": "Be brief."}, ["system prompt"]),
        ({"tools": [{"type": "function", "function": {"name": "look"}}]}, ["tools"]),
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
    same = CACHE.identify(first).keyed.identity.exact == CACHE.identify(second).keyed.identity.exact
    assert (differences(explain(CACHE, first), explain(CACHE, second)) == []) == same


def stored(request, **controls):
    """The entry that a request's answer is stored as."""
    cache = LLMCache(CacheConfig(ttl_jitter=0))
    choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    answer = cache.put(request, Completion(body={"choices": [choice]}), Controls(**controls))
    return find_entry(cache.store, controls.get("namespace", "default"), answer.key).entry


HISTORY = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


@pytest.mark.parametrize(
    ("fields", "different"),
    [
        ({}, []),
        ({"model": "gpt-4o-mini"}, [("model", "gpt-4o", "gpt-4o-mini")]),
        ({"temperature": 0.5}, [("parameter temperature", "none", "0.5")]),
        ({"tool_choice": "none"}, [("parameter tool_choice", "none", "none")]),
        ({"system": "Be brief."}, [("system prompt", "none", "another, digest")]),
        (
            {"messages": [*HISTORY, {"role": "user", "content": "What is a cat?"}]},
            [("earlier messages", "none", "anot")],
        ),
        ({"tools": TOOLS}, [("tools", "none", "another, digest")]),
        ({"stop": "x" * 100}, [("parameter stop", "none", "another, digest")]),
        ({"extra_headers": {"OpenAI-Beta": "secret"}}, [("header openai-beta", "none", "another, digest")]),
        ({"prompt": "What is a dog?"}, [("prompt", "What is a cat?", "What is a dog?")]),
        ({"prompt": "what is a  cat"}, [("prompt, not its normal form", "What is a cat?", "what is a  cat")]),
    ],
)
def test_what_keeps_a_request_from_an_entry_is_named(fields, different):
    told = differences_from_entry(explain(CACHE, a_request()), stored(a_request(**fields)))
    assert [(one.name, one.here) for one in told] == [(name, here) for name, here, _ in different]
    assert all(one.there.startswith(there) for one, (_, _, there) in zip(told, different, strict=True))


def test_an_entry_of_another_tenant_is_told_from_ones_own():
    told = differences_from_entry(explain(CACHE, a_request()), stored(a_request(), namespace="acme"))
    assert [(one.name, one.here, one.there) for one in told] == [("namespace", "default", "acme")]


def test_what_may_be_a_secret_in_a_parameter_is_not_told_and_yet_told_apart():
    first = a_request(safety="hush", extra_headers={"x-key": "hush"})
    parts = {part.name: part.words for part in explain(CACHE, first).parts}
    assert "hush" not in str(parts)
    told = differences(
        explain(CACHE, first), explain(CACHE, a_request(safety="hush-2", extra_headers={"x-key": "hush"}))
    )
    assert [one.name for one in told] == ["parameter safety"]


def test_another_value_of_a_parameter_is_told_in_words_when_it_is_short():
    told = differences_from_entry(explain(CACHE, a_request(temperature=0.5)), stored(a_request(temperature=0.2)))
    assert [(one.name, one.here, one.there) for one in told] == [("parameter temperature", "0.5", "0.2")]


def test_an_entry_keeps_no_text_of_its_request_but_the_prompt():
    entry = stored(a_request(system="My secret system prompt", extra_headers={"X-Key": "secret"}, stop="secret " * 9))
    assert b"secret" not in entry.parts
    assert len(entry.parts) < 250


def test_an_entry_from_before_there_were_parts_still_tells_what_its_header_knows():
    entry = msgspec.structs.replace(stored(a_request(model="o1", seed=1)), parts=b"")
    assert [one.name for one in differences_from_entry(explain(CACHE, a_request()), entry)] == ["model"]
    entry = msgspec.structs.replace(stored(a_request(seed=1)), parts=b"")
    assert [one.name for one in differences_from_entry(explain(CACHE, a_request()), entry)] == [SOMETHING]


@given(st.binary(max_size=200))
def test_parts_that_cannot_be_read_are_none(packed):
    assert isinstance(unpack(packed), dict)
