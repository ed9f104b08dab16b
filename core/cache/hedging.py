"""Hedging: a judge is asked beside the provider, and whichever answers first is served; the other is dropped.

The race is decided in one place, once: a judge's yes and a provider's answer each ask whether they may still be the
one. Every caller of a provider for a step uses `race`, which without a hedge is the call itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from ..concurrency import beside
from ..models import Answer, Completion
from .steps import Asking, Hit

Result = TypeVar("Result")
Calling = Future[Result] | asyncio.Future[Result]


def race(
    step: Asking,
    call: Callable[[], Result],
    drop: Callable[[Result | None], object],
    *,
    is_answer: Callable[[Result], bool] = lambda result: True,
) -> Result | Hit:
    """The result of the call, or the hit when a judge's yes came first. Raises what the call raises.

    A result that is no answer, and an error, wait for the judge. A blocking call cannot be cancelled: it goes on on a
    thread of its own, and `drop` gets its result, or None when it fails.
    """
    hedge = step.hedge
    if hedge is None:
        return call()
    calling = beside(call)
    try:
        first: list[Future[Any]] = [calling, hedge.verdict]
        wait(first, return_when=FIRST_COMPLETED)
        if _has_answer(calling, is_answer):
            hit = hedge.overruled()
        else:
            ended = hedge.verdict.result()
            hit = ended if isinstance(ended, Hit) else None
        if hit is None:
            return calling.result()
    except BaseException:
        calling.add_done_callback(lambda done: _abandon(done, drop))
        raise
    calling.add_done_callback(lambda done: drop(_result(done)))
    return hit


async def race_async(
    step: Asking,
    call: Callable[[], Awaitable[Result]],
    drop: Callable[[Result | None], object],
    *,
    is_answer: Callable[[Result], bool] = lambda result: True,
) -> Result | Hit:
    """The result of the call, or the hit when a judge's yes came first, awaited. Raises what the call raises.

    The call that came second is cancelled, so that `drop` mostly gets None."""
    hedge = step.hedge
    if hedge is None:
        return await call()
    calling = asyncio.ensure_future(call())
    verdict = asyncio.wrap_future(hedge.verdict)
    try:
        first: list[asyncio.Future[Any]] = [calling, verdict]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        hit: Hit | None = None
        if not (_has_answer(calling, is_answer) and hedge.claim()):
            await asyncio.wait([verdict])
            ended = verdict.result()
            hit = ended if isinstance(ended, Hit) else None
        if hit is None:
            return await calling
    except BaseException:
        calling.add_done_callback(lambda done: _abandon(done, drop))
        calling.cancel()
        raise
    finally:
        verdict.cancel()  # this loop's view of it; the judge goes on
    calling.add_done_callback(lambda done: drop(_result(done)))
    calling.cancel()
    return hit


def _has_answer(calling: Calling[Result], is_answer: Callable[[Result], bool]) -> bool:
    return calling.done() and not calling.cancelled() and calling.exception() is None and is_answer(calling.result())


def _result(done: Calling[Result]) -> Result | None:
    return None if done.cancelled() or done.exception() is not None else done.result()


def _abandon(done: Calling[Result], drop: Callable[[Result | None], object]) -> None:
    """Drops the answer of a call that has ended, after the caller went away or the call failed."""
    result = _result(done)
    if result is not None:
        drop(result)


def ask(step: Asking, call: Callable[[], Completion]) -> Answer:
    """Calls the provider for a step and ends the step. Returns the answer. Raises what the call raises."""
    try:
        fetched = race(step, call, step.drop)
    except BaseException as error:
        if stale := step.fail(error):
            return stale.answer
        raise
    return fetched.answer if isinstance(fetched, Hit) else step.finish(fetched)


async def ask_async(step: Asking, call: Callable[[], Awaitable[Completion]]) -> Answer:
    """Calls the provider for a step on an event loop and ends the step. Returns the answer.

    Raises what the call raises.
    """
    try:
        fetched = await race_async(step, call, step.drop)
    except BaseException as error:
        if stale := await step.fail_async(error):
            return stale.answer
        raise
    return fetched.answer if isinstance(fetched, Hit) else await step.finish_async(fetched)
