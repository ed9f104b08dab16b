"""The steps of a request: a hit, a call to the provider that the caller makes, or a wait for another caller.

For callers that make the provider call themselves (streams, a transport, the gateway): hold the step, end it. Lead and
Bypass end in equal ways. Every ending records the request's outcome, once.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, cast

import msgspec

from ..bans import InvalidationRecord
from ..concurrency import beside, in_thread
from ..errors import IncompleteStream, UnclearStream
from ..models import Answer, CacheEntry, ChatRequest, Completion, Stamp
from ..policy import UNCLEAR
from ..stores import HeldLease, Leases
from ..wire import from_chunks, in_chunks, with_callers
from .call import Call, OutOfPatience, went_away
from .drivers import abandon, drive, drive_async
from .effects import Effect, Flow, GiveBack, Run, Stop, Wait, World
from .flights import Flight, FlightKey
from .recorder import OutcomeRecorder

MANY_CHUNKS: Final = 1000


class Miss(msgspec.Struct, frozen=True):
    """Why there is nothing to serve, and the record that was seen; without one nothing may be shared or stored.

    `similarity` is the cosine of the nearest stored question, where near ones were looked for.
    """

    reason: str
    record: InvalidationRecord | None
    similarity: float | None = None

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of an answer that is generated from now on."""
        return None if self.record is None else self.record.stamp


class Fetched(msgspec.Struct, frozen=True):
    """What the provider answered, with its chunks where it came as a stream. `not_stored`: why it cannot be kept."""

    completion: Completion
    chunks: list[dict[str, Any]] | None = None
    not_stored: str = ""


class Hit(msgspec.Struct, frozen=True):
    """The answer was found and its outcome is recorded; only serving is left.

    `entry` is as it is stored, `given` what the caller gave that an answer may repeat.
    """

    answer: Answer
    entry: CacheEntry
    given: Mapping[str, Any] = {}

    @property
    def is_long(self) -> bool:
        """Whether to give it as a stream takes more than a moment: not on an event loop then."""
        return self.entry.chunks is not None and len(self.entry.chunks) > MANY_CHUNKS

    def chunks(self, request: ChatRequest) -> list[dict[str, Any]]:
        """The answer as the chunks (events, for a response) of a stream, at once and without fake delays."""
        body, chunks = self.answer.completion.body, self.entry.chunks
        if chunks is not None:
            chunks = [with_callers(chunk, self.given) for chunk in chunks]
            if self.entry.body is not None and self.entry.body.get("id") != body.get("id"):
                chunks = [{**chunk, "id": body["id"]} for chunk in chunks]
        return in_chunks(request.endpoint, body, chunks, include_usage=request.wants_usage)


class Lease:
    """The right to compute an answer: a flight in this process, and `held` in the store when that could be had.

    `looks_near`: a near question may still spare the call to the provider.
    """

    def __init__(self, call: Call, flight: Flight, leases: Leases) -> None:
        self._call = call
        self._flight = flight
        self._leases = leases
        self.held: HeldLease | None = None
        self.looks_near = True

    @property
    def key(self) -> FlightKey:
        """The key of the flight: which answer, as of which invalidation."""
        return self._flight.key

    @property
    def is_awaited(self) -> bool:
        """Whether others of this process wait for the answer."""
        return self._flight.followers > 0

    def computes(self) -> Lease:
        """Notes that this caller computes from now on. Returns the lease."""
        self._flight.computes()
        return self

    def end(self, value: bytes | None = None, error: BaseException | None = None, *, alone: bool = False) -> Flow[None]:
        """The flow that ends the lease: wakes those who wait, in this process and in others."""
        self._flight.finish(value, error, alone=alone)
        held, self.held = self.held, None
        if held is None:
            return
        try:
            yield GiveBack(self._call, held)
        except BaseException:
            self._leases.give_back_later(held)
            raise

    def release(self) -> None:
        """Has those who wait ask for themselves from now on: the answer cannot be shared."""
        self._flight.followers = 0
        self.drop(alone=True)

    def drop(self, *, alone: bool = False) -> None:
        """Ends the lease without asking the store: one of those who wait takes over, or each asks alone."""
        self._flight.finish(alone=alone)
        held, self.held = self.held, None
        if held is not None:
            self._leases.give_back_later(held)


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
        """Starts asking the judge on a thread of its own. Returns at once."""
        self.verdict.set_running_or_notify_cancel()  # from here on nobody can cancel it
        beside(partial(self._run, world))

    def claim(self) -> bool:
        """Claims the request for the provider or a leaving caller.

        True when it may end it; a later yes is not served.
        """
        return self._wins("provider")

    def overruled(self) -> Hit | None:
        """The hit that came first, once it has been recorded; None when the provider may end the request."""
        if self.claim():
            return None
        ended = self.verdict.result()
        return ended if isinstance(ended, Hit) else None

    @property
    def miss(self) -> Miss:
        """The miss, with the judge's ruling if there is one by now."""
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


