"""The server behind the gateway: the provider's HTTP server, or the demo model in its place."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import httpx2
from openai import APIStatusError, APITimeoutError

from ..errors import InvalidInput, ProviderUnavailable
from ..inbound import decode_json, deployment_of, encode_json, is_below, target_of
from ..models import ChatRequest
from ..providers import CONNECT_SECONDS, OPENAI_URL, PATIENCE_SECONDS, Provider
from ..settings import Settings
from ..wire import DONE, encode_event
from .reply import CODINGS, EVENT_STREAM, Reply, as_bytes, error_reply, of_the_answer

MOST_CONNECTIONS: Final = 1000
LONGEST_SECONDS: Final = 86_400
AHEAD_BYTES: Final = 131_072
"""So much of what is passed on may be on its way here before it is read."""


def upstream_client(settings: Settings, provider: Provider) -> httpx2.AsyncClient:
    """The HTTP client for the configured provider. Redirects are the caller's to follow; proxies are honoured."""
    if settings.uses_demo_model:
        return httpx2.AsyncClient(transport=DemoTransport(provider))
    return httpx2.AsyncClient(
        timeout=timeout(settings.provider_timeout_seconds or PATIENCE_SECONDS),
        limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=100),
        headers={"accept-encoding": CODINGS},
    )


def upstream_url(settings: Settings, provider: Provider) -> str:
    """The provider's address, to which the path after `/v1` is added."""
    if settings.uses_demo_model:
        return "http://demo.invalid"
    return (settings.openai_base_url or OPENAI_URL).rstrip("/")


def timeout(seconds: float) -> httpx2.Timeout:
    """The limits of one call: `seconds` for each wait for bytes, less for a connection."""
    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS), pool=min(seconds, CONNECT_SECONDS))


def patience(headers: Mapping[str, str], longest: float | None) -> float:
    """Seconds that the caller waits for an answer, by what OpenAI's clients say, and at most the operator's limit."""
    for name in ("x-stainless-read-timeout", "x-stainless-timeout"):
        try:
            seconds = float(headers[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds > 0:
            break
    else:
        seconds = PATIENCE_SECONDS
    return min(seconds, longest or LONGEST_SECONDS)


def hold_back(response: httpx2.Response) -> None:
    """Has the system take in little of a body before it is read: what is passed on is as slow as its client reads.

    The event loop reads all that is there at once, megabytes of it, though nobody may want it for long. An answer in
    one piece is wanted as soon as it comes.
    """
    if not response.headers.get("content-type", "").startswith("application/json"):
        stream = response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, AHEAD_BYTES)


def trouble(error: BaseException) -> str:
    """Why the provider cannot be reached, without what may be secret: addresses, headers."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its TLS certificate is not accepted: {cause.verify_message.partition(',')[0]}"
            case ssl.SSLError():
                return f"TLS failed: {(cause.reason or 'no reason given').replace('_', ' ').lower()}"
            case socket.gaierror():
                return "its name cannot be resolved"
            case ConnectionRefusedError():
                return "it refuses connections"
            case _:
                cause = cause.__cause__ or cause.__context__
    match error:
        case httpx2.ProxyError():
            return "the proxy before it does not connect"
        case httpx2.RemoteProtocolError():
            return "it closed the connection, or does not speak HTTP"
        case httpx2.LocalProtocolError():
            return "the request has a header that cannot be sent"
        case httpx2.UnsupportedProtocol():
            return "its address begins with neither http:// nor https://"
        case _:
            return type(error).__name__


def base_below(base_url: str, root: str) -> str:
    """The provider's address for a path below `root`.

    Azure has two APIs under one host, `/openai` with deployments and `/openai/v1`: a client of either is served,
    whichever of them is configured.
    """
    if root.endswith("/openai/v1") and base_url.endswith("/openai"):
        return f"{base_url}/v1"
    if root.endswith("/openai") and base_url.endswith("/openai/v1"):
        return base_url.removesuffix("/v1")
    return base_url


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
            headers = of_the_answer(response.headers)
            answer = Reply(status=response.status_code, headers=headers, content=response.content)
        except APITimeoutError as error:
            raise httpx2.ReadTimeout(str(error), request=request) from error
        except (InvalidInput, ProviderUnavailable) as error:
            answer = _refusal(str(error))
        if isinstance(answer, Reply):
            stream = httpx2.ByteStream(answer.content)  # `content` could be read but once
            return httpx2.Response(answer.status, headers=as_bytes(answer.headers), stream=stream)
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
            chunks = self._provider.astream(asked)
            # What is wrong with a request comes before the first chunk: as a status, as of any provider.
            first = await anext(chunks)
            return _Events(first, chunks, ends_with_done=target.endpoint == "chat")
        return _json((await self._provider.acomplete(asked)).body)


class _Events(httpx2.AsyncByteStream):
    """Chunks as server-sent events; the first has come already."""

    def __init__(self, first: dict[str, Any], chunks: AsyncIterator[dict[str, Any]], *, ends_with_done: bool) -> None:
        self._first = first
        self._chunks = chunks
        self._ends_with_done = ends_with_done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield encode_event(self._first)
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
