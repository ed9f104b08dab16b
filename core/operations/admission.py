"""The one check before every path of the operations API: web pages, keys, proxies, rates and bodies.

What a page could send is never answered: there is no CORS here, whatever the gateway allows for `/v1`. Without keys
only programs of this machine are answered, and only those that come straight. A body is whole, bounded and JSON before
anything looks at it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any, Final

import msgspec
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from ..access import Action, Actor, OperationKeys
from ..bootstrap import Services
from ..concurrency import in_thread
from ..errors import AccessDenied
from ..text import host_name, is_loopback, without_text
from ..wire import is_of_a_proxy
from .operators import (
    BELOW_A_PATH,
    EXPORT,
    IMPORT,
    JSON,
    JSON_LINES,
    MOST_JSON_BYTES,
    OPERATOR,
    SAME_LINES,
    SOURCE,
    Operator,
)
from .problems import (
    BAD_MEDIA_TYPE,
    FAILED,
    NO_JSON,
    NO_KEY,
    NOT_FOUND,
    NOT_FROM_HERE,
    PATH,
    TOO_LARGE,
    TOO_OFTEN,
    TOO_SLOW,
    WEB_PAGE,
    Refused,
    refused_by,
    reply_of,
)

logger = logging.getLogger("encore.operations")

DEEPEST: Final = 32
AT_ONCE_BYTES: Final = 100_000
"""A longer body is read on a thread: answers of the gateway shall not wait for it."""
AT_A_TIME: Final = 32
STREAMS_AT_A_TIME: Final = 4
"""Requests, and imports and exports, that are worked on at a time. A request waits with its whole body for its
place: how slowly bodies come holds up nobody else."""
STREAMS_OF_A_KEY: Final = 2
"""Imports and exports of one key at a time: one that is slow holds up nobody else's."""
BODIES_AT_A_TIME: Final = 16
"""Bodies of one key that are here in part, or whole and without a place: so much memory may a key hold."""
_BEGINNING: Final = f"{PATH}/".encode()

