"""The one check before every path of the gateway: web pages of others, names that are not its own, loops, methods.

It stands around the whole application, operators' paths too. Pages of configured origins get CORS answers of the
gateway's own, alike on hits and misses; what the provider says about origins never passes (`core.http.connection`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..operations import BELOW_A_PATH, PATH
from ..settings import Settings
from ..text import host_name, is_address, is_loopback
from .connection import Connection, Refused

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""What is answered or passed on; OPTIONS is answered here."""
VIA_PREFIX: Final = "encore-"
_LOOKED_AT: Final = frozenset(
    {
        *(
            b"access-control-request-headers",
            b"access-control-request-method",
            b"access-control-request-private-network",
        ),
        *(b"connection", b"host", b"origin", b"sec-fetch-site", b"transfer-encoding", b"upgrade", b"via"),
        b"x-forwarded-proto",
    }
)
_USUAL: Final = frozenset({b"host", b"connection", b"x-forwarded-proto"})
MOST_KNOWN_HOSTS: Final = 100
OPERATIONS: Final = PATH.partition("/v1")[0] + "/"
"""What paths of the operations API begin with, of whatever version."""
_HEADER_NAMES: Final = re.compile(r"[\w!#$%&'*+.^`|~, -]{1,4000}", re.ASCII)
# The names that matter, for browsers that do not take the asterisk, and then all.
_EXPOSED: Final = b"cache-status, age, x-encore-key, x-encore-similarity, x-request-id, retry-after, *"

Headers = dict[bytes, bytes]


class Entrance:
    """Lets a request in to `app`, or answers it. `instance` is the name of this installation in `Via`.

    What begins with the path of the operations API goes to `operations`, which has a check of its own.
    """

    def __init__(self, app: ASGIApp, settings: Settings, instance: str, operations: ASGIApp | None = None) -> None:
        self._app = app
        self._operations = operations
        self._needs_keys = bool(settings.gateway_keys)
        self._hosts = settings.gateway_hosts
        self._origins = settings.gateway_origins
        self._root = settings.gateway_root_path.encode()
        self._instance = instance
        self._known_hosts: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; what is none goes on to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        below = bool(self._root) and scope["raw_path"].startswith(self._root + b"/")
        if below:
            scope["raw_path"] = scope["raw_path"][len(self._root) :]
            scope["path"] = scope["path"][len(self._root) :]
        if self._operations is not None and scope["path"].startswith(OPERATIONS):
            await self._operations({**scope, BELOW_A_PATH: below}, receive, send)
            return
        headers: Headers = {}
        for name, value in scope["headers"]:
            if name in _LOOKED_AT:
                headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value
        if not self._is_usual(scope["method"], headers):
            if refusal := self.refusal(scope["method"], scope["scheme"], headers):
                await Connection({**scope, "root_path": ""}, receive, send).reply(refusal.reply)
                return
            if len(self._known_hosts) < MOST_KNOWN_HOSTS:
                self._known_hosts.add(headers.get(b"host", b""))
        allowed = self._cors(headers)
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": allowed + self._preflight(headers)})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, _with(allowed, send) if allowed else send)

    def _is_usual(self, method: str, headers: Headers) -> bool:
        """Whether nothing but a host that was let in before is there to be looked at, as in most requests."""
        return headers.get(b"host", b"") in self._known_hosts and method in METHODS and headers.keys() <= _USUAL

    def refusal(self, method: str, scheme: str, headers: Headers) -> Refused | None:
        """Why a request is not let in, by its method, the scheme it came by and its headers; None for one that is."""
        told = {name: value.decode("latin-1") for name, value in headers.items()}
        host = told.get(b"host", "")
        if not self._is_own(host):
            return _forbidden(
                f"the request names the host {host[:100]!r}; without gateway keys this gateway answers to localhost, "
                "to addresses, and to the names in ENCORE_GATEWAY_HOSTS"
            )
        # No page can send this one without a preflight. Of several proxies the last one is believed.
        scheme = told.get(b"x-forwarded-proto", scheme).rpartition(",")[2].strip().lower()
        origin = told.get(b"origin")
        is_cross = told.get(b"sec-fetch-site") == "cross-site"
        if (origin is not None and not self._may_ask(origin, scheme, host)) or (origin is None and is_cross):
            return _forbidden(
                f"the request comes from a web page ({(origin or 'of another site')[:100]}); this gateway serves the "
                "pages of its own address, of this machine, and of the origins in ENCORE_GATEWAY_ORIGINS"
            )
        if self._instance in told.get(b"via", ""):
            message = "the request came from this gateway itself: OPENAI_BASE_URL leads back to it; name the provider"
            return Refused(508, message, "loop", headers=[("x-should-retry", "false")])
        if method == "OPTIONS" and b"access-control-request-method" in headers:
            if origin in self._origins:
                return None
            return _forbidden(
                f"pages of {(origin or '')[:100]} may not read answers: name it in ENCORE_GATEWAY_ORIGINS"
            )
        if method not in METHODS:
            allowed = [("allow", ", ".join(METHODS))]
            return Refused(405, f"the gateway does not know the method {method[:20]}", "bad_method", headers=allowed)
        if told.get(b"transfer-encoding", "chunked").lower() != "chunked":
            return Refused(501, "the gateway unpacks no transfer coding but chunked", "unknown_transfer_coding")
        if "websocket" in told.get(b"upgrade", "").lower() and "upgrade" in told.get(b"connection", "").lower():
            return Refused(501, "the gateway carries no websockets: connect to the provider for those", "no_websocket")
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a gateway without keys may be called so: a page can make a name lead here, but no address."""
        if self._needs_keys or not host:
            return True
        name = host_name(host)
        return name is not None and (is_loopback(name) or is_address(name) or name in self._hosts)

    def _may_ask(self, origin: str, scheme: str, host: str) -> bool:
        if origin in self._origins:
            return True
        try:
            page, own = urlsplit(origin), urlsplit(f"{scheme}://{host}" if host_name(host) else "")
            default = {"http": 80, "https": 443}.get(scheme)
            is_own = (page.scheme, page.hostname, page.port or default) == (scheme, own.hostname, own.port or default)
        except ValueError:
            return False
        return page.hostname is not None and (is_own or is_loopback(page.hostname))

    def _cors(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        if not self._origins:
            return []
        origin = headers.get(b"origin", b"")
        if origin.decode("latin-1") not in self._origins:
            return [(b"vary", b"origin")]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]

    @staticmethod
    def _preflight(headers: Headers) -> list[tuple[bytes, bytes]]:
        allowed = [
            (b"access-control-allow-methods", ", ".join(METHODS).encode()),
            (b"access-control-max-age", b"600"),
        ]
        asked = headers.get(b"access-control-request-headers", b"")
        if _HEADER_NAMES.fullmatch(asked.decode("latin-1")):
            allowed.append((b"access-control-allow-headers", asked))
        if headers.get(b"access-control-request-private-network") == b"true":
            allowed.append((b"access-control-allow-private-network", b"true"))
        return allowed


def _with(headers: list[tuple[bytes, bytes]], send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return with_headers


def _forbidden(message: str) -> Refused:
    return Refused(403, message, "forbidden_origin")
