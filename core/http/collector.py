"""What a stream comes to: collected event by event while it is passed on. Pure."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..errors import IncompleteStream, UnclearStream
from ..inbound import Inbound, decode_json
from ..wire import DONE, Assembly, Event, ResponseAssembly, is_quickly_read

MOST_COLLECTED_BYTES: Final = 16_000_000
MOST_WHOLE_BYTES: Final = 4_000_000
MOST_TOGETHER_BYTES: Final = 128_000_000
MOST_CONTAINERS: Final = 20_000
"""A longer stream, and a larger answer in one piece, are passed on and not looked at."""


class Room:
    """How many bytes all streams of a process together are collected to: the largest makes room for the others.

    A client that does not read keeps its stream from ending, and what has come of it from being given back.
    """

    def __init__(self, most_bytes: int = MOST_TOGETHER_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Collector, int] = {}
        self._total = 0
        self._lock = threading.RLock()  # the garbage collector may end a stream on a thread that is in here

    def take(self, stream: Collector, size: int) -> None:
        """Takes in that a stream is collected to so many bytes more."""
        crowded = []
        with self._lock:
            self._held[stream] = self._held.get(stream, 0) + size
            self._total += size
            while self._total > self._most_bytes:
                crowded.append(max(self._held, key=self._held.__getitem__))
                self._total -= self._held.pop(crowded[-1])
        for largest in crowded:
            largest.crowd_out()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is collected."""
        return not self._held

    def leave(self, stream: Collector) -> None:
        """Takes in that nothing of a stream is held any more."""
        with self._lock:
            self._total -= self._held.pop(stream, 0)


class Collector:
    """What has come of a stream, and what it comes to. Read the answer from `body` once it `is_over`.

    `lost` is called when it is known that the answer cannot be kept.
    """

    def __init__(self, inbound: Inbound, room: Room, lost: Callable[[], None]) -> None:
        request = inbound.request
        is_chat = request.endpoint != "responses"
        self.size = 0
        self.is_over = False
        """Whether it is known what the stream comes to."""
        self.is_clear = True
        """Whether it may still come to an answer that can be kept."""
        self.reported: dict[str, Any] = {}
        """What a stream says of the call, be it clear or not: the model and the usage."""
        self.has_usage_alone = False
        """Whether the usage came in a chunk of its own."""
        self.has_usage_beside = False
        """Whether a chunk with words spoke of usage, be it to say that it comes later."""
        self._assembly = Assembly(request.parameters.get("n") or 1) if is_chat else ResponseAssembly()
        self._wants_usage = request.wants_usage
        self._has_begun = False
        self._has_end = False
        self._whole: list[bytes] | None = None
        self._problem: IncompleteStream | None = None
        self._room = room
        self._lost = lost
        self._lines = bytearray()  # the events as JSON, a fourth of what they take as objects

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The events of the stream."""
        lines = bytes(self._lines)
        try:
            return _decode_lines(lines)
        except msgspec.DecodeError:
            return [json.loads(line) for line in lines.splitlines()]  # half a surrogate pair, escaped

    @property
    def is_whole(self) -> bool:
        """Whether the answer comes in one piece, which some servers send though a stream was asked for."""
        return self._whole is not None

    def count(self, piece: bytes) -> None:
        """Counts a piece of whatever comes."""
        self.size += len(piece)
        if not self._has_begun and (first := piece.lstrip()[:1]):
            self._has_begun = True
            self._whole = [] if first == b"{" else None
        if self._whole is not None and self.size <= MOST_WHOLE_BYTES and self._problem is None:
            self._whole.append(piece)
            self._room.take(self, len(piece))

    def take(self, event: Event | None, *, is_lost: bool) -> None:
        """Takes in an event. `is_lost`: one could not be read."""
        if is_lost or self.size > MOST_COLLECTED_BYTES:
            self._give_up(UnclearStream("an event could not be read"))
        if event is DONE:
            self.is_over = self._has_end = True
        if not isinstance(event, dict):
            return
        self.reported |= {name: event[name] for name in ("model", "usage") if event.get(name)}
        if "usage" in event:
            is_alone = not event.get("choices")
            self.has_usage_alone |= is_alone
            self.has_usage_beside |= not is_alone
        if self._problem is not None:
            return
        try:
            self._assembly.add(event)
        except UnclearStream as error:
            self._give_up(error)
        except IncompleteStream as error:
            self._problem, self.is_over = error, True
        else:
            self._collect(event)
            self.is_over = self._assembly.is_whole

    def close(self, *, is_cut: bool) -> None:
        """Takes note that nothing more comes. `is_cut`: it broke off within an event."""
        if not self.is_over and self._problem is None and not self.is_whole:
            if self.size and not is_cut and not self._lines:
                self._problem = UnclearStream("it holds no events")
            elif is_cut or not self._assembly.has_finished:
                self._problem = IncompleteStream("it ended early")
            elif self._wants_usage and not self._assembly.has_usage:
                self._problem = UnclearStream("its usage did not come")
        self.is_over = True

    def body(self) -> dict[str, Any]:
        """The answer. Raises IncompleteStream, and UnclearStream for one that cannot be kept."""
        if self._problem is not None:
            raise self._problem
        if self._whole is None:
            return self._assembled()
        body = read_whole(b"".join(self._whole)) if self.size <= MOST_WHOLE_BYTES else None
        if body is None:
            raise UnclearStream("it is no JSON object")
        return body

    def _assembled(self) -> dict[str, Any]:
        try:
            return self._assembly.body()
        except IncompleteStream as error:
            if self._has_end:  # it did not break off
                raise UnclearStream("it ended without a finish reason") from error
            raise

    def crowd_out(self) -> None:
        """Gives up collecting: all streams together have become too large."""
        self._give_up(UnclearStream("too much is collected at a time"))

    def free(self) -> None:
        """Gives back what is held: nobody asks for the answer any more."""
        self._lines = bytearray()
        self._assembly = Assembly(1)
        self._whole = None if self._whole is None else []
        self._room.leave(self)

    def _collect(self, event: dict[str, Any]) -> None:
        before = len(self._lines)
        try:
            _encode_into(event, self._lines, -1)
        except UnicodeEncodeError:
            self._lines[before:] = json.dumps(event, separators=(",", ":")).encode()
        self._lines += b"\n"
        self._room.take(self, 2 * (len(self._lines) - before))  # as JSON, and as the text that it comes to

    def _give_up(self, error: UnclearStream) -> None:
        was_clear, self.is_clear = self.is_clear, False
        self._problem = self._problem or error
        self.free()
        if was_clear:
            self._lost()


def read_whole(content: bytes) -> dict[str, Any] | None:
    """The JSON object in the bytes, empty for one that would take long to read; None for anything else."""
    if len(content) > MOST_WHOLE_BYTES or not is_quickly_read(content, MOST_CONTAINERS):
        return {}
    return decode_json(content)


_encode_into: Final = msgspec.json.Encoder().encode_into
_decode_lines: Final = msgspec.json.Decoder(dict[str, Any]).decode_lines
