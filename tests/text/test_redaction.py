"""What may be shown of settings and parameters: never a key, wherever in them it was put."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.redaction import HIDDEN, WORDED, looks_secret, masked, redacted

KEYS = [
    {"api_key": "hush"},
    {"extra_headers": {"Authorization": "Bearer hush"}},
    {"extra_headers": {"X-Team": "hush"}},
    {"extra_headers": [["x-api-key", "hush"]]},
    {"headers": [{"name": "Authorization", "value": "hush"}]},
    {"extra_query": {"code": "hush"}},
    {"extra_body": {"provider": {"credentials": ["hush"]}}},
    {"tools": [{"type": "mcp", "server_url": "https://u:hush@mcp.example", "headers": {"a": "hush"}}]},
    {"webhook": "https://hooks.example/services/hush"},
    {"user": "hush"},
    {"whatever": ["hush", {"deeper": "hush"}]},
    {"model": "sk-hush1234"},
    {"stop": ["Bearer hush"]},
    {"name": "gsk_hush1234567890"},
    {"sk-hush1234": True},
    {"type": "ahushtoken1234567890abcdef"},
    {"metadata": ("hush",)},
    {"odd": b"hush"},
]


@pytest.mark.parametrize("parameters", KEYS)
def test_no_key_is_shown_wherever_it_is(parameters: dict[str, Any]) -> None:
    assert "hush" not in json.dumps(redacted(parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": None, "max_tokens": 5, "top_p": 0.5, "logprobs": True},
        {"reasoning_effort": "low"},
        {"reasoning": {"effort": "high", "summary": "auto"}},
        {"model": "claude-3-5-sonnet-20241022"},
        {"stop": ["\n", "END"]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True}}},
    ],
)
def test_what_says_how_a_model_is_asked_is_shown(parameters: dict[str, Any]) -> None:
    assert redacted(parameters) == parameters


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_text_stands_only_under_a_name_of_words(value: Any) -> None:
    def check(shown: Any, name: str) -> None:
        if isinstance(shown, str):
            assert shown == HIDDEN or name in WORDED
        elif isinstance(shown, list):
            for one in shown:
                check(one, name)
        elif isinstance(shown, dict):
            for key, one in shown.items():
                check(one, key)

    check(redacted(value), "")


def test_what_is_nested_without_end_comes_to_one() -> None:
    nested: list[Any] = []
    nested.append(nested)
    assert HIDDEN in json.dumps(redacted(nested))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://anna:hush@host:1/0?password=hush#hush", "redis://anna:***@host:1/0"),
        ("rediss://hush@host", "rediss://:***@host"),
        ("redis+sentinel://:hush@a:1,b:2/main", "redis+sentinel://:***@a:1,b:2/main"),
        ("redis://:hu@sh@host", "redis://:***@host"),
        ("https://[::1/hush", "***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    "text", ["sk-proj-abc123", "AIzaSyA1234567", "eyJhbGciOiJIUzI1NiJ9.x", "a Bearer x", "0123456789abcdef01234567"]
)
def test_keys_are_known_by_their_form(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text", ["gpt-4o-mini-2024-07-18", "sentence-transformers:all-MiniLM-L6-v2", "onnx:/models/e5", "skill"]
)
def test_names_of_models_are_none(text: str) -> None:
    assert not looks_secret(text)
