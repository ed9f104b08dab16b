"""Responses of `/v1/responses`: from their events to the whole, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import IncompleteStream
from .chat import WORDS


def is_complete(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the events of a response came to their proper end."""
    if not events or events[-1].get("type") != "response.completed":
        return False
    response = events[-1].get("response")
    return isinstance(response, Mapping) and response.get("status", "completed") == "completed"


def assemble_response(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The response that its last event carries. Raises IncompleteStream unless the events are complete."""
    if not is_complete(events):
        raise IncompleteStream("it does not end with response.completed")
    return dict(events[-1]["response"])


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
        for word in WORDS.findall(item["arguments"]):
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
        for word in WORDS.findall(part.get(field) or ""):
            delta = {"delta": word, **({"logprobs": []} if more else {})}
            yield {"type": f"response.{kind}.delta", "content_index": place, **delta}
        yield {"type": f"response.{kind}.done", "content_index": place, field: part.get(field) or "", **more}
        yield {"type": "response.content_part.done", "content_index": place, "part": part}
