"""One call to the provider on behalf of a step: what is sent, and how the response is used.

All decisions about a call are here; `core.http.driver` only moves the bytes. A stream is kept only when its proper end
has been seen, and before the caller sees it: who has seen the end can count on a hit.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Final

import httpx2
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
from ..errors import IncompleteStream
from ..models import Completion
from ..wire import EventReader, assemble, encode_event, without_usage
from .inbound import Inbound, decode_json, is_small
from .reply import Headers, Reply, bypass_status, cache_status, from_hit, miss_status, passed_on

MOST_COLLECTED_BYTES: Final = 16_000_000

MOST_ANSWER_VALUES: Final = 500_000
"""A longer answer, or one of more values, is passed on and not collected."""

_ERRORS: Final[dict[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_BLOCK_END: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r")


def provider_error(status: int, headers: Headers, content: bytes) -> APIStatusError:
    """A provider's error response as the SDK's exception: it is counted, judged and shared in that form."""
    kind = _ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    response = httpx2.Response(
        status, headers=headers, content=content, request=httpx2.Request("POST", "https://provider")
    )
    return kind(f"the provider answered {status}", response=response, body=None)


class Exchange:
    """One call to the provider: the request that is sent and the use of its response. Ends its step, once."""

    def __init__(self, step: Asking, inbound: Inbound) -> None:
        self._step = step
        self._inbound = inbound
        self._adds_usage = inbound.adds_usage
        self._end_lock = threading.Lock()
        self._ended = False
        self._collected = 0
        self._chunks: list[dict[str, Any]] = []
        self._reader: EventReader | None = EventReader()
        self._rest = b""
        self._status = bypass_status(step.reason) if step.is_bypass else miss_status(step.reason)
        self._key = step.key

    @property
    def outgoing(self) -> bytes:
        """The body that the provider is sent."""
        return self._inbound.outgoing(adds_usage=self._adds_usage)

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
        body = _decoded(content) if content is not None else None
        self._step.drop(None if body is None else Completion(body=body))

    # A whole answer

    def sends_again(self, status: int, content: bytes) -> bool:
        """Whether the provider refused what the cache had added: the request is sent again without it."""
        again = self._adds_usage and status in (400, 422) and b"stream_options" in content
        if again:
            self._adds_usage = False
        return again

    def whole(self, status: int, headers: Headers, content: bytes) -> Reply:
        """The reply to a whole response of any status: the provider's own, or an older answer."""
        if status != 200:
            stale = self.fail(provider_error(status, headers, content))
            return stale or Reply(status=status, headers=passed_on(headers, self._status, self._key), content=content)
        body = _decoded(content)
        if body is None:
            self.fail(IncompleteStream("it is no JSON object"))
        else:
            self._end(Completion(body=body))
        return Reply(status=status, headers=passed_on(headers, self._status, self._key), content=content)

    # A stream

    def opened(self, headers: Headers) -> Headers:
        """The headers of a stream that begins."""
        return passed_on(headers, self._status, self._key)

    def feed(self, piece: bytes) -> bytes:
        """Reads a piece of the stream. Returns the bytes that the caller gets now."""
        self._collected += len(piece)
        if self._collected > MOST_COLLECTED_BYTES:
            self._chunks.clear()
        if not self._adds_usage:
            self._read(piece)
            return piece
        # The usage that the caller did not ask for is taken out again, event by event.
        shown = []
        *blocks, self._rest = _split_blocks(self._rest + piece)
        for block in blocks:
            chunks = self._read(block)
            if chunks and "usage" in chunks[0]:
                without = without_usage(chunks[0])
                shown.append(encode_event(without) if without is not None else b"")
            else:
                shown.append(block)
        return b"".join(shown)

    @property
    def is_complete(self) -> bool:
        """Whether the proper end has been read: `complete` is to be called before the caller sees it."""
        return self._reader is not None and not self._ended and (self._reader.ended or self._last_event_ends())

    def complete(self) -> None:
        """Ends the step with a complete stream, which is stored if that is allowed."""
        try:
            body = self._assembled()
        except IncompleteStream as error:
            self.fail(error)
        else:
            self._end(Completion(body=body), self._chunks)

    def cut(self) -> bytes:
        """Ends the step when no more bytes come. Returns the bytes still due to the caller.

        An incomplete stream is not stored.
        """
        rest, self._rest = self._rest, b""
        self.fail(IncompleteStream("it ended early"))
        return rest

    def fail(self, error: BaseException) -> Reply | None:
        """The provider failed, or the caller went away: an older answer if one may be served and nothing was shown."""
        if not self._claim_end():
            return None
        stale = self._step.fail(error, may_serve_stale=not self._collected)
        return from_hit(stale, self._inbound) if stale else None

    def _end(self, completion: Completion, chunks: list[dict[str, Any]] | None = None) -> None:
        if not self._claim_end():
            return
        self._status = cache_status(self._step.finish(completion, chunks).outcome)

    def _claim_end(self) -> bool:
        # The caller may go away on one thread while the answer is being stored on another.
        with self._end_lock:
            first, self._ended = not self._ended, True
        return first

    def _read(self, piece: bytes) -> list[dict[str, Any]]:
        if self._reader is None:
            return []
        try:
            events = self._reader.feed(piece)
        except IncompleteStream:
            self._reader = None  # not the protocol we know: passed on as it is
            return []
        chunks = [event for event in events if isinstance(event, dict)]
        if self._collected <= MOST_COLLECTED_BYTES:
            self._chunks += chunks
        return chunks

    def _last_event_ends(self) -> bool:
        # A response may also end incomplete or failed: whole, but not to be kept.
        return bool(self._chunks) and self._chunks[-1].get("type") in ("response.incomplete", "response.failed")

    def _assembled(self) -> dict[str, Any]:
        if self._collected > MOST_COLLECTED_BYTES:
            return {}
        if self._inbound.request.endpoint == "responses":
            response = self._chunks[-1].get("response")
            return response if isinstance(response, dict) else {}
        return assemble(self._chunks, choices=self._inbound.request.parameters.get("n") or 1)


def _decoded(content: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer; empty for one that is too large to look into, None for what is none."""
    return decode_json(content) if is_small(content, MOST_COLLECTED_BYTES, MOST_ANSWER_VALUES) else {}


def _split_blocks(data: bytes) -> list[bytes]:
    """Events with their closing blank line, and what is left."""
    blocks = []
    start = 0
    for match in _BLOCK_END.finditer(data):
        blocks.append(data[start : match.end()])
        start = match.end()
    return [*blocks, data[start:]]
