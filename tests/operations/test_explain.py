"""Whether a request would be a hit: as the gateway would answer it, without asking or counting anything."""

from __future__ import annotations

import msgspec
import pytest

from core.access import Role, new_operation_key
from core.entries import expect
from core.models import ChatRequest, Controls
from tests.operations.calling import kind

QUESTION = "What is a card?"


def body(text=QUESTION, **fields):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]} | fields


def explained(api, *given, headers=None, endpoint="chat", **fields):
    response = api.send("POST", "/explain", params={"endpoint": endpoint}, json=body(*given, **fields), headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def sent(api, *given, headers=None, **fields):
    """What the gateway says of the same request when it is sent."""
    response = api.http.post(f"{api.gateway.url}/chat/completions", json=body(*given, **fields), headers=headers)
    return response.headers


def test_the_same_request_is_told_before_it_is_sent_and_after(api):
    before = explained(api)
    assert (before["outcome"], before["reason"], before["why"]) == (
        "miss",
        "absent",
        "Nothing was stored for this request.",
    )
    answered = sent(api)
    after = explained(api)
    assert (after["outcome"], after["reason"], after["entry"]) == ("hit", "exact", answered["x-encore-key"])
    assert before["key"] == after["key"] == answered["x-encore-key"]
    assert explained(api, "what is a  card")["reason"] == "normalized"


@pytest.mark.parametrize(
    ("headers", "fields", "outcome", "reason"),
    [
        ({"Cache-Control": "no-cache"}, {}, "miss", "no-cache"),
        ({"Cache-Control": "no-store"}, {}, "bypass", "no-store"),
        ({"Cache-Control": "max-age=0"}, {}, "miss", "max-age"),
        ({"X-Encore-Strategy": "exact"}, {}, "hit", "exact"),
        ({}, {"temperature": 1.5}, "bypass", "temperature"),
        ({}, {"temperature": 0.3}, "miss", "absent"),
        ({}, {"encore": {"no_store": True}}, "bypass", "no-store"),
        ({}, {"user": "anna"}, "hit", "exact"),
        ({"accept-language": "de"}, {}, "miss", "absent"),
        ({"traceparent": "00-1-1-01"}, {}, "hit", "exact"),
    ],
    ids=str,
)
def test_controls_headers_and_parameters_count_as_at_the_gateway(api, headers, fields, outcome, reason):
    sent(api)
    told = explained(api, headers=headers, **fields)
    assert (told["outcome"], told["reason"]) == (outcome, reason)
    state = sent(api, headers=headers, **fields)["cache-status"]
    assert ("; hit" in state) == (outcome == "hit")
    assert ("fwd=bypass" in state) == (outcome == "bypass")


def test_the_key_scope_ttl_and_audience_are_told(api):
    told = explained(api, headers={"X-Encore-TTL": "60", "X-Encore-User": "anna"}, temperature=0.2)
    assert told["key"].startswith("0-")
    assert (told["ttl_class"], told["kept_seconds"], told["audience"]) == ("general_knowledge", 60.0, "everybody")
    assert {part["name"]: part["words"] for part in told["parts"]}["parameter temperature"] == "0.2"
    personal = explained(api, "What is my balance?", headers={"X-Encore-User": "anna"})
    assert (personal["audience"], personal["reason"]) == ("user", "may be the user's own")
    assert personal["own"]


def test_a_longer_ttl_than_the_operator_allows_is_not_promised(start):
    api = start()
    assert explained(api, headers={"X-Encore-TTL": "31536000"})["kept_seconds"] == explained(api)["kept_seconds"]
    longer = start(gateway_longer_ttl=True)
    assert explained(longer, headers={"X-Encore-TTL": "31536000"})["kept_seconds"] == 31_536_000


def test_the_command_line_the_api_and_core_say_the_same(api):
    sent(api)
    services = api.services
    request = ChatRequest.from_openai(**body())
    controls = Controls(namespace=services.settings.namespace)
    known = expect(services.cache, services.store, services.switch, request, controls, now=services.clock()).to_dict()
    told = explained(api)
    moving = ("age_seconds", "fresh_seconds")
    same = {name for name in known if name not in moving}
    assert {name: told[name] for name in same} == {name: known[name] for name in same}


def test_nothing_is_asked_changed_or_counted(api, namespace, openai_server):
    asked = len(openai_server.requests)
    names = api.services.store.namespaces()
    for fields in ({}, {"temperature": 2}, {"encore": {"no_cache": True}}):
        explained(api, **fields)
    assert len(openai_server.requests) == asked
    assert api.services.store.namespaces() == names
    assert api.get("/requests", namespace=namespace)["items"] == []
    assert api.get("/stats", namespace=namespace)["summary"]["requests"] == 0


def test_a_namespace_is_named_as_entries_have_it_and_a_key_asks_in_its_own(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    assert explained(api)["namespace"] == namespace
    assert explained(api, headers={"X-Encore-Namespace": f"{namespace}~part"})["namespace"] == f"{namespace}~part"
    for given in ({"headers": {"X-Encore-Namespace": "theirs"}}, {"json": body(encore={"namespace": "theirs"})}):
        found = api.refused(403, "POST", "/explain", **({"json": body()} | given))
        assert kind(found) == "access-denied"


def test_the_operation_key_is_no_part_of_the_request(start):
    key, kept = new_operation_key("looker", Role.VIEWER)
    other, kept_other = new_operation_key("other", Role.VIEWER)
    api = start(key=key, operation_keys=f"{kept.line},{kept_other.line}")
    first, second = explained(api), explained(api.by(other))
    assert first == second
    assert key not in msgspec.json.encode(first).decode()


@pytest.mark.parametrize("endpoint", ["responses", "embeddings"])
def test_the_other_endpoints_are_told_too(api, endpoint):
    told = api.send("POST", "/explain", params={"endpoint": endpoint}, json={"model": "m", "input": "What is a card?"})
    assert told.json()["outcome"] == "miss"


@pytest.mark.parametrize(
    "given",
    [
        {"json": {"model": "gpt-4o"}},
        {"json": {"messages": []}},
        {"json": {"model": 1, "messages": "x"}},
        {"json": []},
        {"json": body(encore={"ttl": "long"})},
        {"json": body(encore=5)},
        {"json": body(), "headers": {"X-Encore-TTL": "long"}},
        {"json": body(), "headers": {"X-Encore-None": "1"}},
        {"json": body(), "params": {"endpoint": "images"}},
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(api, given):
    api.refused(422, "POST", "/explain", **given)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[" * 40 + b"]" * 40, b"\xff", b'{"a":1}x'])
def test_what_is_no_json_is_refused(api, content):
    response = api.send("POST", "/explain", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)


def test_a_request_too_large_to_be_cached_is_told_as_one(start):
    api = start(max_request_bytes=5000)
    told = explained(api, "x" * 6000)
    assert (told["outcome"], told["reason"]) == ("bypass", "too-large")
    sent(api, "x" * 6000)
    assert api.get("/requests", reason="too-large")["items"]
