"""The two loops, blocking and not, that carry a request for an answer through the cache and to the provider.

They hold no decision: what a request means is in `inbound`, what an answer becomes in `exchange`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, cast

import httpx2
import msgspec

from ..cache import Asking, Effect, Hedge, Hit, LLMCache, Run, drive_async, race, race_async, settle, settle_async
from ..concurrency import in_thread
from ..inbound import AT_ONCE_BYTES, Inbound
from ..models import Answer
from .exchange import Exchange, PlainStreams
from .reply import Headers, Reply, from_error, from_hit, is_unpacked, of_the_answer

Send = Callable[[bytes], httpx2.Response]
"""Sends a body to the provider; the answer's body is not read yet."""
AsyncSend = Callable[[bytes], Awaitable[httpx2.Response]]


SLICE_BYTES: Final = 4096
"""So much of an answer is looked at in one go on an event loop."""
_PIECE_BYTES: Final = 128
"""What a piece costs however short it is, in bytes that cost as much."""


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's whole response."""

    status: int
    headers: Headers
    content: bytes


class Pieces(httpx2.SyncByteStream):
    """A stream passed on to the caller, piece by piece."""

    def __init__(self, exchange: Exchange, response: httpx2.Response, pieces: Iterator[bytes]) -> None:
        self._exchange = exchange
        self._response = response
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for piece in self._pieces:
                shown = exchange.feed(piece)
                if exchange.is_decided:
                    exchange.settle()
                if shown:
                    yield shown
        except BaseException as error:
            exchange.fail(error)
            raise
        rest = exchange.close()
        if exchange.is_decided:
            exchange.settle()
        if rest:
            yield rest

    def close(self) -> None:
        """Closes the stream early: the step ends as if the caller had gone away."""
        self._exchange.fail(asyncio.CancelledError())
        self._response.close()


class AsyncPieces(httpx2.AsyncByteStream):
    """A stream passed on to the caller, piece by piece, on an event loop."""

    def __init__(self, exchange: Exchange, response: httpx2.Response, pieces: AsyncIterator[bytes]) -> None:
        self.exchange = exchange
        self._response = response
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self.exchange
        try:
            async for piece in in_slices(self._pieces):
                shown = exchange.feed(piece)
                if exchange.is_decided:
                    await in_thread(exchange.settle)
                if shown:
                    yield shown
        except BaseException as error:
            exchange.fail(error)
            raise
        rest = exchange.close()
        if exchange.is_decided:
            await in_thread(exchange.settle)
        if rest:
            yield rest

    async def aclose(self) -> None:
        """Closes the stream early: the step ends as if the caller had gone away."""
        self.exchange.fail(asyncio.CancelledError())
        await self._response.aclose()


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is still arriving. Close the pieces if you stop early."""

    headers: Headers
    pieces: Pieces


class AsyncStreamed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is still arriving on an event loop. Close the pieces if you stop early."""

    headers: Headers
    pieces: AsyncPieces


def answer(
    cache: LLMCache, inbound: Inbound, send: Send, plain_streams: PlainStreams, *, patience_seconds: float = math.inf
) -> Reply | Streamed:
    """Answers a request, from the cache or by `send`, whose errors pass through.

    Waits for another caller's answer for `patience_seconds` at most, and raises TimeoutError then.
    """
    try:
        run = cache.run(
            inbound.request,
            inbound.controls,
            patience_seconds=patience_seconds,
            credential=inbound.credential,
            caller=inbound.caller,
            headers=inbound.headers,
        )
        step = settle(run)
    except Exception as error:
        if (reply := from_error(error)) is None:
            raise
        return reply
    if isinstance(step, Hit):
        return from_hit(step, inbound)
    exchange = Exchange(step, inbound, plain_streams)
    try:
        fetched = race(
            step, partial(_fetch, exchange, send, step.hedge), partial(_drop, exchange), is_answer=_is_answer
        )
        match fetched:
            case Hit():
                return exchange.overruled(fetched)
            case Whole():
                return exchange.whole(fetched.status, fetched.headers, fetched.content)
            case _:
                return fetched
    except BaseException as error:
        if (stale := exchange.fail(error)) is None:
            raise
        return stale


def _fetch(exchange: Exchange, send: Send, hedge: Hedge | None) -> Whole | Streamed:
    """The provider's answer. With a hedge a stream is one when its first bytes are there: then a judge is too late."""
    while True:
        response = send(exchange.outgoing)
        headers = of_the_answer(response.headers)
        pieces: Iterator[bytes] = response.iter_bytes() if is_unpacked(response.headers) else response.iter_raw()
        if exchange.is_stream(response.status_code, response.headers.get("content-type", "")):
            if hedge is not None:
                try:
                    pieces = chain((next(pieces, b""),), pieces)
                except BaseException:
                    response.close()
                    raise
            return Streamed(headers=exchange.opened(headers), pieces=Pieces(exchange, response, pieces))
        try:
            content = b"".join(pieces)
        finally:
            response.close()
        if not exchange.sends_again(response.status_code):
            return Whole(status=response.status_code, headers=headers, content=content)


def _drop(exchange: Exchange, fetched: Whole | Streamed | None) -> None:
    if isinstance(fetched, Streamed):
        fetched.pieces.close()
    exchange.drop(fetched.content if isinstance(fetched, Whole) else None)


