"""Whatever JSON comes in: the caller gets what the provider says to it, and the next one does not wait for a lease."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cache.cache import LLMCache
from core.errors import InvalidInput
from core.models import ChatRequest
from core.wire import has_known_shape
from tests.fakes import CountingProvider
from tests.http.running import PLAIN_HTTP, RunningGateway
from tests.openai_server import Behaviour, OpenAIServer

LEASE_SECONDS = 120
PATIENCE_SECONDS = 60
"""Less than a lease: who waits one out is given up on."""
MESSAGES = [{"role": "user", "content": "What is a border?"}]
PLAIN: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A line."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "A line."}]}],
}
VECTORS = {"object": "list", "data": [{"index": 0, "embedding": [0.5, 0.5]}], "model": "m"}
HUGE = 10**30

ODD: dict[str, dict[str, Any]] = {
    "model of 70,000 bytes": {"model": "m" * 70_000},
    "model that ends a line": {"model": "gpt-4o\nERROR forged"},
    "model that turns the writing round": {"model": "gpt\u202e4o"},
    "model with a lone surrogate": {"model": "\ud800"},
    "model a number": {"model": 4},
    "model a list": {"model": ["gpt-4o"]},
    "messages null": {"messages": [None]},
    "messages a text": {"messages": "hi"},
    "messages of messages": {"messages": [[{"role": "user", "content": "hi"}]]},
    "message without role": {"messages": [{"content": "hi"}]},
    "role a list": {"messages": [{"role": [], "content": "hi"}]},
    "role an object": {"messages": [{"role": {"a": 1}, "content": {"b": []}}]},
    "content null": {"messages": [{"role": "user", "content": None}]},
    "content a number": {"messages": [{"role": "user", "content": 1e308}]},
    "content of texts": {"messages": [{"role": "user", "content": ["hi", None, {"type": "text", "text": None}]}]},
    "content part without text": {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    "content part of an odd type": {"messages": [{"role": "user", "content": [{"type": [], "text": "a"}]}]},
    "content with a lone surrogate": {"messages": [{"role": "user", "content": "\udc00 hi"}]},
    "name a huge number": {"messages": [{"role": "user", "content": "hi", "name": HUGE}]},
    "tools of an odd type": {"tools": [{"type": []}]},
    "tools null": {"tools": [None]},
    "tools an object": {"tools": {"type": "function"}},
    "tools a text": {"tools": "web_search"},
    "tool choice odd": {"tool_choice": [[]]},
    "functions a number": {"functions": 1},
    "stream options a text": {"stream": True, "stream_options": "x"},
    "stream options a list": {"stream": True, "stream_options": [1]},
    "stream options a number": {"stream": True, "stream_options": 5},
    "usage asked for oddly": {"stream": True, "stream_options": {"include_usage": []}},
    "stream a text": {"stream": "yes"},
    "stream a number": {"stream": 1},
    "n a text": {"n": "2"},
    "n huge": {"n": HUGE},
    "n an object": {"n": {"a": 1}},
    "n below zero": {"n": -1},
    "temperature a text": {"temperature": "warm"},
    "temperature huge": {"temperature": HUGE},
    "seed beyond 64 bit": {"seed": HUGE},
    "seed below 64 bit": {"seed": -HUGE},
    "logit bias a list": {"logit_bias": [1, 2]},
    "logit bias a text": {"logit_bias": "x"},
    "logit bias of objects": {"logit_bias": {"1": {}}},
    "user an object": {"user": {"id": 1}},
    "user huge": {"user": "u" * 100_000},
    "user with a lone surrogate": {"user": "\ud83d"},
    "metadata a list": {"metadata": [1]},
    "extra headers a list": {"extra_headers": ["a"]},
    "extra headers of lists": {"extra_headers": {"x-a": [1]}},
    "extra headers twice": {"extra_headers": {"X-A": 1, "x-a": "b"}},
    "extra query a text": {"extra_query": "a=b"},
    "response format a text": {"response_format": "json"},
    "stop an object": {"stop": {"a": 1}},
    "modalities an object": {"modalities": {"audio": 1}},
    "modalities of lists": {"modalities": [["audio"]]},
    "audio a number": {"audio": 3},
    "store a text": {"store": "false"},
    "timeout a text": {"timeout": "soon"},
    "a name of the SDK": {"_openai": 1, "__class__": "x", "self": 1, "cls": 2},
    "names with surrogates": {"\ud800": 1},
    "an empty name": {"": {"": [[], {}, None]}},
    "many parameters": {f"p{number}": number for number in range(5_000)},
    "controls odd": {"encore": {"tags": ["a"], "namespace": None}},
    "controls and a huge number": {"encore": {"tags": ["a"]}, "seed": HUGE},
    "controls and a surrogate": {"encore": {"tags": ["a"]}, "stop": "\ud800"},
    "nested a little": {"x": [[[[[[[[[[[[{"a": [[[]]]}]]]]]]]]]]]]},
    "values without end": {"x": [[]] * 200_000},
}
ENDPOINTS = ("chat/completions", "responses", "embeddings")


def wire(body: Any) -> bytes:
    return json.dumps(body).encode()


def answer_of(path: str) -> bytes:
    return wire({"/v1/responses": RESPONSE, "/v1/embeddings": VECTORS}.get(path, ANSWER))


@pytest.fixture
def ask(start_gateway: Any, openai_server: OpenAIServer) -> Iterator[Any]:
    for endpoint in ENDPOINTS:
        path = f"/v1/{endpoint}"
        openai_server.always(Behaviour(raw=answer_of(path)), when=lambda request, path=path: request.path == path)
    gateway: RunningGateway = start_gateway(lease_seconds=LEASE_SECONDS)
    with httpx2.Client(verify=PLAIN_HTTP, timeout=PATIENCE_SECONDS) as client:
        headers = {"authorization": "Bearer k", "content-type": "application/json"}
        yield lambda content, endpoint="chat/completions": client.post(
            f"{gateway.url}/{endpoint}", content=content, headers=headers
        )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_request_gets_the_provider_s_answer_and_so_does_the_next(ask, caplog, odd, endpoint):
    body = {**PLAIN, **odd}
    if endpoint != "chat/completions":
        body["input"] = body.pop("messages")
    content = wire(body)
    for _ in range(2):
        answer = ask(content, endpoint)
        assert answer.status_code == 200
        # What was stored may be given in the form of a stream, where one was asked for.
        if not answer.headers["content-type"].startswith("text/event-stream"):
            assert answer.json() == json.loads(answer_of(f"/v1/{endpoint}"))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["user", "function", "auto", "text", "x" * 5_000]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("model", "messages", "input", "tools", "functions", "stream", "stream_options", "n", "temperature", "user"),
        *("logit_bias", "metadata", "stop", "store", "seed", "tool_choice", "response_format", "modalities", "audio"),
        *("extra_headers", "extra_query", "safety_identifier", "previous_response_id", "background", "logprobs"),
        *("top_logprobs", "dimensions", "encoding_format", "text", "reasoning"),
    ]
)
MESSAGE = st.fixed_dictionaries({}, optional={"role": JSON, "content": JSON, "name": JSON, "tool_calls": JSON})


@given(
    changes=st.dictionaries(NAMES, JSON, max_size=4),
    messages=st.lists(MESSAGE, max_size=2),
    endpoint=st.sampled_from(ENDPOINTS),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_json_is_answered_and_leaves_nobody_waiting(ask, changes, messages, endpoint):
    said = "messages" if endpoint == "chat/completions" else "input"
    content = wire({"model": "gpt-4o", said: [*messages, *MESSAGES], **changes})
    for _ in range(2):
        answer = ask(content, endpoint)
        assert answer.status_code == 200


@given(body=JSON)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_at_all_is_no_failure_of_the_gateway(ask, body):
    assert ask(wire(body)).status_code == 200


@given(changes=st.dictionaries(NAMES.filter(lambda name: name not in ("model", "messages")), JSON, max_size=4))
@settings(max_examples=100, deadline=None)
def test_arguments_of_any_kind_are_answered_in_python_too(changes):
    cache = LLMCache(provider=CountingProvider())
    try:
        request = ChatRequest.from_openai(model="gpt-4o", messages=MESSAGES, **changes)
    except InvalidInput:
        return
    for _ in range(2):
        assert cache.complete(request).completion.text


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_what_is_not_of_the_api_s_shape_has_no_request(odd):
    body = {**PLAIN, **odd}
    request = ChatRequest.from_wire("chat", body)
    assert (request is not None) == has_known_shape(body, body["messages"])


@pytest.mark.parametrize("given_back", [b'{"id":1}', b"[]", b"null", b'{"choices":"x"}', b'{"model":["m"],"usage":5}'])
def test_an_odd_answer_reaches_the_caller_as_it_came(ask, openai_server, given_back):
    openai_server.always(Behaviour(raw=given_back))
    for _ in range(2):
        assert ask(wire(PLAIN)).content == given_back


@pytest.mark.parametrize("model", ["m" * 70_000, "a\nb", "\ud800", "gpt\u202e", "", "  ", None, 4], ids=partial(repr))
def test_a_name_that_no_model_has_is_refused_in_python(model):
    with pytest.raises(InvalidInput):
        ChatRequest.from_openai(model=model, messages=MESSAGES)
