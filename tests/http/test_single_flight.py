"""Of equal requests at the same time one asks the provider, over threads, tasks and processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from openai import APITimeoutError, AsyncOpenAI, OpenAI

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.http import encore_async_client, encore_client
from core.stores.redis.store import RedisStore, request_client
from tests.http.running import PATIENCE_SECONDS, PLAIN_HTTP, followers, until
from tests.openai_server import Behaviour

CALLERS = 200
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I activate my card?"}]}
CHAT = "/chat/completions"
MANY = httpx2.Limits(max_connections=1000)


@pytest.fixture
def cache(redis_url: str, namespace: str) -> Iterator[LLMCache]:
    cache = LLMCache(CacheConfig(namespace=namespace), store=RedisStore(request_client(redis_url, 5)))
    yield cache
    cache.close()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=PLAIN_HTTP, timeout=PATIENCE_SECONDS, limits=MANY) as client:
        yield client


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_two_hundred_threads_make_one_call(cache, openai_server, stream):
    gate = openai_server.hold()
    http_client = encore_client(cache, verify=PLAIN_HTTP, limits=MANY)
    with OpenAI(base_url=openai_server.url, api_key="k", http_client=http_client) as client:

        def ask(_: int) -> str:
            answer = client.chat.completions.create(**ASK, stream=stream)
            return text_of(list(answer)) if stream else answer.choices[0].message.content

        with ThreadPoolExecutor(CALLERS) as pool:
            answers = pool.map(ask, range(CALLERS))
            until(lambda: followers(cache) == CALLERS - 1)
            gate.release()
            assert Counter(answers) == {"Answer 1 to: How do I activate my card?": CALLERS}
    assert openai_server.calls == 1


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_two_hundred_tasks_make_one_call(cache, openai_server, stream):
    gate = openai_server.hold()
    http_client = encore_async_client(cache, verify=PLAIN_HTTP, limits=MANY)
    async with AsyncOpenAI(base_url=openai_server.url, api_key="k", http_client=http_client) as client:

        async def ask() -> str:
            answer = await client.chat.completions.create(**ASK, stream=stream)
            return text_of([chunk async for chunk in answer]) if stream else answer.choices[0].message.content

        asking = asyncio.gather(*(ask() for _ in range(CALLERS)))
        await asyncio.to_thread(until, lambda: followers(cache) == CALLERS - 1)
        gate.release()
        assert Counter(await asking) == {"Answer 1 to: How do I activate my card?": CALLERS}
    assert openai_server.calls == 1


def test_two_hundred_clients_of_two_gateways_make_one_call(start_gateway, http, openai_server):
    gateways = [start_gateway(), start_gateway()]
    gate = openai_server.hold()
    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(http.post, gateways[number % 2].url + CHAT, json=ASK) for number in range(CALLERS)]
        until(lambda: sum(followers(gateway.services.cache) for gateway in gateways) == CALLERS - 2)
        gate.release()
        answers = [call.result(PATIENCE_SECONDS) for call in calls]
    assert Counter(answer.headers["cache-status"] for answer in answers) == {
        "encore; fwd=uri-miss; stored": 1,
        "encore; fwd=uri-miss; collapsed": CALLERS - 1,
    }
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert openai_server.calls == 1


def test_a_process_that_is_killed_is_taken_over_from(start_process, openai_server, http, namespace):
    settings = {"OPENAI_BASE_URL": openai_server.url, "ENCORE_GATEWAY_NAMESPACE": namespace}
    leader, other = (start_process(**settings) for _ in range(2))
    leader.ready(), other.ready()
    gate = openai_server.hold()
    with ThreadPoolExecutor(21) as pool:
        leading = pool.submit(http.post, leader.url + CHAT, json=ASK)
        gate.wait_for(1)
        following = [pool.submit(http.post, other.url + CHAT, json=ASK) for _ in range(20)]
        leader.process.kill()
        assert isinstance(leading.exception(PATIENCE_SECONDS), httpx2.TransportError)
        gate.wait_for(2)
        gate.release()
        answers = {call.result(PATIENCE_SECONDS).json()["id"] for call in following}
    assert len(answers) == 1
    assert openai_server.calls == 2


def test_those_who_wait_take_over_when_the_provider_fails(start_gateway, http, openai_server):
    gateway = start_gateway()
    gate = openai_server.gate()
    openai_server.next(Behaviour(status=500, pause=gate))
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(http.post, gateway.url + CHAT, json=ASK) for _ in range(20)]
        until(lambda: followers(gateway.services.cache) == 19)
        gate.release()
        answers = [call.result(PATIENCE_SECONDS) for call in calls]
    assert Counter(answer.status_code for answer in answers) == {200: 19, 500: 1}
    assert openai_server.calls == 2


def test_a_failure_that_stays_is_shared_and_not_repeated_by_each(start_gateway, http, openai_server):
    gateway = start_gateway()
    gate = openai_server.gate()
    openai_server.always(Behaviour(status=503, pause=gate, headers={"Retry-After": "3"}))
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(http.post, gateway.url + CHAT, json=ASK) for _ in range(20)]
        until(lambda: followers(gateway.services.cache) == 19)
        gate.release()
        answers = [call.result(PATIENCE_SECONDS) for call in calls]
    assert {(answer.status_code, answer.headers["retry-after"], answer.text) for answer in answers} == {
        (503, "3", answers[0].text)
    }
    assert openai_server.calls == 3


@pytest.mark.anyio
async def test_a_leader_that_is_cancelled_passes_its_place_on(cache, openai_server):
    gate = openai_server.hold()
    http_client = encore_async_client(cache, verify=PLAIN_HTTP)
    async with AsyncOpenAI(base_url=openai_server.url, api_key="k", http_client=http_client) as client:
        leading = asyncio.create_task(client.chat.completions.create(**ASK))
        await gate.arrived(1)
        following = [asyncio.create_task(client.chat.completions.create(**ASK)) for _ in range(10)]
        await asyncio.to_thread(until, lambda: followers(cache) == 10)
        following[0].cancel()
        await asyncio.to_thread(until, lambda: followers(cache) == 9)
        leading.cancel()
        await asyncio.gather(leading, following[0], return_exceptions=True)
        assert leading.cancelled()
        assert following[0].cancelled()
        await gate.arrived(2)
        gate.release()
        answers = await asyncio.gather(*following[1:])
    assert len({answer.id for answer in answers}) == 1
    assert openai_server.calls == 2


@pytest.mark.anyio
async def test_cancelled_at_any_moment_nobody_waits_for_ever(cache, openai_server):
    http_client = encore_async_client(cache, verify=PLAIN_HTTP)
    async with AsyncOpenAI(base_url=openai_server.url, api_key="k", http_client=http_client) as client:
        for turn in range(60):
            ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"Question {turn}?"}]}
            calls = [asyncio.create_task(client.chat.completions.create(**ask)) for _ in range(3)]
            for _ in range(turn):
                await asyncio.sleep(0)
            calls[turn % 3].cancel()
            answers = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE_SECONDS)
            texts = {answer.choices[0].message.content for answer in answers if not isinstance(answer, BaseException)}
            assert len(texts) == 1, "those who were not cancelled have one answer"
    await asyncio.to_thread(until, lambda: not len(cache.flights))


def test_who_waits_keeps_his_own_deadline(cache, openai_server):
    gate = openai_server.hold()
    http_client = encore_client(cache, verify=PLAIN_HTTP)
    with (
        OpenAI(base_url=openai_server.url, api_key="k", http_client=http_client, max_retries=0) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        leading = pool.submit(client.chat.completions.create, **ASK)
        gate.wait_for(1)
        with pytest.raises(APITimeoutError):
            client.chat.completions.create(**ASK, timeout=0.2)
        assert followers(cache) == 0
        gate.release()
        assert leading.result(PATIENCE_SECONDS).choices[0].message.content == "Answer 1 to: How do I activate my card?"
    assert openai_server.calls == 1


def test_callers_of_different_namespaces_wait_for_nobody_else(start_gateway, http, openai_server):
    gateway = start_gateway(gateway_namespace=None)
    gate = openai_server.hold()
    with ThreadPoolExecutor(6) as pool:
        calls = [
            pool.submit(http.post, gateway.url + CHAT, json=ASK, headers={"Authorization": f"Bearer {number % 3}"})
            for number in range(6)
        ]
        gate.wait_for(3)
        until(lambda: followers(gateway.services.cache) == 3)
        gate.release()
        answers = [call.result(PATIENCE_SECONDS).json()["id"] for call in calls]
    assert [answers[number] == answers[number + 3] for number in range(3)] == [True] * 3
    assert len(set(answers)) == 3
    assert openai_server.calls == 3


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def first_failure_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.cache.flights.MAX_TAKEOVERS", 0)


@pytest.mark.usefixtures("first_failure_is_shared")
@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_error_about_a_credential_is_nobody_else_s(start_gateway, http, openai_server, status):
    gateway = start_gateway(cache_errors=True)
    gate = openai_server.gate()
    openai_server.next(Behaviour(status=status, pause=gate, error={"message": "Incorrect API key: sk-stranger"}))
    with ThreadPoolExecutor(6) as pool:
        stranger = pool.submit(http.post, gateway.url + CHAT, json=ASK, headers=bearer("stranger"))
        gate.wait_for(1)
        keys = ("stranger", *"abcd")
        others = [pool.submit(http.post, gateway.url + CHAT, json=ASK, headers=bearer(key)) for key in keys]
        until(lambda: followers(gateway.services.cache) == 5)
        gate.release()
        assert stranger.result(PATIENCE_SECONDS).status_code == status
        assert {call.result(PATIENCE_SECONDS).status_code for call in others} == {200}


@pytest.mark.usefixtures("first_failure_is_shared")
def test_any_other_error_is_shared_with_those_alone_who_sent_the_same_key(start_gateway, http, openai_server):
    gateway = start_gateway(cache_errors=True)
    gate = openai_server.gate()
    openai_server.next(Behaviour(status=500, pause=gate, error={"message": "for sk-a only"}))
    with ThreadPoolExecutor(9) as pool:
        calls = {"a": [pool.submit(http.post, gateway.url + CHAT, json=ASK, headers=bearer("a"))]}
        gate.wait_for(1)
        for key in "ab":
            calls.setdefault(key, [])
            calls[key] += [pool.submit(http.post, gateway.url + CHAT, json=ASK, headers=bearer(key)) for _ in range(4)]
        until(lambda: followers(gateway.services.cache) == 8)
        gate.release()
        met = {key: {call.result(PATIENCE_SECONDS).status_code for call in of} for key, of in calls.items()}
    assert met == {"a": {500}, "b": {200}}
    assert http.post(gateway.url + CHAT, json=ASK, headers=bearer("a")).status_code == 200, "by now it is stored"


def of_an_unknown_field(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Words in a field that nobody knows how to join."""
    parts = [{**part, "delta": {**part["delta"], "x_new": "word"}} for part in chunk["choices"]]
    return [{**chunk, "choices": parts}]


