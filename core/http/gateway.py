"""The OpenAI-compatible gateway: the cache for clients in any language, with only their base URL changed.

`/v1/*` is the provider's API: requests for answers go through the cache, everything else passes through. The rest is
for operators: `/metrics`, `/healthz`, `/readyz`, and the operations API unless it has a port of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any, Final

import httpx2
import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from ..bootstrap import Services
from ..concurrency import in_thread
from ..entries import forget_response
from ..errors import CacheError, InvalidInput, StoreUnavailable
from ..inbound import (
    AT_ONCE_BYTES,
    CREDENTIALS,
    DEEPEST,
    MOST_VALUES,
    OWN_HEADERS,
    TOO_LARGE,
    Inbound,
    Target,
    controls_from_headers,
    divided,
    gone_response,
    is_below,
    is_deeper,
    is_small,
    read,
    target_of,
    unread,
)
from ..monitoring import HeaderBoard, RecentHealth, prometheus
from ..operations import Operations
from ..settings import Settings
from .addresses import ProviderAddress
from .callers import Caller, Callers, own_controls
from .connection import HOP_HEADERS, ClientLeft, Connection, Refused
from .driver import AsyncAnswering, AsyncStreamed, Pending, in_slices
from .entrance import VIA_PREFIX, Entrance
from .exchange import PlainStreams
from .reply import CODINGS, Headers, Reply, as_bytes, bypass_status, error_reply, named_by, passed_on
from .upstream import base_below, hold_back, patience, timeout, trouble, upstream_client, upstream_url

logger = logging.getLogger("encore.gateway")

AGAIN_BYTES: Final = 65_536
"""A longer body for a path that is not cached is passed on as it comes, and cannot be sent again."""
NO_NAMESPACE: Final = "no-namespace"
PATH: Final = "path"

# What a client says to the gateway alone.
_KEPT_FROM_PROVIDER: Final = HOP_HEADERS | {*CREDENTIALS, "accept-encoding", "cookie", "via"}


def build(services: Services, client: httpx2.AsyncClient | None = None) -> Starlette:
    """The application. It closes `client` (the way to the provider), not the services, when it ends."""
    upstream = client or upstream_client(services.settings, services.provider)
    operations = Operations(services) if services.settings.operations_port is None else None
    gateway = Gateway(services, upstream)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await gateway.aclose()

    app = Starlette(
        routes=[
            Mount("/v1", app=gateway),
            Mount("/openai/v1", app=gateway),  # Azure's clients
            Mount("/openai", app=gateway),
            Route("/metrics", gateway.metrics),
            Route("/healthz", gateway.health),
            Route("/readyz", gateway.readiness),
        ],
        lifespan=lifespan,
        middleware=[Middleware(Entrance, settings=services.settings, instance=gateway.instance, operations=operations)],
        exception_handlers={404: _not_found, 405: _not_found},
    )
    app.router.redirect_slashes = False
    return app


class Gateway:
    """The ASGI application below `/v1`."""

    def __init__(self, services: Services, upstream: httpx2.AsyncClient) -> None:
        self._services = services
        self._settings = services.settings
        self._cache = services.cache
        self._callers = Callers(services.settings)
        self._upstream = upstream
        self._board = HeaderBoard(services.redis)
        self._plain_streams = PlainStreams()
        base_url = upstream_url(services.settings, services.provider)
        self._address = lru_cache(8)(lambda root: ProviderAddress(base_below(base_url, root)))
        self.instance = _instance(services.settings, base_url)
        health = RecentHealth(services.health.check)
        self._collector = prometheus.MetricsCollector(services.metrics, health, services.alert_board, services.labels)
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
                connection.abort()
                return
            await connection.reply(error_reply(500, "the gateway failed", kind="api_error", code="internal_error"))

    async def _serve(self, connection: Connection) -> None:
        settings = self._settings
        caller = self._callers.identify(connection.headers)
        if caller is None:
            raise _unknown_caller()
        target = target_of(connection.method, connection.path)
        if target is None or not is_below(target.base_url):
            body, is_whole = await self._body(connection, AGAIN_BYTES)
            outgoing = body if is_whole else self._rest(connection, body)
            await self._attend(connection, self._pass_through(connection, outgoing, caller))
            return
        given = divided(connection.headers, settings.keyed_headers)
        body, is_whole = await self._body(connection, settings.max_request_bytes)
        try:
            if not is_whole:
                inbound: Inbound | None = unread(target, connection.headers)
            elif len(body) > AT_ONCE_BYTES:
                inbound = await in_thread(partial(self._read, target, connection, body, given.keyed))
            else:
                inbound = self._read(target, connection, body, given.keyed)
            if inbound is not None:
                own = self._callers.own_controls(inbound.controls, caller)
                inbound = msgspec.structs.replace(inbound, controls=own, caller=caller.label)
        except InvalidInput as error:
            raise Refused(400, str(error), "invalid_cache_control", parameter=error.field) from None
        if inbound is None:
            await self._attend(connection, self._pass_through(connection, body, caller))
            return
        bypass = "" if inbound.controls.namespace is not None else NO_NAMESPACE
        answering = AsyncAnswering(
            self._cache,
            inbound,
            lambda outgoing: self._send(
                connection, outgoing if is_whole else self._rest(connection, body), sent=given.sent
            ),
            self._plain_streams,
            patience_seconds=patience(connection.headers, settings.provider_timeout_seconds),
            bypass=bypass if inbound.is_read else TOO_LARGE,
        )
        step = await answering.begin()
        if isinstance(step, Reply):
            await connection.reply(step)
        else:
            differing = self._board.missed(given.dropped, given.keyed.items())
            answer = self._answer(connection, answering, step, given.told(differing))
            await self._attend(connection, answer, lambda: answering.is_awaited)

    async def _body(self, connection: Connection, most_bytes: int) -> tuple[bytes, bool]:
        longest = self._settings.gateway_max_body_bytes
        if longest is not None:
            connection.check_size(int(connection.headers.get("content-length", "0")), longest)
        content, is_whole = await connection.body(most_bytes, self._settings.gateway_body_seconds)
        if longest is not None:
            connection.check_size(len(content), longest)
        return content, is_whole

    def _rest(self, connection: Connection, beginning: bytes) -> AsyncIterator[bytes]:
        return connection.rest(beginning, self._settings.gateway_body_seconds, self._settings.gateway_max_body_bytes)

    def _read(self, target: Target, connection: Connection, content: bytes, keyed: dict[str, str]) -> Inbound | None:
        base_url = base_below(self._services.provider.base_url, connection.root)
        most_bytes = self._cache.config.limits.max_request_bytes
        inbound = read(
            msgspec.structs.replace(target, base_url=base_url + target.base_url),
            connection.query,
            connection.headers,
            content,
            most_bytes=most_bytes,
            keyed=keyed,
        )
        is_deep = inbound is not None and is_deeper(DEEPEST, content, inbound.body)
        if is_deep or (inbound is None and not is_small(content, most_bytes, MOST_VALUES)):
            return unread(target, connection.headers, content)
        return inbound

    async def _answer(self, connection: Connection, answering: AsyncAnswering, pending: Pending, told: Headers) -> None:
        try:
            answer = await answering.run(pending)
        except (httpx2.RequestError, TimeoutError) as error:
            answer = _unreachable(error)
        answer.headers.extend(told)
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
            connection.abort()
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

    async def _send(
        self,
        connection: Connection,
        content: bytes | AsyncIterator[bytes],
        codings: str = CODINGS,
        *,
        sent: Sequence[tuple[str, str]] | None = None,
    ) -> httpx2.Response:
        """The request to the provider, with the headers `sent` or all; the answer's body is not read yet.

        Raises Refused for a path of elsewhere.
        """
        url = self._address(connection.root).url(connection.path, connection.query)
        if url is None:
            raise Refused(404, "there is no such path", "not_found")
        headers = _passing(connection) if sent is None else list(sent)
        headers += self._callers.credentials(connection.headers)
        via = [value for name, value in connection.raw_headers if name == "via"]
        headers += [("accept-encoding", codings), ("via", ", ".join([*via, f"1.1 {self.instance}"]))]
        if not isinstance(content, bytes) and "content-length" in connection.headers:
            headers.append(("content-length", connection.headers["content-length"]))
        is_new = False

        async def trace(event: str, _: Any) -> None:
            nonlocal is_new
            is_new = is_new or event == "connection.connect_tcp.started"

        def request() -> httpx2.Request:
            return self._upstream.build_request(
                connection.method,
                url,
                headers=as_bytes(headers),
                content=content,
                timeout=timeout(patience(connection.headers, self._settings.provider_timeout_seconds)),
                extensions={"trace": trace},
            )

        try:
            response = await self._upstream.send(request(), stream=True)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            if is_new or not isinstance(content, bytes):
                raise
            # The provider closed a connection that had been idle just as it was used again: it has seen no request.
            response = await self._upstream.send(request(), stream=True)
        finally:
            connection.end_of_body()
        hold_back(response)
        return response

    async def _pass_through(
        self, connection: Connection, content: bytes | AsyncIterator[bytes], caller: Caller
    ) -> None:
        """Carries a request and its answer as they come, in the coding that the client asked for."""
        try:
            response = await self._send(
                connection, content, codings=connection.headers.get("accept-encoding", "identity")
            )
        except httpx2.RequestError as error:
            await connection.reply(_unreachable(error))
            return
        try:
            gone = gone_response(connection.method, connection.path, response.status_code)
            if gone is not None and caller.namespace is not None:
                await in_thread(partial(self._forget, gone, caller, connection.headers))
            hops = named_by(response.headers.get("connection", ""))
            headers = [
                (lower, value.decode("latin-1"))
                for name, value in response.headers.raw
                if (lower := name.decode("latin-1").lower()) not in hops
            ]
            if response.status_code in (204, 304):
                headers = [(name, value) for name, value in headers if name != "content-length"]
            await connection.start(response.status_code, passed_on(headers, bypass_status(PATH)))
            async for piece in in_slices(response.aiter_raw()):
                await connection.write(piece)
            await connection.end()
        except httpx2.RequestError as error:
            logger.info("the provider's answer broke off: %s", type(error).__name__)
            connection.abort()
        finally:
            await response.aclose()

    def _forget(self, response_id: str, caller: Caller, headers: Mapping[str, str]) -> None:
        """Serves a response no more that the provider has no more. The request does not fail for that."""
        try:
            own = own_controls(controls_from_headers(headers), caller, longer_ttl=False)
            forget_response(self._cache, own.namespace or "", response_id)
        except CacheError as error:
            logger.warning("the answer of a deleted response may be served until it expires: %s", error)

    def metrics(self, request: Request) -> Response:
        """`GET /metrics`: the metrics in Prometheus' text format."""
        if not self._callers.may_operate(request.headers):
            message = (
                "metrics show the figures of all callers: they need one of ENCORE_OPERATION_KEYS for all namespaces"
            )
            is_known = self._callers.identify(request.headers) is not None
            return _response((Refused(403, message, "no_operator") if is_known else _unknown_caller()).reply)
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


