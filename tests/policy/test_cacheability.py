"""What may be answered from the cache and what may be kept."""

import base64
import math
import random
import struct
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.configuration import cache_config
from core.models import NO_CONTROLS, CacheStrategy, ChatRequest, Controls
from core.policy import cacheability as policy
from core.policy.cacheability import PolicyLimits
from core.settings import Settings

LIMITS = PolicyLimits()
EXACT, NORMALIZED, SEMANTIC = CacheStrategy.EXACT, CacheStrategy.NORMALIZED, CacheStrategy.SEMANTIC
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


def chat(endpoint: str = "chat", **arguments: Any) -> ChatRequest:
    messages = arguments.pop("messages", [{"role": "user", "content": "hello"}])
    return ChatRequest.from_openai(model="m", messages=messages, endpoint=endpoint, **arguments)


def completed(content: Any = "hello", finish_reason: Any = "stop", **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content} | message,
    }
    return {"id": "1", "object": "chat.completion", "choices": [choice]}


def responded(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "1", "object": "response", "status": "completed", "error": None, "output": list(output)} | fields


def said(text: str = "hello", kind: str = "output_text", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "status": "completed", "content": [{"type": kind, "text": text}]} | fields


# Requests


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (chat(), None),
        (chat(temperature=0), None),
        (chat(temperature=0.8), None),
        (chat(temperature=0.81), "temperature"),
        (chat(temperature=1), "temperature"),
        (chat(temperature="0.1"), "temperature"),
        (chat(temperature=True), "temperature"),
        (chat(temperature=float("nan")), "temperature"),
        (chat(temperature=float("inf")), "temperature"),
        (chat(stream=True, user="u", metadata={"a": "b"}), None),
        (chat(store=False), None),
        (chat(store=True), "stateful"),
        (chat("responses"), None),
        (chat("responses", previous_response_id="resp_1"), "stateful"),
        (chat("responses", conversation={"id": "c"}), "stateful"),
        (chat("responses", background=True), "stateful"),
        (chat("responses", background=False), None),
        (chat(tools=[FUNCTION, {"type": "custom", "custom": {"name": "x"}}]), None),
        (chat("responses", tools=[{"type": "function", "name": "look_up"}]), None),
        (chat("responses", tools=[FUNCTION, {"type": "web_search"}]), "hosted-tool"),
        (chat("responses", tools=[{"type": "mcp", "server_url": "https://example.com"}]), "hosted-tool"),
        (chat(tools={"type": "web_search"}), "hosted-tool"),
        (chat(tools="web_search"), "hosted-tool"),
        (chat(web_search_options={}), "hosted-tool"),
        (chat(modalities=["text"]), None),
        (chat(modalities=["text", "audio"]), "audio"),
        (chat(audio={"voice": "alloy", "format": "mp3"}), "audio"),
        (chat("embeddings"), None),
        (chat("images"), "endpoint"),
        (chat("completions"), "endpoint"),
        (chat(n=4), None),
    ],
)
def test_requests_that_the_cache_must_leave_alone(request_: ChatRequest, reason: str | None) -> None:
    assert policy.bypass_reason(request_, NO_CONTROLS, LIMITS) == reason
    assert reason is None or reason in policy.BYPASS_REASONS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARAMETERS = st.sampled_from(
    ["temperature", "n", "tools", "modalities", "audio", "logprobs", "store", "background", "conversation", "functions"]
)


@given(st.dictionaries(PARAMETERS, JSON), st.lists(st.dictionaries(st.sampled_from(["role", "content"]), JSON)))
def test_no_request_breaks_the_policy(parameters: dict[str, Any], messages: list[Any]) -> None:
    request = ChatRequest(model="m", messages=messages, parameters=parameters, unkeyed=parameters)
    reason = policy.bypass_reason(request, NO_CONTROLS, LIMITS)
    assert reason is None or reason in policy.BYPASS_REASONS
    assert policy.effective_strategy(request, NO_CONTROLS, SEMANTIC) in CacheStrategy


def test_no_store_bypasses_and_no_cache_does_not() -> None:
    assert policy.bypass_reason(chat(), Controls(no_store=True), LIMITS) == "no-store"
    assert policy.bypass_reason(chat(), Controls(no_cache=True, max_age=0, only_if_cached=True), LIMITS) is None


