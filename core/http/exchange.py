"""One call to the provider on behalf of a step: what is sent, and how the response is used.

All decisions about a call are here; `core.http.driver` only moves the bytes. A stream is passed on as it comes,
whatever it is. It is kept only when it is whole and clear, and before the caller sees its end: who has seen the end can
count on a hit.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import httpx2
from cachetools import TTLCache
from openai import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)

from ..cache import Asking, Hit
from ..errors import IncompleteStream, UnclearStream
from ..inbound import Inbound, repeats_names
from ..models import ChatRequest, Completion
from ..policy import UNCLEAR
from ..wire import Event, EventReader, encode_event, without_usage
from .collector import Collector, Room, read_whole
from .reply import Headers, Reply, as_bytes, bypass_status, cache_status, from_hit, miss_status, passed_on

AT_ONCE_BYTES: Final = 10_000
"""A longer body is looked at on a thread."""
FAILING_SECONDS: Final = 10
_REFUSALS: Final = frozenset({400, 403, 404, 405, 406, 415, 422, 500, 501})
"""Statuses by which a server may refuse a field that it does not know. Others are about the caller, or the moment."""

_ERRORS: Final[dict[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def provider_error(status: int, headers: Headers, content: bytes) -> APIStatusError:
    """A provider's error response as the SDK's exception: it is counted, judged and shared in that form."""
    kind = _ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    response = httpx2.Response(
        status, headers=as_bytes(headers), content=content, request=httpx2.Request("POST", "https://provider")
    )
    return kind(f"the provider answered {status}", response=response, body=None)


class PlainStreams:
    """Which models of which servers are asked for a stream without `stream_options`: they refuse it, or tell the usage
    unasked. What is known of one holds for an hour. `room` is where their answers are collected.
    """

    def __init__(self) -> None:
        self.room = Room()
        self._failing: TTLCache[tuple[str, str], bool] = TTLCache(maxsize=1000, ttl=FAILING_SECONDS)
        # None: not known yet, the next stream is asked for without it and tells.
        self._are_plain: TTLCache[tuple[str, str], bool | None] = TTLCache(maxsize=1000, ttl=3600)
        self._lock = threading.Lock()

    def add(self, request: ChatRequest) -> None:
        """Remembers the server of a request, and its model."""
        with self._lock:
            self._are_plain[self._key(request)] = True

    def __contains__(self, request: ChatRequest) -> bool:
        with self._lock:
            return self._are_plain.get(self._key(request), False) is not False

    def add_failure(self, request: ChatRequest) -> None:
        """Remembers for a moment that a model fails without it too."""
        with self._lock:
            self._failing[self._key(request)] = True

    def fails(self, request: ChatRequest) -> bool:
        """Whether a model fails however it is asked: one in trouble is not asked twice by each."""
        with self._lock:
            return self._key(request) in self._failing

    def note(self, request: ChatRequest, *, was_asked: bool, came_alone: bool) -> None:
        """Notes whether a whole stream had its usage in a chunk of its own, while no other chunk spoke of usage.

        Where it was asked for, such a server may send it unasked too.
        """
        key = self._key(request)
        with self._lock:
            if not was_asked and self._are_plain.get(key, False) is None:
                self._are_plain[key] = came_alone
            elif was_asked and came_alone and key not in self._are_plain:
                self._are_plain[key] = None

    @staticmethod
    def _key(request: ChatRequest) -> tuple[str, str]:
        return request.base_url, request.model[:100]


class Exchange:
    """One call to the provider: the request that is sent and the use of its response. Ends its step, once."""

    def __init__(self, step: Asking, inbound: Inbound, plain_streams: PlainStreams) -> None:
        self._step = step
        self._inbound = inbound
        self._plain_streams = plain_streams
        self._adds_usage = inbound.adds_usage and inbound.request not in plain_streams
        self._refused_with = 0  # the status by which what was added may have been refused
        self._end_lock = threading.Lock()
        self._ended = False
        self._is_as_read: bool | None = None
        self._reader = EventReader()
        self._stream = Collector(inbound, plain_streams.room, step.release)
        self._status = bypass_status(step.reason) if step.is_bypass else miss_status(step.reason)
        self._key = step.key

    @property
    def outgoing(self) -> bytes:
        """The body that the provider is sent."""
        if self._is_as_read is None:
            self.look()
        return self._inbound.outgoing(adds_usage=self._adds_usage, is_as_read=self._is_as_read is not False)

    def look(self) -> None:
        """Looks whether the provider can read the body in no other way. Off the event loop where it is long."""
        # What is for this caller alone goes on as it came.
        self._is_as_read = self._step.is_bypass or not repeats_names(self._inbound.content)

    @property
    def is_long(self) -> bool:
        """Whether to look takes more than a moment."""
        return len(self._inbound.content) > AT_ONCE_BYTES and not self._step.is_bypass

    @property
    def is_awaited(self) -> bool:
        """Whether other callers wait for the answer too."""
        return not self._ended and self._step.is_awaited

    # A judge beside it

    def overruled(self, hit: Hit) -> Reply:
        """The reply to give when a judge's yes came before the provider's answer; None otherwise."""
        self._claim_end()
        return from_hit(hit, self._inbound)

    def drop(self, content: bytes | None) -> None:
        """Notes the provider's answer that a judge's yes has overtaken; None when it was not read to the end."""
        body = read_whole(content) if content is not None else None
        self._step.drop(Completion(body=body) if body else None)

    # A whole answer

    def sends_again(self, status: int) -> bool:
        """Whether the provider may have refused what the cache had added: the request is sent again as it came.

        Servers say so in words and by a status of their own. What comes then is the answer, and tells whether that was
        the reason.
        """
        request, streams = self._inbound.request, self._plain_streams
        again = self._adds_usage and status in _REFUSALS and not (status >= 500 and streams.fails(request))
        if again:
            self._adds_usage, self._refused_with = False, status
        elif self._is_plain and status == 200:
            streams.add(request)
        elif self._refused_with and status >= 500:
            streams.add_failure(request)
        return again

    @property
    def _is_plain(self) -> bool:
        """Whether the server is known to refuse what was added, once it answers. A 500 may have been the moment's."""
        return self._refused_with not in (0, 500)

    def whole(self, status: int, headers: Headers, content: bytes) -> Reply:
        """The reply to a whole response of any status: the provider's own, or an older answer."""
        if status != 200:
            stale = self.fail(provider_error(status, headers, content))
            return stale or Reply(status=status, headers=passed_on(headers, self._status, self._key), content=content)
        body = read_whole(content)
        if body is None:
            self.fail(IncompleteStream("it is no JSON object"))
        else:
            self._end(Completion(body=body))
        return Reply(status=status, headers=passed_on(headers, self._status, self._key), content=content)

    # A stream

    def is_stream(self, status: int, content_type: str) -> bool:
        """Whether a response is passed on piece by piece: whatever it is called, when a stream was asked for."""
        return status == 200 and (self._inbound.wants_stream or content_type.lower().startswith("text/event-stream"))

    def opened(self, headers: Headers) -> Headers:
        """The headers of a stream that begins."""
        if self._is_plain:
            self._plain_streams.add(self._inbound.request)
        return passed_on(headers, self._status, self._key)

    def feed(self, piece: bytes) -> bytes:
        """Reads a piece of the stream. Returns the bytes that the caller gets now."""
        self._stream.count(piece)
        if self._stream.is_whole:
            # After blanks that were held back.
            return self._reader.close().raw + piece if self._adds_usage else piece
        shown = []
        for raw, event in self._reader.feed(piece):
            shown.append(self._shown(raw, event))
            self._take(event)
        # The usage that the caller did not ask for is taken out again, event by event.
        return b"".join(shown) if self._adds_usage else piece

    def close(self) -> bytes:
        """Takes note that the stream has come to its end. Returns the bytes still due to the caller."""
        raw, event = self._reader.close()
        self._take(event)
        self._stream.close(is_cut=self._reader.is_cut)
        return raw if self._adds_usage else b""

    @property
    def is_clear(self) -> bool:
        """Whether the stream may still be kept."""
        return self._stream.is_clear

    @property
    def is_decided(self) -> bool:
        """Whether it is known what becomes of the stream: `settle` is to be called before the caller sees more."""
        return not self._ended and self._stream.is_over

    def settle(self) -> None:
        """Ends the step with a stream that is over: keeps it if it is whole and clear and that is allowed."""
        try:
            body = self._stream.body()
            self._end(Completion(body=body), None if self._stream.is_whole else self._stream.chunks)
            if self._inbound.adds_usage:
                self._plain_streams.note(
                    self._inbound.request,
                    was_asked=self._adds_usage,
                    came_alone=self._stream.has_usage_alone and not self._stream.has_usage_beside,
                )
        except UnclearStream:
            self._end(Completion(body=self._stream.reported), not_stored=UNCLEAR)
        except IncompleteStream as error:
            self.fail(error)

    def fail(self, error: BaseException) -> Reply | None:
        """The provider failed, or the caller went away: an older answer if one may be served and nothing was shown."""
        if not self._claim_end():
            return None
        stale = self._step.fail(error, may_serve_stale=not self._stream.size)
        return from_hit(stale, self._inbound) if stale else None

    def _take(self, event: Event | None) -> None:
        if self._ended:
            return
        self._stream.take(event, is_lost=self._reader.is_lost)

    def _shown(self, raw: bytes, event: Event | None) -> bytes:
        if not self._adds_usage or not isinstance(event, dict) or "usage" not in event:
            return raw
        without = without_usage(event)
        if without is None:
            return b""
        return raw if len(without) == len(event) else encode_event(without)

    def _end(self, completion: Completion, chunks: list[dict[str, Any]] | None = None, *, not_stored: str = "") -> None:
        if not self._claim_end():
            return
        self._status = cache_status(self._step.finish(completion, chunks, not_stored=not_stored).outcome)

    def _claim_end(self) -> bool:
        # The caller may go away on one thread while the answer is being stored on another.
        with self._end_lock:
            first, self._ended = not self._ended, True
        if first:
            self._stream.free()
        return first