_EVERY_ANSWER: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Answers hold prompts: no proxy keeps them, and no page takes them for a script."""


class Left(Exception):
    """The client closed the connection before its request was whole."""


class Operations:
    """The operations API as an ASGI application. FastAPI is loaded for the first request that is let in."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._keys = OperationKeys(services.settings.operation_keys)
        self._local = Actor(name="local", role=services.settings.cli_role, local=True)
        self._app: Any = None
        self._rates: Any = None
        self._loading = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_A_TIME)
        self._streams = asyncio.Semaphore(STREAMS_AT_A_TIME)
        self._streams_of = defaultdict[str, asyncio.Semaphore](partial(asyncio.Semaphore, STREAMS_OF_A_KEY))
        self._unplaced: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        if scope["type"] != "http":
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_EVERY_ANSWER]}
            await send(message)

        try:
            await self._serve(scope, receive, sending)
        except Left:
            pass
        except Refused as refused:
            await _reply(refused, sending)
        except AccessDenied as denied:
            await _reply(refused_by(denied), sending)
        except Exception as error:  # noqa: BLE001 (what is unforeseen must not show in the log what it was about)
            logger.error("a request failed: %s", without_text(error))  # noqa: TRY400
            if not started:
                await _reply(Refused(FAILED, "an unexpected error happened"), sending)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        operator = self.operator(scope, headers)
        operator.require(Action.LOOK)
        # What a proxy in front lets through by the path as it is spelled is what is answered here.
        if not scope["raw_path"].startswith(_BEGINNING):
            raise Refused(NOT_FOUND, "there is no such path")
        async with self._places:
            app = self._app or await self._load()
            await self._within_rate(operator.name)
        given = {**scope, OPERATOR: operator}
        if not any(route.matches(scope)[0] is Match.FULL for route in app.routes):
            await app(given, _again(b"", receive), send)  # the path, or its methods: whatever the body is
        elif scope["path"] == PATH + IMPORT:
            if not _has_body(headers):
                raise Refused(NO_JSON, "there is no body: send the lines as the body")
            self._check_form(headers, JSON_LINES, SAME_LINES)
            async with self._streams_of[operator.name], self._streams:
                await app(given, self._as_it_comes(receive), self._in_time(send))
        else:
            is_export = scope["path"] == PATH + EXPORT
            async with AsyncExitStack() as place:
                with self._body_of(operator.name, headers):
                    body = await self._body(headers, receive)
                    if is_export:
                        await place.enter_async_context(self._streams_of[operator.name])
                    await place.enter_async_context(self._streams if is_export else self._places)
                await app(given, _again(body, receive), self._in_time(send) if is_export else send)

    async def _within_rate(self, name: str) -> None:
        seconds = await in_thread(partial(self._rates.wait_seconds, name))
        if seconds is not None:
            detail = f"the key {name} may make {self._settings.operation_rate} requests a minute"
            raise Refused(TOO_OFTEN, detail, headers={"retry-after": str(math.ceil(seconds))})

    @contextmanager
    def _body_of(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:
        """While a body of a key comes and waits for its place. Raises Refused when there are too many of that key."""
        if not _has_body(headers):
            yield
            return
        if self._unplaced[name] >= BODIES_AT_A_TIME:
            detail = f"{BODIES_AT_A_TIME} requests of the key {name} are still being received"
            raise Refused(TOO_OFTEN, detail, headers={"retry-after": "1"})
        self._unplaced[name] += 1
        try:
            yield
        finally:
            self._unplaced[name] -= 1

    async def _load(self) -> Any:
        async with self._loading:
            if self._app is None:
                self._app = await in_thread(self._build)
            return self._app

    def _build(self) -> Any:
        from .app import build
        from .rates import Rates

        self._rates = Rates(self._services.redis, self._settings.operation_rate)
        return build(self._services)

    def operator(self, scope: Scope, headers: Mapping[str, str]) -> Operator:
        """Who calls. Raises Refused for whoever may not."""
        site = headers.get("sec-fetch-site", "none")
        if "origin" in headers or site != "none" or "access-control-request-method" in headers:
            raise Refused(
                WEB_PAGE, "the request was sent by a web page", field="Origin" if "origin" in headers else None
            )
        if not self._keys:
            if why := _way(scope, headers):
                raise Refused(NOT_FROM_HERE, why)
            return self._operator(self._local, ())
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Refused(NO_KEY, "the request has no key that is known here", field="Authorization")
        return self._operator(Actor(name=key.name, role=key.role), key.namespaces)

    def _operator(self, actor: Actor, namespaces: tuple[str, ...]) -> Operator:
        trail = self._services.audit.by(actor, source=SOURCE)
        return Operator(trail=trail, namespaces=namespaces, home=self._settings.namespace)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The whole body. Raises Refused for one that is too large, too slow or in another form, Left at its end."""
        if not _has_body(headers):
            return b""
        self._check_form(headers, JSON)
        most = MOST_JSON_BYTES
        too_large = Refused(TOO_LARGE, f"the body has more than {most} bytes")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise too_large
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._settings.gateway_body_seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Left
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise self._too_slow() from None
        content = bytes(body)
        if content:
            await (in_thread(partial(check_json, content)) if len(content) > AT_ONCE_BYTES else _at_once(content))
        return content

    def _check_form(self, headers: Mapping[str, str], *forms: str) -> None:
        """Raises Refused for a body in none of these forms."""
        if not _has_body(headers):
            return
        form, _, parameters = headers.get("content-type", "").lower().partition(";")
        if form.strip() not in forms or parameters.strip().replace('"', "") not in ("", "charset=utf-8"):
            raise Refused(BAD_MEDIA_TYPE, f"the body must be {forms[0]}", field="Content-Type")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(BAD_MEDIA_TYPE, "the body is compressed", field="Content-Encoding")

    def _as_it_comes(self, receive: Receive) -> Receive:
        """What a body is received by that is not read before: each piece of it in time."""
        has_more = True

        async def receiving() -> Message:
            nonlocal has_more
            if not has_more:
                return await receive()
            try:
                async with asyncio.timeout(self._settings.gateway_body_seconds):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            if message["type"] == "http.disconnect":
                raise Left
            has_more = message.get("more_body", False)
            return message

        return receiving

    def _in_time(self, send: Send) -> Send:
        """What a stream is sent by: nobody who does not read it keeps others from theirs."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._settings.gateway_body_seconds):
                    await send(message)
            except TimeoutError:
                raise Left from None

        return sending

    def _too_slow(self) -> Refused:
        return Refused(TOO_SLOW, f"it did not arrive within {self._settings.gateway_body_seconds:g} seconds")


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def check_json(content: bytes) -> None:
    """Raises Refused for what is no JSON, or is nested deeper than anything that is asked for here."""
    try:
        inner = [msgspec.json.decode(content)]
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(NO_JSON, "the body is not JSON") from None
    for _ in range(DEEPEST):
        containers = [value for value in inner if isinstance(value, dict | list)]
        inner = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]
        if not inner:
            return
    if any(isinstance(value, dict | list) for value in inner):
        raise _too_deep()


def _too_deep() -> Refused:
    return Refused(NO_JSON, f"the JSON is nested deeper than {DEEPEST} levels")


async def _at_once(content: bytes) -> None:
    check_json(content)


def _way(scope: Scope, headers: Mapping[str, str]) -> str:
    """Why a request did not come straight from a program of this machine; empty for one that did."""
    client = scope.get("client")
    if client is None or not is_loopback(client[0]):
        return "the request comes from another machine"
    name = host_name(headers.get("host", ""))
    if name is None or not is_loopback(name):
        return "the request names a host that is not this machine's own"
    passed = next((header for header in headers if is_of_a_proxy(header)), None)
    if passed is not None:
        return f"the request came through a proxy: it has the header {passed}"
    # What some proxies still speak, and no program does that is asked to.
    if scope.get("http_version") == "1.0" or scope.get(BELOW_A_PATH):
        return "the request came through a proxy"
    return ""


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by their names in lower case; of a repeated one all values."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _again(body: bytes, receive: Receive) -> Receive:
    """What a body is received by that was read before."""
    is_read = False

    async def receiving() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def _reply(refused: Refused, send: Send) -> None:
    reply = reply_of(refused)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers.append((b"content-length", b"%d" % len(reply.content)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})
