"""The cache as a transport of the HTTP client that the `openai` SDK uses: every feature of the SDK works unchanged.

    client = OpenAI(http_client=encore_client(cache))

Requests for answers go through the cache, everything else passes through untouched. On a hit nothing is sent. With
`openai` 2, whose HTTP library is another one, it works alike: what the SDK gets is of its own library.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from ..cache import LLMCache
from ..concurrency import in_thread
from ..entries import forget_response
from ..errors import CacheError, InvalidInput
from ..inbound import (
    AT_ONCE_BYTES,
    OWN_HEADERS,
    Inbound,
    controls_from_headers,
    credentials_in,
    gone_response,
    label_of,
    read,
    target_of,
)
from ..providers import http_library
from .driver import AsyncAnswering, AsyncPieces, Pieces, answer
from .exchange import PlainStreams
from .reply import CODINGS, Headers, Reply, as_bytes, from_error

logger = logging.getLogger("encore.http")


class CachingTransport(httpx2.BaseTransport):
    """Answers from the cache; `upstream` does the rest."""

    def __init__(self, cache: LLMCache, upstream: httpx2.BaseTransport) -> None:
        self._cache = cache
        self._upstream = upstream
        self._plain_streams = PlainStreams()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One HTTP request. Raises what the provider's transport raises, unchanged."""
        if target_of(request.method, request.url.path) is None:
            response = self._upstream.handle_request(request)
            _forget(self._cache, request, response)
            return response
        content = request.read()
        inbound = _inbound(request, content, self._cache.config.limits.max_request_bytes)
        if inbound is None:
            return self._upstream.handle_request(request)
        if isinstance(inbound, Reply):
            return _whole(request, inbound)

        def send(body: bytes) -> httpx2.Response:
            return self._upstream.handle_request(_outgoing(request, body))

        try:
            result = answer(self._cache, inbound, send, self._plain_streams, patience_seconds=_patience(request))
        except TimeoutError as error:
            raise http_library(type(request)).ReadTimeout(str(error), request=request) from error
        if isinstance(result, Reply):
            return _whole(request, result)
        return _response(request, 200, result.headers, stream=_pieces(request, result.pieces))

    def close(self) -> None:
        """Ends the connections to the provider."""
        self._upstream.close()


class AsyncCachingTransport(httpx2.AsyncBaseTransport):
    """A transport on an event loop that answers from the cache; `upstream` does the rest."""

    def __init__(self, cache: LLMCache, upstream: httpx2.AsyncBaseTransport) -> None:
        self._cache = cache
        self._upstream = upstream
        self._plain_streams = PlainStreams()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One HTTP request, awaited. Raises what the provider's transport raises, unchanged."""
        if target_of(request.method, request.url.path) is None:
            response = await self._upstream.handle_async_request(request)
            if gone_response(request.method, request.url.path, response.status_code) is not None:
                await in_thread(partial(_forget, self._cache, request, response))
            return response
        content = await request.aread()
        reading = partial(_inbound, request, content, self._cache.config.limits.max_request_bytes)
        inbound = reading() if len(content) <= AT_ONCE_BYTES else await in_thread(reading)
        if inbound is None:
            return await self._upstream.handle_async_request(request)
        if isinstance(inbound, Reply):
            return _whole(request, inbound)

        async def send(body: bytes) -> httpx2.Response:
            return await self._upstream.handle_async_request(_outgoing(request, body))

        try:
            answering = AsyncAnswering(
                self._cache, inbound, send, self._plain_streams, patience_seconds=_patience(request)
            )
            step = await answering.begin()
            result = step if isinstance(step, Reply) else await answering.run(step)
        except TimeoutError as error:
            raise http_library(type(request)).ReadTimeout(str(error), request=request) from error
        if isinstance(result, Reply):
            return _whole(request, result)
        return _response(request, 200, result.headers, stream=_async_pieces(request, result.pieces))

    async def aclose(self) -> None:
        """Ends the connections to the provider."""
        await self._upstream.aclose()


class _CachingClient(DefaultHttpxClient):
    """The SDK's own client with the cache before each of its transports, those of proxies too."""

    def __init__(self, cache: LLMCache, **options: Any) -> None:
        super().__init__(**options)
        self._transport = CachingTransport(cache, self._transport)
        self._mounts = {
            pattern: CachingTransport(cache, mounted) if mounted is not None else None
            for pattern, mounted in self._mounts.items()
        }


