"""What an answer repeats of its caller: the notes of a request that are not in the key, looked for in its answer. Pure.

Two requests that differ in nothing but such notes share an answer, so none of it may tell what the first one's were.
Notes that are packed (base64) or digested are not found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from .fields import CALLERS_FIELDS, MODELS_OWN, Treatment, header_treatment, leaves

SHORTEST_WITHIN: Final = 6
"""A shorter note counts only where it stands alone."""
MOST_NOTES: Final = 200
MOST_LOOKED_THROUGH: Final = 20_000_000
"""Letters of an answer times notes: with more it is taken to repeat one."""

_FIELDS: Final = frozenset({"user", "safety_identifier", "metadata", "prompt_cache_key"})
"""Fields in which a caller's own words stand."""
_HEADERS: Final = "extra_headers"
_WORDS: Final = frozenset(
    {
        # What the model wrote,
        *("content", "text", "arguments", "input", "refusal", "reasoning", "reasoning_content", "reasoning_text"),
        *("thinking", "summary", "delta", "transcript", "parsed", "embedding", "logprobs"),
        # and words of the API, which a caller's notes may have too.
        *("object", "type", "role", "model", "status", "finish_reason", "native_finish_reason", "service_tier"),
        *("effort", "verbosity", "truncation", "tool_choice", "tools", "instructions", "prompt_cache_retention"),
        "provider",
    }
)
"""Names under which a word may stand that a caller has used too."""
_NAMES: Final = (
    _WORDS
    | CALLERS_FIELDS
    | {
        *("id", "created", "created_at", "completed_at", "choices", "index", "message", "usage", "output", "response"),
        *("item", "item_id", "item_index", "output_index", "content_index", "sequence_number", "name", "call_id"),
        *("tool_calls", "function", "function_call", "annotations", "audio", "error", "code", "param", "metadata"),
        *("system_fingerprint", "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
        *("prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details"),
        *("cached_tokens", "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "cost", "cost_details"),
        *("rejected_prediction_tokens", "stop_reason", "temperature", "top_p", "top_k", "top_logprobs", "background"),
        *("max_output_tokens", "max_tool_calls", "previous_response_id", "incomplete_details", "parallel_tool_calls"),
        *("store", "format", "data", "token", "bytes", "part", "timings", "version", "request", "request_id", "echo"),
        *("latency", "moderation", "conversation", "prompt", "billing", "payer", "title", "url", "value", "values"),
    }
)
"""Names that answers have, whoever asked."""
_LONG_NUMBERS: Final = range(10 ** (SHORTEST_WITHIN - 1), 10**40)
_TIMES: Final = frozenset({"created", "created_at", "completed_at", "expires_at"})

_PIECE: Final = re.compile(r"""[^\s,;="'{}\[\]()<>]+""")
_ID: Final = re.compile(r"[0-9A-Za-z]{16,}")
_ESCAPED: Final = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")
_SCHEME: Final = re.compile(r"(?:bearer|basic)\s+", re.IGNORECASE)
_PACKED: Final = ("%", "\\")


def notes_of(given: Mapping[str, Any], headers: Mapping[str, str]) -> frozenset[str]:
    """The notes of a request: what stands in the fields `given` that are not in the key, and in headers that are sent
    and not in the key. Names of headers are in lower case.
    """
    notes: set[str] = set()
    for name in _FIELDS & given.keys():
        for note in leaves(given[name]):
            if isinstance(note, str):
                notes.add(note)
                notes.add(note.partition("@")[0])
            elif type(note) is int and note in _LONG_NUMBERS:
                notes.add(str(note))
        notes.update(_names_in(given[name]))
    extra = given.get(_HEADERS)
    for told in (headers, extra if isinstance(extra, Mapping) else {}):
        for name, value in told.items():
            if isinstance(value, str) and header_treatment(str(name).lower()) in _SENT_BESIDE:
                notes.update(_of_header(value))
    return frozenset(plain for note in notes if (plain := _plain(note).strip()))


_SENT_BESIDE: Final = (Treatment.UNKEYED, Treatment.CREDENTIAL)


def _of_header(value: str) -> Iterator[str]:
    """A header's value, and what in it looks like a name of something: ids, addresses, what JSON in it holds."""
    value = _SCHEME.sub("", value, count=1)
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    yield value
    if value.startswith(("{", "[")):
        with suppress(msgspec.DecodeError, RecursionError):
            yield from (note for note in leaves(msgspec.json.decode(value)) if isinstance(note, str))
    for piece in _PIECE.findall(value):
        if len(piece) >= 8 and ("@" in piece or "%" in piece or any(map(str.isdigit, piece))):
            yield piece
            yield from _ID.findall(piece)


def repeats_caller(parts: Iterable[Mapping[str, Any]], notes: frozenset[str]) -> bool:
    """Whether one of the parts of an answer (itself, its chunks, its events) repeats one of these notes outside the
    words of the model and of the API: in a text or as a name, in capitals or small letters, escaped as JSON or URLs do.
    """
    if not notes:
        return False
    if len(notes) > MOST_NOTES:
        return True
    alone: set[str] = set()
    for part in parts:
        alone.update(_said(part))
    alone = {plain for said in alone for plain in (said.casefold(), _plain(said))}
    if not alone.isdisjoint(notes):
        return True
    said = "\n".join(alone)
    if len(said) * len(notes) > MOST_LOOKED_THROUGH:
        return True
    return any(note in said for note in notes if len(note) >= SHORTEST_WITHIN)


def _said(answer: Mapping[str, Any]) -> Iterator[str]:
    """The texts, long numbers and unusual names in an answer that are neither the model's nor words of the API."""
    waiting: list[tuple[str, Any]] = [("", answer)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [item for item in value.items() if item[0] not in MODELS_OWN]
            yield from value.keys() - _NAMES
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in value]
        elif isinstance(value, str):
            if name not in _WORDS:
                yield value
        elif type(value) is int and value in _LONG_NUMBERS and name not in _TIMES:
            yield str(value)


def _names_in(value: Any) -> Iterator[str]:
    """The names in a JSON value, but for those that every answer has."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from (name for name in found if isinstance(name, str) and name not in _NAMES)
            waiting += found.values()
        elif isinstance(found, list | tuple):
            waiting += found


def _plain(text: str) -> str:
    """A text in small letters, without what JSON and URLs escape, twice over."""
    for _ in range(2):
        if not any(sign in text for sign in _PACKED):
            break
        text = unquote(_ESCAPED.sub(_letter, text).replace("\\", ""))
    return text.casefold()


def _letter(match: re.Match[str]) -> str:
    return json.loads(f'"{match[0]}"')  # type: ignore[no-any-return]
