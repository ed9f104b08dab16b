"""From a chat completion to chunks in which it could have been streamed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_WORDS: Final = re.compile(r"\s*\S{1,24}|\s+")
MOST_PIECES: Final = 1000
"""A longer text comes in larger pieces than words: to make and to read each costs time."""
_HEAD_FIELDS = ("id", "created", "model", "system_fingerprint", "service_tier")
_GROWING_FIELDS = ("reasoning_content", "reasoning", "refusal", "content")


def pieces_of(text: str) -> list[str]:
    """The pieces in which a text could have been streamed: its words, or equal parts of a long one."""
    if len(text) <= MOST_PIECES:
        return _WORDS.findall(text)
    words = _WORDS.findall(text) if len(text) <= 24 * MOST_PIECES else []
    if 0 < len(words) <= MOST_PIECES:
        return words
    size = -(-len(text) // MOST_PIECES)
    return [text[start : start + size] for start in range(0, len(text), size)]


def split(body: Mapping[str, Any], *, include_usage: bool) -> list[dict[str, Any]]:
    """A chat completion as the chunks in which it could have been streamed, word by word; undone by `assemble`.

    The usage chunk is there when asked for and when the usage is known. Raises AttributeError, KeyError, TypeError or
    ValueError for a body that could not have been streamed.
    """
    head = {name: body[name] for name in _HEAD_FIELDS if name in body} | {"object": "chat.completion.chunk"}
    rest = {name: body[name] for name in body if name not in (*head, "choices", "usage")}
    no_usage = {"usage": None} if include_usage else {}
    chunks = []
    places = [choice.get("index", place) for place, choice in enumerate(body["choices"])]
    if len(set(places)) < len(places):
        raise ValueError("two choices have one index")
    for index, choice in zip(places, body["choices"], strict=True):
        for part in _split_choice(index, choice):
            chunks.append({**head, **rest, "choices": [part], **no_usage})
            rest = {}
    if include_usage and body.get("usage") is not None:
        chunks.append({**head, "choices": [], "usage": body["usage"]})
    return chunks


def _split_choice(index: int, choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    message = choice["message"]
    log = choice.get("logprobs")
    by_token = _tokens_of(message.get("content"), log)
    no_log = {"logprobs": None} if "logprobs" in choice else {}

    def part(delta: dict[str, Any], **others: Any) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": None, **no_log, **others}

    calls = message.get("tool_calls") or ()
    function = message.get("function_call")
    opening = {}
    for name, value in message.items():
        if name in _GROWING_FIELDS:
            opening[name] = "" if isinstance(value, str) else value
        elif not (name == "tool_calls" and calls) and not (name == "function_call" and function):
            opening[name] = value
    yield part(opening, **({} if by_token or log is None else {"logprobs": log}))
    for name in _GROWING_FIELDS:
        if name == "content" and by_token:
            size = -(-len(by_token) // MOST_PIECES)
            for start in range(0, len(by_token), size):
                entries = by_token[start : start + size]
                text = "".join(entry.get("token") or "" for entry in entries)
                yield part({"content": text}, logprobs={**dict.fromkeys(log or ()), "content": entries})
        elif isinstance(message.get(name), str):
            for word in pieces_of(message[name]):
                yield part({name: word})
    for place, call in enumerate(calls):
        for fragment in _split_call(call):
            yield part({"tool_calls": [{"index": place, **fragment}]})
    if function:
        for fragment in _split_call({"function": function}):
            yield part({"function_call": fragment["function"]})
    closing = {name: choice[name] for name in choice if name not in ("index", "message", "logprobs")}
    yield {**part({}), **closing}


def _tokens_of(content: Any, log: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The log probabilities of the text's tokens when the text is made of just these, else none."""
    if not log or not isinstance(content, str) or any(log[name] for name in log if name != "content"):
        return []
    entries: list[dict[str, Any]] = log.get("content") or []
    return entries if "".join(entry.get("token") or "" for entry in entries) == content else []


def _split_call(call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        yield {name: call[name] for name in call if name != "index"}
        return
    yield {name: call[name] for name in call if name != "index"} | {"function": {**function, "arguments": ""}}
    for word in pieces_of(function["arguments"]):
        yield {"function": {"arguments": word}}


def without_usage(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """The chunk for a caller that did not ask for usage; None for a chunk that holds nothing but the usage."""
    if chunk.get("usage") is None:
        return {name: chunk[name] for name in chunk if name != "usage"}
    return dict(chunk) if chunk.get("choices") else None


def replay(chunks: Iterable[dict[str, Any]], *, include_usage: bool) -> list[dict[str, Any]]:
    """Stored chunks for a caller that did or did not ask for usage (`stream_options.include_usage`).

    A stream whose provider never reported the usage is returned unchanged.
    """
    if include_usage:
        return list(chunks)
    return [shown for chunk in chunks if (shown := without_usage(chunk)) is not None]
