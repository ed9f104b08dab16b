"""The text of an answer, for every family of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


def answer_text(body: Mapping[str, Any]) -> str:
    """The words of an answer: those of its choices (chat, function) or messages (responses), with blank lines between.

    Empty for what says nothing in words: a tool call, an image, an embedding, and any shape that is not known.
    """
    return "\n\n".join(words for words in _said(body) if words)


def readable(body: Mapping[str, Any] | None) -> str:
    """An answer for people: its text, or the whole of it as JSON where it is more than text, such as a tool call."""
    if body is None:
        return ""
    said = list(_said(body))
    if said and all(said) and not _calls_tools(body):
        return "\n\n".join(said)
    return msgspec.json.format(msgspec.json.encode(body), indent=1).decode()


def sdk_type(body: Mapping[str, Any]) -> Any:
    """The class of the SDK for an answer. The SDK is loaded when it is first asked for."""
    match body.get("object"):
        case "response":
            from openai.types.responses import Response

            return Response
        case "list":
            from openai.types import CreateEmbeddingResponse

            return CreateEmbeddingResponse
        case _:
            from openai.types.chat import ChatCompletion

            return ChatCompletion


_ERRORS = frozenset({"error", "errors", "error_code", "error_msg", "error_message", "base_resp"})


def says_error(part: Any) -> bool:
    """Whether an object in an answer (the whole, a chunk, a choice, a message, an item) reports an error of its own."""
    if not isinstance(part, dict):
        return False
    if part.get("object") == "error" or part.get("type") == "error":
        return True
    return not _ERRORS.isdisjoint(part) and any(_is_error(part.get(name)) for name in _ERRORS)


def _is_error(value: Any) -> bool:
    # Some servers always report a state, 0 for success.
    return bool(value["status_code"] if isinstance(value, dict) and "status_code" in value else value)


def objects(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The objects of an answer that can report an error or a source: the whole, its choices and messages, its items
    and their parts.
    """
    yield body
    for name in ("choices", "message", "output", "content", "data"):
        held = body.get(name)
        for inner in held if isinstance(held, list) else (held,):
            if isinstance(inner, Mapping):
                yield from objects(inner)


def _said(body: Mapping[str, Any]) -> Iterator[str]:
    """The words of each choice or message, empty for one without."""
    match body:
        case {"choices": [*choices]}:
            yield from map(_words_of_choice, choices)
        case {"output": [*items]}:
            yield from (_words(item.get("content")) for item in items if _type_of(item) == "message")
        case _:
            return


def _words_of_choice(choice: Any) -> str:
    match choice:
        case {"message": {"content": content}}:
            return _words(content)
        case _:
            return ""


def _words(content: Any) -> str:
    match content:
        case str():
            return content
        case [*parts]:
            texts = (part.get("text") for part in parts if isinstance(part, Mapping))
            return "\n".join(text for text in texts if isinstance(text, str))
        case _:
            return ""


def _calls_tools(body: Mapping[str, Any]) -> bool:
    match body:
        case {"choices": [*choices]}:
            return any(map(_choice_calls_tools, choices))
        case {"output": [*items]}:
            return any(
                not isinstance(item, Mapping) or item.get("type") not in ("message", "reasoning") for item in items
            )
        case _:
            return False


def _choice_calls_tools(choice: Any) -> bool:
    match choice:
        case {"message": {"tool_calls": [_, *_]}} | {"message": {"function_call": {}}}:
            return True
        case _:
            return False


def _type_of(item: Any) -> Any:
    return item.get("type") if isinstance(item, Mapping) else None
