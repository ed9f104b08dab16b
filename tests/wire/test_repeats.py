"""What an answer repeats of its caller outside its words."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from core.wire import notes_of, repeats_caller, without_callers

GIVEN = {"user": "user-4711", "metadata": {"a": {"customer": ["ann@example.org"]}}, "prompt_cache_key": "cache-ann"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def repeats(answer: dict[str, Any], given: dict[str, Any] | None = None, **headers: str) -> bool:
    given = given or {}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return repeats_caller([without_callers(answer, given)], notes_of(given, told))


@pytest.mark.parametrize(
    "answer",
    [
        {"x_owner": "user-4711"},
        {"request": {"end_user_id": "user-4711"}},
        {"id": "chatcmpl-user-4711"},
        {"x_echo": "user=user-4711&model=m"},
        {"x_raw": '{"metadata":{"customer":"ann@example.org"}}'},
        {"choices": [{"message": {"content": "Yes.", "x_customer": "ann@example.org"}}]},
        {"choices": [{"delta": {"content": "Yes.", "name": "ann@example.org"}}]},
        {"type": "response.created", "response": {"promptCacheKey": "cache-ann"}},
        {"usage": {"details": [{"key": "cache-ann"}]}},
        {"x": [["ann@example.org"]]},
        {"by_user": {"user-4711": 1}},
        {"x": [{"spent": {"ann@example.org": {"usd": 1}}}]},
        {"x": {"limit:user-4711": 5}},
        {"labels": ["customer"]},
        {"x": "USER-4711"},
        {"x": "Ann@Example.org"},
        {"x": "https://x.example/?u=ann%40example.org"},
        {"x": "https://x.example/?u=ANN%2540example.org"},
        {"x": json.dumps(json.dumps({"u": "ann@example.org"}))},
        {"x": "ann\\u0040example.org"},
        {"who": "ann"},
    ],
    ids=str,
)
def test_what_repeats_a_callers_notes_under_another_name_is_known(answer: dict[str, Any]):
    assert repeats(answer, GIVEN)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"user": "ann"}, {"x": "ann"}),
        ({"user": "ann"}, {"by_user": {"ann": 1}}),
        ({"user": 12345678}, {"x": 12345678}),
        ({"user": 12345678}, {"x": "u12345678"}),
        ({"user": "12345678"}, {"x": 12345678}),
        ({"user": "Zoë-4711"}, {"x": "Zo\\u00eb-4711"}),
        ({"user": "Zoë-4711"}, {"x": quote("Zoë-4711")}),
        ({"user": "\U0001f600-4711"}, {"x": "\\ud83d\\ude00-4711"}),
        ({"user": 'a"b\\c-4711'}, {"x": json.dumps({"u": 'a"b\\c-4711'})}),
        ({"metadata": {"secret-of-ann": "1"}}, {"labels": ["secret-of-ann"]}),
        ({"metadata": {"secret-of-ann": "1"}}, {"labels": {"secret-of-ann": True}}),
        ({"extra_headers": {"X-Title": "secret-app"}}, {"app": "secret-app"}),
    ],
    ids=str,
)
def test_short_notes_and_notes_of_every_kind_are_known(given: dict[str, Any], answer: dict[str, Any]):
    assert repeats(answer, given)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x-title", "secret-app", "secret-app"),
        ("user-agent", "agent-of-ann/1 (Linux)", "agent-of-ann/1 (linux)"),
        ("user-agent", "agent-of-ann/1 (Linux)", "agent-of-ann/1"),
        ("traceparent", TRACE, TRACE),
        ("traceparent", TRACE, TRACE.split("-")[1]),
        ("b3", TRACE[3:], TRACE.split("-")[2]),
        ("x-request-id", "1f0c2b9e-4711", "chatcmpl-1f0c2b9e-4711"),
        ("baggage", '{"_user":"ann@example.org"}', "ann@example.org"),
        ("baggage", '{"_user":"ann-of-org"}', "ann-of-org"),
        ("baggage", "userId=ann%40example.org,session=4711", "ann@example.org"),
        ("helicone-user-id", "ann", "ann"),
        ("user-agent", "https://ann.example.org/app", "https://ann.example.org/app"),
        ("x-title", "Café der Anna".encode().decode("latin-1"), "Café der Anna"),
        ("authorization", "Bearer sk-of-ann-4711", "sk-of-ann-4711"),
        ("x-api-key", "sk-of-ann-4711", "key sk-of-ann-4711"),
    ],
)
def test_what_is_sent_in_headers_and_not_keyed_is_known_in_an_answer(name: str, value: str, said: str):
    for answer in ({"x": said}, {"choices": [{"delta": {"content": "Yes.", "trace": [said]}}]}, {"x": {said: 1}}):
        assert repeats_caller([answer], notes_of({}, {name: value}))


@pytest.mark.parametrize("name", ["openai-organization", "x-tenant", "x-encore-user", "cookie", "content-type"])
def test_headers_in_the_key_and_those_not_sent_may_stand_in_an_answer(name: str):
    assert not repeats_caller([{"x": "said-in-a-header"}], notes_of({}, {name: "said-in-a-header"}))


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "Dear ann@example.org", "reasoning_content": "user-4711 asks"}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "user-4711"}]}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": '{"to":"user-4711"}'}}]}}]},
        {"type": "response.output_text.delta", "delta": "user-4711"},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "user-4711"}]}]},
        {"output": [{"type": "reasoning", "summary": [{"text": "user-4711"}]}]},
        {"data": [{"embedding": "user-4711"}]},
        {"x": "user-47"},
    ],
)
def test_an_answers_words_may_speak_of_the_caller(answer: dict[str, Any]):
    assert without_callers(answer, GIVEN) is answer
    assert not repeats(answer, GIVEN)


USUAL = {
    "user-agent": "OpenAI/Python 2.8.1",
    "x-stainless-lang": "python",
    "x-stainless-os": "Linux",
    "x-stainless-async": "false",
    "x-stainless-retry-count": "0",
    "x-stainless-package-version": "2.8.1",
    "cache-control": "no-cache",
    "traceparent": TRACE,
}
CHAT = {
    "id": "chatcmpl-CfP",
    "object": "chat.completion",
    "created": 1_764_000_000,
    "model": "gpt-4o",
    "provider": "OpenAI",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes.", "annotations": []}, "logprobs": None}],
    "usage": {"prompt_tokens": 123_456, "completion_tokens_details": {"reasoning_tokens": 0}},
    "system_fingerprint": "fp_560af6e559",
    "service_tier": "default",
}
RESPONSE = {
    "id": "resp_67",
    "object": "response",
    "status": "completed",
    "billing": {"payer": "developer"},
    "truncation": "disabled",
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "reasoning": {"effort": None, "summary": "auto"},
    "output": [{"id": "msg_67", "type": "message", "role": "assistant", "content": []}],
}


@pytest.mark.parametrize("answer", [CHAT, RESPONSE], ids=["chat", "response"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"user": "user"},
        {"user": "id"},
        {"user": "model"},
        {"user": "default"},
        {"metadata": {"model": "gpt-4o", "status": "completed", "type": "text", "role": "assistant", "env": "prod"}},
        {"stream_options": {"x": "gpt-4o"}, "service_tier": "default"},
    ],
    ids=str,
)
def test_what_answers_say_to_everybody_is_no_note(given: dict[str, Any], answer: dict[str, Any]):
    notes = notes_of(given, USUAL)
    assert notes
    assert not repeats_caller([without_callers(answer, given)], notes)


def test_very_many_notes_are_not_looked_for():
    given = {"metadata": {str(number): f"note-{number}" for number in range(1000)}}
    assert repeats_caller([{}], notes_of(given, {}))
    assert repeats_caller([{"x": "a" * 1_000_000}], notes_of({"metadata": [f"note-{n}" for n in range(100)]}, {}))
