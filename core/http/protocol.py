"""The server's side of one connection: uvicorn's, with bounds on what a client may send and hold before it is known.

A request whose head comes in one piece meets none of the timers.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, Literal, cast

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from .connection import ABORT
from .reply import error_reply

MOST_HEAD_BYTES: Final = 65_536
MOST_HEADERS: Final = 200
MUCH_UNREAD_BYTES: Final = 200_000
# An upgrade that a client offers and does not need (h2c): the parser would take the body for another protocol.
_OFFER: Final = re.compile(rb"(?<=\n)upgrade(?=:(?![ \t]*websocket))", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when its client sends too much, or nothing in time.

    `head_seconds` after its beginning, or after the first byte of a later request, a request line and its headers are
    there; for `linger_seconds` the rest of a body is received and dropped when its request has been answered already;
    after `stall_seconds` in which a client has read nothing of what is waiting for it, nobody waits for it. No
    more than `most_unread_bytes` wait for all clients together.
    """

    head_seconds = 20.0
    linger_seconds = 30.0
    stall_seconds = 300.0
    most_unread_bytes = 256_000_000

    def __init__(self, *arguments: Any, most_connections: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most_connections = most_connections
        self._state: Literal["between", "head", "body"] = "head"
        self._began = self._had_body = False
        self._head_bytes = self._unfinished_bytes = self._framing_bytes = 0
        self._answered: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins a connection. When there are too many, one that is idle is closed, or else this one."""
        is_full = len(self.connections) >= self._most_connections
        super().connection_made(transport)
        self._end_within(self.head_seconds)
        if is_full and not self._close_an_idle_one():
            self._refuse(
                503, "there are as many connections as ENCORE_GATEWAY_CONNECTIONS allows", "too_many_connections"
            )

    def _close_an_idle_one(self) -> bool:
        for other in cast("list[BoundedProtocol]", list(self.connections)):
            if other is not self and other.is_idle:
                other.transport.abort()
                return True
        return False

    @property
    def is_idle(self) -> bool:
        """Whether nobody misses the connection: no request is being answered."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends with the connection."""
        self._end_within(None)
        if self._stalled is not None:
            self._stalled.cancel()
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        """Tells the request that is being answered that its client has left; those behind it are not begun."""
        self.pipeline.clear()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Reads what the client has sent."""
        if self.transport.is_closing():
            return
        before, self._began, self._had_body = self._state, False, False
        if before != "body" and b"pgrade" in data:
            head, blank, rest = data.partition(b"\r\n\r\n")
            data = _OFFER.sub(b"keep-alive", head) + blank + rest
        super().data_received(data)
        if self.transport.is_closing():
            self._leave()
            return
        if self._state == "body":
            # What frames a body, and the trailers behind it: the parser collects them.
            self._framing_bytes = 0 if self._had_body or before != "body" else self._framing_bytes + len(data)
            if self._framing_bytes > MOST_HEAD_BYTES:
                self._close()
            elif not self.cycle.response_complete:
                self._end_within(None)
        elif self._state == "head" or (before == "between" and not self._began):
            self._unfinished_bytes = len(data) + (0 if self._began else self._unfinished_bytes)
            if self._unfinished_bytes > MOST_HEAD_BYTES:
                self._refuse_head()
            elif self._deadline is None:
                self._end_within(self.head_seconds)
        else:
            self._end_within(None)
            if self.cycle.response_complete and self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._state, self._began, self._head_bytes = "head", True, 0
        self.scope["extensions"] = {ABORT: cast("dict[object, object]", self._abort)}

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is there. Blanks around its value are no part of it; a trailer is none."""
        if self._state == "body":
            return
        if len(self.headers) < MOST_HEADERS:
            super().on_header(name, value.strip(b" \t"))
            self._head_bytes += len(name) + len(value)
        else:
            self._head_bytes = MOST_HEAD_BYTES + 1

    def on_headers_complete(self) -> None:
        """The headers are there: the request is answered from now on."""
        self._state = "body"
        if self._head_bytes + len(self.url) > MOST_HEAD_BYTES:
            self._refuse_head()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there."""
        self._had_body = True
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._state = "between"
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request has been answered."""
        super().on_response_complete()
        if self._state == "body" and not self.transport.is_closing():
            self._end_within(self.linger_seconds)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_seconds, self.transport.abort)
        if self.transport.get_write_buffer_size() > MUCH_UNREAD_BYTES:
            self._make_room()

    def _make_room(self) -> None:
        """Ends the connections whose clients have most left to read while that is too much in all."""
        connections = cast("list[BoundedProtocol]", list(self.connections))
        unread = {other.transport: other.transport.get_write_buffer_size() for other in connections}
        total = sum(unread.values())
        while total > self.most_unread_bytes:
            largest = max(unread, key=unread.__getitem__)
            total -= unread.pop(largest)
            largest.abort()

    def resume_writing(self) -> None:
        """The client has read what was waiting for it."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, _without_chunks(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def _unsupported_upgrade_warning(self) -> None:
        pass  # the application says it to the client

    def _end_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._close)

    def _refuse_head(self) -> None:
        message = f"the headers are larger than {MOST_HEAD_BYTES} bytes, or more than {MOST_HEADERS}"
        self._refuse(431, message, "headers_too_large")

    def _refuse(self, status: int, message: str, code: str) -> None:
        if self._answered is not None and not self._answered.response_complete:
            self._close()  # what is due now is the answer to an earlier request
            return
        reply = error_reply(status, message, kind="invalid_request_error", code=code)
        head = (
            STATUS_LINE[status] + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        )
        self.transport.write(head % len(reply.content) + reply.content)
        self.transport.close()

    def _close(self) -> None:
        self._leave()
        self.transport.close()

    def _abort(self) -> None:
        self._close()  # it is no mistake that this response stays without its end


def _without_chunks(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """The application for a client that knows no chunks: a response without a length ends with its connection."""

    async def answering(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        is_open = False

        async def plainly(message: ASGISendEvent) -> None:
            nonlocal is_open
            if message["type"] == "http.response.start":
                is_open = not any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                cycle.chunked_encoding = False if is_open else None
            elif is_open and message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, plainly)

    return cast("ASGI3Application", answering)
