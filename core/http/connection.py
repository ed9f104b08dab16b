"""One request to the gateway and the way back to its client, in ASGI's terms."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from .reply import Headers, Reply, error_reply

# Between two connections, not between client and provider; or chosen anew for the next hop.
HOP_HEADERS: Final = frozenset(
    {
        *("connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_KEPT_FROM_CLIENT: Final = HOP_HEADERS | {"alt-svc", "date", "server", "set-cookie", "strict-transport-security"}


class Refused(Exception):
    """The gateway's own error, in the provider's format."""

    def __init__(self, status: int, message: str, code: str, parameter: str | None = None) -> None:
        super().__init__(message)
        kind = "authentication_error" if status == 401 else "invalid_request_error"
        self.reply = error_reply(status, message, kind=kind, code=code, parameter=parameter)


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Connection:
    """One request and the way back to its client. Names of headers are in lower case."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        prefix: str = scope["root_path"]
        self.path: str = scope["path"].removeprefix(prefix)
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.raw_path = raw_path.decode("latin-1").removeprefix(prefix)
        self.query: str = scope["query_string"].decode("latin-1")
        self.raw_headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self.headers: dict[str, str] = {}
        for name, value in self.raw_headers:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.started = False
        self._receive = receive
        self._send = send

    async def body(self, most_bytes: int, most_seconds: float) -> bytes:
        """The request's body. Raises Refused for one too large or too slow, ClientLeft for one that breaks off."""
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most_bytes:
            raise _too_large(most_bytes)
        try:
            async with asyncio.timeout(most_seconds):
                return await self._whole_body(most_bytes)
        except TimeoutError:
            message = f"the request did not arrive within {most_seconds:g} seconds"
            raise Refused(408, message, "request_timeout") from None

    async def _whole_body(self, most_bytes: int) -> bytes:
        pieces: list[bytes] = []
        received = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            pieces.append(message.get("body", b""))
            received += len(pieces[-1])
            if received > most_bytes:
                raise _too_large(most_bytes)
            more = message.get("more_body", False)
        return b"".join(pieces)

    async def until_left(self) -> None:
        """Returns when the client has closed the connection."""
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await self._receive()

    async def reply(self, reply: Reply) -> None:
        """Sends a whole response."""
        await self.start(reply.status, [*reply.headers, ("content-length", str(len(reply.content)))])
        await self._send({"type": "http.response.body", "body": reply.content})

    async def start(self, status: int, headers: Headers) -> None:
        """Sends the status and headers of a response."""
        self.started = True
        encoded = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if name == "content-length" or name not in _KEPT_FROM_CLIENT
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, piece: bytes) -> None:
        """Sends a piece of the body. Waits for a client that reads slowly."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """Ends the response."""
        await self._send({"type": "http.response.body", "body": b""})


def _too_large(most_bytes: int) -> Refused:
    return Refused(413, f"the request is larger than {most_bytes} bytes", "request_too_large")