def _passing(connection: Connection) -> Headers:
    """All headers that are not for the gateway alone."""
    named = named_by(connection.headers.get("connection", ""))
    return [
        (name, value)
        for name, value in connection.raw_headers
        if name not in _KEPT_FROM_PROVIDER and name not in named and not name.startswith(OWN_HEADERS)
    ]


def _unknown_caller() -> Refused:
    return Refused(401, "Incorrect API key provided to the gateway.", "invalid_api_key")


def _unreachable(error: Exception) -> Reply:
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return error_reply(504, "the provider did not answer in time", kind="api_error", code="provider_timeout")
    reason = trouble(error)
    logger.warning("the provider cannot be reached: %s", reason)
    message = f"the provider cannot be reached: {reason}"
    return error_reply(502, message, kind="api_error", code="provider_unreachable")


def _instance(settings: Settings, base_url: str) -> str:
    """The name of this installation in `Via`: the same in all its processes, and another one in a gateway behind it."""
    store = settings.redis_url.get_secret_value() if settings.redis_url else str(settings.home.resolve())
    return VIA_PREFIX + hashlib.sha256(f"{base_url} {store}".encode()).hexdigest()[:16]


def _response(reply: Reply) -> Response:
    return Response(reply.content, status_code=reply.status, headers=dict(reply.headers))


async def _not_found(request: Request, error: Exception) -> Response:
    return _response(
        error_reply(
            404, "there is no such path here; the API begins with /v1", kind="invalid_request_error", code="not_found"
        )
    )
