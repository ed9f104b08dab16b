"""The cache around any function that asks a model."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec
from cachetools import FIFOCache

from .cache import Hit, ask, ask_async, settle, settle_async
from .keys import PLAIN_FUNCTION, Unnameable, function_name, is_plain_function, reach_of, readable_name
from .models import FUNCTION_ENDPOINT, NO_CONTROLS, Answer, ChatRequest, Completion, Controls
from .policy import flaw
from .wire import says_error

if TYPE_CHECKING:
    from .cache import LLMCache, Run

logger = logging.getLogger("encore.function")

UNNAMED: Final = "unnamed-function"
"""Why a call bypasses the cache whose function was made with something that has no stable form."""
TEXT: Final = "response"
TOKENS: Final = "tokens_used"
_MADE: Final = "function_call"
"""Where a stored answer keeps how long it took, and what else a mapping held."""

_UNKEYED = frozenset({"user", "safety_identifier", "timeout", "stream", "stream_options"})
"""Arguments that change no answer. What a function makes of any other one, nobody knows."""
_warned_of: FIFOCache[str, bool] = FIFOCache(1000)
_awaited: FIFOCache[tuple[str, object], bool] = FIFOCache(1000)
"""The names and code of functions that returned a coroutine without being coroutine functions."""

Returned = TypeVar("Returned", str, Mapping[str, Any])


class CachedText(str):
    """The text that a function returned, and how it came about. Times are in milliseconds.

    `cached`: the function was not called for it. `tokens_used` is None where the function did not say.
    `original_latency_ms` is how long the function took to make it, `cache_age_seconds` how long ago, `key` the readable
    key of the stored answer (empty when it is not kept).
    """

    cached: bool
    tokens_used: int | None
    latency_ms: float
    original_latency_ms: float
    cache_age_seconds: float
    key: str


@overload
def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., Awaitable[Returned]],
    prompt: str,
    model: str,
    *,
    controls: Controls = ...,
    function_name: str | None = ...,
    **kwargs: Any,
) -> Awaitable[Returned]: ...


@overload
def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., Returned],
    prompt: str,
    model: str,
    *,
    controls: Controls = ...,
    function_name: str | None = ...,
    **kwargs: Any,
) -> Returned: ...


def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., Any],
    prompt: str,
    model: str,
    *,
    controls: Controls = NO_CONTROLS,
    function_name: str | None = None,
    **kwargs: Any,
) -> Any:
    """The result of `llm_function(prompt, model=model, **kwargs)`, from the cache when that call was answered before.

    The function returns a text, or a mapping with the text as `response` and perhaps `tokens_used`, a number. A text
    comes back as a `CachedText`; a mapping as a dict that also holds what a `CachedText` bears. Anything else (None, an
    empty text, a mapping that is not JSON) is returned as it is and not kept; so is not kept what says that it failed
    or was cut short (`error`, `status_code`, `finish_reason`). What the function raises passes through.
    For a coroutine function, and one that returns a coroutine, the result is awaited.

    Two calls are equal when function, prompt, model and `kwargs` (as far as they change an answer) are. A function is
    its code and what it was made with: bound arguments, closed-over values, attributes of its object, and the plain
    values that it reads from globals; what it changes itself, and what a global object is besides the attributes that
    the code names, is not seen. One that holds other objects (a client, a list) shares answers with itself alone, and
    one whose parts have no stable form bypasses the cache. Give such a one a `function_name`: then that alone says
    which functions are equal.
    """
    reason = ""
    name = function_name
    if name is None:
        name, reason = _name(llm_function)
    request = ChatRequest(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        parameters={key: value for key, value in kwargs.items() if key not in _UNKEYED} | {"llm_function": name},
        unkeyed={key: value for key, value in kwargs.items() if key in _UNKEYED}
        | {PLAIN_FUNCTION: is_plain_function(reach_of(llm_function))},
        endpoint=FUNCTION_ENDPOINT,
    )
    run = cache.run(request, controls, bypass=reason)
    result = _Result(request, None if reason or function_name is not None else llm_function)

    def call() -> Any:
        result.began = time.perf_counter()
        return llm_function(prompt, model=model, **kwargs)

    async def answered(asked: Run[Any], calling: Callable[[], Any]) -> Any:
        step = await settle_async(asked)
        if isinstance(step, Hit):
            return result.of(step.answer)

        async def asking() -> Completion:
            returned = calling()
            return result.completion(await returned if inspect.isawaitable(returned) else returned)

        return result.of(await ask_async(step, asking))

    if _is_async(llm_function) or (name, _code(llm_function)) in _awaited:
        return answered(run, call)
    step = settle(run)
    if isinstance(step, Hit):
        return result.of(step.answer)
    returned = result.of(ask(step, lambda: result.completion(call())))
    if not inspect.iscoroutine(returned):
        return returned
    # Nothing told that it would be one. That call has ended, so that nobody waits on this thread for what runs on it.
    _awaited[name, _code(llm_function)] = True

    async def later() -> Any:
        try:
            return await answered(cache.run(request, controls, bypass=reason), lambda: returned)
        finally:
            returned.close()  # where another answered meanwhile

    return later()


class _Result:
    """What one call comes to: what the function returned, as it is kept, and as the caller gets it.

    `function` is given where its name follows from what it holds: then that must be the same after it was called.
    """

    def __init__(self, request: ChatRequest, function: Callable[..., Any] | None) -> None:
        self._request = request
        self._function = function
        self.began = 0.0
        self._returned: Any = None
        self._completion: Completion | None = None

    def completion(self, returned: Any) -> Completion:
        """The completion that a result is kept as; one without text, or that says that it failed, is not kept."""
        if self._function is not None and _name(self._function)[0] != self._request.parameters["llm_function"]:
            _warn(self._function, "it changes what it holds when it is called, so that no call equals another")
        text, rest = _parts(returned)
        body: dict[str, Any] = {
            "object": "chat.completion",
            "model": self._request.model,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": _end(rest)},
            ],
            _MADE: {"milliseconds": (time.perf_counter() - self.began) * 1000, "rest": rest},
        }
        if (tokens := _tokens(rest)) is not None:
            # Of a sum nobody knows what the answer's part was: the cheaper kind, so that no saving is overstated.
            body["usage"] = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        self._returned, self._completion = returned, Completion(body=body)
        return self._completion

    def of(self, answer: Answer) -> Any:
        """What the caller gets: the function's own result or a stored one, with how it came about."""
        is_cached = answer.completion is not self._completion
        if not is_cached and _parts(self._returned)[0] is None:
            return self._returned
        text, made = answer.completion.text, answer.completion.body.get(_MADE) or {}
        rest = made.get("rest")
        about = {
            "cached": is_cached,
            TOKENS: _tokens(rest),
            "latency_ms": answer.outcome.latency_ms,
            "original_latency_ms": made.get("milliseconds", 0.0),
            "cache_age_seconds": answer.age_seconds,
            "key": answer.key,
        }
        if rest is not None:
            return {TEXT: text, **rest, **about}
        result = CachedText(text)
        vars(result).update(about)
        return result