def test_the_temperature_limit_is_a_setting() -> None:
    limits = cache_config(Settings(max_temperature=0.0, cache_tool_calls=True, max_entry_bytes=5000)).limits
    assert policy.bypass_reason(chat(temperature=0.0), NO_CONTROLS, limits) is None
    assert policy.bypass_reason(chat(temperature=0.1), NO_CONTROLS, limits) == "temperature"
    assert (limits.cache_tool_calls, limits.max_entry_bytes) == (True, 5000)


@pytest.mark.parametrize(
    ("configured", "asked", "effective"),
    [
        (EXACT, None, EXACT),
        (SEMANTIC, None, SEMANTIC),
        (SEMANTIC, EXACT, EXACT),
        (SEMANTIC, NORMALIZED, NORMALIZED),
        (NORMALIZED, SEMANTIC, NORMALIZED),
        (EXACT, SEMANTIC, EXACT),
    ],
)
def test_a_request_lowers_the_strategy_and_never_raises_it(
    configured: CacheStrategy, asked: CacheStrategy | None, effective: CacheStrategy
) -> None:
    assert policy.effective_strategy(chat(), Controls(strategy=asked), configured) is effective


@pytest.mark.parametrize(
    ("request_", "effective"),
    [
        (chat(n=1), SEMANTIC),
        (chat(n=2), EXACT),
        (chat(n="2"), EXACT),
        (chat(logprobs=True), EXACT),
        (chat(logprobs=False), SEMANTIC),
        (chat("responses", top_logprobs=3), EXACT),
        (chat("embeddings"), EXACT),
        (chat(tools=[FUNCTION]), NORMALIZED),
        (chat(tools=[]), SEMANTIC),
        (chat(functions=[{"name": "look_up"}]), NORMALIZED),
        (chat(response_format={"type": "json_object"}, seed=1), SEMANTIC),
    ],
)
def test_what_belongs_to_these_very_words_lowers_the_strategy(request_: ChatRequest, effective: CacheStrategy) -> None:
    assert policy.effective_strategy(request_, NO_CONTROLS, SEMANTIC) is effective
    assert policy.effective_strategy(request_, NO_CONTROLS, EXACT) is EXACT


# Answers


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (completed(), None),
        (completed() | {"usage": None}, None),
        (completed([{"type": "text", "text": "hi"}]), None),
        ({"error": {"message": "overloaded"}}, "provider-error"),
        (completed() | {"error": {"message": "cut off"}}, "provider-error"),
        ({}, "no-choices"),
        ({"choices": []}, "no-choices"),
        ({"choices": None}, "no-choices"),
        (completed(finish_reason=None), "unfinished"),
        (completed(finish_reason="length"), "truncated"),
        (completed(finish_reason="content_filter"), "filtered"),
        (completed(finish_reason="unheard-of"), "finish-reason"),
        (completed(None, refusal="I cannot help with that"), "refusal"),
        (completed("No.", refusal="I cannot help with that"), "refusal"),
        (completed(None), "empty"),
        (completed(""), "empty"),
        (completed(" \n"), "empty"),
        (completed([]), "empty"),
        (completed(None, audio={"id": "a", "expires_at": 1}), "audio"),
        (completed(None, "tool_calls", tool_calls=[{"id": "1"}]), "tool-call"),
        (completed(None, "stop", tool_calls=[{"id": "1"}]), "tool-call"),
        (completed(None, "function_call", function_call={"name": "f"}), "tool-call"),
        (completed("hi", "tool_calls"), "shape"),
        ({"choices": [{"finish_reason": "stop"}]}, "shape"),
        ({"choices": ["text"]}, "shape"),
        ({"choices": {"a": 1}}, "shape"),
        ({"choices": 3}, "shape"),
    ],
)
def test_only_whole_answers_are_kept(body: dict[str, Any], reason: str | None) -> None:
    assert policy.not_stored_reason(body, chat(), LIMITS) == reason
    assert reason is None or reason in policy.NOT_STORED_REASONS


