"""Hedging: a judge is asked beside the provider, and whichever answers first is served; the other is dropped.

The race is decided in one place, once: a judge's yes and a provider's answer each ask whether they may still be the
one. Whoever calls a provider for a step does so by `race`, which without a hedge is the call itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any, TypeVar, cast

from ..concurrency import beside
from ..models import Answer, Completion
from .drivers import Run, drive
from .effects import Flow, World
from .steps import Asking, Hit, Miss

Result = TypeVar("Result")
Calling = Future[Result] | asyncio.Future[Result]


class Hedge:
    """A judge's verdict that is waited for beside the provider's answer.

    `judging` is given a function that says whether a yes may still be served; the flow comes to the hit that it then
    has recorded and handed on, or why there is none. `waiting` is the miss as long as it has not ended.
    """

    def __init__(self, judging: Callable[[Callable[[], bool]], Flow[Hit | Miss]], waiting: Miss) -> None:
        self._judging = judging
        self._waiting = waiting
        self._lock = threading.Lock()
        self._winner = ""
        self.verdict: Future[Hit | Miss] = Future()

    def start(self, world: World) -> None:
        """Asks the judge on a thread of its own."""
        self.verdict.set_running_or_notify_cancel()  # from here on nobody can cancel it
        beside(partial(self._run, world))

    def claim(self) -> bool:
        """Whether the provider, or a caller who goes away, may end the request; then a later yes is not served."""
        return self._wins("provider")

    def overruled(self) -> Hit | None:
        """The hit that came first, once it has been recorded; None when the provider may end the request."""
        if self.claim():
            return None
        ended = self.verdict.result()
        return ended if isinstance(ended, Hit) else None

    @property
    def miss(self) -> Miss:
        """Why there was nothing to serve, as far as the judge has said by now."""
        ended = self.verdict.result() if self.verdict.done() else self._waiting
        return ended if isinstance(ended, Miss) else self._waiting

    def _wins(self, name: str) -> bool:
        with self._lock:
            self._winner = self._winner or name
            return self._winner == name

    def _run(self, world: World) -> None:
        ended: Hit | Miss = self._waiting
        try:
            ended = cast("Hit | Miss", drive(Run(self._judging(lambda: self._wins("judge")), world)))
        except BaseException:
            self._winner = ""
            raise
        finally:
            # Whatever went wrong, those who wait go on with the provider.
            self.verdict.set_result(ended)


def race(
    step: Asking,
    call: Callable[[], Result],
    drop: Callable[[Result | None], object],
    *,
    is_answer: Callable[[Result], bool] = lambda result: True,
) -> Result | Hit:
    """What the call returns, or the hit that a judge's yes came first with. Raises what the call raises.

    A result that is no answer, and an error, wait for the judge. A blocking call cannot be cancelled: it goes on, on a
    thread of its own, and `drop` gets what it returns, or None when it fails.
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
    """Races on an event loop, where the call that came second is cancelled: mostly `drop` gets None then."""
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
    """The caller went away, or the call failed: there is nothing to drop but an answer that came all the same."""
    result = _result(done)
    if result is not None:
        drop(result)


def ask(step: Asking, call: Callable[[], Completion]) -> Answer:
    """Asks the provider for a step, and ends it: the answer. Raises what the call raises."""
    try:
        fetched = race(step, call, step.drop)
    except BaseException as error:
        if stale := step.fail(error):
            return stale.answer
        raise
    return fetched.answer if isinstance(fetched, Hit) else step.finish(fetched)


async def ask_async(step: Asking, call: Callable[[], Awaitable[Completion]]) -> Answer:
    """Asks the provider for a step on an event loop, and ends it: the answer. Raises what the call raises."""
    try:
        fetched = await race_async(step, call, step.drop)
    except BaseException as error:
        if stale := await step.fail_async(error):
            return stale.answer
        raise
    return fetched.answer if isinstance(fetched, Hit) else await step.finish_async(fetched)
