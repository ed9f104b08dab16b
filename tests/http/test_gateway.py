"""What the gateway says, keeps apart, refuses and passes on, seen by a client that speaks plain HTTP."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest
import redis

from core.access import Role, new_operation_key
from core.http.reply import miss_status
from core.inbound import label_of
from core.metrics import RequestFilter
from core.stores import MissReason
from tests.http.running import PLAIN_HTTP, RunningGateway
from tests.openai_server import Behaviour
from tests.samples import Clock

CHAT = "/chat/completions"
KEY = {"Authorization": "Bearer sk-of-a-caller"}
UNSET_TTL = {"X-Encore-TTL": "60"}


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client:
        yield client


def question(text: str = "How do I activate my card?", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}


class Asking:
    """A client of one gateway."""

    def __init__(self, http: httpx2.Client, gateway: RunningGateway) -> None:
        self.http = http
        self.url = gateway.url

    def __call__(self, path: str = CHAT, headers: dict[str, str] = KEY, **fields: Any) -> httpx2.Response:
        return self.http.post(self.url + path, headers=headers, json=question(**fields))

    def raw(self, content: bytes, path: str = CHAT, **headers: str) -> httpx2.Response:
        return self.http.post(
            self.url + path, headers={**KEY, "Content-Type": "application/json", **headers}, content=content
        )


@pytest.fixture
def ask(http, gateway) -> Asking:
    return Asking(http, gateway)


def status(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return response.headers["cache-status"]


def error(response: httpx2.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


# What answers say


def test_an_answer_says_where_it_comes_from(ask):
    miss, hit = ask(), ask()
    assert status(miss) == "encore; fwd=uri-miss; stored"
    assert "age" not in miss.headers
    assert status(hit) == "encore; hit; detail=exact"
    assert int(hit.headers["age"]) >= 0
    assert miss.headers["x-encore-key"] == hit.headers["x-encore-key"] != ""
    assert hit.content == json.dumps(miss.json(), separators=(",", ":")).encode()
    assert miss.headers["x-request-id"] == "req_test"


def test_a_normalized_hit_says_so(ask):
    ask()
    assert status(ask(text="how do i activate my card")) == "encore; hit; detail=normalized"


@pytest.mark.parametrize(
    ("headers", "fields", "reason"),
    [
        ({"Cache-Control": "no-store"}, {}, "no-store"),
        ({}, {"temperature": 1.5}, "temperature"),
        ({}, {"store": True}, "stateful"),
        ({}, {"encore": {"no_store": True}}, "no-store"),
    ],
)
def test_a_bypass_says_why(ask, openai_server, headers, fields, reason):
    for _ in range(2):
        answer = ask(headers=KEY | headers, **fields)
        assert status(answer) == f"encore; fwd=bypass; detail={reason}"
        assert "x-encore-key" not in answer.headers
    assert openai_server.calls == 2


def test_no_cache_asks_again_and_stores(ask, openai_server):
    ask()
    again = ask(headers=KEY | {"Cache-Control": "no-cache"})
    assert status(again) == "encore; fwd=request; stored"
    assert ask().json() == again.json()
    assert openai_server.calls == 2


def test_a_cache_nearer_to_the_provider_is_named_first(ask, openai_server):
    openai_server.always(Behaviour(headers={"Cache-Status": "cdn; hit"}))
    assert status(ask()) == "cdn; hit, encore; fwd=uri-miss; stored"


def test_a_streamed_hit_is_a_stream(ask):
    ask()
    answer = ask(stream=True)
    assert status(answer) == "encore; hit; detail=exact"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("data: [DONE]\n\n")


# What goes to the provider


def test_the_provider_gets_the_bytes_that_came(ask, openai_server):
    content = (
        b'{ "messages" : [{"content":"How\\u0020old?","role":"user"}], "model":"gpt-4o", "top_p": 1.0e0, "seed": 1%s }'
    )
    content %= b"0" * 40
    assert ask.raw(content).status_code == 200
    assert openai_server.requests[-1].raw == content


def test_a_stream_is_asked_for_usage_in_front_of_the_bytes_that_came(ask, openai_server):
    content = b' {"stream": true, "model":"gpt-4o", "messages":[{"role":"user","content":"How old?"}]}'
    answer = ask.raw(content)
    assert b"usage" not in answer.content
    assert openai_server.requests[-1].raw == b'{"stream_options":{"include_usage":true},' + content[2:]


def test_what_is_said_to_the_cache_stays_here(ask, openai_server):
    ask(headers=KEY | UNSET_TTL | {"Cookie": "session=1"}, encore={"tags": ["doc:1"]})
    received = openai_server.requests[-1]
    assert received.headers["authorization"] == KEY["Authorization"]
    assert received.body == question()
    assert not [name for name in received.headers if name.startswith("x-encore") or name == "cookie"]


def test_a_configured_key_replaces_the_callers(start_gateway, http, openai_server):
    ask = Asking(http, start_gateway(openai_api_key="sk-of-the-operator"))
    ask()
    assert openai_server.requests[-1].headers["authorization"] == "Bearer sk-of-the-operator"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "unknown field stream_options"),
        (422, "Extra inputs are not permitted"),
        (422, "Input should be 'model', 'messages' or 'stream'"),
        (400, "Unrecognized request argument supplied"),
        (400, "不支持的参数"),
        (400, ""),
        (403, "Forbidden"),
        (404, "No endpoints found that support stream_options"),
        (405, ""),
        (406, ""),
        (415, ""),
        (500, "unexpected keyword argument 'stream_options'"),
        (501, "not implemented"),
    ],
)
def test_what_a_server_refuses_with_a_field_of_ours_it_is_asked_as_it_came(ask, openai_server, code, message):
    refusal = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    strict = Behaviour(status=code, error=refusal)
    openai_server.always(strict, when=lambda request: "stream_options" in request.body)
    answer = ask(stream=True)
    assert "data: [DONE]" in answer.text
    assert [request.body.get("stream_options") for request in openai_server.requests] == [{"include_usage": True}, None]
    assert status(ask(stream=True)) == "encore; hit; detail=exact"
    assert "data: [DONE]" in ask(text="And when does it expire?", stream=True).text
    assert "stream_options" not in openai_server.requests[-1].body
    assert openai_server.calls == (4 if code == 500 else 3), "a 500 may have been of the moment: it is asked again"


def test_a_refusal_for_another_reason_is_not_taken_for_one_of_ours(ask, openai_server):
    openai_server.next(Behaviour(status=400), Behaviour(status=400))
    assert ask(stream=True).status_code == 400
    ask(stream=True)
    assert openai_server.requests[-1].body["stream_options"] == {"include_usage": True}


def test_what_the_caller_asked_for_itself_is_not_taken_back(ask, openai_server):
    openai_server.always(Behaviour(status=422))
    assert ask(stream=True, stream_options={"include_usage": True}).status_code == 422
    assert openai_server.calls == 1


def test_queries_and_headers_that_may_change_the_answer_are_part_of_the_key(ask, openai_server):
    ask()
    for path, headers in ((f"{CHAT}?api-version=2", {}), (CHAT, {"OpenAI-Organization": "org-1"})):
        assert status(ask(path, headers=KEY | headers)) == "encore; fwd=uri-miss; stored"
        assert status(ask(path, headers=KEY | headers)) == "encore; hit; detail=exact"
    assert status(ask(headers=KEY | {"User-Agent": "other", "X-Stainless-Lang": "js"})) == "encore; hit; detail=exact"
    assert openai_server.calls == 3


def test_a_compressed_answer_is_passed_on_as_text(ask, openai_server):
    body = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
    compressed = gzip.compress(json.dumps(body).encode())
    openai_server.next(Behaviour(raw=compressed, headers={"Content-Encoding": "gzip"}))
    miss, hit = ask(), ask()
    assert miss.json() == hit.json() == body
    assert "content-encoding" not in miss.headers


def test_everything_else_passes_through(ask, http, openai_server):
    assert [model["id"] for model in http.get(f"{ask.url}/models").json()["data"]] == [
        "gpt-4o",
        "gpt-4o-mini",
        "text-embedding-3-small",
    ]
    for method, path in (("POST", "/files"), ("DELETE", "/responses/resp_1"), ("POST", "/chat/completions/c1?x=%2F")):
        answer = http.request(method, ask.url + path, headers=KEY, content=b"anything")
        assert answer.status_code == 200
        assert openai_server.requests[-1].raw == b"anything"
        assert answer.headers["cache-status"] == "encore; fwd=bypass; detail=path"
    assert openai_server.requests[-1].path == "/v1/chat/completions/c1"


def test_a_path_cannot_leave_the_providers_api(gateway, openai_server):
    connection = HTTPConnection("127.0.0.1", gateway.port)  # sends paths as they are
    for path in ("/v1/../secret", "/v1/%2e%2e/secret", "/v1/a/%2E/b", "/v1/..", "/v1%2F@127.0.0.1:1/x", "/%761/models"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (404, "not_found")
    connection.close()
    assert openai_server.requests == []


# Controls


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"X-Encore-TTL": "-1"}, "X-Encore-TTL"),
        ({"X-Encore-TTL": "soon"}, "X-Encore-TTL"),
        ({"X-Encore-Namespace": "a/b"}, "X-Encore-Namespace"),
        ({"X-Encore-Namespace": "n" * 65}, "X-Encore-Namespace"),
        ({"X-Encore-Namespace": "a~b"}, "X-Encore-Namespace"),
        ({"X-Encore-Strategy": "fuzzy"}, "X-Encore-Strategy"),
        ({"X-Encore-Threshold": "2"}, "X-Encore-Threshold"),
        ({"X-Encore-Unheard-Of": "1"}, "X-Encore-Unheard-Of"),
        ({"Cache-Control": "max-age=never"}, "Cache-Control"),
    ],
)
def test_a_bad_control_is_refused_and_named(ask, openai_server, headers, named):
    answer = ask(headers=KEY | headers)
    assert answer.status_code == 400
    assert error(answer)["param"] == named
    assert named in error(answer)["message"]
    assert openai_server.calls == 0


def test_a_bad_control_in_the_body_is_refused_and_named(ask, openai_server):
    answer = ask(encore={"ttl": -1})
    assert (answer.status_code, error(answer)["param"]) == (400, "encore.ttl")
    assert openai_server.calls == 0


def test_only_if_cached_never_asks_the_provider(ask, openai_server):
    answer = ask(headers=KEY | {"Cache-Control": "only-if-cached"})
    assert (answer.status_code, error(answer)["code"]) == (504, "not_cached")
    assert answer.headers["x-should-retry"] == "false"
    assert openai_server.calls == 0
    ask()
    assert status(ask(headers=KEY | {"Cache-Control": "only-if-cached"})) == "encore; hit; detail=exact"


# Callers


def test_callers_with_different_keys_share_nothing(start_gateway, http, openai_server):
    ask = Asking(http, start_gateway(gateway_namespace=None))
    mine, theirs = ({"Authorization": f"Bearer sk-{name}"} for name in ("mine", "theirs"))
    first, second = ask(headers=mine), ask(headers=theirs)
    assert first.json() != second.json()
    assert ask(headers=mine).json() == first.json()
    assert ask(headers=theirs).json() == second.json()
    assert openai_server.calls == 2


def test_a_caller_without_a_key_is_not_cached(start_gateway, http, openai_server):
    ask = Asking(http, start_gateway(gateway_namespace=None))
    for headers in ({}, {"X-Encore-Namespace": "anyone"}):
        for _ in range(2):
            assert status(ask(headers=headers)) == "encore; fwd=bypass; detail=no-namespace"
    assert openai_server.calls == 4


def test_a_caller_can_divide_his_namespace_and_not_enter_anothers(start_gateway, http, openai_server, namespace):
    gateway = start_gateway(gateway_namespace=None)
    ask = Asking(http, gateway)
    mine, theirs = ({"Authorization": f"Bearer sk-{name}"} for name in ("mine", "theirs"))
    before = set(gateway.services.store.namespaces())
    ask(headers=mine | {"X-Encore-Namespace": namespace[-20:]})
    (named,) = set(gateway.services.store.namespaces()) - before
    namespace = named.partition("~")[0]
    for headers in (mine, theirs):
        for name in ("team", namespace):
            assert status(ask(headers=headers | {"X-Encore-Namespace": name})) == "encore; fwd=uri-miss; stored"
    assert openai_server.calls == 5


def test_callers_share_a_configured_namespace(ask, openai_server):
    answers = {ask(headers=headers).text for headers in ({}, KEY, {"Authorization": "Bearer other"}, {"api-key": "x"})}
    assert openai_server.calls == 1
    assert len({json.loads(answer)["id"] for answer in answers}) == 1


@pytest.mark.parametrize("keeps", [True, False])
def test_the_request_log_says_whose_key_asked_and_who_only_where_that_is_kept(start_gateway, http, namespace, keeps):
    gateway = start_gateway(record_callers=keeps, gateway_keys="sk-one,sk-two")
    asking = Asking(http, gateway)
    for key, more in (("sk-one", {"X-Request-ID": "req-1", "X-OpenWebUI-User-Id": "anna"}), ("sk-two", {})):
        asking(headers={"Authorization": f"Bearer {key}", **more}, temperature=0)
    second, first = gateway.services.metrics.recent(where=RequestFilter(namespace=namespace))
    assert first.caller == label_of([("authorization", "Bearer sk-one")])
    assert second.caller == label_of([("authorization", "Bearer sk-two")])
    assert (first.user, first.request_id) == (("anna", "req-1") if keeps else (None, None))
    assert (second.user, second.request_id) == (None, None)


def test_gateway_keys_are_asked_for_and_never_passed_on(start_gateway, http, openai_server):
    operation_key, kept = new_operation_key("prometheus", Role.VIEWER)
    gateway = start_gateway(
        gateway_keys="first-key,second-key",
        openai_api_key="sk-operator",
        gateway_namespace=None,
        operation_keys=kept.line,
    )
    ask = Asking(http, gateway)
    for headers in ({}, KEY, {"Authorization": "Bearer first-key2"}, {"Authorization": "Basic first-key"}):
        refused = ask(headers=headers)
        assert (refused.status_code, error(refused)["code"]) == (401, "invalid_api_key")
        assert http.get(f"{gateway.root}/metrics", headers=headers).status_code == 401
    assert openai_server.calls == 0
    for key in ("first-key", "second-key"):
        assert status(ask(headers={"Authorization": f"Bearer {key}"})) == "encore; fwd=uri-miss; stored"
        assert openai_server.requests[-1].headers["authorization"] == "Bearer sk-operator"
    assert openai_server.calls == 2
    for key, code in (("first-key", 403), (operation_key, 200)):  # what all tenants do is no tenant's business
        told = http.get(f"{gateway.root}/metrics", headers={"Authorization": f"Bearer {key}"})
        assert (told.status_code, "encore_up" in told.text) == (code, code == 200)
    assert ask(headers={"Authorization": f"Bearer {operation_key}"}).status_code == 401


def test_metrics_stay_closed_to_callers_with_keys_until_there_is_a_key_for_them(start_gateway, http):
    gateway = start_gateway(gateway_keys="first-key", openai_api_key="sk-operator")
    told = http.get(f"{gateway.root}/metrics", headers={"Authorization": "Bearer first-key"})
    assert (told.status_code, error(told)["code"]) == (403, "no_operator")
    assert "ENCORE_OPERATION_KEYS" in told.text


def named(user: str, way: str) -> dict[str, Any]:
    """Headers and fields that name a user."""
    match way:
        case "X-Encore-User" | "X-OpenWebUI-User-Id":
            return {"headers": {**KEY, way: user}}
        case "encore":
            return {"encore": {"user": user}}
        case _:
            return {way: user}


@pytest.mark.parametrize("way", ["user", "safety_identifier", "X-Encore-User", "encore", "X-OpenWebUI-User-Id"])
@pytest.mark.parametrize("path", [CHAT, "/responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_user_gets_no_answer_that_another_one_got_unless_it_is_surely_general(ask, way, path, stream):
    def asked(text: str, user: str) -> str:
        body = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"messages": None, "input": text}
        return status(ask(path, stream=stream, **body, **named(user, way))).partition(";")[2].split(";")[0].strip()

    for text, second in (("Jaki jest mój stan konta?", "fwd=uri-miss"), ("What is the capital of France?", "hit")):
        assert [asked(text, user) for user in ("ann", "bob", "ann", "bob")] == ["fwd=uri-miss", second, "hit", "hit"]
    assert "bypass" in status(ask(messages=[{"role": "user", "content": "Jaki jest mój stan konta?"}]))


# Limits


def test_a_request_larger_than_the_operator_allows_is_refused_by_the_name_of_the_setting(
    start_gateway, http, openai_server
):
    ask = Asking(http, start_gateway(gateway_max_body_bytes=5000))
    assert ask(text="x" * 4000).status_code == 200

    def chunks() -> Iterator[bytes]:
        yield json.dumps(question("x" * 4000)).encode()
        yield b" " * 4000

    large = json.dumps(question("x" * 5000)).encode()
    for path in (CHAT, "/files"):
        for content in (large, chunks()):
            answer = http.post(ask.url + path, headers=KEY, content=content)
            assert (answer.status_code, error(answer)["code"]) == (413, "request_too_large")
            assert "ENCORE_GATEWAY_MAX_BODY_BYTES" in answer.text
    assert openai_server.calls == 1


@pytest.mark.parametrize("drips", [False, True])
def test_a_request_that_does_not_arrive_is_refused(start_gateway, openai_server, drips):
    gateway = start_gateway(gateway_body_seconds=0.5)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=120) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        client.settimeout(0.1)
        answer = b""
        while not answer:
            try:
                answer = client.recv(4096)
            except TimeoutError:
                if drips:
                    client.sendall(b" ")
        client.settimeout(120)
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            answer += client.recv(4096)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert openai_server.requests == []


@pytest.mark.parametrize("levels", [101, 900])
def test_json_nested_too_deep_is_for_the_provider_to_judge(ask, openai_server, levels):
    deep = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"x":' + b"[" * levels + b"]" * levels + b"}"
    for calls in (1, 2):
        assert "; fwd=bypass" in ask.raw(deep).headers["cache-status"]
        assert openai_server.calls == calls
    assert {request.raw for request in openai_server.requests} == {deep}


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[1]", b'{"model": 1}', b'{"model":"m","messages":"hi"}', b"\xff"]
)
def test_what_is_no_request_is_for_the_provider_to_judge(ask, openai_server, content):
    ask.raw(content)
    assert openai_server.requests[-1].raw == content


@pytest.mark.parametrize("text", ["\\ud800", "NaN is not a number", "你好", "\\u0000"])
def test_any_text_is_answered(ask, openai_server, text):
    content = b'{"model":"gpt-4o","messages":[{"role":"user","content":"%s"}]}' % text.encode()
    assert ask.raw(content).status_code == 200
    assert openai_server.requests[-1].raw == content


# Errors


@pytest.mark.parametrize("code", [400, 401, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_the_providers_errors_are_passed_on_and_never_stored(ask, openai_server, code, stream):
    openai_server.always(Behaviour(status=code, headers={"Retry-After": "7"}))
    refuses, fails = stream and code in (400, 404, 422), stream and code == 500
    for call in (1, 2):
        answer = ask(stream=stream)
        assert answer.status_code == code
        assert error(answer)["message"] == f"told to answer {code}"
        assert answer.headers["retry-after"] == "7"
        assert openai_server.calls == call * (1 + refuses) + fails, "one that fails anyway is not asked twice by each"


def test_a_provider_that_is_not_there_is_a_502(ask, openai_server):
    openai_server.stop()
    assert error(answer := ask())["code"] == "provider_unreachable"
    assert answer.status_code == 502


class Forgetful:
    """A provider that answers once a connection, and closes it when the next request comes."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.answered = 0
        self.closed_unanswered = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.read(connection)
                body = json.dumps({"object": "list", "data": [], "number": self.answered}).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(body) + body)
                self.answered += 1
                self.closed_unanswered += bool(self.read(connection))

    @staticmethod
    def read(connection: socket.socket) -> bytes:
        data = piece = connection.recv(65536)
        while piece and not data.endswith(b"}"):
            piece = connection.recv(65536)
            data += piece
        return data


