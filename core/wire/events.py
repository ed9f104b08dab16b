"""Server-sent events: read from bytes and written as bytes."""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

MOST_EVENT_BYTES: Final = 1_000_000
"""A larger event is passed on and not read."""
MOST_EVENT_CONTAINERS: Final = 5_000
LONGEST_DONE: Final = 64


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


class Block(NamedTuple):
    """A part of a stream as it came, and the event that it holds, if it is one that could be read."""

    raw: bytes
    event: Event | None


class EventReader:
    """Reads server-sent events from bytes that arrive in any pieces, at a cost in proportion to their length.

    `ended` says whether `[DONE]` came: it needs no blank line, and nothing after it is read. `is_lost` says whether an
    event could not be read: it is no JSON object, or of more than `most_bytes`, or came after `[DONE]`. `is_cut` says,
    once the reader is closed, whether the bytes broke off within an event: a whole one needs no blank line then.
    """

    _LINE_END = re.compile(rb"\r\n|[\r\n]")
    _MORE = re.compile(rb"(?:^|[\r\n])data:(?! ?\[DONE\])")

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        self.ended = False
        self.is_lost = False
        self.is_cut = False
        self._most_bytes = most_bytes
        self._after_return = False
        self._at_start = True
        self._raw: list[bytes] = []  # what came of the block that has not ended, unless it was given back
        self._size = 0
        self._line: list[bytes] = []  # what came of the line that has not ended
        self._line_size = 0
        self._data: list[bytes] = []
        self._kind = b""

    def feed(self, piece: bytes) -> list[Block]:
        """The blocks that ended in this piece; of one that is too large, what has come of it. Nothing is left out."""
        blocks: list[Block] = []
        given = begun = 0  # what is not in a block yet, and what belongs to the one that has not ended
        line = 1 if self._after_return and piece.startswith(b"\n") else 0
        self._after_return = piece.endswith(b"\r") if piece else self._after_return
        for match in () if self.ended else self._LINE_END.finditer(piece, line):
            if match.start() > line:
                self._extend_line(piece[line : match.start()])
            line = match.end()
            if not self._ends_block():
                continue
            begun = line
            if self._data:
                raw = [*self._raw, piece[given:line]]
                given = line
                blocks.append(Block(b"".join(raw), self._event()))
                if self.ended:
                    break
            else:  # blank lines and comments make no block each
                self._size, self._kind = 0, b""
        if begun > given:
            blocks.append(Block(b"".join([*self._raw, piece[given:begun]]), None))
            self._raw.clear()
        rest = piece[begun:]
        if self.ended:
            self.is_lost = self.is_lost or bool(self._MORE.search(rest))
            return [*blocks, Block(rest, None)] if rest else blocks
        self._extend_line(piece[line:])
        self._raw.append(rest)
        self._size += len(rest)
        if self._size > self._most_bytes:
            self.is_lost = True
            blocks.append(Block(b"".join(self._raw), None))
            for held in (self._raw, self._line, self._data):
                held.clear()
        return blocks

    def close(self) -> Block:
        """What is left when no more bytes come."""
        raw = b"".join(self._raw)
        self._raw.clear()
        is_within = not self.ended and bool(self._line_size or self._data or self._kind)
        has_line_end = not self._line_size
        event = self._event() if is_within and (has_line_end or self._ends_block()) else None
        self.is_cut = is_within and event is None
        return Block(raw, event)

    def _extend_line(self, part: bytes) -> None:
        self._line_size += len(part)
        if self._size <= self._most_bytes:
            self._line.append(part)

    def _ends_block(self) -> bool:
        """Reads the line that has ended. Whether its block has ended too."""
        if not self._line_size:
            return True
        line = b"".join(self._line)
        self._line.clear()
        self._line_size = 0
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        # Comments begin with a colon; the other fields (id, retry) repeat what the data say, or are not used.
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            return len(self._data) == 1 and _is_done(value)
        if name == b"event":
            self._kind = value.strip()
        # A comment keeps the connection alive: it does not wait for a blank line.
        return not (name or self._data or self._kind)

    def _event(self) -> Event | None:
        """The event of the block that has ended, which is then forgotten."""
        data, kind, size = b"\n".join(self._data), self._kind, self._size
        self._raw.clear()
        self._data.clear()
        self._size, self._kind = 0, b""
        if not data or size > self._most_bytes:
            return None
        if _is_done(data):
            self.ended = True
            return DONE
        is_quick = len(data) <= self._most_bytes and is_quickly_read(data, MOST_EVENT_CONTAINERS)
        event = _decode(data) if is_quick else None
        if not isinstance(event, dict) or _is_called_otherwise(kind, event):
            self.is_lost = True
            return None
        return {"error": event} if kind == b"error" else event


def is_quickly_read(content: bytes, most_containers: int) -> bool:
    """Whether JSON has few enough objects and lists: they cost far more time than bytes do, and nobody else runs."""
    return content.count(b"{") + content.count(b"[") <= most_containers


def _is_called_otherwise(kind: bytes, event: dict[str, Any]) -> bool:
    """Whether the line before the data of a response's event says another type than the data do."""
    return kind.startswith(b"response.") and event.get("type") != kind.decode(errors="replace")


def _is_done(data: bytes) -> bool:
    return len(data) < LONGEST_DONE and data.strip() == b"[DONE]"


def finite(number: str) -> float:
    """A number, and no NaN or Infinity, which Python reads and nobody could write again as JSON."""
    if not math.isfinite(value := float(number)):
        raise ValueError(number)
    return value


def _decode(data: bytes) -> Any:
    """The JSON value in the bytes; None for what is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError):
        # Stricter than what servers send: half a surrogate pair, escaped, is one. What is no UTF-8 is no DecodeError.
        try:
            return json.loads(data.decode(), parse_constant=finite, parse_float=finite)
        except (ValueError, RecursionError):
            return None
    except RecursionError:
        return None