def _parts(returned: Any) -> tuple[str | None, dict[str, Any] | None]:
    """The text of a result, and what else a mapping holds as JSON reads it; (None, None) for what is not kept."""
    if isinstance(returned, str):
        return str(returned), None
    if not isinstance(returned, Mapping) or not isinstance(returned.get(TEXT), str):
        return None, None
    try:
        rest = msgspec.json.decode(msgspec.json.encode({key: returned[key] for key in returned if key != TEXT}))
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        return None, None
    return str(returned[TEXT]), rest


def _end(rest: Mapping[str, Any] | None) -> Any:
    """The finish reason of a result: what the mapping says, as answers of providers do."""
    if rest is None:
        return "stop"
    try:
        # Within another: `code` and `detail` are a function's own words.
        is_error = says_error({"rest": rest})
    except RecursionError:
        is_error = True
    if is_error or flaw(rest):
        return "error"
    return rest.get("finish_reason") or "stop"


def _tokens(rest: Mapping[str, Any] | None) -> int | None:
    tokens = rest.get(TOKENS) if rest is not None else None
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0 else None


def _name(function: Callable[..., Any]) -> tuple[str, str]:
    """The name of a function for the key, or its readable one and the reason why its calls bypass the cache."""
    try:
        return function_name(function), ""
    except Unnameable as error:
        _warn(function, f"it was made with a {error.what}, which has no stable form")
        return readable_name(function), UNNAMED


def _warn(function: Callable[..., Any], why: str) -> None:
    """Says once of each function why its calls are never answered from the cache."""
    name = readable_name(function)
    if name not in _warned_of:
        _warned_of[name] = True
        logger.warning(
            "calls of %s are not answered from the cache: %s; give cached_llm_call a function_name", name, why
        )


def _is_async(function: Callable[..., Any]) -> bool:
    inner = _inner(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


def _code(function: Callable[..., Any]) -> object:
    """What a function does, whatever it was made with: its code, or its class."""
    inner = _inner(function)
    return getattr(inner, "__code__", type(inner))


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function
