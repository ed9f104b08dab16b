"""What a request is taken for, and what of it goes on."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.inbound.reading import (
    MOST_VALUES,
    Target,
    decode_json,
    deployment_of,
    encode_json,
    gone_response,
    is_below,
    is_deeper,
    is_small,
    read,
    repeats_names,
    target_of,
)
from core.keys.identity import identify
from core.models import CacheStrategy, For
from tests.growth import grows_with_the_square

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
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    got = read(target, query, given, json.dumps(body).encode())
    assert got is not None
    return got


def scope(*arguments: Any, **headers: str) -> bytes:
    return identify(inbound(*arguments, **headers).request, "default").exact


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer other"},
        {"api_key": "other"},
        {"user_agent": "other/1.0"},
        {"x_stainless_retry_count": "1"},
        {"traceparent": "00-1"},
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
        {"x_of_tomorrow": "1"},
        {"cookie": "a=b"},
        {"x_forwarded_for": "10.0.0.1"},
        {"idempotency_key": "1"},
        {"content_type": "application/json; charset=utf-16"},
        {"accept_language": "de"},
    ],
)
def test_headers_that_may_change_the_answer_change_the_key(headers):
    assert scope(ASK, **headers) != scope(ASK)


def test_a_query_changes_the_key():
    queries = (
        "",
        "a=1",
        "a=2",
        "a=1&a=2",
        "a=2&a=1",
        "b=1",
        "a=",
        "a",
        "a=%ff",
        "a=%fe",
        "a=%20",
        "a=+",
        "a=1&",
        "%61=1&b",
    )
    assert len({scope(ASK, CHAT, query) for query in queries}) == len(queries)


def test_a_query_is_the_same_whatever_the_order_of_its_names_and_the_way_they_are_written():
    assert scope(ASK, CHAT, "a=1&b=%2F") == scope(ASK, CHAT, "b=/&%61=1")


@pytest.mark.parametrize("name", ["extra_headers", "extra_query", "extra_body", "timeout", "headers", "query"])
def test_a_field_of_the_body_is_no_argument_of_the_sdk(name):
    one, other = (inbound(ASK | {name: {"a": value}}) for value in "12")
    assert len({identify(got.request, "n").exact for got in (one, other, inbound(ASK))}) == 3
    assert one.request.parameters == {name: {"a": "1"}}
    assert one.request.headers == one.request.query == {}
    extra_body = {} if name in ("headers", "query") else {"extra_body": {name: {"a": "1"}}}
    assert one.request.to_openai() == ASK | (extra_body or {name: {"a": "1"}})


@pytest.mark.parametrize(
    ("address", "deployment"),
    [
        ("https://x.azure.com/openai/deployments/gpt-4o", "gpt-4o"),
        ("/deployments/gpt.4_o-1", "gpt.4_o-1"),
        ("/deployments/..", None),
        ("/deployments/.", None),
        ("/deployments/a/b", None),
        ("/deployments/", None),
        ("/deployments/a%2fb", None),
        ("/v1", None),
        ("", None),
    ],
)
def test_a_deployment_is_the_end_of_an_address(address, deployment):
    assert deployment_of(address) == deployment
    assert is_below(address) == (not address or (deployment is not None and address.startswith("/")))


def test_the_deployment_in_the_path_is_the_model_where_the_body_names_none_and_part_of_the_key_anyway():
    messages = {"messages": ASK["messages"]}
    here, there = Target("chat", "https://x/deployments/a"), Target("chat", "https://x/deployments/b")
    assert inbound(messages, here).request.model == "a"
    assert inbound(ASK, here).request.model == "gpt-4o"
    assert len({scope(messages, here), scope(messages, there), scope(ASK, here), scope(ASK, there)}) == 4
    assert json.loads(inbound(messages, here).outgoing(adds_usage=False)) == messages


@pytest.mark.parametrize(
    ("content", "repeats"),
    [
        (b'{"a":1}', False),
        (b'{"a":1,"A":2}', False),
        (b'{"a":{"a":[{"a":1},{"a":1}]}}', False),
        (b'{"a":"\\"b\\":1,\\"b\\":2"}', False),
        (b'{"a":1e999,"b":%s}' % (b"9" * 5000), False),
        (b'\xef\xbb\xbf{"a":1}', False),
        (b'{"a":1,"a":1}', True),
        (b'{"a":1,"\\u0061":2}', True),
        (b'{"a":[{"b":{"c":1,"c":2}}]}', True),
        (b'{"a":1', True),
    ],
)
def test_names_that_are_given_twice_are_seen_at_any_depth(content, repeats):
    assert repeats_names(content) == repeats


def test_what_a_provider_could_read_otherwise_goes_on_as_it_was_read():
    content = (
        b'{"model":"m","messages":[{"role":"user","content":"theirs"}],"messages":[{"role":"user","content":"mine"}]}'
    )
    got = read(CHAT, "", {}, content)
    assert got is not None
    assert got.request.messages[0]["content"] == "mine"
    assert json.loads(got.outgoing(adds_usage=False, is_as_read=False), object_pairs_hook=list) == [
        ("model", "m"),
        ("messages", [[("role", "user"), ("content", "mine")]]),
    ]
    assert b"theirs" not in got.outgoing(adds_usage=True, is_as_read=False)


def test_the_search_for_names_given_twice_grows_with_the_length():
    assert not grows_with_the_square(repeats_names, lambda size: '{"a":[' + '{"b":{}},' * size + "1]}", 40_000)


@pytest.mark.parametrize(
    ("method", "address", "status", "found"),
    [
        ("DELETE", "/responses/resp_1", 200, "resp_1"),
        ("DELETE", "/responses/resp_1", 204, "resp_1"),
        ("DELETE", "/responses/resp_1", 404, "resp_1"),
        ("DELETE", "/responses/resp_1", 410, "resp_1"),
        ("DELETE", "/responses/resp_1/", 200, "resp_1"),
        ("DELETE", "/responses/resp%5F1", 200, "resp_1"),
        ("DELETE", "https://api.openai.com/v1/responses/resp_1", 200, "resp_1"),
        ("GET", "/responses/resp_1", 404, "resp_1"),
        ("GET", "/responses/resp_1", 200, None),
        ("POST", "/responses/resp_1", 404, None),
        *(("DELETE", "/responses/resp_1", status, None) for status in (302, 400, 401, 403, 429, 500, 503)),
        ("DELETE", "/responses/resp_1/x", 200, None),
        ("DELETE", "/responses/", 200, None),
        ("DELETE", "/files/resp_1", 200, None),
    ],
)
def test_a_response_that_the_provider_has_no_more_is_told_by_path_and_status(method, address, status, found):
    assert gone_response(method, address, status) == found


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


@pytest.mark.parametrize(
    ("headers", "fields", "user"),
    [
        ({"x_openwebui_user_id": "ann"}, {}, "ann"),
        ({"x_openwebui_user_email": "ann@example.org"}, {}, "ann@example.org"),
        ({"x_openwebui_user_name": "Ann"}, {}, "Ann"),
        ({"x_openwebui_user_id": "ann", "x_openwebui_user_email": "ann@example.org"}, {}, "ann"),
        ({"x_litellm_end_user_id": "ann"}, {}, "ann"),
        ({"helicone_user_id": "ann"}, {}, "ann"),
        ({"x_openwebui_user_id": "a" * 300}, {}, "a" * 256),
        ({"x_openwebui_user_id": ""}, {}, None),
        ({"x_openwebui_user_id": "ann", "x_encore_user": "bob"}, {}, "bob"),
        ({"x_librechat_user_id": "ann"}, {}, "ann"),
        ({"x_litellm_customer_id": "acme"}, {}, "acme"),
        ({"x_forwarded_user": "ann"}, {}, "ann"),
        ({"x_forwarded_email": "ann@example.org"}, {}, "ann@example.org"),
        ({"x_remote_user": "ann"}, {}, "ann"),
        ({"x_user_id": "7"}, {}, "7"),
        ({"x_user": "ann"}, {}, "ann"),
        ({"x_auth_request_user": "ann"}, {}, "ann"),
        ({"x_auth_request_email": "ann@example.org"}, {}, "ann@example.org"),
        ({"tailscale_user_login": "ann@example.org"}, {}, "ann@example.org"),
        ({"cf_access_authenticated_user_email": "ann@example.org"}, {}, "ann@example.org"),
        (
            {"x_goog_authenticated_user_email": "accounts.google.com:ann@example.org"},
            {},
            "accounts.google.com:ann@example.org",
        ),
        ({"x_amzn_oidc_identity": "ann"}, {}, "ann"),
        ({"x_ms_client_principal_name": "ann@example.org"}, {}, "ann@example.org"),
        ({"x_authentik_username": "ann"}, {}, "ann"),
        ({"x_forwarded_user": "frontend", "x_openwebui_user_id": "ann"}, {}, "ann"),  # the closest to the person
        ({"x_litellm_customer_id": "acme", "x_forwarded_user": "ann"}, {}, "ann"),  # a customer may be many people
        ({"x_forwarded_user": "ann"}, {"user": "bob"}, None),
        ({"x_openwebui_user_id": "ann"}, {"user": "bob"}, None),  # the request itself names one
        ({"x_openwebui_user_id": "ann"}, {"encore": {"user": "bob"}}, "bob"),
    ],
)
def test_a_frontend_names_the_user_where_the_request_names_none(headers, fields, user):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    assert inbound(body, **headers).controls.user == user


def test_controls_come_from_headers_and_body_and_stay_here():
    got = inbound(ASK | {"encore": {"ttl": 5, "strategy": "exact"}}, x_encore_ttl="60", x_encore_tags="a, b")
    assert (got.controls.ttl, got.controls.strategy, got.controls.tags) == (For(5), CacheStrategy.EXACT, ("a", "b"))
    assert got.request.parameters == {}
    assert json.loads(got.outgoing(adds_usage=False)) == ASK


def test_controls_that_are_null_are_none():
    got = inbound(ASK | {"encore": None}, x_encore_ttl="60")
    assert got.controls == inbound(ASK, x_encore_ttl="60").controls
    assert b"encore" not in got.outgoing(adds_usage=False)


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
        b'{"model": "m", "messages": [{"role": "user", "content": 1e999}]}',
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
        st.text().map("x{}".format),
        json_values,
        max_size=4,  # a field of the API has a form of its own
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