def test_every_choice_must_be_whole_and_there_must_be_as_many_as_asked_for() -> None:
    good, cut = completed()["choices"], completed(finish_reason="length")["choices"]
    assert policy.not_stored_reason({"choices": good * 3}, chat(n=3), LIMITS) is None
    assert policy.not_stored_reason({"choices": good * 2 + cut}, chat(n=3), LIMITS) == "truncated"
    assert policy.not_stored_reason({"choices": good * 2}, chat(n=3), LIMITS) == "unfinished"
    assert policy.not_stored_reason({"choices": good}, chat(n="many"), LIMITS) == "shape"


@pytest.mark.parametrize(
    "body",
    [
        completed(None, "tool_calls", tool_calls=[{"id": "1"}]),
        completed(None, "stop", tool_calls=[{"id": "1"}]),
        completed(None, "function_call", function_call={"name": "f"}),
    ],
)
def test_tool_calls_are_kept_where_that_is_switched_on(body: dict[str, Any]) -> None:
    assert policy.not_stored_reason(body, chat(), PolicyLimits(cache_tool_calls=True)) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (responded(said()), None),
        (responded({"type": "reasoning", "summary": []}, said()), None),
        (responded(said(), status="in_progress"), "unfinished"),
        (responded(said(), status="failed"), "unfinished"),
        (responded(said(), status=None), "unfinished"),
        (responded(said(), status="failed", error={"code": "server_error"}), "provider-error"),
        (responded(said(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "truncated"),
        (responded(said(), status="incomplete", incomplete_details={"reason": "content_filter"}), "filtered"),
        (responded(said(), incomplete_details={"reason": "unheard of"}), "unfinished"),
        (responded(said(status="in_progress")), "unfinished"),
        (responded(said(kind="refusal")), "refusal"),
        (responded(said("")), "empty"),
        (responded(), "empty"),
        (responded({"type": "reasoning", "summary": []}), "empty"),
        (responded({"type": "function_call", "name": "f", "arguments": "{}"}), "tool-call"),
        (responded({"type": "web_search_call", "status": "completed"}, said()), "hosted-tool"),
        (responded(said(), output=None), "shape"),
        (responded({"content": []}), "shape"),
        (completed(), "unfinished"),
    ],
)
def test_only_whole_responses_are_kept(body: dict[str, Any], reason: str | None) -> None:
    assert policy.not_stored_reason(body, chat("responses"), LIMITS) == reason
    assert reason is None or reason in policy.NOT_STORED_REASONS


