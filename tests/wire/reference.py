"""What a careful reader of a stream holds at its end, written a second time and plainly: the judge of `assemble`.

It reads one field after the other in their order and says Ambiguous where a reader could do this or that.
"""

from __future__ import annotations

import json
from typing import Any

TEXTS = ("content", "refusal", "reasoning", "reasoning_content", "reasoning_text")
COUNTED_ELSEWHERE = ("role", "tool_calls", "function_call", "reasoning_details", "token_id", "token_ids", *TEXTS)
NOTHING: tuple[Any, ...] = (None, "", [], {})


class Ambiguous(Exception):
    """The stream is broken, or could be read in another way."""


def read(chunks: list[Any], choices: int) -> dict[int, dict[str, Any]]:
    """What was said, by choice. Raises Ambiguous."""
    try:
        return _read(chunks, choices)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Ambiguous("not the shape of chunks") from error


def held(body: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The same of a whole completion."""
    seen = {}
    for choice in body["choices"]:
        message = choice["message"]
        calls = [*(message.get("tool_calls") or ())]
        if message.get("function_call"):
            calls.append({"function": message["function_call"]})
        others = {name: value for name, value in message.items() if name not in COUNTED_ELSEWHERE}
        seen[choice["index"]] = {
            "texts": {name: text for name in TEXTS if (text := _flat(message.get(name)))},
            "calls": [_plain_call(call) for call in calls],
            "details": [_plain_detail(detail) for detail in message.get("reasoning_details") or ()],
            "end": choice["finish_reason"],
            "tokens": [entry["token"] for entry in (choice.get("logprobs") or {}).get("content") or ()],
            "others": {name: value for name, value in others.items() if value not in NOTHING},
        }
    return seen


def _read(chunks: list[Any], choices: int) -> dict[int, dict[str, Any]]:
    parts: dict[int, list[dict[str, Any]]] = {}
    names: dict[str, set[str]] = {"id": set(), "model": set()}
    for chunk in chunks:
        if chunk.get("error"):
            raise Ambiguous("an error")
        for name, values in names.items():
            if chunk.get(name):
                values.add(chunk[name])
        in_chunk = []
        for part in chunk.get("choices") or []:
            index = part.get("index")
            if index is None and choices == 1:
                index = 0
            in_chunk.append(index)
            parts.setdefault(index, []).append(part)
        if len(in_chunk) != len(set(in_chunk)):
            raise Ambiguous("a choice twice in a chunk")
    if any(len(values) > 1 for values in names.values()):
        raise Ambiguous("two streams in one")
    if sorted(parts) != list(range(choices)):
        raise Ambiguous("choices are missing")
    return {index: _read_choice(parts[index]) for index in parts}


def _read_choice(parts: list[dict[str, Any]]) -> dict[str, Any]:
    texts: dict[str, list[Any]] = {name: [] for name in TEXTS}
    others: dict[str, list[Any]] = {}
    fragments: list[dict[str, Any]] = []
    lists_of_calls = 0
    functions: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    tokens: list[str] = []
    roles, ends = set(), set()
    for part in parts:
        delta = part.get("delta") or {}
        if part.get("error") or delta.get("error"):
            raise Ambiguous("an error")
        if any(value not in NOTHING for name, value in (part.get("message") or {}).items() if name != "role"):
            raise Ambiguous("a message beside the delta")
        spoke = {name for name, value in delta.items() if value not in NOTHING} - {"role", "token_id", "token_ids"}
        log = (part.get("logprobs") or {}).get("content") or []
        if ends and (spoke or log):
            raise Ambiguous("it goes on after its end")
        tokens += [entry["token"] for entry in log]
        if delta.get("role"):
            roles.add(delta["role"])
        for name in spoke:
            if name in TEXTS:
                texts[name].append(delta[name])
            elif name == "tool_calls":
                lists_of_calls += 1
                fragments += delta[name]
            elif name == "function_call":
                functions.append(delta[name])
            elif name == "reasoning_details":
                details += delta[name]
            else:
                others.setdefault(name, []).append(delta[name])
        if part.get("finish_reason"):
            ends.add(part["finish_reason"])
    if len(roles) > 1 or len(ends) != 1:
        raise Ambiguous("roles or ends differ, or there is no end")
    for name, values in others.items():
        if len(values) > 1 and (isinstance(values[0], str | list | dict) or any(v != values[0] for v in values)):
            raise Ambiguous(f"{name} is joined nobody knows how")
    is_whole = lists_of_calls == 1 and all(_name_of(fragment) for fragment in fragments)
    calls = [_plain_call(fragment) for fragment in fragments] if is_whole else _read_calls(fragments)
    if functions:
        calls.append(_read_fragments([{"function": function} for function in functions]))
    return {
        "texts": {name: _joined(values) for name, values in texts.items() if values},
        "calls": calls,
        "details": _read_details(details),
        "end": ends.pop(),
        "tokens": tokens,
        "others": {name: values[0] for name, values in others.items()},
    }


def _joined(values: list[Any]) -> str:
    if len({type(value) for value in values}) > 1:
        raise Ambiguous("a text and a list")
    if len(values) > 1 and not isinstance(values[0], str):
        for value in values:
            if len(value) != 1 or set(value[0]) != {"type", "text"} or value[0]["type"] != "text":
                raise Ambiguous("parts that are no single text")
    return "".join(map(_flat, values))


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return "".join(str(part.get("text", part)) for part in value)
    return value or ""


def _read_calls(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: list[tuple[Any, str, list[dict[str, Any]]]] = []
    for fragment in fragments:
        index, identity = fragment.get("index"), fragment.get("id") or ""
        if not isinstance(index, int) and not (index is None and identity):
            raise Ambiguous("a fragment of nobody knows which call")
        at = next((n for n in range(len(groups) - 1, -1, -1) if _is_of(groups[n], index, identity)), None)
        if at is None:
            if any(group[0] == index for group in groups) and index is not None and not _name_of(fragment):
                raise Ambiguous("another id in the midst of a call")
            groups.append((index, identity, [fragment]))
        else:
            groups[at] = (index, groups[at][1] or identity, [*groups[at][2], fragment])
    indices = {index for index, _, _ in groups}
    if indices not in (set(), {None}) and indices != set(range(len(indices))):
        raise Ambiguous("a call is missing")
    identities = [identity for _, identity, _ in groups if identity]
    if len(identities) != len(set(identities)):
        raise Ambiguous("an id twice")
    groups.sort(key=lambda group: group[0] or 0)
    return [_read_fragments(group) for _, _, group in groups]


def _is_of(group: tuple[Any, str, list[dict[str, Any]]], index: Any, identity: str) -> bool:
    if index is None:
        return group[0] is None and group[1] == identity
    return group[0] == index and (not identity or group[1] in ("", identity))


def _read_fragments(fragments: list[dict[str, Any]]) -> dict[str, Any]:
    names = {name for fragment in fragments if (name := _name_of(fragment))}
    identities = {fragment.get("id") for fragment in fragments} - {None, ""}
    if len(names) != 1 or len(identities) > 1:
        raise Ambiguous("a call without a name, or with two")
    pieces = [_input_of(fragment) for fragment in fragments if _input_of(fragment)]
    whole = "".join(pieces)
    if len(pieces) > 1 and any(fragment.get("function") for fragment in fragments):
        json.loads(whole)
    return {"id": (identities or {None}).pop(), "name": names.pop(), "input": whole}


def _plain_call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call.get("id") or None, "name": _name_of(call), "input": _input_of(call)}


def _name_of(call: dict[str, Any]) -> Any:
    return (call.get("function") or call.get("custom") or {}).get("name")


def _input_of(call: dict[str, Any]) -> Any:
    called = call.get("function") or call.get("custom") or {}
    return called.get("arguments") or called.get("input") or ""


def _read_details(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(details) == 1:
        return [_plain_detail(details[0])]
    by_index: dict[int, list[dict[str, Any]]] = {}
    for detail in details:
        by_index.setdefault(detail["index"], []).append(detail)
    return [
        {
            "type": next((detail["type"] for detail in group if detail.get("type")), None),
            "text": "".join(detail.get("text") or detail.get("summary") or "" for detail in group),
        }
        for _, group in sorted(by_index.items())
    ]


def _plain_detail(detail: dict[str, Any]) -> dict[str, Any]:
    return {"type": detail.get("type"), "text": detail.get("text") or detail.get("summary") or ""}
