"""One request to the gateway and the way back to its client, in ASGI's terms.

Headers are the bytes that came, as latin-1: what is in them goes on as it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from ..inbound import request_id_in
from .reply import Headers, Reply, error_reply

ABORT: Final = "encore.abort"
"""Name of the server's extension that closes a connection in the middle of a response."""

# Between two connections, not between client and provider; or chosen anew for the next hop.
HOP_HEADERS: Final = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# What the provider says of its own address and of the pages that may use it: neither is this gateway's.
_KEPT_FROM_CLIENT: Final = HOP_HEADERS | {
    *("alt-svc", "clear-site-data", "cross-origin-resource-policy", "date", "nel", "report-to", "reporting-endpoints"),
    *("server", "service-worker-allowed", "set-cookie", "strict-transport-security", "timing-allow-origin"),
}
_CORS: Final = "access-control-"
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Refused(Exception):
    """The gateway's own error, in the provider's format."""

    def __init__(
        self, status: int, message: str, code: str, parameter: str | None = None, headers: Headers | None = None
    ) -> None:
        super().__init__(message)
        kind = "authentication_error" if status == 401 else "invalid_request_error"
        self.reply = error_reply(status, message, kind=kind, code=code, parameter=parameter, headers=headers or ())


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Connection:
    """One request and the way back to its client. Names of headers are in lower case.

    `path` is what follows `/v1`, encoded as it came; empty where that is not spelled plainly.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.root: str = scope["root_path"]
        self.path = _path_below(self.root, scope["raw_path"].decode("latin-1"))
        self.query: str = scope["query_string"].decode("latin-1")
        self.raw_headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self.headers: dict[str, str] = {}
        for name, value in self.raw_headers:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.started = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._more = "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"
        self._received = 0
        self._only_leaving = asyncio.Event() if self._more else None

    async def body(self, most_bytes: int, most_seconds: float) -> tuple[bytes, bool]:
        """The beginning of the request's body, and whether it is whole: reading ends when there is more than that.

        Raises Refused when it takes too long, ClientLeft when it breaks off.
        """
        pieces: list[bytes] = []
        length = self.headers.get("content-length")
        if length is None or int(length) <= most_bytes:
            try:
                async with asyncio.timeout(most_seconds):
                    while self._more and self._received <= most_bytes:
                        pieces.append(await self._piece())
            except TimeoutError:
                raise _too_slow(most_seconds) from None
        return b"".join(pieces), not self._more

    async def rest(self, beginning: bytes, most_seconds: float, most_bytes: int | None) -> AsyncIterator[bytes]:
        """The body piece by piece, with its beginning that was read before. `most_seconds` is for each piece.

        Raises Refused for a piece that does not come and for a body that is larger, ClientLeft when it breaks off.
        """
        if beginning:
            yield beginning
        while self._more:
            try:
                async with asyncio.timeout(most_seconds):
                    piece = await self._piece()
            except TimeoutError:
                raise _too_slow(most_seconds) from None
            if most_bytes is not None:
                self.check_size(self._received, most_bytes)
            if piece:
                yield piece

    @staticmethod
    def check_size(size: int, most_bytes: int) -> None:
        """Raises Refused for a body larger than the operator allows."""
        if size > most_bytes:
            message = f"the request is larger than {most_bytes} bytes (ENCORE_GATEWAY_MAX_BODY_BYTES)"
            raise Refused(413, message, "request_too_large")

    async def _piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece: bytes = message.get("body", b"")
        self._received += len(piece)
        self._more = message.get("more_body", False)
        return piece

    def end_of_body(self) -> None:
        """Nobody reads the body any more: all that can come is that the client leaves."""
        if self._only_leaving is not None:
            self._only_leaving.set()

    async def until_left(self) -> None:
        """Returns when the client has closed the connection."""
        if self._more and self._only_leaving is not None:
            await self._only_leaving.wait()
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await self._receive()

    async def reply(self, reply: Reply) -> None:
        """Sends a whole response."""
        headers = [(name, value) for name, value in reply.headers if name != "content-length"]
        await self.start(reply.status, [*headers, ("content-length", str(len(reply.content)))])
        await self._send({"type": "http.response.body", "body": reply.content})

    async def start(self, status: int, headers: Headers) -> None:
        """Sends the status and headers of a response. One that names no request gets an id for it."""
        self.started = True
        encoded = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if (name not in _KEPT_FROM_CLIENT or name == "content-length")
            and not name.startswith(_CORS)
            and (value.isprintable() or not _UNSENDABLE.search(value))
        ]
        if not any(name == "x-request-id" for name, _ in headers):
            encoded.append((b"x-request-id", self._request_id().encode("latin-1")))
        # Numbers that are no status at all come from providers too.
        await self._send(
            {"type": "http.response.start", "status": status if 200 <= status < 600 else 502, "headers": encoded}
        )

    def _request_id(self) -> str:
        """The caller's own id of this request, else a new one."""
        return request_id_in(self.headers) or f"req_{token_hex(12)}"

    async def write(self, piece: bytes) -> None:
        """Sends a piece of the body. Waits for a client that reads slowly."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """Ends the response."""
        await self._send({"type": "http.response.body", "body": b""})

    def abort(self) -> None:
        """Closes the connection without the end of the response, so that the client sees that it broke off."""
        if abort := self._scope.get("extensions", {}).get(ABORT):
            abort()


def _path_below(prefix: str, raw_path: str) -> str:
    path = raw_path.removeprefix(prefix)
    if not raw_path.startswith(prefix) or not path.startswith("/"):
        return ""
    return "/" + path.lstrip("/")  # base URLs often end with a slash of their own


def _too_slow(most_seconds: float) -> Refused:
    message = f"the request did not arrive within {most_seconds:g} seconds (ENCORE_GATEWAY_BODY_SECONDS)"
    return Refused(408, message, "request_timeout")
