"""Responses of `/v1/responses`: from their events to the whole, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..errors import IncompleteStream, UnclearStream
from .answers import says_error
from .chat import pieces_of

_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")

# Where the whole has what was streamed in fragments: the items, and the field of the item or of its parts.
_STREAMED: Final = {
    "response.output_text.delta": ("message", "text"),
    "response.refusal.delta": ("message", "refusal"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input"),
}


def assemble_response(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The response that its last event carries, completed or not.

    Raises IncompleteStream without such an event and for an error, UnclearStream when it says something else than the
    events before it.
    """
    assembly = ResponseAssembly()
    for event in events:
        assembly.add(event)
    return assembly.body()


class ResponseAssembly:
    """A streamed response, taken in event by event at a cost in proportion to their length."""

    has_usage = True  # its last event reports it, if any does

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._identity: Any = None
        self._last: Mapping[str, Any] | None = None
        self._looked_up = False

    @property
    def is_whole(self) -> bool:
        """Whether the last event has come."""
        return self._last is not None

    has_finished = is_whole

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes in the next event. Raises what `assemble_response` raises; the assembly is of no use then."""
        kind, response = event.get("type"), event.get("response")
        # What its last event holds is the answer's to report.
        own = {name: value for name, value in event.items() if name != "response"} if kind in _ENDS else event
        try:
            is_error = says_error(own)
        except RecursionError as error:
            raise UnclearStream("an event is nested too deep") from error
        if is_error:
            raise IncompleteStream("it holds an error")
        self._looked_up = self._looked_up or _tells_of_a_lookup(event)
        if isinstance(response, Mapping):
            identity = response.get("id")
            if self._identity and identity != self._identity:
                raise UnclearStream("its events are those of two responses")
            self._identity = identity
        if kind in _ENDS:
            if not isinstance(response, Mapping):
                raise UnclearStream("its last event holds no response")
            if response.get("status", "completed") != str(kind).removeprefix("response."):
                raise UnclearStream("its last event and its response end differently")
            if self._last not in (None, response):
                raise UnclearStream("it ends twice, and differently")
            self._last = response
        elif isinstance(kind, str) and kind in _STREAMED:
            delta = event.get("delta")
            if not isinstance(delta, str):
                raise UnclearStream("a fragment is no text")
            if self._last is not None:
                raise UnclearStream("it goes on after its end")
            self._texts.setdefault(kind, []).append(delta)

    def body(self) -> dict[str, Any]:
        """The response. Raises what `assemble_response` raises."""
        if self._last is None:
            raise IncompleteStream("it does not end with a response")
        for kind, pieces in self._texts.items():
            if "".join(pieces) != "".join(_whole_texts(self._last, *_STREAMED[kind])):
                raise UnclearStream("the response says something else than what was streamed")
        if self._looked_up and not any(map(_is_of_a_lookup, _output_of(self._last))):
            raise UnclearStream("something was looked up, and the response does not say so")
        return dict(self._last)


_CALLERS_ITEMS: Final = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
_CALLERS_EVENTS: Final = ("response.function_call_", "response.custom_tool_call_")
_LOOKUPS: Final = ("_call", "annotation", "mcp_")


def _tells_of_a_lookup(event: Mapping[str, Any]) -> bool:
    """Whether an event tells of a tool that the provider runs, or of a page that the answer refers to."""
    kind = event.get("type")
    if not isinstance(kind, str):
        return False
    if kind.startswith("response.output_item."):
        return _is_of_a_lookup(event.get("item"))
    return any(word in kind for word in _LOOKUPS) and not kind.startswith(_CALLERS_EVENTS)


def _is_of_a_lookup(item: Any) -> bool:
    return isinstance(item, Mapping) and "type" in item and item["type"] not in _CALLERS_ITEMS


def _output_of(response: Mapping[str, Any]) -> list[Any]:
    output = response.get("output")
    return output if isinstance(output, list) else []


def _whole_texts(response: Mapping[str, Any], kind: str, field: str) -> Iterator[str]:
    for item in _output_of(response):
        if not isinstance(item, Mapping) or item.get("type") != kind:
            continue
        content = item.get("content")
        for part in (content if isinstance(content, list) else ()) if kind == "message" else (item,):
            if isinstance(part, Mapping) and isinstance(text := part.get(field), str):
                yield text


_EMPTY_ITEMS: dict[Any, dict[str, Any]] = {"message": {"content": []}, "function_call": {"arguments": ""}}


def split_response(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A response as the events in which it could have been streamed; undone by `assemble_response`.

    Text and function arguments are given word by word, items of other types whole.
    """
    begun = {**body, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for place, item in enumerate(body.get("output") or ()):
        opened = {**item, **_EMPTY_ITEMS.get(item.get("type"), {})}
        if "status" in item:
            opened["status"] = "in_progress"
        events.append({"type": "response.output_item.added", "output_index": place, "item": opened})
        events += [{**event, "output_index": place, "item_id": item.get("id")} for event in _split_item(item)]
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    events.append({"type": f"response.{body.get('status') or 'completed'}", "response": dict(body)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _split_item(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if item.get("type") == "function_call" and isinstance(item.get("arguments"), str):
        for word in pieces_of(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": word}
        yield {
            "type": "response.function_call_arguments.done",
            "name": item.get("name"),
            "arguments": item["arguments"],
        }
    if item.get("type") != "message":
        return
    for place, part in enumerate(item.get("content") or ()):
        kind, field = ("refusal", "refusal") if part.get("type") == "refusal" else ("output_text", "text")
        more = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
        opened = {**part, field: ""}
        yield {"type": "response.content_part.added", "content_index": place, "part": opened}
        for word in pieces_of(part.get(field) or ""):
            delta = {"delta": word, **({"logprobs": []} if more else {})}
            yield {"type": f"response.{kind}.delta", "content_index": place, **delta}
        yield {"type": f"response.{kind}.done", "content_index": place, field: part.get(field) or "", **more}
        yield {"type": "response.content_part.done", "content_index": place, "part": part}
