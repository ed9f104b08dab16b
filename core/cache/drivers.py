"""The two drivers of the request path, blocking and awaited: the only loops that perform effects.

A driver goes on until the flow ends, or until it stands at a `Stop`: then its caller has something to do, and goes on
with the flow later. Every flow is run to its end: an abandoned one gets an error where it stands, and cleans up.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from .effects import Effect, Run, Stop, Wait

Result = TypeVar("Result")


def drive(
    run: Run[Result],
    reply: Any = None,
    error: BaseException | None = None,
    *,
    at: Effect | None = None,
    waits: bool = True,
) -> Result | Effect:
    """Runs a flow, blocking: sends it the reply or the error for the effect it stands at, or performs that effect.

    Returns the flow's result, or the Stop it stands at; with `waits` off also a Wait, which the caller then performs.
    Raises what the flow raises.
    """
    flow, world = run.flow, run.world
    try:
        effect = at or (flow.send(reply) if error is None else flow.throw(error))
        while not isinstance(effect, Stop):
            if not waits and isinstance(effect, Wait):
                return effect
            try:
                reply = effect.perform(world)
            except BaseException as raised:  # noqa: BLE001 - the flow decides
                effect = flow.throw(raised)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        result: Result = end.value
        return result
    effect.reached(run)
    return effect


async def drive_async(
    run: Run[Result],
    reply: Any = None,
    error: BaseException | None = None,
    *,
    at: Effect | None = None,
    waits: bool = True,
) -> Result | Effect:
    """Runs a flow on an event loop: waits are awaited, other effects are performed on threads.

    Returns the flow's result, or the Stop it stands at. Raises what the flow raises. A cancelled caller is released at
    once; an effect under way on a thread is ended in the background.
    """
    flow, world = run.flow, run.world
    loop = asyncio.get_running_loop()
    try:
        effect = at or (flow.send(reply) if error is None else flow.throw(error))
        while not isinstance(effect, Stop):
            if not waits and isinstance(effect, Wait):
                return effect
            working: asyncio.Future[Any] | None = None
            try:
                if isinstance(effect, Wait):
                    reply = await effect.perform_async(world)
                else:
                    working = loop.run_in_executor(None, effect.perform, world)
                    reply = await asyncio.shield(working)
            except BaseException as raised:
                # A caller may be cancelled after the thread has ended too: then what came of it is still to be told.
                if working is not None and not _is_raised_by(working, raised):
                    working.add_done_callback(partial(_end_later, loop, run))
                    raise
                effect = flow.throw(raised)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        result: Result = end.value
        return result
    effect.reached(run)
    return effect


def abandon(run: Run[Any]) -> None:
    """Ends a flow whose caller has gone away. Raises nothing."""
    with suppress(Exception, asyncio.CancelledError):  # it has been recorded, and nobody is there to hear of it
        drive(run, error=asyncio.CancelledError())


def _is_raised_by(working: asyncio.Future[Any], raised: BaseException) -> bool:
    """Whether an error is the effect's own, and not the caller's cancellation."""
    return working.done() and (working.cancelled() or working.exception() is raised)


def _end_later(loop: asyncio.AbstractEventLoop, run: Run[Any], done: asyncio.Future[Any]) -> None:
    """Ends an abandoned flow now that its effect has been performed, away from the event loop."""
    try:
        loop.run_in_executor(None, _end, run, done)
    except RuntimeError:  # the loop is ending
        _end(run, done)


def _end(run: Run[Any], done: asyncio.Future[Any]) -> None:
    """Sends the flow the result of its effect (a lease taken must be given back), then the caller's departure."""
    try:
        if done.cancelled():
            run.flow.throw(asyncio.CancelledError())
        elif (error := done.exception()) is not None:
            run.flow.throw(error)
        else:
            run.flow.send(done.result())
    except (StopIteration, Exception, asyncio.CancelledError):  # noqa: BLE001 - the flow has ended by itself
        return
    abandon(run)
