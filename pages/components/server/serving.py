"""The middleware before the pages: who may connect, security headers, and the return to a page after a login.

It decides by Host and Origin before Streamlit looks: that takes every port of this machine for the console, and asks
an address outside what its own is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
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
UNKNOWN_HOST = "The console is not known by this name: add its host to server.allowedHosts.\n"
FOREIGN = "The request came from a page of another site.\n"
PORTS = {"http": 80, "https": 443}

_PAGE = re.compile(r"/(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?/?(?:\?[\x21-\x7e]*)?")

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",  # for older browsers
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Added to every answer: no other site shows the console in a frame, or gets its addresses."""


class AccessMiddleware:
    """Refuses connections from elsewhere without a login, and those of other sites' pages; adds headers.

    `has_login` is asked at each connection. `hosts` are the names the console has (`*.example.org` for all under one),
    `address` is where browsers see it, for a proxy that gives it another Host.
    """

    def __init__(
        self, app: ASGIApp, *, has_login: Callable[[], bool], hosts: Collection[str], address: str | None
    ) -> None:
        self._app = app
        self._has_login = has_login
        self._hosts = [host.strip().lower().rstrip(".") for host in hosts]
        self._address = None if address is None else urlsplit(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a connection, or passes it on and adds headers to the response."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # Whatever the server listens on, this is where the connection came in.
        came_in_at = (scope.get("server") or ("", None))[0]
        if not is_loopback(came_in_at) and not self._has_login():
            reason = ELSEWHERE
        else:
            reason = self._refusal(Headers(scope=scope))
        if reason:
            refusal = WebSocketClose(1008) if scope["type"] == "websocket" else PlainTextResponse(reason, 403)
            await refusal(scope, receive, send)
            return
        if scope["type"] == "websocket":
            _name_one_host(scope)
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

    def _refusal(self, headers: Headers) -> str:
        """Why a request is not one of this console's own pages or of a program; empty when it is."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        for host in hosts:
            here = _place(host)
            if len(hosts) > 1 or here is None or not self._is_own(here[0]):
                return UNKNOWN_HOST
        if not origins:
            return ""
        scheme, _, netloc = origins[0].partition("://")
        page = _place(netloc, scheme)
        if len(origins) > 1 or scheme not in PORTS or page is None:
            return FOREIGN
        own = [_place(host, scheme) for host in hosts]
        if self._address is not None and self._address.scheme == scheme:
            own.append(_place(self._address.netloc, scheme))
        return "" if page in own else FOREIGN

    def _is_own(self, host: str) -> bool:
        """Whether a request may name this host: an address and localhost cannot be made another's, as a name can be."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            name = host.rstrip(".")
            if name == "localhost":
                return True
            return any(name == own or (own.startswith("*.") and name.endswith(own[1:])) for own in self._hosts)
        return True


def _place(netloc: str, scheme: str = "") -> tuple[str, int | None] | None:
    """Host and port of what stands in Host, or in Origin after the scheme; None for what is no more than that."""
    try:
        parts = urlsplit(f"//{netloc}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.netloc != netloc or "@" in netloc:
        return None
    return host, port or PORTS.get(scheme)


def _name_one_host(scope: Scope) -> None:
    """Gives a page's connection the Host that its Origin has, which Streamlit compares as texts."""
    headers = MutableHeaders(scope=scope)
    if origin := headers.get("origin"):
        headers["host"] = urlsplit(origin).netloc


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