def broken(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Words, and an error before their end."""
    is_end = any(part["finish_reason"] for part in chunk["choices"])
    return [{"error": {"code": 502, "message": "gone"}}] if is_end else [chunk]


def test_those_who_wait_for_a_stream_that_cannot_be_kept_ask_for_themselves_before_it_ends(
    start_gateway, http, openai_server
):
    gateway = start_gateway()
    gateway.services.cache.flights.lease_seconds = 3600  # nobody is tired of waiting
    gate = openai_server.gate()
    openai_server.next(Behaviour(pause=gate, pause_after=1, dialect=of_an_unknown_field))
    goes_on = openai_server.hold(after=4)
    body = ASK | {"stream": True}
    with ThreadPoolExecutor(1) as pool, http.stream("POST", gateway.url + CHAT, json=body) as leading:
        pieces = leading.iter_bytes()
        first = next(pieces)
        following = pool.submit(http.post, gateway.url + CHAT, json=ASK)
        until(lambda: followers(gateway.services.cache) == 1)
        gate.release()
        answer = following.result(PATIENCE_SECONDS)
        goes_on.release()
        rest = first + b"".join(pieces)
    assert rest.endswith(b"data: [DONE]\n\n")
    assert b'"x_new"' in rest
    assert answer.json()["choices"][0]["message"]["content"] == "Answer 2 to: How do I activate my card?"
    assert openai_server.calls == 2


@pytest.mark.parametrize("behaviour", [{"dialect": of_an_unknown_field}, {"dialect": broken}, {"finish_reason": None}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_that_cannot_be_kept_is_nobody_elses_answer_and_nobody_elses_error(
    start_gateway, http, openai_server, behaviour, stream
):
    gateway = start_gateway()
    gate = openai_server.gate()
    openai_server.always(Behaviour(**behaviour))
    openai_server.next(Behaviour(pause=gate, **behaviour))
    with ThreadPoolExecutor(8) as pool:
        leading = pool.submit(http.post, gateway.url + CHAT, json=ASK | {"stream": True})
        gate.wait_for(1)
        following = [pool.submit(http.post, gateway.url + CHAT, json=ASK | {"stream": stream}) for _ in range(7)]
        until(lambda: followers(gateway.services.cache) == 7)
        gate.release()
        answers = [call.result(PATIENCE_SECONDS) for call in (leading, *following)]
    assert {answer.status_code for answer in answers} == {200}
    asked = len({answer.text for answer in answers})
    assert asked == openai_server.calls
    assert asked == 8 or not stream


def test_those_who_wait_are_answered_when_a_stream_is_whole_though_it_goes_on(start_gateway, http, openai_server):
    gateway = start_gateway()
    gate = openai_server.gate()
    words = 1 + 9 + 1 + 1  # the first chunk, the answer's words, the finish reason, the usage
    openai_server.next(Behaviour(pause=gate, pause_after=words))
    with ThreadPoolExecutor(1) as pool, http.stream("POST", gateway.url + CHAT, json=ASK | {"stream": True}) as leading:
        pieces = leading.iter_bytes()
        next(pieces)
        answer = pool.submit(http.post, gateway.url + CHAT, json=ASK).result(PATIENCE_SECONDS)
        gate.release()
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
    assert answer.json()["choices"][0]["message"]["content"] == "Answer 1 to: How do I activate my card?"
    assert openai_server.calls == 1
