"""Transfer: entries as JSON Lines, and requests with their answers read from such lines as they come. Pure.

An entry keeps the last message of its request and a digest of all the rest, so a line can describe only part of what
was asked. Such a line is marked, and is not imported before it has been completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..errors import CacheError, InvalidInput
from ..models import ChatRequest, Completion, Controls, Default, ttl
from ..text import to_json_lines
from .listing import FoundEntry

LONGEST_LINE = 4_000_000
"""Bytes of a line; a longer one is not read."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request with its answer: `answer` as text, or `completion` as the provider's JSON.

    `ttl_seconds` None leaves the TTL to the policy. The fields from `key` on are of an exported entry: the request must
    then have that very key, the answer stays fresh until `fresh_until` (Unix seconds) and keeps what it depends on.
    """

    model: str
    messages: list[dict[str, Any]]
    parameters: dict[str, Any] = {}
    endpoint: str = "chat"
    answer: str | None = None
    completion: dict[str, Any] | None = None
    ttl_seconds: float | None = None
    tags: tuple[str, ...] = ()
    user: str | None = None
    key: str | None = None
    namespace: str | None = None
    created_at: float | None = None
    fresh_until: float | None = None
    ttl_class: str = ""
    cost_usd: float | None = None

    def request(self) -> ChatRequest:
        """The request that the line's answer is stored for. Raises InvalidInput for a line that is incomplete."""
        return ChatRequest.from_openai(
            model=self.model, messages=self.messages, endpoint=self.endpoint, **self._parameters()
        )

    def _parameters(self) -> dict[str, Any]:
        taken = {"model", "messages", "endpoint", "base_url", "extra_headers", "extra_body"} & self.parameters.keys()
        if taken:
            raise InvalidInput("parameters", f"{min(taken)} is no parameter")
        return self.parameters

    def reply(self, now: float) -> Completion:
        """The answer as a completion. Raises InvalidInput unless the line has exactly one answer."""
        if (self.answer is None) == (self.completion is None):
            raise InvalidInput("answer", "give either answer or completion")
        if self.completion is not None:
            return Completion(body=self.completion)
        return written(self.model, self.answer or "", now)

    def controls(self, namespace: str, now: float) -> Controls:
        """The controls for storing the line: namespace, TTL, tags, user. Raises InvalidInput."""
        time_to_live = ttl(self.ttl_seconds)
        if self.fresh_until is not None:
            left = self.fresh_until - now
            time_to_live = ttl(left if left >= 1 else 0)
        elif self.ttl_seconds is None:
            time_to_live = Default()
        return Controls(namespace=namespace, ttl=time_to_live, tags=self.tags, user=self.user)


_decode = msgspec.json.Decoder(Line).decode


def written(model: str, text: str, now: float) -> Completion:
    """A chat completion with this text and zero usage."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return Completion(
        body={
            "id": "written",
            "object": "chat.completion",
            "created": int(now),
            "model": model,
            "choices": [choice],
            "usage": usage,
        }
    )


def as_line(found: FoundEntry) -> Line:
    """An entry as a line: its request as far as the entry holds it."""
    entry = found.entry
    header = entry.header
    return Line(
        model=header.model,
        messages=[{"role": "user", "content": entry.prompt}],
        completion=entry.body,
        tags=entry.tags,
        key=found.key,
        namespace=header.namespace,
        created_at=header.created_at,
        fresh_until=header.fresh_until,
        ttl_class=entry.ttl_class,
        cost_usd=header.cost_usd,
    )


def export(found: Iterable[FoundEntry]) -> str:
    """Entries as JSON Lines, aliases left out: they are made again with their entry."""
    return to_json_lines(as_line(one) for one in found if one.entry.header.target is None)


def read_line(line: bytes) -> Line | str:
    """The request and its answer in a line, or why it cannot be read."""
    try:
        return _decode(line.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, CacheError) as error:
        return f"not a line of an import: {error}"


class LineReader:
    """Cuts what comes in pieces into lines, numbered from 1; empty ones are left out, and not one too long is kept."""

    def __init__(self) -> None:
        self._number = 0
        self._begun = bytearray()
        self._is_too_long = False

    def feed(self, piece: bytes) -> Iterator[tuple[int, Line | str]]:
        """The lines that end in a piece, with their numbers; in place of one that cannot be read, why."""
        *ends, begun = piece.split(b"\n")
        for end in ends:
            self._add(end)
            yield from self.end()
        self._add(begun)

    def end(self) -> Iterator[tuple[int, Line | str]]:
        """The last line, if it has no line end."""
        line, is_too_long = bytes(self._begun), self._is_too_long
        self._number += 1
        self._begun, self._is_too_long = bytearray(), False
        if is_too_long:
            yield self._number, f"it is longer than {LONGEST_LINE:,} bytes"
        elif line.strip():
            yield self._number, read_line(line)

    def _add(self, part: bytes) -> None:
        if len(self._begun) + len(part) > LONGEST_LINE:
            self._begun, self._is_too_long = bytearray(), True
        elif not self._is_too_long:
            self._begun += part