class Asking(Stop):
    """The provider is to be asked: the flow stands here until it gets the answer or the error."""

    hedge: Hedge | None = None
    is_bypass = False

    def __init__(self, call: Call, reason: str) -> None:
        self._call = call
        self._reason = reason

    def reached(self, run: Run[Any]) -> None:
        """Notes that the call to the provider begins."""
        self._run = run
        self._call.provider_began = time.perf_counter()

    @property
    def reason(self) -> str:
        """Why the provider is asked."""
        return self._reason

    @property
    def key(self) -> str:
        """The readable key the answer will have; empty when it is not for the cache."""
        return self._call.key

    @property
    def is_awaited(self) -> bool:
        """Whether others of this process wait for the answer: it is then worth having without the caller."""
        return False

    def release(self) -> None:
        """Has those who wait ask for themselves from now on: the answer that comes cannot be kept."""

    def finish(
        self, completion: Completion, chunks: list[dict[str, Any]] | None = None, *, not_stored: str = ""
    ) -> Answer:
        """Ends the step with the provider's answer: stores it if that is allowed, and hands it to those who wait.

        `not_stored` says why it cannot be kept, where that is known already.
        """
        return cast("Answer", drive(self._run, Fetched(completion, chunks, not_stored)))

    async def finish_async(self, completion: Completion, chunks: list[dict[str, Any]] | None = None) -> Answer:
        """Ends the step with the provider's answer, on a thread: to the end though the caller goes away meanwhile."""
        return await in_thread(partial(self.finish, completion, chunks))

    def finish_stream(self, chunks: list[dict[str, Any]]) -> Answer | None:
        """Ends the step with the chunks of a stream. None, and nothing stored, when the stream is incomplete."""
        try:
            request = self._call.request
            body = from_chunks(request.endpoint, chunks, choices=request.parameters.get("n") or 1)
        except UnclearStream:
            usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
            return self.finish(Completion(body={"usage": usage}), not_stored=UNCLEAR)
        except IncompleteStream as error:
            return self._broke_off(error)
        return self.finish(Completion(body=body), chunks)

    def fail(self, error: BaseException, *, may_serve_stale: bool = True) -> Hit | None:
        """Ends the step with an error, a cancellation included.

        An older answer if one may be served, else None: raise.
        """
        self._call.may_serve_stale = may_serve_stale
        try:
            return cast("Hit", drive(self._run, error=error))
        except BaseException as raised:  # noqa: BLE001 - looked at, and raised again unless it is the error itself
            _reraise(raised, error)
            return None

    async def fail_async(self, error: BaseException) -> Hit | None:
        """Ends the step with an error, on a thread: to the end though the caller goes away meanwhile."""
        return await in_thread(partial(self.fail, error))

    def abandon(self) -> None:
        """Ends the step of a caller that has gone away: one of those who wait takes over."""
        self.fail(asyncio.CancelledError())

    def drop(self, completion: Completion | None) -> None:
        """Ends the step after a judge's yes.

        `completion` is the provider's answer, None when it was not read to the end.
        """

    def _broke_off(self, error: IncompleteStream) -> Answer | None:
        raise NotImplementedError


class Bypass(Asking):
    """The request goes past the cache; the caller asks the provider."""

    is_bypass = True

    def _broke_off(self, error: IncompleteStream) -> Answer | None:
        return self.finish(Completion(body={}))  # counted nevertheless


