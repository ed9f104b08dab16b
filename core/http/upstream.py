"""The server behind the gateway: the provider's HTTP server, or the demo model in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
from openai import APIStatusError, APITimeoutError

from ..errors import InvalidInput, ProviderUnavailable
from ..models import ChatRequest
from ..providers import CONNECT_SECONDS, OPENAI_URL, Provider
from ..settings import Settings
from ..wire import DONE, encode_event
from .inbound import decode_json, deployment_of, encode_json, is_below, target_of
from .reply import EVENT_STREAM, Reply, error_reply, of_the_answer

MOST_CONNECTIONS = 1000


def upstream_client(settings: Settings, provider: Provider) -> httpx2.AsyncClient:
    """The HTTP client for the configured provider. Redirects are the caller's to follow; proxies are honoured."""
    if settings.uses_demo_model:
        return httpx2.AsyncClient(transport=DemoTransport(provider))
    seconds = settings.provider_timeout_seconds
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS), pool=min(seconds, CONNECT_SECONDS)),
        limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=100),
    )


def upstream_url(settings: Settings, provider: Provider) -> str:
    """The provider's address, to which the path after `/v1` is added."""
    if settings.uses_demo_model:
        return "http://demo.invalid"
    return (settings.openai_base_url or OPENAI_URL).rstrip("/")


class DemoTransport(httpx2.AsyncBaseTransport):
    """The demo model as an HTTP transport: takes the requests that a provider takes."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answers one HTTP request with the demo model."""
        try:
            answer = await self._answer(request)
        except APIStatusError as error:
            response = error.response
            headers = of_the_answer(response.headers.multi_items())
            answer = Reply(status=response.status_code, headers=headers, content=response.content)
        except APITimeoutError as error:
            raise httpx2.ReadTimeout(str(error), request=request) from error
        except (InvalidInput, ProviderUnavailable) as error:
            answer = _refusal(str(error))
        if isinstance(answer, Reply):
            return httpx2.Response(answer.status, headers=answer.headers, content=answer.content)
        return httpx2.Response(200, headers=[("content-type", EVENT_STREAM)], stream=answer)

    async def _answer(self, request: httpx2.Request) -> Reply | httpx2.AsyncByteStream:
        path = request.url.path
        if request.method == "GET" and path == "/models":
            return _json({"object": "list", "data": [_model(name) for name in self._provider.models()]})
        target = target_of(request.method, path)
        if target is None or not is_below(target.base_url):
            return error_reply(
                404,
                "the demo model answers /v1/chat/completions, /v1/responses and /v1/embeddings only",
                kind="invalid_request_error",
                code="not_found",
            )
        body = decode_json(await request.aread())
        named = {"model": deployment} if (deployment := deployment_of(target.base_url)) is not None else {}
        asked = ChatRequest.from_wire(target.endpoint, named | body) if body is not None else None
        if asked is None:
            return _refusal("give a JSON object with a model and messages (or input)")
        if asked.streams and target.endpoint != "embeddings":
            return _Events(self._provider.astream(asked), ends_with_done=target.endpoint == "chat")
        return _json((await self._provider.acomplete(asked)).body)


class _Events(httpx2.AsyncByteStream):
    """Chunks as server-sent events."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]], *, ends_with_done: bool) -> None:
        self._chunks = chunks
        self._ends_with_done = ends_with_done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield encode_event(chunk)
        if self._ends_with_done:
            yield encode_event(DONE)

    async def aclose(self) -> None:
        """Ends an answer that is no longer read."""
        await self._chunks.aclose()  # type: ignore[attr-defined]


def _json(body: dict[str, Any], headers: Iterable[tuple[str, str]] = ()) -> Reply:
    return Reply(headers=[("content-type", "application/json"), *headers], content=encode_json(body))


def _refusal(message: str) -> Reply:
    return error_reply(400, message, kind="invalid_request_error", code="invalid_request")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "encore"}
