"""The middleware before the pages: who may connect, security headers, and the return to a page after a login."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from http.cookies import SimpleCookie
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose, WebSocketDisconnected

from pages.components.server.server_checks import CALLBACK, is_loopback

COOKIE = "encore_return"
COOKIE_SECONDS = 600
LONGEST = 1500
LOGIN = "/auth/login"
ELSEWHERE = "There is no login, so the console answers on this machine only.\n"

_PAGE = re.compile(r"/(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?/?(?:\?[\x21-\x7e]*)?")

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",  # for older browsers
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Added to every answer: no other site shows the console in a frame, or gets its addresses."""


class AccessMiddleware:
    """Refuses connections from elsewhere without a login, and adds headers. `has_login` is asked at each connection."""

    def __init__(self, app: ASGIApp, *, has_login: Callable[[], bool]) -> None:
        self._app = app
        self._has_login = has_login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a connection, or passes it on and adds headers to the response."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # Whatever the server listens on, this is where the connection came in.
        came_in_at = (scope.get("server") or ("", None))[0]
        if not is_loopback(came_in_at) and not self._has_login():
            refusal = WebSocketClose(1008) if scope["type"] == "websocket" else PlainTextResponse(ELSEWHERE, 403)
            await refusal(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # Streamlit closes a connection once more that the browser has left while something was being sent.
            with suppress(WebSocketDisconnected):
                await self._app(scope, receive, send)
            return
        request = Headers(scope=scope)

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                _return_to_page(scope["path"], request, headers)
            await send(message)

        await self._app(scope, receive, completed)


def _return_to_page(path: str, request: Headers, answer: MutableHeaders) -> None:
    """Remembers the page that a login began on, and returns there afterwards: the provider knows one address."""
    if path.endswith(LOGIN):
        page = page_of(request.get("referer", ""), request.get("host", ""))
        answer.append("Set-Cookie", _cookie(quote(page, safe=""), COOKIE_SECONDS))
    elif path.endswith(CALLBACK):
        jar = SimpleCookie(request.get("cookie", ""))
        page = unquote(jar[COOKIE].value) if COOKIE in jar else ""
        if is_page(page) and answer.get("location", "").endswith("/"):
            answer["location"] = page
        answer.append("Set-Cookie", _cookie("", 0))


def page_of(referer: str, host: str) -> str:
    """The page of this console that an address is of; the first one if it is none."""
    address = urlsplit(referer)
    page = address.path + (f"?{address.query}" if address.query else "")
    return page if address.netloc == host and is_page(page) else "/"


def is_page(page: str) -> bool:
    """Whether a path, with its query, stays on this console."""
    return len(page) <= LONGEST and _PAGE.fullmatch(page) is not None


def _cookie(value: str, seconds: int) -> str:
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
