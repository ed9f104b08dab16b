"""Streams as values: chunks to a body and back, and server-sent events to chunks and back.

Everything here is pure. It knows the wire shapes of the chat-completion and the responses API and nothing of caches,
sockets or clients. What was received is never changed in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from ..errors import IncompleteStream

# Chat completions: chunks to body


def assemble(chunks: Iterable[Mapping[str, Any]], *, choices: int = 1) -> dict[str, Any]:
    """The chat completion that a whole stream of `chat.completion.chunk` objects amounts to.

    Text, reasoning, refusals, log probabilities and the fragments of tool calls are joined; of fields this module does
    not know, text and lists are joined and of other values the last one that says something counts. `choices` is the
    `n` of the request. Raises IncompleteStream when a choice is missing or has no finish reason, when the stream holds
    an error, and when the chunks make no sense.
    """
    try:
        return _assemble(chunks, choices)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IncompleteStream("its chunks are not those of a chat completion") from error


def _assemble(chunks: Iterable[Mapping[str, Any]], choices: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    assembled: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if chunk.get("error"):
            raise IncompleteStream("it ended in an error")
        for name, value in chunk.items():
            if name == "usage":
                if value is not None:
                    body["usage"] = value
            # `obfuscation` is padding against eavesdroppers who measure chunks.
            elif name not in ("choices", "object", "obfuscation"):
                _keep_telling(body, name, value)
        for part in chunk.get("choices") or ():
            _add_choice(assembled.setdefault(part.get("index") or 0, {"message": {}, "finish_reason": None}), part)
    if sorted(assembled) != list(range(len(assembled))) or len(assembled) < choices:
        raise IncompleteStream(f"{len(assembled)} of {choices} choices arrived")
    finished = []
    for index in sorted(assembled):
        choice = assembled[index]
        if not choice["finish_reason"]:
            raise IncompleteStream(f"choice {index} has no finish reason")
        choice["message"] = _whole_message(choice["message"])
        finished.append({"index": index, **choice})
    return {**body, "object": "chat.completion", "choices": finished}


def _keep_telling(target: dict[str, Any], name: str, value: Any) -> None:
    # Some servers open with a chunk whose id and model are empty.
    if value or name not in target:
        target[name] = value


def _add_choice(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if name == "delta":
            for field, fragment in (value or {}).items():
                _add_fragment(choice["message"], field, fragment)
        elif name == "logprobs":
            choice["logprobs"] = _join(choice.get("logprobs"), value)
        elif name != "index":
            _keep_telling(choice, name, value)


def _add_fragment(message: dict[str, Any], field: str, fragment: Any) -> None:
    if field == "tool_calls" and fragment:
        message[field] = _join_calls(message.get(field) or [], fragment)
    elif field == "function_call" and fragment:
        message[field] = _join_call(message.get(field) or {}, fragment)
    else:
        message[field] = _join_field(field, message.get(field), fragment)


def _whole_message(fields: dict[str, Any]) -> dict[str, Any]:
    message = {"role": fields.get("role") or "assistant", "content": fields.get("content")}
    message |= {name: value for name, value in fields.items() if name not in message}
    if calls := message.get("tool_calls"):
        ordered = sorted(calls, key=lambda call: cast("int", call["index"]))
        message["tool_calls"] = [{name: call[name] for name in call if name != "index"} for call in ordered]
    return message


def _join_calls(calls: list[dict[str, Any]], fragments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    calls = list(calls)
    for fragment in fragments:
        place = _place_of_call(calls, fragment)
        if place == len(calls):
            calls.append({"index": fragment.get("index", place)})
        calls[place] = _join_call(calls[place], fragment)
    return calls


def _place_of_call(calls: list[dict[str, Any]], fragment: Mapping[str, Any]) -> int:
    # An id that differs opens a new call whatever its index says: some servers number all parallel calls 0, others
    # give no index at all.
    identity, index = fragment.get("id"), fragment.get("index")
    for place in range(len(calls) - 1, -1, -1):
        call = calls[place]
        same_index = index is None or call["index"] == index
        if same_index and (not identity or call.get("id") in (identity, None, "")):
            return place
    return len(calls)


def _join_call(call: Mapping[str, Any], fragment: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(call)
    for name, value in fragment.items():
        known = joined.get(name)
        if name == "index":
            continue
        if isinstance(value, Mapping):
            joined[name] = _join_call(known or {}, value)
        # A name comes whole, and some servers repeat it with every fragment.
        elif not (name == "name" and known == value):
            joined[name] = _join_field(name, known, value)
    return joined


_WHOLE_FIELDS = frozenset({"role", "id", "type", "format", "index"})
"""Fields that are never sent in fragments: the last value that says something counts."""


def _join_field(name: str, known: Any, new: Any) -> Any:
    if name in _WHOLE_FIELDS and not isinstance(new, dict | list):
        return new if known is None or new not in (None, "") else known
    return _join(known, new)


def _join(known: Any, new: Any) -> Any:
    if new is None:
        return known
    if isinstance(new, list) and isinstance(known, list | None):
        return _join_lists(known or [], new)
    if isinstance(new, dict) and isinstance(known, dict | None):
        joined = dict(known or {})
        for name, value in new.items():
            joined[name] = _join_field(name, joined.get(name), value)
        return joined
    if isinstance(new, str) and isinstance(known, str):
        return known + new
    if known is not None and isinstance(new, str | list | dict) | isinstance(known, str | list | dict):
        raise IncompleteStream("fragments of one field have different types")
    return new


def _join_lists(known: list[Any], new: list[Any]) -> list[Any]:
    # Items with an index are fragments of the item of that index, all others are items of their own.
    if not any(_is_indexed(item) for item in new):
        return [*known, *new]
    joined = list(known)
    places = {item["index"]: place for place, item in enumerate(joined) if _is_indexed(item)}
    for item in new:
        if _is_indexed(item) and item["index"] in places:
            place = places[item["index"]]
            joined[place] = _join(joined[place], item)
        else:
            if _is_indexed(item):
                places[item["index"]] = len(joined)
            joined.append(item)
    return joined


def _is_indexed(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("index"), int)


# Chat completions: body to chunks, and stored chunks to what a caller asked for

WORDS = re.compile(r"\s*\S{1,24}|\s+")
_HEAD_FIELDS = ("id", "created", "model", "system_fingerprint", "service_tier")
_GROWING_FIELDS = ("reasoning_content", "reasoning", "refusal", "content")


def split(body: Mapping[str, Any], *, include_usage: bool) -> list[dict[str, Any]]:
    """A chat completion as the chunks in which it could have been streamed, word by word; undone by `assemble`.

    The usage chunk is there when asked for and when the usage is known.
    """
    head = {name: body[name] for name in _HEAD_FIELDS if name in body} | {"object": "chat.completion.chunk"}
    rest = {name: body[name] for name in body if name not in (*head, "choices", "usage")}
    no_usage = {"usage": None} if include_usage else {}
    chunks = []
    for choice in body["choices"]:
        for part in _split_choice(choice):
            chunks.append({**head, **rest, "choices": [part], **no_usage})
            rest = {}
    if include_usage and body.get("usage") is not None:
        chunks.append({**head, "choices": [], "usage": body["usage"]})
    return chunks


def _split_choice(choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    index, message = choice.get("index", 0), choice["message"]
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
            for entry in by_token:
                yield part({"content": entry["token"]}, logprobs={**dict.fromkeys(log or ()), "content": [entry]})
        elif isinstance(message.get(name), str):
            for word in WORDS.findall(message[name]):
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
    for word in WORDS.findall(function["arguments"]):
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


# The responses API: a stream of typed events


# Server-sent events