def test_a_connection_that_the_provider_closed_while_idle_is_opened_again(start_gateway, http):
    provider = Forgetful()
    ask = Asking(http, start_gateway(openai_base_url=provider.url))
    numbers = [ask("/embeddings", input=f"text {number}").json()["number"] for number in range(4)]
    assert numbers == [0, 1, 2, 3]
    assert provider.closed_unanswered == 3
    provider.listener.close()


def test_a_provider_that_does_not_answer_is_a_504(start_gateway, http, openai_server):
    ask = Asking(http, start_gateway(provider_timeout_seconds=0.2))
    openai_server.hold()
    assert error(answer := ask())["code"] == "provider_timeout"
    assert answer.status_code == 504


@pytest.mark.parametrize("code", [429, 500, 503, None])
def test_an_old_answer_is_served_when_the_provider_fails_and_the_caller_may_have_it(
    openai_server, redis_url, namespace, http, start_gateway, code
):
    gateway = start_gateway(clock := Clock())
    ask = Asking(http, gateway)
    first = ask(headers=KEY | UNSET_TTL)
    clock.forward(61)
    if code is None:
        openai_server.stop()
    else:
        openai_server.always(Behaviour(status=code))
    assert ask().status_code >= 429
    for stream in (False, True):
        stale = ask(headers=KEY | {"Cache-Control": "stale-if-error=600"}, stream=stream)
        assert status(stale) == "encore; hit; detail=stale"
        assert stale.headers["age"] == "61"
    assert ask(headers=KEY | {"Cache-Control": "stale-if-error=600"}).json() == first.json()
    clock.forward(600)
    assert ask(headers=KEY | {"Cache-Control": "stale-if-error=600"}).status_code >= 429


