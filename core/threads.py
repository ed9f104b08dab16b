"""Blocking work beside an event loop, without losing what it began when the caller goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
