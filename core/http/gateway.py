"""The OpenAI-compatible gateway: the cache for clients in any language, with only their base URL changed.

`/v1/*` is the provider's API: requests for answers go through the cache, everything else passes through. The rest is
for operators: `/metrics`, `/healthz`, `/readyz`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import httpx2
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from ..bootstrap import Services
from ..concurrency import in_thread
from ..errors import InvalidInput, StoreUnavailable
from ..monitoring import RecentHealth, prometheus
from .callers import CREDENTIALS, Callers
from .connection import HOP_HEADERS, ClientLeft, Connection, Refused
from .driver import AsyncAnswering, AsyncStreamed, Pending
from .inbound import AT_ONCE_BYTES, OWN_HEADERS, Inbound, Target, is_deeper, read, target_of
from .reply import Reply, error_reply, of_the_answer, passed_on
from .upstream import upstream_client, upstream_url

logger = logging.getLogger("encore.gateway")

DEEPEST: Final = 100
"""JSON nested deeper is refused."""
NO_NAMESPACE: Final = "no-namespace"

UNKNOWN_CALLER: Final = Refused(401, "Incorrect API key provided to the gateway.", "invalid_api_key")

# What a client says to the gateway alone.
_KEPT_FROM_PROVIDER: Final = HOP_HEADERS | {*CREDENTIALS, "accept-encoding", "cookie"}


def build(services: Services, client: httpx2.AsyncClient | None = None) -> Starlette:
    """The application. It closes `client` (the way to the provider), not the services, when it ends."""
    upstream = client or upstream_client(services.settings, services.provider)
    gateway = Gateway(services, upstream)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await gateway.aclose()

    return Starlette(
        routes=[
            Mount("/v1", app=gateway),
            Route("/metrics", gateway.metrics),
            Route("/healthz", gateway.health),
            Route("/readyz", gateway.readiness),
        ],
        lifespan=lifespan,
        exception_handlers={404: _not_found, 405: _not_found},
    )


class Gateway:
    """The ASGI application below `/v1`."""

    def __init__(self, services: Services, upstream: httpx2.AsyncClient) -> None:
        self._services = services
        self._settings = services.settings
        self._cache = services.cache
        self._callers = Callers(services.settings)
        self._upstream = upstream
        self._base_url = upstream_url(services.settings, services.provider)
        health = RecentHealth(services.health.check)
        self._collector = prometheus.MetricsCollector(services.metrics, health, services.alert_board)
        self._unattended: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answers one HTTP request, from the cache or by the provider."""
        connection = Connection(scope, receive, send)
        try:
            await self._serve(connection)
        except ClientLeft:
            pass
        except Refused as refusal:
            await connection.reply(refusal.reply)
        except asyncio.CancelledError:
            # Only the server cancels, when it ends and has waited long enough: it closes the connection then.
            logger.info("a request was cancelled at shutdown")
            if not connection.started:
                await connection.reply(error_reply(503, "the gateway is ending", kind="api_error", code="ending"))
        except Exception:
            # Only here does anything unforeseen become an answer in the provider's format.
            logger.exception("a request failed")
            if connection.started:
                raise
            await connection.reply(error_reply(500, "the gateway failed", kind="api_error", code="internal_error"))

    async def _serve(self, connection: Connection) -> None:
        headers = connection.headers
        if self._callers.is_foreign(headers):
            raise Refused(403, "this gateway serves programs on its own machine, not web pages", "forbidden_origin")
        caller = self._callers.identify(headers)
        if caller is None:
            raise UNKNOWN_CALLER
        content = await connection.body(self._settings.gateway_max_body_bytes, self._settings.gateway_body_seconds)
        target = target_of(connection.method, connection.path)
        if target is None or target.base_url:
            await self._attend(connection, self._pass_through(connection, content))
            return
        try:
            if len(content) > AT_ONCE_BYTES:
                inbound = await in_thread(partial(self._read, target, connection, content))
            else:
                inbound = self._read(target, connection, content)
            if inbound is not None:
                inbound = msgspec.structs.replace(
                    inbound, controls=self._callers.own_controls(inbound.controls, caller)
                )
        except InvalidInput as error:
            raise Refused(400, str(error), "invalid_cache_control", parameter=error.field) from None
        if inbound is None:
            await self._attend(connection, self._pass_through(connection, content))
            return
        answering = AsyncAnswering(
            self._cache,
            inbound,
            lambda body: self._send(connection, body),
            patience_seconds=self._settings.provider_timeout_seconds,
            bypass="" if inbound.controls.namespace is not None else NO_NAMESPACE,
        )
        step = await answering.begin()
        if isinstance(step, Reply):
            await connection.reply(step)
        else:
            await self._attend(connection, self._answer(connection, answering, step), lambda: answering.is_awaited)

    def _read(self, target: Target, connection: Connection, content: bytes) -> Inbound | None:
        inbound = read(
            msgspec.structs.replace(target, base_url=self._services.provider.base_url),
            connection.query,
            connection.headers,
            content,
            most_bytes=self._cache.config.limits.max_request_bytes,
        )
        if is_deeper(DEEPEST, content, inbound.body if inbound is not None else None):
            raise Refused(400, f"the JSON is nested deeper than {DEEPEST} levels", "invalid_request")
        return inbound

    async def _answer(self, connection: Connection, answering: AsyncAnswering, pending: Pending) -> None:
        try:
            answer = await answering.run(pending)
        except (httpx2.RequestError, TimeoutError) as error:
            answer = _unreachable(error)
        if isinstance(answer, Reply):
            await connection.reply(answer)
        else:
            await self._stream(connection, answer)

    async def _stream(self, connection: Connection, answer: AsyncStreamed) -> None:
        try:
            await connection.start(200, answer.headers)
            async for piece in answer.pieces:
                await connection.write(piece)
            await connection.end()
        except httpx2.RequestError as error:
            # The stream breaks for the client as it broke for us: without its end.
            logger.info("the provider's stream broke: %s", type(error).__name__)
        finally:
            await answer.pieces.aclose()

    async def _attend(
        self, connection: Connection, work: Awaitable[None], is_awaited: Callable[[], bool] = lambda: False
    ) -> None:
        """Does the work while the client is there; goes on without it only if others wait for the same answer."""
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(connection.until_left())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not working.done():
                if is_awaited():
                    self._unattended.add(working)
                    working.add_done_callback(self._unattended.discard)
                else:
                    working.cancel()
                    await asyncio.wait({working})
        if working.done() and not working.cancelled():
            working.result()

    async def _send(self, connection: Connection, content: bytes) -> httpx2.Response:
        """The request to the provider; the answer's body is not read yet."""
        headers = [
            (name, value)
            for name, value in connection.raw_headers
            if name not in _KEPT_FROM_PROVIDER and not name.startswith(OWN_HEADERS)
        ]
        headers += self._callers.credentials(connection.headers)
        query = f"?{connection.query}" if connection.query else ""
        is_new = False

        async def trace(event: str, _: Any) -> None:
            nonlocal is_new
            is_new = is_new or event == "connection.connect_tcp.started"

        def request() -> httpx2.Request:
            return self._upstream.build_request(
                connection.method,
                f"{self._base_url}{connection.raw_path}{query}",
                headers=headers,
                content=content,
                extensions={"trace": trace},
            )

        try:
            return await self._upstream.send(request(), stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            if is_new:
                raise
            # The provider closed a connection that had been idle just as it was used again: it has seen no request.
            return await self._upstream.send(request(), stream=True)

    async def _pass_through(self, connection: Connection, content: bytes) -> None:
        if any(part in (".", "..") for part in connection.path.split("/")):
            raise Refused(404, "there is no such path", "not_found")
        try:
            response = await self._send(connection, content)
        except httpx2.InvalidURL:
            raise Refused(404, "there is no such path", "not_found") from None
        except httpx2.RequestError as error:
            await connection.reply(_unreachable(error))
            return
        try:
            headers = passed_on(of_the_answer(response.headers.multi_items()), "encore; fwd=bypass; detail=path")
            await connection.start(response.status_code, headers)
            async for piece in response.aiter_bytes():
                await connection.write(piece)
            await connection.end()
        except httpx2.RequestError as error:
            logger.info("the provider's answer broke off: %s", type(error).__name__)
        finally:
            await response.aclose()

    def metrics(self, request: Request) -> Response:
        """`GET /metrics`: the metrics in Prometheus' text format."""
        if self._callers.identify(request.headers) is None:
            return _response(UNKNOWN_CALLER.reply)
        return Response(prometheus.render(self._collector), media_type=prometheus.CONTENT_TYPE)

    async def health(self, request: Request) -> Response:
        """`GET /healthz`: 200 while the process serves."""
        return JSONResponse({"status": "ok"})

    def readiness(self, request: Request) -> Response:
        """`GET /readyz`: 200 also while the store does not answer; the body has the state of the store."""
        try:
            self._services.store.ping()
            store = "up"
        except StoreUnavailable:
            store = "down"
        return JSONResponse({"status": "ready", "store": store})

    async def aclose(self) -> None:
        """Cancels requests that no client waits for, and closes the connections to the provider."""
        for task in self._unattended:
            task.cancel()
        if self._unattended:
            await asyncio.wait(self._unattended)
        await self._upstream.aclose()


def _unreachable(error: Exception) -> Reply:
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return error_reply(504, "the provider did not answer in time", kind="api_error", code="provider_timeout")
    return error_reply(502, "the provider cannot be reached", kind="api_error", code="provider_unreachable")


def _response(reply: Reply) -> Response:
    return Response(reply.content, status_code=reply.status, headers=dict(reply.headers))


async def _not_found(request: Request, error: Exception) -> Response:
    return _response(
        error_reply(
            404, "there is no such path here; the API begins with /v1", kind="invalid_request_error", code="not_found"
        )
    )