class _AsyncCachingClient(DefaultAsyncHttpxClient):
    def __init__(self, cache: LLMCache, **options: Any) -> None:
        super().__init__(**options)
        self._transport = AsyncCachingTransport(cache, self._transport)
        self._mounts = {
            pattern: AsyncCachingTransport(cache, mounted) if mounted is not None else None
            for pattern, mounted in self._mounts.items()
        }


def encore_client(cache: LLMCache, **options: Any) -> httpx2.Client:
    """An HTTP client for `OpenAI(http_client=...)`. `options` are those of `httpx2.Client`, with the SDK's defaults."""
    return _CachingClient(cache, **options)


def encore_async_client(cache: LLMCache, **options: Any) -> httpx2.AsyncClient:
    """An HTTP client for `AsyncOpenAI(http_client=...)`."""
    return _AsyncCachingClient(cache, **options)


def _inbound(request: httpx2.Request, content: bytes, most_bytes: int) -> Inbound | Reply | None:
    url = request.url
    target = target_of(request.method, str(url.copy_with(query=None, fragment=None)))
    if target is None:
        return None
    try:
        headers = dict(request.headers)
        inbound = read(target, url.query.decode("ascii"), headers, content, most_bytes=most_bytes)
        if inbound is None:
            return None
        return msgspec.structs.replace(inbound, caller=label_of(credentials_in(headers)))
    except InvalidInput as error:
        return from_error(error)


def _forget(cache: LLMCache, request: httpx2.Request, response: httpx2.Response) -> None:
    """Serves a response no more that the provider has no more. The request does not fail for that."""
    gone = gone_response(request.method, request.url.path, response.status_code)
    if gone is None:
        return
    try:
        controls = controls_from_headers(dict(request.headers))
        forget_response(cache, controls.namespace or cache.config.namespace, gone)
    except CacheError as error:
        logger.warning("the answer of a deleted response may be served until it expires: %s", error)


def _outgoing(request: httpx2.Request, content: bytes) -> httpx2.Request:
    """The request with another body and without the cache's controls, for an answer that can be read here."""
    headers = [
        (name, value)
        for name, value in request.headers.raw
        if not name.lower().startswith(OWN_HEADERS.encode())
        and name.lower() not in (b"content-length", b"accept-encoding")
    ]
    headers.append((b"accept-encoding", CODINGS.encode()))
    return type(request)(request.method, request.url, headers=headers, content=content, extensions=request.extensions)


def _whole(request: httpx2.Request, reply: Reply) -> httpx2.Response:
    return _response(request, reply.status, reply.headers, content=reply.content)


def _response(request: httpx2.Request, status: int, headers: Headers, **parts: Any) -> httpx2.Response:
    response: httpx2.Response = http_library(type(request)).Response(status, headers=as_bytes(headers), **parts)
    return response


def _pieces(request: httpx2.Request, pieces: Pieces) -> httpx2.SyncByteStream:
    """The pieces as a stream of the request's own library."""
    kind = http_library(type(request)).SyncByteStream
    if isinstance(pieces, kind):
        return cast("httpx2.SyncByteStream", pieces)
    methods = {"__iter__": lambda _: iter(pieces), "close": lambda _: pieces.close()}
    return cast("httpx2.SyncByteStream", type("Pieces", (kind,), methods)())


def _async_pieces(request: httpx2.Request, pieces: AsyncPieces) -> httpx2.AsyncByteStream:
    """The pieces as an awaited stream of the request's own library."""
    kind = http_library(type(request)).AsyncByteStream
    if isinstance(pieces, kind):
        return cast("httpx2.AsyncByteStream", pieces)
    methods = {"__aiter__": lambda _: aiter(pieces), "aclose": lambda _: pieces.aclose()}
    return cast("httpx2.AsyncByteStream", type("AsyncPieces", (kind,), methods)())


def _patience(request: httpx2.Request) -> float:
    """Seconds that the caller waits for an answer to begin."""
    seconds = request.extensions.get("timeout", {}).get("read")
    return math.inf if seconds is None else seconds