def test_a_request_that_the_provider_refuses_gets_no_old_answer(openai_server, http, start_gateway):
    ask = Asking(http, start_gateway(clock := Clock()))
    ask(headers=KEY | UNSET_TTL)
    clock.forward(61)
    openai_server.always(Behaviour(status=400))
    assert ask(headers=KEY | {"Cache-Control": "stale-if-error=600"}).status_code == 400


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(finish_reason="length"),
        Behaviour(finish_reason="content_filter"),
        Behaviour(finish_reason=None),
        Behaviour(content=""),
        Behaviour(refusal="I will not."),
        Behaviour(tool_calls=[("f", "{}")]),
        Behaviour(raw=b"<html>", content_type="text/html"),
        Behaviour(raw=b"{}"),
        Behaviour(raw=b'{"error": {"message": "no"}}'),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_no_whole_answer_is_passed_on_and_not_stored(ask, http, openai_server, behaviour, path, stream):
    openai_server.always(behaviour)
    body = {"input": "How old?", "model": "gpt-4o"} if path == "/responses" else question("How old?")
    for call in (1, 2):
        answer = http.post(ask.url + path, headers=KEY, json=body | {"stream": stream})
        assert status(answer) == "encore; fwd=uri-miss"
        assert openai_server.calls == call


# For operators


