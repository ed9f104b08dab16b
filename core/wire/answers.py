"""The text of an answer, for every family of the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

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


# Errors and what else an answer reports of itself

_ERRORS: Final = frozenset(
    {
        *("error", "errors", "exception", "error_code", "errcode", "error_msg", "errmsg", "error_message", "base_resp"),
        *("error_type", "error_description", "err", "fault", "faults", "faultcode", "faultstring", "failure"),
        # What was blocked says why; a gateway's guard says what it did.
        *("block_reason", "blocked_reason", "amazon-bedrock-guardrailAction"),
    }
)
_FINE: Final = frozenset({"", "0", "ok", "success", "succeeded", "none", "null"})
"""What servers say, in lower case, where others name an error."""
_TEXTS: Final = frozenset(
    {
        # What the model wrote as JSON,
        *("arguments", "function_call", "parsed", "embedding", "logprobs"),
        # and what the response repeats of its request.
        *("tools", "functions", "instructions", "prompt", "text", "response_format", "metadata"),
    }
)
"""Names under which objects are the model's or the caller's, and report nothing of the answer."""
DEEPEST: Final = 40
"""Objects further within an answer are not looked at, and what has such is not kept."""


def says_error(answer: Any) -> bool:
    """Whether an answer, a chunk or an event reports an error: itself, or an object in it outside its texts."""
    return isinstance(answer, Mapping) and (_fails_as_a_whole(answer) or any(map(_fails, objects(answer))))


def _fails_as_a_whole(answer: Mapping[str, Any]) -> bool:
    """Whether it is what servers send in place of an answer. Further within, these names mean other things."""
    if answer.get("detail"):
        return True
    code = answer.get("code")
    if _is_fine(code) or code is True:
        return False
    number = _number(code)
    if number is not None and 200 <= number < 300:
        return False
    return (number is not None and 400 <= number < 600) or any(answer.get(name) for name in ("message", "msg"))


def _fails(part: Mapping[str, Any]) -> bool:
    if part.get("object") == "error" or part.get("type") == "error":
        return True
    # Nothing of this stands in almost all chunks, and each of them is looked at.
    return not _REPORTS.keys().isdisjoint(part) and any(
        name in _REPORTS and _reports_failure(_REPORTS[name], value) for name, value in part.items()
    )


def _spelled(names: Iterable[str]) -> dict[str, str]:
    """Names in the ways in which servers spell them: `error_code`, `errorCode`, `ErrorCode` and `ERROR_CODE`."""
    spelled: dict[str, str] = {}
    for name in names:
        pascal = name.title().replace("_", "")
        ways = (name, name.capitalize(), name.upper(), name.replace("_", ""), pascal, pascal[0].lower() + pascal[1:])
        spelled |= dict.fromkeys(ways, name)
    return spelled


_SUCCESSES: Final = frozenset({"success", "ok"})
_TROUBLES: Final = frozenset({"is_error", "has_error", "failed", "blocked", "is_blocked", "guardrail_blocked"})
_STATES: Final = frozenset({"status", "status_code"})
_REPORTS: Final = _spelled(_ERRORS | _SUCCESSES | _TROUBLES | _STATES)


def _reports_failure(name: str, value: Any) -> bool:
    if name in _SUCCESSES:
        return value is False or value == "false"
    if name in _TROUBLES:
        return value is True or value == "true"
    if name in _STATES:
        return (_number(value) or 0) >= 400
    return not _is_fine(_state(value))


def _state(value: Any) -> Any:
    # Some servers always report a state, 0 for success.
    return value["status_code"] if isinstance(value, Mapping) and "status_code" in value else value


def _is_fine(value: Any) -> bool:
    return value.lower() in _FINE if isinstance(value, str) else not value


def _number(value: Any) -> int | None:
    """A number of a few digits, which may stand in a text; None for anything else."""
    if isinstance(value, str):
        return int(value) if len(value) < 10 and value.isascii() and value.isdigit() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def objects(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All objects of an answer that can report something of it: itself, and those in it outside its texts.

    Raises RecursionError when they are nested deeper than DEEPEST.
    """
    waiting: list[tuple[int, Any]] = [(0, answer)]
    while waiting:
        depth, part = waiting.pop()
        if depth > DEEPEST:
            raise RecursionError("an answer is nested too deep")
        if isinstance(part, list):
            waiting += [(depth + 1, value) for value in part if isinstance(value, dict | list)]
        else:
            yield part
            waiting += [
                (depth + 1, value)
                for name, value in part.items()
                if isinstance(value, dict | list) and name not in _TEXTS
            ]


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
