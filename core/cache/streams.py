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

from ..concurrency import in_thread
from ..models import Answer, ChatRequest
from ..wire import without_usage
from .hedging import race, race_async
from .steps import Asking, Hit

if TYPE_CHECKING:
    from ..providers import Provider


def asking_for_usage(request: ChatRequest) -> ChatRequest:
    """The request as it goes to the provider: usage is always asked for, since savings are counted from it."""
    options = request.unkeyed.get("stream_options")
    options = options if isinstance(options, dict) else {}
    unkeyed = {**request.unkeyed, "stream_options": {**options, "include_usage": True}}
    return msgspec.structs.replace(request, unkeyed=unkeyed)


class _Ending:
    """The part that both kinds of stream share: the chunks so far, and the end of the step."""

    def __init__(self, step: Asking | Hit, request: ChatRequest) -> None:
        self._step = None if isinstance(step, Hit) else step
        self.request = request
        self.include_usage = request.wants_usage
        self.answer: Answer | None = step.answer if isinstance(step, Hit) else None
        """How it came about: at once for a hit, after the last chunk otherwise."""
        self.chunks: list[dict[str, Any]] = []
        self._ended = False

    def shown(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """Keeps a chunk. Returns it as the caller gets it; None for one the caller did not ask for."""
        self.chunks.append(chunk)
        return chunk if self.include_usage else without_usage(chunk)

    def served(self, hit: Hit) -> list[dict[str, Any]]:
        """The chunks of a stored answer that is served."""
        self._ended = True
        self.answer = hit.answer
        return hit.chunks(self.request)

    def finish(self) -> None:
        self._ended = True
        if self._step is not None:
            self.answer = self._step.finish_stream(self.chunks)

    def drop(self, stream: object) -> None:
        """Ends the step without reading the provider's stream, whose cost is then unknown."""
        if isinstance(stream, Generator):
            stream.close()
        if self._step is not None:
            self._step.drop(None)

    def fail(self, error: BaseException) -> Hit | None:
        """An old answer to serve instead, when nothing has been shown yet and one may be served."""
        if self._ended or self._step is None:
            return None
        self._ended = True
        return self._step.fail(error, may_serve_stale=not self.chunks)


class Stream:
    """Iterate once over the chunks; `answer` says how it came about. Close it if you stop early."""

    def __init__(self, step: Asking | Hit, request: ChatRequest, provider: Callable[[], Provider]) -> None:
        self._step = step
        self._ending = _Ending(step, request)
        self._provider = provider
        self._chunks = self._run()

    @property
    def answer(self) -> Answer | None:
        """The answer: at once for a hit, else after the last chunk.

        None while the stream runs, or when it was not completed.
        """
        return self._ending.answer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._chunks

    def _run(self) -> Iterator[dict[str, Any]]:
        ending, step = self._ending, self._step
        if isinstance(step, Hit):
            yield from ending.served(step)
            return
        try:
            stream = iter(self._provider().stream(asking_for_usage(ending.request)))
            first = race(step, lambda: next(stream, None), lambda chunk: ending.drop(stream))
            if isinstance(first, Hit):
                yield from ending.served(first)
                return
            for chunk in stream if first is None else chain((first,), stream):
                shown = ending.shown(chunk)
                if shown is not None:
                    yield shown
        except BaseException as error:
            stale = ending.fail(error)
            if stale is None:
                raise
            yield from ending.served(stale)
            return
        ending.finish()

    def close(self) -> None:
        """Ends the stream early: nothing is stored, and one of those who wait takes over."""
        # First, while there is a caller who can wait for the store: a GeneratorExit gives the lease back later only.
        self._ending.fail(asyncio.CancelledError())
        self._chunks.close()  # type: ignore[attr-defined]

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _next(stream: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    return await anext(stream, None)


class AsyncStream:
    """A stream on an event loop. Iterate once over the chunks; close it if you stop early."""

    def __init__(self, step: Asking | Hit, request: ChatRequest, provider: Callable[[], Provider]) -> None:
        self._step = step
        self._ending = _Ending(step, request)
        self._provider = provider
        self._chunks = self._run()

    @property
    def answer(self) -> Answer | None:
        """The answer: at once for a hit, else after the last chunk.

        None while the stream runs, or when it was not completed.
        """
        return self._ending.answer

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._chunks

    async def _run(self) -> AsyncIterator[dict[str, Any]]:
        ending, step = self._ending, self._step
        if isinstance(step, Hit):
            for chunk in ending.served(step):
                yield chunk
            return
        try:
            stream = aiter(self._provider().astream(asking_for_usage(ending.request)))
            first = await race_async(step, partial(_next, stream), lambda chunk: ending.drop(None))
            if isinstance(first, Hit):
                for chunk in ending.served(first):
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
            for chunk in ending.served(stale):
                yield chunk
            return
        await in_thread(ending.finish)

    async def aclose(self) -> None:
        """Ends the stream early: nothing is stored, and one of those who wait takes over."""
        self._ending.fail(asyncio.CancelledError())
        await self._chunks.aclose()  # type: ignore[attr-defined]

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
