"""Server-sent events: read from bytes and written as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import msgspec

from ..errors import IncompleteStream
from .responses import is_complete


class End(Enum):
    """The event `data: [DONE]`, the proper end of a stream of chunks."""

    DONE = "[DONE]"


DONE: Final = End.DONE


Event = dict[str, Any] | End


def encode_event(event: Event) -> bytes:
    """One server-sent event. A typed event (of the responses API) also says its type in the `event` field."""
    if isinstance(event, End):
        return b"data: [DONE]\n\n"
    try:
        data = msgspec.json.encode(event)
    except UnicodeEncodeError:
        # Half a surrogate pair, which models do produce: only escaped JSON can carry it.
        data = json.dumps(event, separators=(",", ":")).encode()
    kind = event.get("type")
    if isinstance(kind, str) and kind.isprintable():
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


class EventReader:
    """Reads server-sent events from bytes that arrive in any pieces.

    `ended` says whether the stream came to its proper end: `[DONE]`, or `response.completed`. Bytes after it are
    ignored.
    """

    _LINE_END = re.compile(rb"[\r\n]")

    def __init__(self) -> None:
        self.ended = False
        self._line = bytearray()
        self._data: list[bytes] = []
        self._after_return = False
        self._at_start = True

    def feed(self, piece: bytes) -> list[Event]:
        """The events that became whole with this piece. Raises IncompleteStream for data that is no JSON object."""
        events: list[Event] = []
        for line in self._lines(piece):
            if self.ended:
                break
            if line:
                self._read_field(line)
            elif self._data:
                event = self._event(b"\n".join(self._data))
                self._data.clear()
                self.ended = isinstance(event, End) or is_complete([event])
                events.append(event)
        return events

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        start = 0
        for end in (match.start() for match in self._LINE_END.finditer(piece)):
            ends_a_pair = self._after_return and end == start and piece[end : end + 1] == b"\n"
            self._after_return = piece[end : end + 1] == b"\r"
            if not ends_a_pair:
                yield self._take_line(piece[start:end])
            start = end + 1
        if start < len(piece):
            self._after_return = False
            self._line += piece[start:]

    def _take_line(self, rest: bytes) -> bytes:
        line = bytes(self._line) + rest
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        return line

    def _read_field(self, line: bytes) -> None:
        # Comments begin with a colon; the other fields (event, id, retry) repeat what the data say, or are not used.
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))

    @staticmethod
    def _event(data: bytes) -> Event:
        if data.strip() == b"[DONE]":
            return DONE
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            raise IncompleteStream("an event holds no JSON") from None
        if not isinstance(event, dict):
            raise IncompleteStream("an event holds no JSON object")
        return event


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        # Stricter than what servers send: half a surrogate pair, escaped, is one.
        return json.loads(data.decode())
