"""Any server that speaks the OpenAI protocol, through the `openai` SDK.

The SDK does connections, authentication, retries and errors. Requests go out and answers come back as plain JSON, so
that parameters and fields which this SDK does not know yet survive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx2
from openai import (
    APIResponseValidationError,
    AsyncOpenAI,
    AsyncStream,
    DefaultHttpxClient,
    OpenAI,
    RequestOptions,
    Stream,
    Timeout,
)

from ..concurrency import begin_in_each_process
from ..errors import ProviderUnavailable
from ..models import ChatRequest, Completion
from .library import http_library

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""How long OpenAI's own clients wait for the next bytes of an answer, unless told otherwise."""

_RESPONSE: type[httpx2.Response] = http_library(DefaultHttpxClient).Response
_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
# The SDK sends nothing without a key; servers that need none ignore it.
_NO_KEY = "none"


class OpenAIProvider:
    """The server at `base_url`, OpenAI's own by default.

    `timeout_seconds` bounds each wait for the server (for the next bytes of an answer, not for all of it); connecting
    is bounded by five seconds. `max_retries` is the SDK's own default: failed connections, 408, 409, 429 and 5xx are
    tried again after a pause. A stream is not tried again once its answer has begun. Give 0 where the caller retries.

    Threads share one client. Each event loop has its own, since connections belong to the loop that opened them.
    """

    name = "openai"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_seconds: float = PATIENCE_SECONDS,
        max_retries: int = 2,
        on_embedding: Callable[[str, int], None] | None = None,
    ) -> None:
        """`on_embedding` is called with the model and the number of tokens of each call for embeddings."""
        self.base_url = (base_url or OPENAI_URL).rstrip("/")
        self._api_key = api_key or None
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._on_embedding = on_embedding
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        # A forked child opens its own connections: two processes on one would read each other's answers.
        self._lock = Lock()
        self._client: OpenAI | None = None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer: exactly the JSON object that the server sent."""
        path, body, options = self._prepare(request, timeout_seconds)
        response = self._sync_client().post(path, body=body, options=options, cast_to=_RESPONSE)
        return _completion(response)

    async def acomplete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer, awaited: exactly the JSON object that the server sent."""
        path, body, options = self._prepare(request, timeout_seconds)
        response = await self._async_client().post(path, body=body, options=options, cast_to=_RESPONSE)
        return _completion(response)

    def stream(self, request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """The chunks (events, for the responses API) exactly as received.

        That the last one arrived does not say that the answer is whole: `core.wire.chat.assemble` does.
        """
        path, body, options = self._prepare(request, timeout_seconds)
        body |= _streaming_fields(request)
        with self._sync_client().post(
            path, body=body, options=options, cast_to=object, stream=True, stream_cls=Stream[object]
        ) as chunks:
            yield from cast("Iterator[dict[str, Any]]", chunks)

    async def astream(
        self, request: ChatRequest, timeout_seconds: float | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The chunks (events, for the responses API) exactly as received, on an event loop.

        That the last one arrived does not say that the answer is whole: `core.wire.chat.assemble` does.
        """
        path, body, options = self._prepare(request, timeout_seconds)
        body |= _streaming_fields(request)
        chunks = await self._async_client().post(
            path, body=body, options=options, cast_to=object, stream=True, stream_cls=AsyncStream[object]
        )
        async with chunks:
            async for chunk in chunks:
                yield cast("dict[str, Any]", chunk)

    def models(self) -> list[str]:
        """The models that the server lists, by name."""
        return sorted(model.id for model in self._sync_client().models.list())

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        """One vector per text, in their order. One request to the server. Raises what the `openai` package raises."""
        # Asked for as numbers: not every server knows the SDK's default, base64.
        answer = self._sync_client().embeddings.create(
            input=list(texts), model=model, encoding_format="float", timeout=self._timeout(timeout_seconds)
        )
        if self._on_embedding is not None and answer.usage is not None:  # not every server reports it
            self._on_embedding(model, answer.usage.prompt_tokens)
        return [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]

    def close(self) -> None:
        """Closes the connections of threads. The provider can be used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Closes the connections of threads and of the running event loop."""
        self.close()
        with self._lock:
            client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _prepare(
        self, request: ChatRequest, timeout_seconds: float | None
    ) -> tuple[str, dict[str, Any], RequestOptions]:
        path = _PATHS.get(request.endpoint)
        if path is None:
            raise ProviderUnavailable(f"no provider answers requests of the kind {request.endpoint!r}")
        below = request.base_url.rstrip("/").removeprefix(self.base_url)
        if below and not (below.startswith("/deployments/") and request.base_url.startswith(self.base_url)):
            # The key of the configured server is not shown to another.
            raise ProviderUnavailable("the request names another server than the configured one")
        unkeyed = dict(request.unkeyed)
        headers: Mapping[str, str] = {**unkeyed.pop("extra_headers", {}), **request.headers}
        if self._api_key is None and self.base_url == OPENAI_URL and not _has_authorization(headers):
            raise ProviderUnavailable("the provider has no key: set OPENAI_API_KEY, or OPENAI_BASE_URL")
        if isinstance(request.query, str):
            raise ProviderUnavailable("the query of the request's URL can be sent as it is written only")
        own_timeout = unkeyed.pop("timeout", None)
        for delivered in ("stream", "stream_options"):
            unkeyed.pop(delivered, None)
        asked = "input" if request.endpoint == "responses" else "messages"
        body = {"model": request.model, asked: list(request.messages), **request.parameters, **unkeyed}
        options: RequestOptions = {
            "headers": headers,
            "timeout": self._timeout(own_timeout if timeout_seconds is None else timeout_seconds),
            "security": {"bearer_auth": True},
        }
        if request.query:
            options["params"] = request.query
        return below + path, body, options

    def _timeout(self, seconds: Any) -> Timeout:
        if isinstance(seconds, Timeout):
            return seconds
        longest = self._timeout_seconds if seconds is None else seconds
        return Timeout(longest, connect=min(longest, CONNECT_SECONDS))

    def _sync_client(self) -> OpenAI:
        with self._lock:
            if self._client is None:
                self._client = OpenAI(
                    api_key=self._api_key or _NO_KEY, base_url=self.base_url, max_retries=self._max_retries
                )
            return self._client

    def _async_client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._async_clients.get(loop)
            if client is None:
                client = AsyncOpenAI(
                    api_key=self._api_key or _NO_KEY, base_url=self.base_url, max_retries=self._max_retries
                )
                self._async_clients[loop] = client
            return client


def _streaming_fields(request: ChatRequest) -> dict[str, Any]:
    options = request.unkeyed.get("stream_options")
    return {"stream": True} if options is None else {"stream": True, "stream_options": options}


def _has_authorization(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "authorization" for name in headers)


def _completion(response: httpx2.Response) -> Completion:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise APIResponseValidationError(response, None, message="The server's answer is not a JSON object.")
    return Completion(body=body)
