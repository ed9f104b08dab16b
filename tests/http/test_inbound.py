"""What a request is taken for, and what of it goes on."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.http.inbound import MOST_VALUES, Target, decode_json, encode_json, is_deeper, is_small, read, target_of
from core.keys.identity import identify
from core.models import CacheStrategy, For

CHAT = Target("chat", "https://api.openai.com/v1")
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("method", "address", "expected"),
    [
        ("POST", "https://api.openai.com/v1/chat/completions", CHAT),
        ("POST", "https://api.openai.com/v1/responses", Target("responses", "https://api.openai.com/v1")),
        ("POST", "http://h:1/embeddings", Target("embeddings", "http://h:1")),
        (
            "POST",
            "https://x.azure.com/openai/deployments/d/chat/completions",
            Target("chat", "https://x.azure.com/openai/deployments/d"),
        ),
        ("GET", "https://api.openai.com/v1/chat/completions", None),
        ("POST", "https://api.openai.com/v1/chat/completions/c1", None),
        ("POST", "https://api.openai.com/v1/chat/completions/", None),
        ("POST", "https://api.openai.com/v1/responses/r1/cancel", None),
        ("POST", "https://api.openai.com/v1/completions", None),
        ("POST", "https://api.openai.com/v1/images/generations", None),
    ],
)
def test_requests_for_answers_are_told_by_their_path(method, address, expected):
    assert target_of(method, address) == expected


def inbound(body: dict[str, Any], target: Target = CHAT, query: str = "", **headers: str):
    got = read(
        target, query, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )
    assert got is not None
    return got


def scope(*arguments: Any, **headers: str) -> bytes:
    return identify(inbound(*arguments, **headers).request, "default").exact


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer other"},
        {"api_key": "other"},
        {"cookie": "a=b"},
        {"user_agent": "other/1.0"},
        {"x_stainless_retry_count": "1"},
        {"x_forwarded_for": "10.0.0.1"},
        {"traceparent": "00-1"},
        {"sec_fetch_mode": "cors"},
        {"accept_language": "*"},
        {"cache_control": "max-age=60"},
        {"x_encore_ttl": "60"},
    ],
)
def test_headers_of_the_way_do_not_change_the_key(headers):
    assert scope(ASK, **headers) == scope(ASK)


@pytest.mark.parametrize(
    "headers",
    [
        {"openai_organization": "org-1"},
        {"openai_beta": "assistants=v2"},
        {"x_tenant": "1"},
        {"accept_language": "de"},
    ],
)
def test_headers_that_may_change_the_answer_change_the_key(headers):
    assert scope(ASK, **headers) != scope(ASK)


def test_a_query_changes_the_key():
    scopes = {scope(ASK, CHAT, query) for query in ("", "a=1", "a=2", "a=1&a=2", "a=2&a=1", "b=1", "a=")}
    assert len(scopes) == 7


def test_families_and_servers_do_not_share_keys():
    embeddings = {"model": "gpt-4o", "input": "hi"}
    scopes = {
        scope(ASK),
        scope(ASK, Target("chat", "https://other/v1")),
        scope(embeddings, Target("responses", "https://api.openai.com/v1")),
        scope(embeddings, Target("embeddings", "https://api.openai.com/v1")),
    }
    assert len(scopes) == 4


def test_a_text_is_one_user_message_to_the_responses_api():
    target = Target("responses", "u")
    text = inbound({"model": "m", "input": "hi", "instructions": "Be brief."}, target)
    items = inbound({"model": "m", "input": [{"role": "user", "content": "hi"}], "instructions": "Be brief."}, target)
    assert text.request == items.request
    assert text.request.parameters == {"instructions": "Be brief."}


@pytest.mark.parametrize("given", ["hi", ["hi", "ho"], [1, 2], [[1], [2]]])
def test_what_is_embedded_is_compared_exactly(given):
    request = inbound({"model": "m", "input": given}, Target("embeddings", "u")).request
    assert identify(request, "default").normalized is None


def test_controls_come_from_headers_and_body_and_stay_here():
    got = inbound(ASK | {"encore": {"ttl": 5, "strategy": "exact"}}, x_encore_ttl="60", x_encore_tags="a, b")
    assert (got.controls.ttl, got.controls.strategy, got.controls.tags) == (For(5), CacheStrategy.EXACT, ("a", "b"))
    assert got.request.parameters == {}
    assert json.loads(got.outgoing(adds_usage=False)) == ASK


@pytest.mark.parametrize("controls", [[], "ttl", {"ttl": "x"}, {"unheard": 1}])
def test_controls_that_cannot_be_meant_are_refused(controls):
    with pytest.raises(InvalidInput, match="encore"):
        inbound(ASK | {"encore": controls})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b"{}",
        b'{"model": "m"}',
        b'{"model": "m", "messages": []}',
        b'{"model": "m", "messages": {}}',
        b'{"model": "m", "messages": ["hi"]}',
        b'{"model": "", "messages": [{}]}',
        b'{"model": null, "messages": [{}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": NaN}]}',
        b'{"a": ' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_no_provider_would_take_is_not_for_the_cache(content):
    assert read(CHAT, "", {}, content) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.text().filter(lambda name: name not in ("model", "messages", "encore")), json_values, max_size=4
    ),
    st.none() | st.just({}) | st.just({"include_usage": False}) | st.just({"include_obfuscation": True}),
    st.booleans(),
    st.booleans(),
)
def test_what_goes_on_is_what_came_with_usage_asked_for(fields, options, controls, indented):
    body = {**fields, **ASK, "stream": True, "stream_options": options} if options is not None else {**fields, **ASK}
    came = body | ({"encore": {"ttl": 5}} if controls else {})
    content = json.dumps(came, indent=2 if indented else None).encode()
    got = read(CHAT, "", {}, content)
    assert got is not None
    assert json.loads(got.outgoing(adds_usage=False)) == body
    asked = {**(body.get("stream_options") or {}), "include_usage": True}
    if options is not None or "stream_options" not in body:
        assert json.loads(got.outgoing(adds_usage=True)) == body | {"stream_options": asked}
    if not controls:
        assert got.outgoing(adds_usage=False) == content


@given(json_values)
def test_json_survives_decoding_and_encoding(value):
    body = {"value": value}
    assert decode_json(encode_json(body)) == body


def test_half_a_surrogate_pair_survives():
    content = b'{"text":"\\ud800"}'
    assert encode_json(decode_json(content) or {}) == content


@pytest.mark.parametrize(("levels", "deeper"), [(1, False), (99, False), (100, True), (900, True), (20_000, True)])
@pytest.mark.parametrize("wide", [0, 200])
def test_depth_is_told_from_width(levels, deeper, wide):
    content = b'{"a":' + b"[" * levels + b"]" * levels + b',"b":[' + b",".join([b"[]"] * wide) + b"]}"
    assert is_deeper(100, content, decode_json(content)) == deeper
    assert not is_deeper(100, b"[[" * 200 + b"not json", None) or levels > 100


@pytest.mark.parametrize(
    ("content", "small"),
    [
        (b'{"a":"' + b"x" * 999_000 + b'"}', True),
        (b'{"a":"' + b"x" * 1_000_000 + b'"}', False),
        (b"[" + b"[]," * 60_000 + b"1]", False),
        (b"{" + b",".join(b'"%d":1' % number for number in range(60_000)) + b"}", False),
        (b"[" + b"1," * 90_000 + b"1]", True),
        (b"[" + b"1," * 110_000 + b"1]", False),
        (b'{"a":"' + b"one, two: " * 40_000 + b'"}', True),
    ],
)
def test_json_is_decoded_up_to_a_size_and_a_number_of_values(content, small):
    assert is_small(content, 1_000_000, MOST_VALUES) == small


def test_what_is_not_decoded_takes_no_memory():
    content = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"x":[' + b"[]," * 300_000 + b"1]}"
    read(CHAT, "", {}, content[:100])
    tracemalloc.start()
    assert read(CHAT, "", {}, content) is None
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000


@pytest.mark.parametrize("levels", [2_000, 200_000])
def test_what_is_nested_deep_is_seen_though_it_is_not_decoded(levels):
    content = b'{"a":' + b"[" * levels + b"]" * levels + b',"b":"' + b"x" * 200_000 + b'"}'
    assert is_deeper(100, content, None)
