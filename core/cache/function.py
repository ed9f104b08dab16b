"""The cache around any function that asks a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast, overload

from ..concurrency import in_thread
from ..models import FUNCTION_ENDPOINT, NO_CONTROLS, UNKEYED_PARAMETERS, ChatRequest, Completion, Controls
from .drivers import race, race_async
from .steps import Bypass, Follow, Hit, Lead, Step, give_up

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
    """What `llm_function(prompt, model=model, **kwargs)` returns, from the cache when it has answered that before.

    The function's name, prompt, model and `kwargs` (as far as they change an answer) make two calls the same; functions
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
    step: Step = cache.begin(request, controls)
    while isinstance(step, Follow):
        follow = step
        try:
            step = follow.wait()
        except (KeyboardInterrupt, SystemExit):
            follow.abandon()
            raise
    if isinstance(step, Hit):
        return step.answer.completion.text
    answering = step
    try:
        result = race(answering, call, lambda result: _drop(answering, request, result))
    except BaseException as error:
        if stale := _failed(step, error):
            return stale.answer.completion.text
        raise
    if isinstance(result, Hit):
        return result.answer.completion.text
    _end(step, request, result)
    return result


async def _call_async(cache: LLMCache, call: Callable[[], Any], request: ChatRequest, controls: Controls) -> Any:
    step: Step = await in_thread(lambda: cache.begin(request, controls), give_up)
    while isinstance(step, Follow):
        step = await step.wait_async()
    if isinstance(step, Hit):
        return step.answer.completion.text
    answering = step
    try:
        result = await race_async(answering, call, lambda result: _drop(answering, request, result))
    except Exception as error:
        failure = error
        if stale := await in_thread(lambda: _failed(answering, failure)):
            return stale.answer.completion.text
        raise
    except BaseException as error:
        _failed(step, error)
        raise
    if isinstance(result, Hit):
        return result.answer.completion.text
    await in_thread(lambda: _end(answering, request, result))
    return result


def _failed(step: Lead | Bypass, error: BaseException) -> Hit | None:
    if isinstance(step, Bypass):
        step.fail(error)
        return None
    return step.fail(error)


def _completion(request: ChatRequest, result: Any) -> Completion:
    """Of a text; whatever else a function returns has no answer in it that could be kept."""
    message = {"role": "assistant", "content": result if isinstance(result, str) else None}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return Completion(body={"object": "chat.completion", "model": request.model, "choices": choices})


def _drop(step: Lead | Bypass, request: ChatRequest, result: Any) -> None:
    if isinstance(step, Lead):
        step.dropped(None if result is None else _completion(request, result))


def _end(step: Lead | Bypass, request: ChatRequest, result: Any) -> None:
    completion = _completion(request, result)
    if isinstance(step, Lead):
        step.store(completion)
    else:
        step.finish(completion)


def _name(function: Callable[..., Any]) -> str:
    """Module and name of a function, of the class for an object that can be called."""
    inner = getattr(function, "func", function)  # functools.partial
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{getattr(named, '__module__', '')}.{cast('str', named.__qualname__)}"


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