class Lead(Asking):
    """The answer is this caller's to compute.

    With a `hedge` a judge is asked meanwhile, and its yes may end it first: call the provider by `race`.
    """

    def __init__(
        self, call: Call, miss: Miss, lease: Lease | None, outcomes: OutcomeRecorder, hedge: Hedge | None = None
    ) -> None:
        super().__init__(call, miss.reason)
        self._miss = miss
        self._lease = lease
        self._outcomes = outcomes
        self.hedge = hedge

    def reached(self, run: Run[Any]) -> None:
        """Notes that the call to the provider begins, and starts asking the judge."""
        super().reached(run)
        if self.hedge is not None:
            self.hedge.start(run.world)

    @property
    def miss(self) -> Miss:
        """The miss, with what is known of it by now."""
        return self._miss if self.hedge is None else self.hedge.miss

    @property
    def reason(self) -> str:
        """The reason for the miss, one word."""
        return self.miss.reason

    @property
    def is_awaited(self) -> bool:
        """Whether others of this process wait for the answer."""
        return self._lease is not None and self._lease.is_awaited

    def release(self) -> None:
        """Has those who wait ask for themselves from now on."""
        if self._lease is not None:
            self._lease.release()

    def finish(
        self, completion: Completion, chunks: list[dict[str, Any]] | None = None, *, not_stored: str = ""
    ) -> Answer:
        """Ends the step with the provider's answer: stores it if that is allowed, and hands it to those who wait."""
        if self.hedge is not None and (hit := self.hedge.overruled()):
            self.drop(completion)
            self._run.flow.close()
            return hit.answer
        return super().finish(completion, chunks, not_stored=not_stored)

    def fail(self, error: BaseException, *, may_serve_stale: bool = True) -> Hit | None:
        """Ends the step with an error, a cancellation included.

        An older answer if one may be served, else None: raise.
        """
        if self.hedge is not None:
            if went_away(error) or not may_serve_stale:
                hit, is_over = None, not self.hedge.claim()  # served already
            else:
                hit = self.hedge.overruled()
                is_over = hit is not None
            if is_over:
                # A hit that came first may be on its way still: the flow ends behind it, so that it is counted once.
                self.hedge.verdict.add_done_callback(lambda ended: self._run.flow.close())
                return hit
        return super().fail(error, may_serve_stale=may_serve_stale)

    def drop(self, completion: Completion | None) -> None:
        """Counts a provider call that a judge's yes has overtaken."""
        self._outcomes.dropped(self._call, completion)

    def _broke_off(self, error: IncompleteStream) -> None:
        self.fail(error)


class Follow:
    """Another caller computes the answer. `wait` gives the next step: a Hit, a Lead, or Follow again."""

    def __init__(self, run: Run[Any], effect: Wait) -> None:
        self._run = run
        self._effect = effect

    def wait(self, seconds: float = math.inf) -> Step:
        """The next step. Blocks until something may have changed, for at most `seconds`."""
        try:
            reply = self._effect.within(seconds)
        except OutOfPatience:
            return self
        return first_step(self._run, reply)

    async def wait_async(self, seconds: float = math.inf) -> Step:
        """The next step, awaited for at most `seconds`. A cancelled caller has abandoned the wait."""
        try:
            reply = await self._effect.within_async(seconds)
        except OutOfPatience:
            return self
        except asyncio.CancelledError:
            self.abandon()
            raise
        return await in_thread(partial(first_step, self._run, reply), give_up)

    def abandon(self) -> None:
        """Ends the wait of a caller that has gone away; another one that waits behind it takes over."""
        abandon(self._run)


Step = Hit | Bypass | Lead | Follow


def first_step(run: Run[Any], reply: Any = None) -> Step:
    """Runs a request until its caller has something to do or to wait for. Returns that step.

    Raises what the flow raises.
    """
    found = drive(run, reply, waits=False)
    return Follow(run, found) if isinstance(found, Wait) else cast("Step", found)


def settle(run: Run[Any]) -> Hit | Bypass | Lead:
    """Runs a request until it is answered or the provider is to be asked. Returns that step.

    Raises what the flow raises.
    """
    settled: Hit | Bypass | Lead = drive(run)  # type: ignore[assignment]  # these are all that a request stops at
    return settled


async def settle_async(run: Run[Any], *, at: Effect | None = None) -> Hit | Bypass | Lead:
    """Runs a request, awaited, until it is answered or the provider is to be asked. Raises what the flow raises."""
    return cast("Hit | Bypass | Lead", await drive_async(run, at=at))


def give_up(step: Step) -> None:
    """Ends a step that no caller will carry out."""
    if not isinstance(step, Hit):
        step.abandon()


def _reraise(raised: BaseException, error: BaseException) -> None:
    """Re-raises an error of the flow unless it was thrown into it (a StopIteration comes back wrapped)."""
    if raised is not error and raised.__cause__ is not error:
        raise raised
