"""The values that cross module borders."""

from typing import Any

import pytest
from openai import NOT_GIVEN, Omit
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from core.bans import Criteria
from core.errors import InvalidInput
from core.keys import user_pseudonym
from core.models import (
    UNKEYED_PARAMETERS,
    CacheStrategy,
    ChatRequest,
    Completion,
    Controls,
    Default,
    For,
    HitDetail,
    NoStore,
    Outcome,
    OutcomeKind,
    Usage,
    ttl,
)

MESSAGES = [{"role": "user", "content": "hi"}]
BODY: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3},
    },
    "vendor_field": {"a": 1},
}


# Requests


def test_arguments_are_divided_by_whether_they_change_the_answer() -> None:
    request = ChatRequest.from_openai(model="m", messages=MESSAGES, temperature=0.5, future=1, user="u", stream=True)
    assert request.parameters == {"temperature": 0.5, "future": 1}
    assert request.unkeyed == {"user": "u", "stream": True}
    assert request.streams
    assert (request.endpoint, request.base_url) == ("chat", "")


def test_what_is_not_given_is_left_out() -> None:
    request = ChatRequest.from_openai(
        model="m", messages=MESSAGES, temperature=None, top_p=NOT_GIVEN, seed=Omit(), stop=0, user=None
    )
    assert request.parameters == {"stop": 0}
    assert request.unkeyed == {}
    assert not request.streams


def test_the_extra_body_goes_over_the_rest_as_in_the_sdk() -> None:
    extra = {"model": "other", "messages": [{"role": "user", "content": "x"}], "seed": 2, "stream": True, "new": 1}
    request = ChatRequest.from_openai(model="m", messages=MESSAGES, seed=1, extra_body=extra)
    assert request.model == "other"
    assert request.messages == [{"role": "user", "content": "x"}]
    assert request.parameters == {"seed": 2, "new": 1}
    assert request.unkeyed == {"stream": True}
    assert extra["model"] == "other"


def test_a_request_gives_its_arguments_back_without_the_stream() -> None:
    arguments: dict[str, Any] = {"temperature": 0.5, "tools": [{"type": "function"}], "user": "u", "future": [1]}
    request = ChatRequest.from_openai(
        model="m", messages=MESSAGES, **arguments, stream=True, stream_options={"include_usage": True}
    )
    assert request.to_openai() == {"model": "m", "messages": MESSAGES, **arguments}


def test_messages_may_come_once_and_as_objects_of_the_sdk() -> None:
    message = ChatCompletionMessage(role="assistant", content="hello")
    request = ChatRequest.from_openai(model="m", messages=iter([*MESSAGES, message]))
    assert request.messages == [*MESSAGES, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": " "}, "model"),
        ({"model": None}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": b"hi"}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [3]}, "messages"),
        ({"extra_body": {"model": ""}}, "model"),
    ],
)
def test_what_no_provider_would_take_is_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        ChatRequest.from_openai(**{"model": "m", "messages": MESSAGES} | arguments)
    assert error.value.field == field


def test_a_request_on_the_wire_is_the_same_as_by_the_sdk() -> None:
    body = {"model": "m", "messages": MESSAGES, "temperature": 0.5, "user": "u", "top_p": None}
    assert ChatRequest.from_wire("chat", body) == ChatRequest.from_openai(
        model="m", messages=MESSAGES, temperature=0.5, user="u"
    )


@pytest.mark.parametrize(
    ("endpoint", "given", "messages"),
    [
        ("responses", "hi", [{"role": "user", "content": "hi"}]),
        ("responses", MESSAGES, MESSAGES),
        ("embeddings", "hi", [{"role": "user", "content": "hi"}]),
        ("embeddings", ["a", "b"], [{"role": "user", "content": ["a", "b"]}]),
        ("embeddings", [1, 2], [{"role": "user", "content": [1, 2]}]),
    ],
)
def test_the_input_of_other_families_stands_in_for_messages(endpoint: str, given: Any, messages: Any) -> None:
    request = ChatRequest.from_wire(endpoint, {"model": "m", "input": given, "seed": 1})
    assert request is not None
    assert (request.endpoint, request.messages, request.parameters) == (endpoint, messages, {"seed": 1})


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat", {}),
        ("chat", {"model": "m"}),
        ("chat", {"model": "m", "messages": []}),
        ("chat", {"model": "m", "messages": "hi"}),
        ("chat", {"model": "m", "messages": ["hi"]}),
        ("chat", {"model": "", "messages": MESSAGES}),
        ("chat", {"model": 3, "messages": MESSAGES}),
        ("chat", {"model": "m", "input": "hi"}),
        ("responses", {"model": "m"}),
        ("responses", {"model": "m", "input": ""}),
        ("responses", {"model": "m", "input": [3]}),
        ("embeddings", {"model": "m", "input": []}),
        ("embeddings", {"model": "m"}),
    ],
)
def test_a_body_that_is_no_request_is_none(endpoint: str, body: dict[str, Any]) -> None:
    assert ChatRequest.from_wire(endpoint, body) is None


