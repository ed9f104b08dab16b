"""Blocking work on threads, without losing its result when the caller goes away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result], unclaimed: Callable[[Result], object] = lambda result: None) -> Result:
    """The result of the work, done on a thread of the loop's pool.

    The work is never interrupted. When the caller is cancelled meanwhile, `unclaimed` gets the result: a lease taken
    must be given back by someone.
    """
    working = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        working.add_done_callback(lambda done: unclaimed(done.result()) if done.exception() is None else None)
        raise


def beside(work: Callable[[], Result]) -> Future[Result]:
    """Starts the work on a daemon thread of its own, with the caller's context variables. Returns at once."""
    done: Future[Result] = Future()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - handed to the caller that asks for the result
            done.set_exception(error)
        else:
            done.set_result(result)

    context = copy_context()
    done.set_running_or_notify_cancel()
    threading.Thread(target=run, name="encore-beside", daemon=True).start()
    return done
