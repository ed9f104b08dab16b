"""What may be answered from the cache, what may be kept, and for how long: pure decisions, each with its reason.

Reasons are words of `BYPASS_REASONS` and `NOT_STORED_REASONS`, so that they can be counted. In doubt the answer is no:
a request that bypasses costs money, a wrong answer costs trust.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from ..models import FUNCTION_ENDPOINT, CacheStrategy, ChatRequest, Controls
from ..wire import objects, says_error
from . import dialects
from .audience import PERSONAL_WITHOUT_USER

NO_STORE: Final = "no-store"
ENDPOINT: Final = "endpoint"
TEMPERATURE: Final = "temperature"
STATEFUL: Final = "stateful"
HOSTED_TOOL: Final = "hosted-tool"
AUDIO: Final = "audio"

BYPASS_REASONS: Final = frozenset(
    {NO_STORE, ENDPOINT, TEMPERATURE, STATEFUL, HOSTED_TOOL, AUDIO, PERSONAL_WITHOUT_USER}
)
"""Why a request goes past the cache; beside these the reasons of `core.keys.identity.Unkeyable`."""

PROVIDER_ERROR: Final = "provider-error"
NO_CHOICES: Final = "no-choices"
UNFINISHED: Final = "unfinished"
TRUNCATED: Final = "truncated"
FILTERED: Final = "filtered"
REFUSAL: Final = "refusal"
EMPTY: Final = "empty"
TOOL_CALL: Final = "tool-call"
FINISH_REASON: Final = "finish-reason"
NOT_A_NUMBER: Final = "not-a-number"
SHAPE: Final = "shape"
UNCLEAR: Final = "unclear"
REPEATS_CALLER: Final = "repeats-caller"

NOT_STORED_REASONS: Final = frozenset(
    {
        *(PROVIDER_ERROR, NO_CHOICES, UNFINISHED, TRUNCATED, FILTERED, REFUSAL, EMPTY, TOOL_CALL, FINISH_REASON),
        *(AUDIO, HOSTED_TOOL, NOT_A_NUMBER, SHAPE, UNCLEAR, REPEATS_CALLER),
    }
)
"""Reasons in the answer itself for not storing it; `unclear` is a stream that can be read in more ways than one, and
`repeats-caller` an answer in which its caller's notes stand where nobody could take them out."""

_ENDPOINTS = frozenset({"chat", "responses", "embeddings", FUNCTION_ENDPOINT})
# Fields of a tool that the caller runs. All others run at the provider: they look something up now, or do something.
_OF_A_TOOL = frozenset({"type", "strict", "cache_control", "defer_loading"})
_OF_A_FLAT_TOOL = _OF_A_TOOL | {"name", "description", "parameters", "format"}
_CUT_SHORT = {dialects.TRUNCATED: TRUNCATED, dialects.FILTERED: FILTERED, dialects.FAILED: PROVIDER_ERROR}
_STRATEGIES = tuple(CacheStrategy)  # from the cheapest to the dearest


class PolicyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of what may be cached, set by the operator; `core.settings` explains each."""

    max_temperature: float = 0.8
    cache_tool_calls: bool = False
    max_request_bytes: int = 1_000_000
    max_entry_bytes: int = 2_000_000


def bypass_reason(request: ChatRequest, controls: Controls, limits: PolicyLimits) -> str | None:
    """Why the request may neither be answered from the cache nor stored; None when it may.

    A request that states no temperature is taken to want an answer, not a new one each time.
    """
    if controls.no_store:
        return NO_STORE
    if request.endpoint not in _ENDPOINTS:
        return ENDPOINT
    parameters = request.parameters
    if not _is_settled(request, limits):
        return TEMPERATURE
    if _is_stateful(request):
        return STATEFUL
    if not all(map(_is_callers_tool, _items(parameters.get("tools")))):
        return HOSTED_TOOL
    if request.endpoint != FUNCTION_ENDPOINT and dialects.searches(request.model, parameters):
        return HOSTED_TOOL
    if "audio" in parameters or "audio" in _items(parameters.get("modalities")):
        return AUDIO  # spoken answers expire at the provider, who refers to them by id
    return None


def _items(value: Any) -> Sequence[Any]:
    """A parameter that should be a list, as one: whatever else it is, is its only item."""
    if isinstance(value, list | tuple):
        return value
    return (value,) if value else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_stateful(request: ChatRequest) -> bool:
    if request.unkeyed.get("store"):
        return True
    if request.endpoint == "responses" and any(map(_is_reference, request.messages)):
        return True
    parameters = request.parameters
    return bool(
        parameters.get("previous_response_id") or parameters.get("conversation") or parameters.get("background")
    )


def _is_reference(item: Any) -> bool:
    """Whether an input item stands for one that the provider keeps: its type may be left out."""
    return isinstance(item, Mapping) and (item.get("type") == "item_reference" or item.keys() <= {"id", "type"})


def _is_settled(request: ChatRequest, limits: PolicyLimits) -> bool:
    """Whether the temperature asks for no other answer each time."""
    temperature = request.parameters.get("temperature")
    if temperature is None:
        return True
    if not _is_number(temperature):
        return False
    if temperature == dialects.ONLY_TEMPERATURE and dialects.takes_one_temperature(request.model, request.parameters):
        return True
    return bool(temperature <= limits.max_temperature)


def _is_callers_tool(tool: Any) -> bool:
    """Whether a tool is plainly one that the caller runs: a function or a custom tool, nested (chat) or flat."""
    if not isinstance(tool, Mapping):
        return False
    kind = tool.get("type", "function")
    if kind not in ("function", "custom"):
        return False
    inner = tool.get(kind)
    is_flat = inner is None and "type" in tool
    name = tool.get("name") if is_flat else inner.get("name") if isinstance(inner, Mapping) else None
    # Built-in functions have names such as `$web_search`.
    is_named = isinstance(name, str) and bool(name) and not name.startswith("$")
    return is_named and tool.keys() <= (_OF_A_FLAT_TOOL if is_flat else {*_OF_A_TOOL, kind})


def effective_strategy(request: ChatRequest, controls: Controls, configured: CacheStrategy) -> CacheStrategy:
    """The most costly lookup allowed for this request: a request may lower the configured ceiling, never raise it.

    Exact only: several choices, log probabilities (both belong to these very words) and embeddings. With tools never
    semantic: a near question may call for another tool, or the same one with other arguments.
    """
    ceiling = configured
    parameters = request.parameters
    if controls.strategy is not None:
        ceiling = _lower(ceiling, controls.strategy)
    if parameters.get("n", 1) != 1 or parameters.get("logprobs") or parameters.get("top_logprobs"):
        return CacheStrategy.EXACT
    if request.endpoint == "embeddings":
        return CacheStrategy.EXACT
    if parameters.get("tools") or parameters.get("functions"):
        return _lower(ceiling, CacheStrategy.NORMALIZED)
    return ceiling


def _lower(first: CacheStrategy, second: CacheStrategy) -> CacheStrategy:
    return min(first, second, key=_STRATEGIES.index)


def _texts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, Sequence) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]


def not_stored_reason(body: Mapping[str, Any], request: ChatRequest, limits: PolicyLimits) -> str | None:
    """Why an answer must not be stored; None when it may be. `body` is the provider's whole JSON.

    Never raises: a body of another shape than its endpoint's is not kept.
    """
    try:
        if says_error(body):
            return PROVIDER_ERROR
        if dialects.names_sources(body):
            return HOSTED_TOOL
        match request.endpoint:
            case "responses":
                reason = _response_reason(body, limits)
            case "embeddings":
                reason = _embeddings_reason(body)
            case _:
                reason = _choices_reason(body, request.parameters.get("n") or 1, limits)
        return reason or next(filter(None, map(flaw, objects(body))), None)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return SHAPE


def flaw(part: Mapping[str, Any]) -> str | None:
    """What an object of an answer says against keeping it, beside its finish reason; None for nothing."""
    if details := part.get("incomplete_details"):
        return _cause(details)
    status = part.get("status")
    if (isinstance(status, str) and status.lower() in _UNFINISHED) or part.get("partial") is True:
        return UNFINISHED
    if part.get("truncated") is True:
        return TRUNCATED
    if part.get("filtered") is True:
        return FILTERED
    if native := part.get("native_finish_reason"):
        meaning = dialects.meaning_of(native)
        return _CUT_SHORT.get(meaning) or (None if meaning else FINISH_REASON)
    # The text at which it stopped may stand here as well.
    return _CUT_SHORT.get(dialects.meaning_of(part.get("stop_reason")))


def _cause(details: Any) -> str:
    cause = details.get("reason") if isinstance(details, Mapping) else None
    return _CAUSES.get(cause, UNFINISHED) if isinstance(cause, str) else UNFINISHED


_UNFINISHED: Final = frozenset(
    {"incomplete", "in_progress", "failed", "failure", "error", "cancelled", "canceled", "timeout", "timed_out"}
)
_CAUSES: Final = {"max_output_tokens": TRUNCATED, "content_filter": FILTERED}


def _choices_reason(body: Mapping[str, Any], asked_for: int, limits: PolicyLimits) -> str | None:
    choices = body.get("choices")
    if not choices:
        return NO_CHOICES
    if len(choices) < asked_for:
        return UNFINISHED
    return next(filter(None, (_choice_reason(choice, limits) for choice in choices)), None)


def _choice_reason(choice: Mapping[str, Any], limits: PolicyLimits) -> str | None:
    message = choice["message"]
    called = bool(message.get("tool_calls") or message.get("function_call"))
    finish = choice.get("finish_reason")
    if not finish:
        return UNFINISHED
    meaning = dialects.meaning_of(finish)
    if meaning in _CUT_SHORT:
        return _CUT_SHORT[meaning]
    if not meaning:
        return FINISH_REASON
    if called:
        # A forced call ends with "stop".
        return None if limits.cache_tool_calls else TOOL_CALL
    if meaning == dialects.CALLED:
        return SHAPE
    if message.get("refusal"):
        return REFUSAL
    if message.get("audio"):
        return AUDIO
    return None if _has_text(message.get("content")) else EMPTY


def _has_text(content: Any) -> bool:
    if isinstance(content, str):
        return bool(content.strip())
    return any(text.strip() for text in _texts(content))


def _response_reason(body: Mapping[str, Any], limits: PolicyLimits) -> str | None:
    if (details := body.get("incomplete_details")) or body.get("status") != "completed":
        return _cause(details)
    answered = False
    for item in body["output"]:
        if item.get("status", "completed") not in ("completed", None):
            return UNFINISHED
        kind = item["type"]
        if kind in ("function_call", "custom_tool_call"):
            if not limits.cache_tool_calls:
                return TOOL_CALL
            answered = True
        elif kind == "message":
            parts = item["content"]
            if any(part["type"] == "refusal" for part in parts):
                return REFUSAL
            answered = answered or _has_text(parts)
        elif kind != "reasoning":
            return HOSTED_TOOL
    return None if answered else EMPTY


def _embeddings_reason(body: Mapping[str, Any]) -> str | None:
    vectors = [item["embedding"] for item in body.get("data") or ()]
    if not vectors or not all(vectors):
        return EMPTY
    return None if all(map(_is_finite, vectors)) else NOT_A_NUMBER


def _is_finite(vector: Any) -> bool:
    if isinstance(vector, str):
        try:
            packed = base64.b64decode(vector, validate=True)
            return all(math.isfinite(number) for (number,) in struct.iter_unpack("<f", packed))
        except (binascii.Error, struct.error):
            return False
    return all(map(math.isfinite, vector))


REMOTE_SECONDS: Final = 300.0
"""How long an answer about a picture or a file at an address is fresh: what is there may change."""


def longest_seconds(request: ChatRequest) -> float:
    """The longest TTL for a request, whatever the rules say of its question. Infinite for most."""
    if request.endpoint not in ("chat", "responses"):
        return math.inf
    is_remote = any(_is_remote(part) for message in request.messages for part in _parts(message))
    return REMOTE_SECONDS if is_remote else math.inf


def _parts(message: Any) -> Iterator[Any]:
    content = message.get("content") if isinstance(message, Mapping) else None
    # What a tool of the caller's gives back may be a picture too.
    output = message.get("output") if isinstance(message, Mapping) else None
    for parts in (content, output):
        yield from parts if isinstance(parts, list | tuple) else ()


def _is_remote(part: Any) -> bool:
    """Whether a part of a message is to be fetched by the provider, or read where it lies."""
    return isinstance(part, Mapping) and any(_names_a_place(name, value) for name, value in part.items())


def _names_a_place(name: Any, value: Any) -> bool:
    """Whether a field of a part says where something is: by its name (`image_url`, `fileUri`), unless it is the data
    itself, or by its value, whatever scheme that has."""
    if isinstance(value, Mapping):
        return any(_names_a_place(_named(name, inner), deeper) for inner, deeper in value.items())
    if isinstance(value, list | tuple):
        return any(_names_a_place(name, deeper) for deeper in value)
    if not isinstance(value, str) or name in _OF_WORDS:
        return False
    begin = value[:_LONGEST_SCHEME].lstrip().lower()
    if isinstance(name, str) and name.lower().endswith(_PLACES):
        return bool(begin) and not begin.startswith("data:")
    return _SCHEME.match(begin) is not None


def _named(outer: Any, inner: Any) -> Any:
    """The name of a field within another: `url`, `data` and their like say less than what they are in."""
    return inner if inner in _OF_WORDS or not isinstance(outer, str) or not outer.lower().endswith(_PLACES) else outer


_PLACES: Final = ("url", "uri", "urls", "uris", "link", "href", "path")
_OF_WORDS: Final = frozenset({"text", "type", "detail", "format", "title", "filename", "name", "media_type", "role"})
_SCHEME: Final = re.compile(r"(?!data:)[a-z][a-z0-9+.-]*://")
_LONGEST_SCHEME: Final = 64


def jitter(seconds: float, share: float, random: Random) -> float:
    """The TTL made shorter by up to `share`, so that what was stored together does not expire together."""
    return seconds * (1.0 - share * random.random())


def is_outage(error: BaseException) -> bool:
    """Whether a provider's error means that it cannot answer now, rather than that it rejects this request.

    Timeouts, lost and refused connections, 408, 429 and 5xx. By what the errors of HTTP clients and SDKs have in
    common, so that it holds for any provider's.
    """
    status = _status_of(error)
    if isinstance(status, int):
        return status in (408, 429) or status >= 500
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return not _OUTAGES.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def depends_on_credential(error: BaseException) -> bool:
    """Whether a provider's error is about who asks (401, 403) or how much that one has asked (429)."""
    return _status_of(error) in (401, 403, 429)


def _status_of(error: BaseException) -> object:
    return getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)


_OUTAGES = frozenset({"APIConnectionError", "TransportError"})
"""Names of what SDKs and HTTP clients raise when no answer came."""
