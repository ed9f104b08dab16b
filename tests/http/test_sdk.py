"""The real SDK, through the transport and through the gateway, beside the same calls straight to the provider.

Answers are equal field by field, ids and times included: on a miss the provider's bytes are passed on, and a hit
replays the stored answer as it was.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from inspect import isawaitable
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from pydantic import BaseModel

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.http import encore_async_client, encore_client
from core.models import CacheStrategy
from core.policy.cacheability import PolicyLimits
from tests.http.running import PLAIN_HTTP, RunningGateway, services_for
from tests.openai_server import Behaviour, OpenAIServer

pytestmark = pytest.mark.anyio

MESSAGES: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello, who are you?"},
    {"role": "assistant", "content": "A model."},
    {"role": "user", "content": "How do I activate my card?"},
]
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG not really").decode()
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class Weather(BaseModel):
    city: str
    degrees: int


WEATHER = Behaviour(content='{"city": "Paris", "degrees": 21}')
CALLS_TOOL = Behaviour(tool_calls=[("get_weather", '{"city": "Paris"}'), ("get_weather", '{"city": "Rome, Italy"}')])


# The same call on a blocking and on an asynchronous client.


async def done(value: Any) -> Any:
    return await value if isawaitable(value) else value


async def items(value: Any) -> list[Any]:
    stream = await done(value)
    return [item async for item in stream] if hasattr(stream, "__aiter__") else list(stream)


async def dumped(value: Any) -> Any:
    return (await done(value)).model_dump(warnings=False)


async def dumped_items(value: Any) -> list[Any]:
    return [item.model_dump(warnings=False) for item in await items(value)]


async def events(manager: Any) -> tuple[list[Any], Any]:
    async with AsyncExitStack() as stack:
        entered = hasattr(manager, "__aenter__")
        stream = await stack.enter_async_context(manager) if entered else stack.enter_context(manager)
        seen = [event.model_dump(warnings=False) for event in await items(stream)]
        final = getattr(stream, "get_final_completion", None) or stream.get_final_response
        return seen, await dumped(final())


async def raw(value: Any) -> tuple[Any, ...]:
    response = await done(value)
    content = response.http_response.json()
    return response.status_code, response.headers["content-type"], content, await dumped(response.parse())


async def streamed_raw(manager: Any) -> tuple[Any, ...]:
    async with AsyncExitStack() as stack:
        entered = hasattr(manager, "__aenter__")
        response = await stack.enter_async_context(manager) if entered else stack.enter_context(manager)
        return response.status_code, await done(response.json())


Call = Callable[[Any], Any]
CALLS: dict[str, tuple[Behaviour, Call]] = {
    "create": (Behaviour(), lambda c: dumped(c.chat.completions.create(**ASK))),
    "create stream": (Behaviour(), lambda c: dumped_items(c.chat.completions.create(**ASK, stream=True))),
    "create stream with usage": (
        Behaviour(),
        lambda c: dumped_items(c.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})),
    ),
    "create stream without usage by name": (
        Behaviour(),
        lambda c: dumped_items(c.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": False})),
    ),
    "stream helper": (Behaviour(), lambda c: events(c.chat.completions.stream(**ASK))),
    "parse": (WEATHER, lambda c: dumped(c.chat.completions.parse(**ASK, response_format=Weather))),
    "stream helper with a schema": (
        WEATHER,
        lambda c: events(c.chat.completions.stream(**ASK, response_format=Weather)),
    ),
    "with_raw_response": (Behaviour(), lambda c: raw(c.chat.completions.with_raw_response.create(**ASK))),
    "with_streaming_response": (
        Behaviour(),
        lambda c: streamed_raw(c.chat.completions.with_streaming_response.create(**ASK)),
    ),
    "tools": (CALLS_TOOL, lambda c: dumped(c.chat.completions.create(**ASK, tools=[TOOL]))),
    "tools stream": (CALLS_TOOL, lambda c: dumped_items(c.chat.completions.create(**ASK, tools=[TOOL], stream=True))),
    "tools parse": (CALLS_TOOL, lambda c: dumped(c.chat.completions.parse(**ASK, tools=[TOOL]))),
    "three choices": (Behaviour(), lambda c: dumped(c.chat.completions.create(**ASK, n=3))),
    "three choices stream": (
        Behaviour(),
        lambda c: dumped_items(c.chat.completions.create(**ASK, n=3, stream=True)),
    ),
    "log probabilities": (
        Behaviour(logprobs=True),
        lambda c: dumped(c.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)),
    ),
    "log probabilities stream": (
        Behaviour(logprobs=True),
        lambda c: dumped_items(c.chat.completions.create(**ASK, logprobs=True, stream=True)),
    ),
    "reasoning and unknown fields": (
        Behaviour(reasoning="Let me think about it.", extra={"of_tomorrow": {"a": [1, 2.5, None]}}),
        lambda c: dumped(c.chat.completions.create(**ASK, seed=7, extra_body={"of_tomorrow": True})),
    ),
    "reasoning stream": (
        Behaviour(reasoning="Let me think about it."),
        lambda c: dumped_items(c.chat.completions.create(**ASK, stream=True)),
    ),
    "image": (
        Behaviour(),
        lambda c: dumped(
            c.chat.completions.create(
                model="gpt-4o",
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What is this?"},
                            {"type": "image_url", "image_url": {"url": PIXEL}},
                        ],
                    }
                ],
            )
        ),
    ),
    "no usage": (Behaviour(usage=False), lambda c: dumped_items(c.chat.completions.create(**ASK, stream=True))),
    "responses": (Behaviour(), lambda c: dumped(c.responses.create(model="gpt-4o", input="How are cards sent?"))),
    "responses with items": (
        Behaviour(),
        lambda c: dumped(
            c.responses.create(
                model="gpt-4o",
                instructions="Be brief.",
                input=[{"role": "user", "content": [{"type": "input_text", "text": "How are cards sent?"}]}],
            )
        ),
    ),
    "responses stream": (
        Behaviour(),
        lambda c: dumped_items(c.responses.create(model="gpt-4o", input="How are cards sent?", stream=True)),
    ),
    "responses stream helper": (
        Behaviour(),
        lambda c: events(c.responses.stream(model="gpt-4o", input="How are cards sent?")),
    ),
    "responses parse": (
        WEATHER,
        lambda c: dumped(c.responses.parse(model="gpt-4o", input="What is a city?", text_format=Weather)),
    ),
    "responses tools stream": (
        CALLS_TOOL,
        lambda c: dumped_items(
            c.responses.create(
                model="gpt-4o",
                input="How warm does a city get?",
                tools=[{"type": "function", **TOOL["function"]}],
                stream=True,
            )
        ),
    ),
    "embeddings": (
        Behaviour(),
        lambda c: dumped(c.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=8)),
    ),
    "embeddings as numbers": (
        Behaviour(),
        lambda c: dumped(
            c.embeddings.create(model="text-embedding-3-small", input="one", dimensions=8, encoding_format="float")
        ),
    ),
}
WAYS = [("transport", False), ("transport", True), ("gateway", False), ("gateway", True)]


@pytest.fixture(scope="module")
def gateway_of_the_module(openai_server_of_the_run: OpenAIServer, redis_url: str) -> Iterator[RunningGateway]:
    with (
        services_for(openai_server_of_the_run.url, redis_url, "test-sdk", cache_tool_calls=True) as services,
        RunningGateway(services) as gateway,
    ):
        yield gateway


@pytest.fixture(params=WAYS, ids=[f"{way}-{'async' if is_async else 'sync'}" for way, is_async in WAYS])
async def clients(
    request: pytest.FixtureRequest, openai_server: OpenAIServer, namespace: str
) -> AsyncIterator[tuple[Any, Any]]:
    """A client straight to the provider, and one through the cache."""
    way, is_async = request.param
    options: dict[str, Any] = {"api_key": "sk-test", "max_retries": 0, "timeout": 20}
    kind = AsyncOpenAI if is_async else OpenAI
    plain = DefaultAsyncHttpxClient if is_async else DefaultHttpxClient
    straight = kind(base_url=openai_server.url, http_client=plain(verify=PLAIN_HTTP), **options)
    if way == "gateway":
        gateway = request.getfixturevalue("gateway_of_the_module")
        headers = {"X-Encore-Namespace": namespace.removeprefix("test-")}
        http_client: Any = plain(verify=PLAIN_HTTP)
        cached = kind(base_url=gateway.url, http_client=http_client, default_headers=headers, **options)
    else:
        cache = LLMCache(CacheConfig(limits=PolicyLimits(cache_tool_calls=True)))
        http_client = (encore_async_client if is_async else encore_client)(cache, verify=PLAIN_HTTP)
        cached = kind(base_url=openai_server.url, http_client=http_client, **options)
    yield straight, cached
    for client in (straight, cached):
        await done(client.close())


@pytest.mark.parametrize("name", CALLS)
async def test_answers_are_those_of_the_provider_on_a_miss_and_on_a_hit(clients, openai_server, name):
    behaviour, call = CALLS[name]
    straight, cached = clients

    def begin_again() -> None:
        openai_server.reset()
        openai_server.always(behaviour)

    begin_again()
    expected = await call(straight)
    begin_again()
    assert await call(cached) == expected
    assert openai_server.calls == 1
    assert await call(cached) == expected
    assert openai_server.calls == 1


async def test_a_stored_stream_answers_a_plain_request_and_back(clients, openai_server):
    straight, cached = clients
    plain = await dumped(straight.chat.completions.create(**ASK))
    openai_server.reset()
    await items(cached.chat.completions.create(**ASK, stream=True))
    assert await dumped(cached.chat.completions.create(**ASK)) == plain

    other = ASK | {"messages": [{"role": "user", "content": "How do I freeze my card?"}]}
    answer = await done(cached.chat.completions.create(**other))
    chunks = await items(cached.chat.completions.create(**other, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == answer.choices[0].message.content
    assert {chunk.id for chunk in chunks} == {answer.id}
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert openai_server.calls == 2


async def test_a_stored_response_stream_answers_a_plain_request_and_back(clients, openai_server):
    _, cached = clients
    ask = {"model": "gpt-4o", "input": "How do I freeze my card?"}
    events = await items(cached.responses.create(**ask, stream=True))
    answer = await done(cached.responses.create(**ask))
    assert answer.model_dump(warnings=False) == events[-1].response.model_dump(warnings=False)

    other = ask | {"input": "How do I close my account?"}
    answer = await done(cached.responses.create(**other))
    events = await items(cached.responses.create(**other, stream=True))
    assert events[-1].response.model_dump(warnings=False) == answer.model_dump(warnings=False)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == answer.output_text
    assert openai_server.calls == 2


async def test_what_is_not_an_answer_passes_through(clients, openai_server):
    straight, cached = clients
    expected = await items(straight.models.list())
    assert await items(cached.models.list()) == expected
    echoed = await done(cached.post("/somewhere/else?x=1", body={"a": [1, 2]}, cast_to=object))
    assert echoed == {"echo": {"a": [1, 2]}, "method": "POST", "path": "/v1/somewhere/else"}


async def test_embeddings_are_exact(clients, openai_server):
    _, cached = clients
    for text in ("One two", "one two", "one two."):
        await done(cached.embeddings.create(model="text-embedding-3-small", input=text, dimensions=4))
    assert openai_server.calls == 3


def test_the_default_strategy_is_the_one_these_tests_are_about():
    assert CacheConfig().strategy is CacheStrategy.NORMALIZED
