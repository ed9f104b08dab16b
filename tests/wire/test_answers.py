"""What an answer says: one text of it, whatever its family, and JSON for people where words do not do."""

from __future__ import annotations

import json

import pytest

from core.models import Completion
from core.wire import answer_text, readable


def chat(*contents):
    return {"object": "chat.completion", "choices": [{"message": {"content": content}} for content in contents]}


def response(*items):
    return {"object": "response", "output": list(items)}


def message(*texts):
    return {"type": "message", "content": [{"type": "output_text", "text": text} for text in texts]}


TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
FUNCTION_CALL = {"type": "function_call", "name": "weather", "arguments": "{}"}

IN_WORDS = [
    (chat("Paris."), "Paris."),
    (chat("a", "b"), "a\n\nb"),
    (chat([{"type": "text", "text": "Call"}, {"text": "us."}]), "Call\nus."),
    (response(message("Paris.")), "Paris."),
    (response({"type": "reasoning", "content": None}, message("Call us.")), "Call us."),
    (response(message("Paris", "is it."), message("Ask on.")), "Paris\nis it.\n\nAsk on."),
    (
        {"object": "chat.completion", "model": "m", "choices": [{"message": {"content": "of a function"}}]},
        "of a function",
    ),
]

MORE_THAN_WORDS = [
    ({"choices": [{"message": {"content": "I look.", "tool_calls": [TOOL_CALL]}}]}, "I look."),
    ({"choices": [{"message": {"content": "I look.", "function_call": {"name": "weather"}}}]}, "I look."),
    (response(message("I look."), FUNCTION_CALL), "I look."),
    (chat("a", None), "a"),
]

WITHOUT_WORDS = [
    chat(None),
    {"choices": [{"message": {"content": None, "tool_calls": [TOOL_CALL]}}]},
    {"choices": [{"message": {"content": None, "tool_calls": []}}]},
    {"choices": [{"message": {"content": [{"type": "text"}]}}]},
    {"choices": [{"message": {"content": [{"type": "image_url"}, "text", None]}}]},
    {"choices": []},
    {"choices": [{}]},
    {"choices": ["text"]},
    {"choices": 3},
    {"choices": {"0": 1}},
    response(),
    response(FUNCTION_CALL),
    {"object": "response", "output": 3},
    {"object": "response", "output": ["text", None]},
    {"object": "list", "data": [{"object": "embedding", "embedding": [1.5]}]},
    {},
]


@pytest.mark.parametrize(("body", "text"), [*IN_WORDS, *MORE_THAN_WORDS])
def test_the_words_of_an_answer_are_found_in_every_family(body, text):
    assert answer_text(body) == Completion(body=body).text == text


@pytest.mark.parametrize("body", WITHOUT_WORDS)
def test_an_answer_that_says_nothing_has_an_empty_text(body):
    assert answer_text(body) == Completion(body=body).text == ""


@pytest.mark.parametrize(("body", "text"), IN_WORDS)
def test_people_read_the_words(body, text):
    assert readable(body) == text


@pytest.mark.parametrize("body", [body for body, _ in MORE_THAN_WORDS] + WITHOUT_WORDS)
def test_people_read_everything_where_words_are_not_all(body):
    assert json.loads(readable(body)) == body


def test_an_alias_has_no_answer_of_its_own():
    assert readable(None) == ""