def test_a_responses_tool_call_is_kept_where_that_is_switched_on() -> None:
    body = responded({"type": "function_call", "name": "f", "arguments": "{}"})
    assert policy.not_stored_reason(body, chat("responses"), PolicyLimits(cache_tool_calls=True)) is None


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ([[0.1, -2, 3e10]], None),
        ([packed(0.1, 0.2), packed(1.0)], None),
        ([], "empty"),
        ([[]], "empty"),
        ([[0.1], []], "empty"),
        ([""], "empty"),
        ([[0.1, float("nan")]], "not-a-number"),
        ([[0.1], [float("inf")]], "not-a-number"),
        ([packed(0.1, float("nan"))], "not-a-number"),
        (["not base64!"], "not-a-number"),
        ([base64.b64encode(b"12345").decode()], "not-a-number"),
        ([["a"]], "shape"),
        ([3], "shape"),
    ],
)
def test_only_whole_vectors_are_kept(vectors: list[Any], reason: str | None) -> None:
    body = {"object": "list", "data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]}
    assert policy.not_stored_reason(body, chat("embeddings"), LIMITS) == reason
    assert reason is None or reason in policy.NOT_STORED_REASONS


FIELDS = st.sampled_from(
    ["choices", "message", "content", "finish_reason", "output", "status", "type", "data", "embedding", "error", "text"]
)


@given(
    st.dictionaries(FIELDS, JSON | st.lists(st.dictionaries(FIELDS, JSON, max_size=4), max_size=2), max_size=5),
    st.sampled_from(["chat", "responses", "embeddings"]),
)
def test_no_answer_of_a_provider_breaks_the_policy(body: dict[str, Any], endpoint: str) -> None:
    reason = policy.not_stored_reason(body, chat(endpoint), LIMITS)
    assert reason is None or reason in policy.NOT_STORED_REASONS


# Time


@given(st.floats(1, 1e8), st.floats(0, 0.5), st.integers())
def test_jitter_shortens_by_at_most_its_share(seconds: float, share: float, seed: int) -> None:
    jittered = policy.jitter(seconds, share, random.Random(seed))
    assert seconds * (1 - share) <= jittered <= seconds


def test_jitter_spreads_what_was_stored_together() -> None:
    source = random.Random(1)
    spread = [policy.jitter(1000, 0.1, source) for _ in range(200)]
    assert len(set(spread)) == 200
    assert min(spread) < 920
    assert max(spread) > 980
    assert policy.jitter(1000, 0, source) == 1000


# Errors

REQUEST = httpx2.Request("POST", "https://example.com")


def status_error(status: int) -> openai.APIStatusError:
    return openai.APIStatusError("failed", response=httpx2.Response(status, request=REQUEST), body=None)


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (status_error(500), True),
        (status_error(503), True),
        (status_error(429), True),
        (status_error(408), True),
        (status_error(400), False),
        (status_error(401), False),
        (status_error(404), False),
        (openai.APIConnectionError(request=REQUEST), True),
        (openai.APITimeoutError(request=REQUEST), True),
        (httpx2.ConnectError("refused"), True),
        (httpx2.ReadTimeout("slow"), True),
        (httpx2.HTTPStatusError("bad", request=REQUEST, response=httpx2.Response(502)), True),
        (httpx2.HTTPStatusError("bad", request=REQUEST, response=httpx2.Response(422)), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (ValueError("a bug"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_an_outage_is_told_from_a_bad_request(error: BaseException, outage: bool) -> None:
    assert policy.is_outage(error) == outage


# What may change where it is


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://cam.example/live.jpg"}},
        {"type": "image_url", "image_url": "HTTP://cam.example/live.jpg"},
        {"type": "input_image", "image_url": "https://cam.example/live.jpg"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
        {"type": "audio_url", "audio_url": {"url": " https://example.org/a.mp3"}},
        {"type": "document_url", "document_url": "https://example.org/a.pdf"},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"fileData": {"fileUri": "https://example.org/a.png"}, "file_uri": "https://example.org/a.png"},
        {"type": "file", "file": {"file_url": "https://example.org/a.pdf"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "file:///data/latest.png"}},
        {"type": "image_url", "image_url": {"url": "//example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "ftp://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "/srv/latest.png"}},
        {"type": "image_url", "image_url": ["https://example.org/a.png"]},
        {"type": "image_url", "image_url": [{"url": "https://example.org/a.png"}]},
        {"type": "image_urls", "image_urls": ["data:image/png;base64,AA==", "https://example.org/a.png"]},
        {"type": "image", "image": "https://example.org/a.png"},
        {"type": "video", "video": ["https://example.org/1.png", "https://example.org/2.png"]},
        {"type": "input_audio", "input_audio": {"data": "https://example.org/a.wav", "format": "wav"}},
        {"type": "image", "source": {"type": "s3", "s3Location": {"uri": "s3://bucket/a.png"}}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "file", "file": {"file_data": "oss://bucket/a.pdf"}},
        {"type": "file", "file_path": "reports/latest.pdf"},
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/a.png"}},
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_what_is_fetched_from_an_address_is_kept_for_minutes(part: dict[str, Any], endpoint: str) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}
    request = ChatRequest(model="m", messages=[message, {"role": "user", "content": "And now?"}], endpoint=endpoint)
    assert policy.longest_seconds(request) == 300


@pytest.mark.parametrize(
    "content",
    [
        "https://cam.example/live.jpg",
        [{"type": "text", "text": "https://cam.example/live.jpg"}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
        [{"type": "input_file", "file_id": "file-1"}],
        [{"type": "image_url", "image_url": None}],
        [{"type": "image_url", "image_url": {"url": "", "detail": "low"}}],
        [{"type": "image_url", "image_url": {"url": " DATA:image/png;base64,AA==", "detail": "high"}}],
        [{"type": "input_audio", "input_audio": {"data": "//uQxAAAAAANIAAAAAExBTUUz", "format": "mp3"}}],
        [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}],
        ["https://cam.example"],
        None,
        3,
    ],
)
def test_what_stands_in_the_request_may_be_kept_as_long_as_the_rules_say(content: Any) -> None:
    request = ChatRequest(model="m", messages=[{"role": "user", "content": content}])
    assert policy.longest_seconds(request) == math.inf
