"""A judge beside the provider, over HTTP: the gateway and the SDK's transports."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from core.http import encore_async_client, encore_client
from tests.http.running import PLAIN_HTTP, RunningGateway, until
from tests.openai_server import Behaviour, OpenAIServer, Received
from tests.semantic.judge.test_judge import verdict
from tests.semantic.test_hedging import PARAPHRASE, QUESTION


def is_judged(received: Received) -> bool:
    return received.body["model"] == "gpt-4o-mini"


def is_paraphrase(received: Received) -> bool:
    return received.question == PARAPHRASE and not is_judged(received)


@pytest.fixture
def gateway(start_gateway, openai_server: OpenAIServer) -> RunningGateway:
    return start_gateway(
        strategy="semantic",
        semantic="judge",
        semantic_grey=0.6,
        judge_model="gpt-4o-mini",
        judge_deadline_seconds=20,
        judge_hedge=True,
        openai_api_key="sk-test",
    )


def over_the_gateway(gateway: RunningGateway, server: OpenAIServer, question: str, *, streams: bool) -> tuple[str, str]:
    client = OpenAI(
        base_url=gateway.url, api_key="sk-test", max_retries=0, http_client=httpx2.Client(verify=PLAIN_HTTP)
    )
    with client:
        return asked(client, question, streams=streams)


def over_the_transport(
    gateway: RunningGateway, server: OpenAIServer, question: str, *, streams: bool
) -> tuple[str, str]:
    http_client = encore_client(gateway.services.cache, verify=PLAIN_HTTP)
    with OpenAI(base_url=server.url, api_key="sk-test", max_retries=0, http_client=http_client) as client:
        return asked(client, question, streams=streams)


def over_the_async_transport(
    gateway: RunningGateway, server: OpenAIServer, question: str, *, streams: bool
) -> tuple[str, str]:
    async def run() -> tuple[str, str]:
        http_client = encore_async_client(gateway.services.cache, verify=PLAIN_HTTP)
        options: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}
        async with AsyncOpenAI(
            base_url=server.url, api_key="sk-test", max_retries=0, http_client=http_client
        ) as client:
            create = client.chat.completions.with_raw_response.create
            if not streams:
                raw = await create(**options)
                return raw.headers["cache-status"], raw.parse().choices[0].message.content or ""
            raw = await create(**options, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in raw.parse() if chunk.choices])
            return raw.headers["cache-status"], text

    return asyncio.run(run())


def asked(client: OpenAI, question: str, *, streams: bool) -> tuple[str, str]:
    options: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}
    if not streams:
        raw = client.chat.completions.with_raw_response.create(**options)
        return raw.headers["cache-status"], raw.parse().choices[0].message.content or ""
    raw = client.chat.completions.with_raw_response.create(**options, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
    return raw.headers["cache-status"], text


def counted(gateway: RunningGateway, event: str) -> int:
    """How often it happened, in all tests so far."""
    return gateway.services.metrics.summary(3600).events.get(event, 0)


OVER_HTTP = [over_the_gateway, over_the_transport, over_the_async_transport]
every_way = pytest.mark.parametrize("ask", OVER_HTTP, ids=lambda ask: ask.__name__)
whole_or_streamed = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


@every_way
@whole_or_streamed
def test_a_yes_that_is_first_is_served(gateway, openai_server, ask, streams):
    gateway.services.semantic.warm([gateway.services.settings.namespace])
    _, stored = ask(gateway, openai_server, QUESTION, streams=False)
    before = counted(gateway, "hedge_dropped")
    gate = openai_server.gate()
    openai_server.always(Behaviour(pause=gate), when=is_paraphrase)
    openai_server.always(verdict(True), when=is_judged)
    status, answer = ask(gateway, openai_server, PARAPHRASE, streams=streams)
    assert (status, answer) == ("encore; hit; detail=semantic", stored)
    gate.release()
    until(lambda: counted(gateway, "hedge_dropped") > before)


@every_way
@whole_or_streamed
def test_a_provider_that_is_first_is_served(gateway, openai_server, ask, streams):
    gateway.services.semantic.warm([gateway.services.settings.namespace])
    ask(gateway, openai_server, QUESTION, streams=False)
    gate = openai_server.gate()
    openai_server.always(Behaviour(content=verdict(True).content, pause=gate), when=is_judged)
    status, answer = ask(gateway, openai_server, PARAPHRASE, streams=streams)
    before = counted(gateway, "judge_yes")
    gate.release()
    until(lambda: counted(gateway, "judge_yes") > before)
    assert status.startswith("encore; fwd=uri-miss")
    again, repeated = ask(gateway, openai_server, PARAPHRASE, streams=streams)
    assert (again, repeated) == ("encore; hit; detail=exact", answer)


@every_way
def test_a_yes_saves_a_request_whose_provider_fails(gateway, openai_server, ask):
    gateway.services.semantic.warm([gateway.services.settings.namespace])
    _, stored = ask(gateway, openai_server, QUESTION, streams=False)
    openai_server.always(Behaviour(status=500), when=is_paraphrase)
    gate = openai_server.gate()
    openai_server.always(Behaviour(content=verdict(True).content, pause=gate), when=is_judged)

    def rule() -> None:
        until(lambda: any(is_paraphrase(received) for received in openai_server.requests))
        gate.release()

    threading.Thread(target=rule, daemon=True).start()
    assert ask(gateway, openai_server, PARAPHRASE, streams=False) == ("encore; hit; detail=semantic", stored)