def test_the_documented_list_is_short() -> None:
    assert sorted(UNKEYED_PARAMETERS) == [
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "timeout",
        "user",
    ]


# Completions


def test_a_completion_reads_like_the_sdks_and_like_its_body() -> None:
    completion = Completion(body=BODY)
    assert completion.choices[0].message.content == "hello"
    assert completion["choices"][0]["message"]["content"] == "hello"
    assert completion.vendor_field == {"a": 1}
    assert completion.text == "hello"
    assert isinstance(completion.to_openai(), ChatCompletion)
    assert completion.to_openai() is completion.to_openai()
    with pytest.raises(AttributeError):
        _ = completion.no_such_field


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, ""),
        ({"choices": []}, ""),
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"choices": [{"message": {"content": [{"type": "text"}]}}]}, ""),
        ({"choices": [{}]}, ""),
        ({"choices": ["text"]}, ""),
        ({"choices": 3}, ""),
        ({"choices": {"0": 1}}, ""),
    ],
)
def test_a_completion_without_text_has_an_empty_one(body: dict[str, Any], text: str) -> None:
    assert Completion(body=body).text == text


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (BODY["usage"], Usage(input_tokens=5, output_tokens=7, cached_input_tokens=3)),
        (
            {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 3}},
            Usage(input_tokens=5, output_tokens=7, cached_input_tokens=3),
        ),
        ({"prompt_tokens": 5}, Usage(input_tokens=5)),
        ({"prompt_tokens": None, "prompt_tokens_details": None}, Usage()),
        (None, Usage()),
        ("many", Usage()),
        ({"prompt_tokens": "5", "completion_tokens": -1, "prompt_tokens_details": [1]}, Usage()),
        ({"prompt_tokens": 1.5, "completion_tokens": 10**30}, Usage()),
    ],
)
def test_tokens_are_read_in_either_spelling(usage: Any, tokens: Usage) -> None:
    assert Completion(body={"usage": usage}).tokens == tokens


# TTLs and controls


@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        (None, Default()),
        (0, NoStore()),
        (0.0, NoStore()),
        (1, For(1)),
        (2.5, For(2.5)),
        (315_360_000, For(315_360_000)),
    ],
)
def test_a_ttl_has_one_typed_meaning(given: float | None, meaning: object) -> None:
    assert ttl(given) == meaning


@pytest.mark.parametrize("given", [-1, 0.5, 315_360_001, float("nan"), float("inf"), "60", True, False, [1]])
def test_other_values_are_no_ttl(given: Any) -> None:
    with pytest.raises(InvalidInput, match="ttl"):
        ttl(given)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": float("inf")}, "max_age"),
        ({"stale_if_error": -0.1}, "stale_if_error"),
        ({"stale_if_error": float("nan")}, "stale_if_error"),
        ({"tags": ("",)}, "tags"),
        ({"tags": ("t" * 257,)}, "tags"),
        ({"tags": tuple(map(str, range(33)))}, "tags"),
        ({"user": ""}, "user"),
        ({"user": "u" * 257}, "user"),
    ],
)
def test_controls_out_of_range_are_refused_and_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        Controls(**fields)
    assert error.value.field == field


def test_controls_at_their_limits_are_taken() -> None:
    controls = Controls(threshold=1, max_age=0, stale_if_error=315_360_000, tags=("t" * 256,) * 32, user="u" * 256)
    assert controls.max_age == 0


# Outcomes


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": OutcomeKind.HIT, "detail": HitDetail.EXACT}, "hit (exact)"),
        ({"kind": OutcomeKind.HIT, "detail": HitDetail.ALIAS, "stale": True}, "hit (alias), stale"),
        ({"kind": OutcomeKind.MISS, "reason": "absent", "stored": True}, "miss (absent), stored"),
        ({"kind": OutcomeKind.MISS, "reason": "absent", "collapsed": True}, "miss (absent), collapsed"),
        ({"kind": OutcomeKind.BYPASS, "reason": "no-store"}, "bypass (no-store)"),
        ({"kind": OutcomeKind.ERROR}, "error"),
    ],
)
def test_an_outcome_reads_as_one_phrase(fields: dict[str, Any], words: str) -> None:
    assert str(Outcome(namespace="n", model="m", strategy=CacheStrategy.EXACT, **fields)) == words


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Controls().no_store = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((" doc:1 ", "doc:1"), ("doc:1",)),
        (("wiki:Zu\u0308rich", "wiki:Zürich"), ("wiki:Zürich",)),
        (("Doc:1", "doc:1"), ("Doc:1", "doc:1")),
        (("a,b",), ("a,b",)),
    ],
)
def test_tags_have_one_form_at_every_door(given, kept):
    assert Controls(tags=given).tags == Criteria(tags=given).tags == kept


def test_a_user_is_found_by_another_spelling_of_the_same_name():
    assert user_pseudonym("shop", "zoe\u0308@x ") == user_pseudonym("shop", "zoë@x")
    assert user_pseudonym("shop", "Zoë@x") != user_pseudonym("shop", "zoë@x")
