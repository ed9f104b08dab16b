"""Streams through the cache: chunks are passed on as they arrive, and stored only when the stream ends properly.

A hit is replayed at once. Those who wait for the same answer get it when the leader's stream has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from ..models import Answer, ChatRequest
from ..wire import without_usage
from .drivers import race, race_async
from .steps import Bypass, Hit, Lead

if TYPE_CHECKING:
    from ..providers import Provider

Settled = Hit | Bypass | Lead


def wants_usage(request: ChatRequest) -> bool:
    """Whether the caller asked for the usage chunk."""
    options = request.unkeyed.get("stream_options")
    return bool(isinstance(options, dict) and options.get("include_usage"))


def asking_for_usage(request: ChatRequest) -> ChatRequest:
    """The request as it goes to the provider: usage is always asked for, since savings are counted from it."""
    options = request.unkeyed.get("stream_options") or {}
    unkeyed = {**request.unkeyed, "stream_options": {**options, "include_usage": True}}
    return msgspec.structs.replace(request, unkeyed=unkeyed)


class _Ending:
    """What both kinds of stream share: the chunks so far, and how the step is ended."""

    def __init__(self, step: Settled, request: ChatRequest) -> None:
        self.step = step
        self.request = request
        self.include_usage = wants_usage(request)
        self.answer: Answer | None = step.answer if isinstance(step, Hit) else None
        """How it came about: at once for a hit, after the last chunk otherwise."""
        self.chunks: list[dict[str, Any]] = []
        self.ended = isinstance(step, Hit)

    def shown(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """Keeps a chunk; as the caller shall see it, None for one the caller did not ask for."""
        self.chunks.append(chunk)
        return chunk if self.include_usage else without_usage(chunk)

    def finish(self) -> None:
        self.ended = True
        if isinstance(self.step, Lead):
            self.answer = self.step.store_stream(self.chunks)
        elif isinstance(self.step, Bypass):
            self.answer = self.step.finish_stream(self.chunks)

    def overruled(self, hit: Hit) -> list[dict[str, Any]]:
        """A judge's yes came before the first chunk: the chunks to show instead."""
        self.ended = True
        self.answer = hit.answer
        return hit.chunks(include_usage=self.include_usage)

    def drop(self, stream: object) -> None:
        """The provider's stream is not read: what it cost is not known."""
        if isinstance(stream, Generator):
            stream.close()
        if isinstance(self.step, Lead):
            self.step.dropped(None)

    def fail(self, error: BaseException) -> Hit | None:
        """An old answer to serve instead, when nothing has been shown yet and one may be served."""
        if self.ended:
            return None
        self.ended = True
        if isinstance(self.step, Bypass):
            self.step.fail(error)
        elif isinstance(self.step, Lead):
            stale = self.step.fail(error, may_serve_stale=not self.chunks)
            self.answer = stale.answer if stale else None
            return stale
        return None


class Stream:
    """Iterate once over the chunks; `answer` says how it came about. Close it if you stop early."""

    def __init__(self, step: Settled, request: ChatRequest, provider: Callable[[], Provider]) -> None:
        self._ending = _Ending(step, request)
        self._provider = provider
        self._chunks = self._run()

    @property
    def answer(self) -> Answer | None:
        """At once for a hit, after the last chunk otherwise; None while running, or when nothing came of it."""
        return self._ending.answer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._chunks

    def _run(self) -> Iterator[dict[str, Any]]:
        ending = self._ending
        if isinstance(ending.step, Hit):
            yield from ending.step.chunks(include_usage=ending.include_usage)
            return
        try:
            stream = iter(self._provider().stream(asking_for_usage(ending.request)))
            first = race(ending.step, lambda: next(stream, None), lambda chunk: ending.drop(stream))
            if isinstance(first, Hit):
                yield from ending.overruled(first)
                return
            for chunk in stream if first is None else chain((first,), stream):
                shown = ending.shown(chunk)
                if shown is not None:
                    yield shown
        except BaseException as error:
            stale = ending.fail(error)
            if stale is None:
                raise
            yield from stale.chunks(include_usage=ending.include_usage)
            return
        ending.finish()

    def close(self) -> None:
        """Ends it early: nothing is stored, and one of those who wait takes over."""
        self._chunks.close()  # type: ignore[attr-defined]
        self._ending.fail(asyncio.CancelledError())

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _next(stream: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    return await anext(stream, None)


class AsyncStream:
    """The same on an event loop."""

    def __init__(self, step: Settled, request: ChatRequest, provider: Callable[[], Provider]) -> None:
        self._ending = _Ending(step, request)
        self._provider = provider
        self._chunks = self._run()

    @property
    def answer(self) -> Answer | None:
        """As `Stream.answer`."""
        return self._ending.answer

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._chunks

    async def _run(self) -> AsyncIterator[dict[str, Any]]:
        ending = self._ending
        if isinstance(ending.step, Hit):
            for chunk in ending.step.chunks(include_usage=ending.include_usage):
                yield chunk
            return
        try:
            stream = aiter(self._provider().astream(asking_for_usage(ending.request)))
            first = await race_async(ending.step, partial(_next, stream), lambda chunk: ending.drop(None))
            if isinstance(first, Hit):
                for chunk in ending.overruled(first):
                    yield chunk
                return
            if first is not None and (shown := ending.shown(first)) is not None:
                yield shown
            async for chunk in stream:
                shown = ending.shown(chunk)
                if shown is not None:
                    yield shown
        except BaseException as error:
            stale = ending.fail(error)
            if stale is None:
                raise
            for chunk in stale.chunks(include_usage=ending.include_usage):
                yield chunk
            return
        await asyncio.to_thread(ending.finish)

    async def aclose(self) -> None:
        """As `Stream.close`."""
        await self._chunks.aclose()  # type: ignore[attr-defined]
        self._ending.fail(asyncio.CancelledError())

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
