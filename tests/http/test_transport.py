"""The transport inside the SDK's own client: what the SDK does, it still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from openai import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    DefaultHttpxClient,
    InternalServerError,
    OpenAI,
    RateLimitError,
)

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.http import encore_async_client, encore_client
from core.http.transport import AsyncCachingTransport, CachingTransport
from core.inbound import label_of
from core.keys.names import Slot, parse_readable_key
from core.metrics import Sender
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import Outcomes
from tests.http.running import PLAIN_HTTP
from tests.openai_server import Behaviour, OpenAIServer

ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I activate my card?"}]}


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def cache(redis_url: str, namespace: str, outcomes: Outcomes) -> Iterator[LLMCache]:
    store = RedisStore(request_client(redis_url, 5))
    yield LLMCache(CacheConfig(namespace=namespace), store=store, metrics=outcomes)
    store.close()


@pytest.fixture
def make(openai_server: OpenAIServer, cache: LLMCache) -> Iterator[Callable[..., OpenAI]]:
    """Clients of the protocol server through the cache."""
    clients = []

    def build(**options: Any) -> OpenAI:
        http_client = encore_client(options.pop("cache", cache), verify=PLAIN_HTTP)
        values = {"base_url": openai_server.url, "api_key": "sk-test", "max_retries": 0, "timeout": 20} | options
        clients.append(OpenAI(http_client=http_client, **values))
        return clients[-1]

    yield build
    for client in clients:
        client.close()


def test_the_sdk_tries_again_what_failed_and_the_answer_is_kept(make, openai_server, outcomes):
    client = make(max_retries=2)
    openai_server.next(Behaviour(status=500, headers={"Retry-After-Ms": "1"}))
    openai_server.next(Behaviour(status=429, headers={"Retry-After-Ms": "1"}))
    answers = [client.chat.completions.create(**ASK) for _ in range(2)]
    assert answers[0] == answers[1]
    assert openai_server.calls == 3
    assert [request.headers["x-stainless-retry-count"] for request in openai_server.requests] == ["0", "1", "2"]
    assert outcomes.words() == [
        "error (InternalServerError)",
        "error (RateLimitError)",
        "miss (absent), stored",
        "hit (exact)",
    ]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimitError), (500, InternalServerError), (400, BadRequestError)]
)
def test_errors_are_those_that_the_sdk_raises_without_the_cache(make, openai_server, status, kind):
    openai_server.always(Behaviour(status=status, headers={"X-Mark": "1"}))
    straight = OpenAI(
        base_url=openai_server.url, api_key="k", max_retries=0, http_client=DefaultHttpxClient(verify=PLAIN_HTTP)
    )
    with straight, pytest.raises(kind) as expected:
        straight.chat.completions.create(**ASK)
    with pytest.raises(kind) as raised:
        make().chat.completions.create(**ASK)
    assert raised.value.body == expected.value.body
    assert raised.value.response.headers["x-mark"] == "1"
    assert raised.value.request_id == expected.value.request_id
    assert str(raised.value) == str(expected.value)


def test_a_timeout_is_a_timeout(make, openai_server, outcomes):
    openai_server.hold()
    with pytest.raises(APITimeoutError):
        make(timeout=0.2).chat.completions.create(**ASK)
    assert outcomes.words() == ["error (ReadTimeout)"]
    openai_server.wait_for_disconnects()


def test_a_caller_without_patience_waits_for_nobody_else(cache, outcomes):
    request = httpx2.Request("POST", "http://p/v1/chat/completions", json=ASK, extensions={"timeout": {"read": 0}})

    def asked_meanwhile(outer: httpx2.Request) -> httpx2.Response:
        with pytest.raises(httpx2.ReadTimeout):
            transport.handle_request(request)
        return httpx2.Response(500)

    transport = CachingTransport(cache, httpx2.MockTransport(asked_meanwhile))
    assert transport.handle_request(httpx2.Request("POST", request.url, json=ASK)).status_code == 500
    assert outcomes.words() == ["error (cancelled)", "error (InternalServerError)"]


def test_a_server_that_is_not_there_is_a_connection_error(make, openai_server, outcomes):
    openai_server.stop()
    with pytest.raises(APIConnectionError):
        make().chat.completions.create(**ASK)
    assert outcomes.words() == ["error (ConnectError)"]


def test_a_bad_control_is_a_bad_request_that_names_it(make, openai_server):
    for options in ({"extra_headers": {"X-Encore-TTL": "soon"}}, {"extra_body": {"encore": {"ttl": "soon"}}}):
        with pytest.raises(BadRequestError, match=r"X-Encore-TTL|encore\.ttl"):
            make().chat.completions.create(**ASK, **options)
    assert openai_server.calls == 0


def test_only_if_cached_is_refused_at_once(make, openai_server):
    with pytest.raises(InternalServerError) as raised:
        make(max_retries=5).chat.completions.create(**ASK, extra_headers={"Cache-Control": "only-if-cached"})
    assert raised.value.status_code == 504
    assert raised.value.code == "not_cached"
    assert openai_server.calls == 0


def test_the_request_log_says_who_asked_as_the_sdk_sends_it(make, outcomes):
    make(api_key="sk-1").chat.completions.create(**ASK, user="anna", extra_headers={"X-Client-Request-Id": "req-1"})
    make(api_key="sk-2").responses.create(model="gpt-4o", input="Hi", user="bert", safety_identifier="b-1")
    label = label_of([("authorization", "Bearer sk-1")])
    assert outcomes.senders[0](True) == Sender(caller=label, user="anna", request_id="req-1")
    assert outcomes.senders[0](False) == Sender(caller=label)
    assert outcomes.senders[1](True).user == "b-1, bert"


def test_keys_are_stored_nowhere(make, openai_server, cache, redis_url, namespace):
    canary = "sk-canary-91c2"
    headers = {"Authorization": f"Bearer {canary}", "X-API-Key": canary, "Cookie": canary}
    for stream in (False, True):
        list(
            make(api_key=canary).chat.completions.create(**ASK, seed=int(stream), stream=stream, extra_headers=headers)
        )
    assert openai_server.requests[0].headers["authorization"] == f"Bearer {canary}"
    with request_client(redis_url, 5) as client:
        names = list(client.scan_iter(f"encore:4:{{{namespace}*", count=1000))
        held = [client.get(name) for name in names if client.type(name) == b"string"]
    assert len(held) >= 3
    assert not any(canary.encode() in value for value in (*names, *held))


def test_the_applications_own_keys_share_its_cache(make, openai_server):
    for key in ("sk-one", "sk-two"):
        make(api_key=key).chat.completions.create(**ASK)
    assert openai_server.calls == 1


def test_servers_do_not_share_answers(make, openai_server):
    for url in (openai_server.url, openai_server.url.replace("127.0.0.1", "localhost")):
        make(base_url=url).chat.completions.create(**ASK)
    assert openai_server.calls == 2


def test_without_a_store_that_answers_everything_goes_on(make, openai_server, redis_server, namespace):
    server = redis_server()
    store = RedisStore(request_client(server.url, 5))
    client = make(cache=LLMCache(CacheConfig(namespace=namespace), store=store))
    client.chat.completions.create(**ASK)
    server.kill()
    assert client.chat.completions.create(**ASK).id == "chatcmpl-2"
    assert list(client.chat.completions.create(**ASK, stream=True))[-1].id == "chatcmpl-3"
    store.close()


def test_uploads_and_other_bodies_pass_through(make, openai_server):
    client = make()
    client.files.create(file=b"content", purpose="batch")
    assert b"content" in openai_server.requests[-1].raw
    assert openai_server.requests[-1].headers["content-type"].startswith("multipart/form-data")


def test_the_ttl_is_the_callers(make, cache, redis_url, namespace):
    ask = make().chat.completions.with_raw_response.create
    answer = ask(**ASK, extra_body={"encore": {"ttl": 120, "tags": ["doc:1"]}})
    found = parse_readable_key(answer.headers["x-encore-key"])
    assert found is not None
    with request_client(redis_url, 5) as client:
        left = client.ttl(Slot(namespace, found[0]).entry(found[1]))
    assert cache.config.stale_seconds < left <= 120 + cache.config.stale_seconds


def test_the_client_has_the_sdks_own_defaults(cache):
    with encore_client(cache) as client, DefaultHttpxClient() as plain:
        assert client.timeout == plain.timeout
        assert client.follow_redirects == plain.follow_redirects


def test_proxies_stand_behind_the_cache(cache, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with encore_client(cache) as client:
        assert isinstance(client._transport_for_url(httpx2.URL("http://example.com")), CachingTransport)
    client = encore_async_client(cache)
    assert isinstance(client._transport_for_url(httpx2.URL("http://example.com")), AsyncCachingTransport)


def test_a_client_may_be_given_a_transport(cache):
    calls = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        choice = {"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        return httpx2.Response(200, json={"choices": [choice]})

    with encore_client(cache, transport=httpx2.MockTransport(answer)) as client:
        for _ in range(2):
            assert client.post("https://api.test/v1/chat/completions", json=ASK).json()["choices"]
    assert len(calls) == 1
