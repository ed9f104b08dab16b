"""One call to the provider on behalf of a step: what is sent, and what becomes of what comes back.

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
from .inbound import Inbound, decode_json
from .reply import Headers, Reply, bypass_status, cache_status, from_hit, miss_status, passed_on

MOST_COLLECTED_BYTES: Final = 16_000_000
"""A longer answer is passed on and not collected."""

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
    """A provider's answer that is none, as the SDK's error: that is how it is counted, judged and shared."""
    kind = _ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    response = httpx2.Response(
        status, headers=headers, content=content, request=httpx2.Request("POST", "https://provider")
    )
    return kind(f"the provider answered {status}", response=response, body=None)


class Exchange:
    """A call to the provider: what is sent, and what becomes of what comes back. Ends its step, once."""

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
        """What the provider is sent."""
        return self._inbound.outgoing(adds_usage=self._adds_usage)

    @property
    def is_awaited(self) -> bool:
        """Whether others wait for the answer too."""
        return not self._ended and self._step.is_awaited

    # A judge beside it

    def overruled(self, hit: Hit) -> Reply:
        """A judge's yes came before the provider's answer: the reply to give instead."""
        self._claim_end()
        return from_hit(hit, self._inbound)

    def drop(self, content: bytes | None) -> None:
        """What the provider answered after that; None when it was not read to the end."""
        body = decode_json(content) if content is not None and len(content) <= MOST_COLLECTED_BYTES else None
        self._step.drop(None if body is None else Completion(body=body))

    # A whole answer

    def sends_again(self, status: int, content: bytes) -> bool:
        """Whether the provider refused what we had added: it is to be asked again without."""
        again = self._adds_usage and status in (400, 422) and b"stream_options" in content
        if again:
            self._adds_usage = False
        return again

    def whole(self, status: int, headers: Headers, content: bytes) -> Reply:
        """The reply to an answer that came whole, whatever its status: the provider's own, or an older answer."""
        if status != 200:
            stale = self.fail(provider_error(status, headers, content))
            return stale or Reply(status=status, headers=passed_on(headers, self._status, self._key), content=content)
        body = decode_json(content) if len(content) <= MOST_COLLECTED_BYTES else {}
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
        """Reads a piece of the stream; what of it the caller gets now."""
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
        """The stream has come to its proper end."""
        try:
            body = self._assembled()
        except IncompleteStream as error:
            self.fail(error)
        else:
            self._end(Completion(body=body), self._chunks)

    def cut(self) -> bytes:
        """No more bytes come; what the caller has not got yet. Without its proper end nothing is kept."""
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


def _split_blocks(data: bytes) -> list[bytes]:
    """Events with their closing blank line, and what is left."""
    blocks = []
    start = 0
    for match in _BLOCK_END.finditer(data):
        blocks.append(data[start : match.end()])
        start = match.end()
    return [*blocks, data[start:]]