def _is_answer(fetched: Whole | Streamed | AsyncStreamed) -> bool:
    return not isinstance(fetched, Whole) or fetched.status == 200


class AsyncAnswering:
    """Answers a request on an event loop, in two parts: `begin` returns what is available at once, `run` the rest.

    `bypass` is a reason of the caller's own why the request may not touch the cache.
    """

    def __init__(
        self,
        cache: LLMCache,
        inbound: Inbound,
        send: AsyncSend,
        plain_streams: PlainStreams,
        *,
        patience_seconds: float = math.inf,
        bypass: str = "",
    ) -> None:
        self._inbound = inbound
        self._send = send
        self._plain_streams = plain_streams
        self._exchange: Exchange | None = None
        self._begin = partial(
            cache.run,
            inbound.request,
            inbound.controls,
            patience_seconds=patience_seconds,
            bypass=bypass,
            credential=inbound.credential,
            caller=inbound.caller,
            headers=inbound.headers,
        )

    @property
    def is_awaited(self) -> bool:
        """Whether others wait for this answer too, so that it is worth having though the caller went away."""
        return self._exchange is not None and self._exchange.is_awaited

    async def begin(self) -> Reply | Pending:
        """The reply, if one can be given at once, else what to `run`. Raises what is no answer of the cache's own."""
        try:
            run = self._begin() if len(self._inbound.content) <= AT_ONCE_BYTES else await in_thread(self._begin)
            found = await drive_async(run, waits=False)
        except Exception as error:
            if (reply := from_error(error)) is None:
                raise
            return reply
        return await self._served(found) if isinstance(found, Hit) else Pending(run, cast("Effect", found))

    async def run(self, pending: Pending) -> Reply | AsyncStreamed:
        """The answer from there on. Raises what `send` raises, and TimeoutError."""
        try:
            at = pending.at
            step: Asking | Hit = at if isinstance(at, Asking) else await settle_async(pending.run, at=at)
        except Exception as error:
            if (reply := from_error(error)) is None:
                raise
            return reply
        if isinstance(step, Hit):
            return await self._served(step)
        return await self._ask(step)

    async def _served(self, hit: Hit) -> Reply:
        if hit.is_long and self._inbound.wants_stream:
            return await in_thread(partial(from_hit, hit, self._inbound))
        return from_hit(hit, self._inbound)

    async def _ask(self, step: Asking) -> Reply | AsyncStreamed:
        exchange = self._exchange = Exchange(step, self._inbound, self._plain_streams)
        try:
            if exchange.is_long:
                await in_thread(exchange.look)
            fetched = await race_async(
                step,
                partial(_fetch_async, exchange, self._send, step.hedge),
                partial(_drop_async, exchange),
                is_answer=_is_answer,
            )
            match fetched:
                case Hit():
                    return exchange.overruled(fetched)
                case Whole():
                    return await in_thread(partial(exchange.whole, fetched.status, fetched.headers, fetched.content))
                case _:
                    return fetched
        except Exception as error:
            if (stale := await in_thread(partial(exchange.fail, error))) is None:
                raise
            return stale
        except BaseException as error:
            exchange.fail(error)
            raise


class Pending(NamedTuple):
    """A request that is not answered yet: it waits for another caller, or the provider is to be asked."""

    run: Run[Hit | Answer]
    at: Effect


async def _fetch_async(exchange: Exchange, send: AsyncSend, hedge: Hedge | None) -> Whole | AsyncStreamed:
    """The provider's answer, awaited. With a hedge a stream is one when its first bytes are there."""
    while True:
        response = await send(exchange.outgoing)
        headers = of_the_answer(response.headers)
        pieces: AsyncIterator[bytes] = response.aiter_bytes() if is_unpacked(response.headers) else response.aiter_raw()
        if exchange.is_stream(response.status_code, response.headers.get("content-type", "")):
            if hedge is not None:
                try:
                    pieces = _chain_async(await anext(pieces, b""), pieces)
                except BaseException:
                    await response.aclose()
                    raise
            return AsyncStreamed(headers=exchange.opened(headers), pieces=AsyncPieces(exchange, response, pieces))
        try:
            content = b"".join([piece async for piece in in_slices(pieces)])
        finally:
            await response.aclose()
        if not exchange.sends_again(response.status_code):
            return Whole(status=response.status_code, headers=headers, content=content)


async def in_slices(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in slices. However fast they come, and in however small pieces, others run in between."""
    cost = 0
    async for piece in pieces:
        for start in range(0, len(piece), SLICE_BYTES):
            part = piece[start : start + SLICE_BYTES]
            yield part
            cost += len(part) + _PIECE_BYTES
            if cost > SLICE_BYTES:
                cost = 0
                await asyncio.sleep(0)


async def _chain_async(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _drop_async(exchange: Exchange, fetched: Whole | AsyncStreamed | None) -> None:
    if isinstance(fetched, AsyncStreamed):
        asyncio.ensure_future(fetched.pieces.aclose())  # noqa: RUF006 - what it waits for keeps it alive
    exchange.drop(fetched.content if isinstance(fetched, Whole) else None)
