"""The cache around any function that asks a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast, overload

from .cache import Hit, ask, ask_async, settle, settle_async
from .models import FUNCTION_ENDPOINT, NO_CONTROLS, UNKEYED_PARAMETERS, Answer, ChatRequest, Completion, Controls

if TYPE_CHECKING:
    from .cache import LLMCache


@overload
def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., Awaitable[str]],
    prompt: str,
    model: str,
    *,
    controls: Controls = ...,
    **kwargs: Any,
) -> Awaitable[str]: ...


@overload
def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., str],
    prompt: str,
    model: str,
    *,
    controls: Controls = ...,
    **kwargs: Any,
) -> str: ...


def cached_llm_call(
    cache: LLMCache,
    llm_function: Callable[..., Any],
    prompt: str,
    model: str,
    *,
    controls: Controls = NO_CONTROLS,
    **kwargs: Any,
) -> Any:
    """The result of `llm_function(prompt, model=model, **kwargs)`, from the cache when that call was answered before.

    Two calls are equal when function name, prompt, model and `kwargs` (as far as they change an answer) are; functions
    without a name of their own (lambdas) that answer differently need different namespaces (`controls`). What the
    function raises passes through, and only text is kept: None, an empty text and other values are returned as they
    are. For a coroutine function the result is awaited.
    """
    request = ChatRequest(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        parameters={name: value for name, value in kwargs.items() if name not in UNKEYED_PARAMETERS}
        | {"llm_function": _name(llm_function)},
        unkeyed={name: value for name, value in kwargs.items() if name in UNKEYED_PARAMETERS},
        endpoint=FUNCTION_ENDPOINT,
    )

    def call() -> Any:
        return llm_function(prompt, model=model, **kwargs)

    if _is_async(llm_function):
        return _call_async(cache, call, request, controls)
    return _call(cache, call, request, controls)


def _call(cache: LLMCache, call: Callable[[], Any], request: ChatRequest, controls: Controls) -> Any:
    step = settle(cache.run(request, controls))
    if isinstance(step, Hit):
        return step.answer.completion.text
    returned = _Returned(request)
    return returned.by(ask(step, lambda: returned.completion(call())))


async def _call_async(cache: LLMCache, call: Callable[[], Any], request: ChatRequest, controls: Controls) -> Any:
    step = await settle_async(cache.run(request, controls))
    if isinstance(step, Hit):
        return step.answer.completion.text
    returned = _Returned(request)

    async def asking() -> Completion:
        return returned.completion(await call())

    return returned.by(await ask_async(step, asking))


class _Returned:
    """What the function returned, and the completion that it is kept as."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._result: Any = None
        self._completion: Completion | None = None

    def completion(self, result: Any) -> Completion:
        """A text's completion; whatever else a function returns has no answer in it that could be kept."""
        message = {"role": "assistant", "content": result if isinstance(result, str) else None}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        body = {"object": "chat.completion", "model": self._request.model, "choices": choices}
        self._result, self._completion = result, Completion(body=body)
        return self._completion

    def by(self, answer: Answer) -> Any:
        """The function's own result, unless a stored answer was served in its place."""
        return self._result if answer.completion is self._completion else answer.completion.text


def _name(function: Callable[..., Any]) -> str:
    """Module and name of a function, of the class for an object that can be called."""
    inner = getattr(function, "func", function)  # functools.partial
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{getattr(named, '__module__', '')}.{cast('str', named.__qualname__)}"


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
