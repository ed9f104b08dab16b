"""Hedging: a judge is asked beside the provider, and whichever answers first is served; the other is dropped.

The race is decided in one place, once: a judge's yes and a provider's answer each ask whether they may still be the
one. Whoever calls a provider for a step does so by `race`, which without a hedge is the call itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from ..concurrency import beside
from .steps import Bypass, Hit, Lead, Miss

Result = TypeVar("Result")
Call = Future[Result] | asyncio.Future[Result]


class Hedge:
    """A judge's verdict that is waited for beside the provider's answer.

    `judge` is given a function that says whether a yes may still be served; it returns the hit that it then has
    recorded and handed on, or why there is none. `waiting` is the miss as long as it has not returned.
    """

    def __init__(self, judge: Callable[[Callable[[], bool]], Hit | Miss], waiting: Miss) -> None:
        self._judge = judge
        self._waiting = waiting
        self._lock = threading.Lock()
        self._winner = ""
        self.verdict: Future[Hit | Miss] = Future()

    def start(self) -> None:
        """Asks the judge on a thread of its own."""
        self.verdict.set_running_or_notify_cancel()  # from here on nobody can cancel it
        beside(self._run)

    def claim(self) -> bool:
        """Whether the provider, or a caller who goes away, may end the request; then a later yes is not served."""
        return self._wins("provider")

    def overruled(self) -> Hit | None:
        """As `claim`, for whoever can wait while a hit that came first is being recorded: that hit, if there is one."""
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

    def _run(self) -> None:
        ended: Hit | Miss = self._waiting
        try:
            ended = self._judge(lambda: self._wins("judge"))
        except BaseException:
            self._winner = ""
            raise
        finally:
            # Whatever went wrong, those who wait go on with the provider.
            self.verdict.set_result(ended)


def race(
    step: Bypass | Lead,
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
    step: Bypass | Lead,
    call: Callable[[], Awaitable[Result]],
    drop: Callable[[Result | None], object],
    *,
    is_answer: Callable[[Result], bool] = lambda result: True,
) -> Result | Hit:
    """The same on an event loop, where the call is cancelled that came second: mostly `drop` gets None."""
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


def _has_answer(calling: Call[Result], is_answer: Callable[[Result], bool]) -> bool:
    return calling.done() and not calling.cancelled() and calling.exception() is None and is_answer(calling.result())


def _result(done: Call[Result]) -> Result | None:
    return None if done.cancelled() or done.exception() is not None else done.result()


def _abandon(done: Call[Result], drop: Callable[[Result | None], object]) -> None:
    """The caller went away, or the call failed: there is nothing to drop but an answer that came all the same."""
    result = _result(done)
    if result is not None:
        drop(result)