def test_health_readiness_and_metrics(gateway, http, ask):
    assert http.get(f"{gateway.root}/healthz").json() == {"status": "ok"}
    assert http.get(f"{gateway.root}/readyz").json() == {"status": "ready", "store": "up"}
    ask()
    ask()
    gateway.services.metrics.flush()
    metrics = http.get(f"{gateway.root}/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'encore_requests_total{model="gpt-4o",' in metrics.text
    assert 'outcome="hit"' in metrics.text


def test_metrics_tell_how_the_parts_are_and_which_alerts_fire(redis_server, start_gateway, http):
    gateway = start_gateway(redis_url=redis_server().url)  # entries of very many namespaces are not counted each time
    Asking(http, gateway)()
    told = http.get(f"{gateway.root}/metrics").text
    assert "encore_up 1.0" in told
    assert re.search(r"^encore_entries [1-9]", told, re.MULTILINE)
    assert re.search(r"^encore_redis_memory_bytes [1-9]", told, re.MULTILINE)
    assert "encore_workers 0.0" in told
    assert 'encore_alert{rule="no-worker"} 1.0' in told
    assert 'encore_alert{rule="store-down"} 0.0' in told


def test_metrics_without_a_store_say_that_it_is_down(redis_server, http, start_gateway):
    server = redis_server()
    gateway = start_gateway(redis_url=server.url)
    server.kill()
    told = http.get(f"{gateway.root}/metrics").text
    assert "encore_up 0.0" in told
    assert 'encore_alert{rule="store-down"} 1.0' in told
    assert "encore_entries" not in told


def test_without_its_store_the_gateway_is_ready_and_says_so(
    redis_server, openai_server, namespace, http, start_gateway
):
    server = redis_server()
    gateway = start_gateway(redis_url=server.url)
    ask = Asking(http, gateway)
    ask()
    server.kill()
    assert status(ask()) == "encore; fwd=uri-miss; detail=store-down"
    assert http.get(f"{gateway.root}/readyz").json() == {"status": "ready", "store": "down"}
    assert openai_server.calls == 2


def test_other_paths_do_not_exist(gateway, http):
    for path in ("/", "/admin", "/chat/completions", "/docs"):
        answer = http.get(gateway.root + path)
        assert answer.status_code == 404
        assert error(answer)["code"] == "not_found"


def test_requests_of_many_threads_get_their_own_answers(ask, openai_server):
    answers: dict[int, str] = {}

    def run(number: int) -> None:
        answers[number] = ask(text=f"Question number {number % 10}?").json()["choices"][0]["message"]["content"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"Question number {number % 10}?" in answer for number, answer in answers.items())
    assert openai_server.calls == 10


@pytest.mark.parametrize("reason", list(MissReason))
def test_a_miss_names_its_reason_where_the_store_could_not_be_asked(reason):
    says_so = reason in ("store-down", "store-timeout", "not-permitted", "writes-refused", "clock")
    assert miss_status(reason).partition("; detail=")[2] == (reason if says_so else "")


@pytest.mark.parametrize("known", [False, True], ids=["a namespace without a record", "a namespace with one"])
@pytest.mark.parametrize("less", ["-mget", "-evalsha", "-@scripting", "-@string"])
def test_a_miss_says_that_the_stores_user_lacks_rights(redis_server, http, start_gateway, less, known):
    server = redis_server()
    gateway = start_gateway(redis_url=server.url)
    if known:
        Asking(http, gateway)(text="How do I close my account?")
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", less)
    assert status(Asking(http, gateway)()) == "encore; fwd=uri-miss; detail=not-permitted"
