"""What a request has come to: the steps that `Decider.begin` returns, and how each of them ends.

A driver (sync, async, streaming, a transport, the gateway) holds a step, does the one thing the step is waiting for and
ends it. Every ending records the request's outcome, once.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from concurrent import futures
from typing import TYPE_CHECKING, Any

import msgspec

from ..concurrency import in_thread
from ..errors import IncompleteStream
from ..models import Answer, CacheEntry, ChatRequest, Completion, Controls, Stamp
from ..wire import assemble, assemble_response, replay, split, split_response
from .flights import Flight, FlightKey
from .preparation import Keyed, Prepared

if TYPE_CHECKING:
    from .drivers import Hedge
    from .flow import Decider
    from .leases import HeldLease

POLL_SECONDS = 0.02
"""How often a process looks whether another process' leader has finished."""


class Call:
    """One request on its way: what was asked, and what the way has cost so far (milliseconds)."""

    __slots__ = (
        "bypass",
        "controls",
        "lookup_ms",
        "namespace",
        "provider_began",
        "request",
        "started",
        "store_failed",
        "strategy",
    )

    def __init__(self, request: ChatRequest, controls: Controls, prepared: Prepared) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.controls = controls
        self.namespace = prepared.namespace
        self.strategy = prepared.strategy
        self.bypass = prepared.reason
        self.lookup_ms = 0.0
        self.provider_began = 0.0
        self.store_failed = False
        """Set by the first store call that fails: this request asks the store no more, so it waits for it once."""

    def elapsed_ms(self) -> float:
        """Time since the request began."""
        return (time.perf_counter() - self.started) * 1000

    def provider_ms(self) -> float:
        """Time since the provider was called; 0 when it was not."""
        return (time.perf_counter() - self.provider_began) * 1000 if self.provider_began else 0.0


class Miss(msgspec.Struct, frozen=True):
    """Why there is nothing to serve, and the stamp of that lookup; no stamp means nothing may be shared or stored.

    `similarity` is the cosine of the nearest stored question, where near ones were looked for.
    """

    reason: str
    stamp: Stamp | None
    similarity: float | None = None


def went_away(error: BaseException) -> bool:
    """Whether it is the caller who ended it, and not the provider."""
    return not isinstance(error, Exception) or isinstance(error, asyncio.CancelledError)


def assembled(request: ChatRequest, chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the whole stream of an answer to this request amounts to. Raises IncompleteStream."""
    if request.endpoint == "responses":
        return assemble_response(chunks)
    return assemble(chunks, choices=request.parameters.get("n") or 1)


class Hit:
    """The answer was found. Already recorded; nothing is left to do but to serve it."""

    def __init__(self, answer: Answer, entry: CacheEntry) -> None:
        self.answer = answer
        self.entry = entry

    def chunks(self, *, include_usage: bool) -> list[dict[str, Any]]:
        """The answer as the chunks (events, for a response) of a stream, at once and without fake delays."""
        body = self.answer.completion.body
        is_response = body.get("object") == "response"
        if self.entry.chunks is not None:
            return self.entry.chunks if is_response else replay(self.entry.chunks, include_usage=include_usage)
        return split_response(body) if is_response else split(body, include_usage=include_usage)


class Bypass:
    """The request does not touch the cache. End it with `finish` or `fail`."""

    hedge: None = None

    def __init__(self, decider: Decider, call: Call, reason: str) -> None:
        self._decider = decider
        self._call = call
        self.reason = reason
        call.provider_began = time.perf_counter()

    def finish(self, completion: Completion) -> Answer:
        """The provider answered."""
        return self._decider.passed(self._call, self.reason, completion)

    def finish_stream(self, chunks: list[dict[str, Any]]) -> Answer:
        """The stream ended; what it held is counted as far as it can be read."""
        try:
            body = assembled(self._call.request, chunks)
        except IncompleteStream:
            body = {}
        return self.finish(Completion(body=body))

    def fail(self, error: BaseException) -> None:
        """The provider failed, or the caller went away."""
        self._decider.failed(self._call, error)


class Lease:
    """The right to compute an answer: a flight in this process, and `held` in the store when that could be had."""

    def __init__(self, decider: Decider, flight: Flight) -> None:
        self._decider = decider
        self._flight = flight
        self.held: HeldLease | None = None

    @property
    def key(self) -> FlightKey:
        """Which answer, as of which stamp."""
        return self._flight.key

    @property
    def is_awaited(self) -> bool:
        """Whether others of this process wait for the answer."""
        return self._flight.followers > 0

    def end(
        self, call: Call, value: bytes | None = None, error: BaseException | None = None, *, alone: bool = False
    ) -> None:
        """Wakes those who wait, here and elsewhere."""
        self._flight.land(value, error, alone=alone)
        held, self.held = self.held, None
        if held is not None:
            self._decider.release(call, held)


class Lead:
    """The answer is this caller's to compute. End it with `store`, `store_stream`, `fail` or `abandon`.

    With a `hedge` a judge is asked meanwhile, and its yes may end it first: call the provider by `race`.
    """

    def __init__(
        self, decider: Decider, call: Call, keyed: Keyed, miss: Miss, lease: Lease | None, hedge: Hedge | None = None
    ) -> None:
        self._decider = decider
        self._call = call
        self._keyed = keyed
        self._miss = miss
        self._lease = lease
        self.hedge = hedge
        call.provider_began = time.perf_counter()
        if hedge is not None:
            hedge.start()

    @property
    def key(self) -> str:
        """The readable key the answer will have."""
        return self._keyed.identity.key

    @property
    def reason(self) -> str:
        """Why it was a miss."""
        return self._missed.reason

    @property
    def _missed(self) -> Miss:
        return self._miss if self.hedge is None else self.hedge.miss

    @property
    def is_awaited(self) -> bool:
        """Whether others of this process wait for the answer: then it is worth having though the caller went away."""
        return self._lease is not None and self._lease.is_awaited

    def store(self, completion: Completion, chunks: list[dict[str, Any]] | None = None) -> Answer:
        """Keeps the answer if it may be kept, and hands it to those who wait."""
        if self.hedge is not None and (hit := self.hedge.overruled()):
            self.dropped(completion)
            return hit.answer
        return self._decider.store(self._call, self._keyed, self._missed, self._lease, completion, chunks)

    def store_stream(self, chunks: list[dict[str, Any]]) -> Answer | None:
        """The same for a stream that has ended; None, and nothing kept, when it did not end properly."""
        try:
            completion = Completion(body=assembled(self._call.request, chunks))
        except IncompleteStream as error:
            self.fail(error)
            return None
        return self.store(completion, chunks)

    def fail(self, error: BaseException, *, may_serve_stale: bool = True) -> Hit | None:
        """The provider failed: an older answer if one may be served now (`stale-if-error`), else None: raise."""
        if self.hedge is not None and (went_away(error) or not may_serve_stale):
            if not self.hedge.claim():
                return None  # served already
        elif self.hedge is not None and (hit := self.hedge.overruled()):
            return hit
        return self._decider.lead_failed(self._call, self._keyed, self._lease, error, may_serve_stale=may_serve_stale)

    def abandon(self) -> None:
        """The caller went away: one of those who wait takes over."""
        self.fail(asyncio.CancelledError())

    def dropped(self, completion: Completion | None) -> None:
        """A judge's yes came first, and this is what the provider said; None when it was not heard to the end."""
        self._decider.dropped(self._call, completion)


class Follow:
    """Another caller computes the same answer. `wait` gives the next step: a Hit, a Lead, or Follow again.

    `polls`: the leader is another process; else it is a flight of this one.
    """

    def __init__(self, decider: Decider, call: Call, keyed: Keyed, miss: Miss, flight: Flight, *, polls: bool) -> None:
        self._decider = decider
        self._call = call
        self._keyed = keyed
        self._miss = miss
        self._flight = flight
        self._polls = polls
        self._pause = threading.Event()

    def wait(self, seconds: float = math.inf) -> Step:
        """Blocks until something may have changed, at most so long."""
        if self._polls:
            self._pause.wait(min(POLL_SECONDS, seconds))
        else:
            futures.wait([self._flight.landed], timeout=self._left(seconds))
        return self._next()

    async def wait_async(self, seconds: float = math.inf) -> Step:
        """The same without blocking the event loop. A caller who is cancelled has abandoned the wait."""
        try:
            if self._polls:
                await asyncio.sleep(min(POLL_SECONDS, seconds))
            else:
                landed = asyncio.shield(asyncio.wrap_future(self._flight.landed))
                await asyncio.wait([landed], timeout=self._left(seconds))
        except asyncio.CancelledError:
            self.abandon()
            raise
        return await in_thread(self._next, give_up)

    def _left(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._deadline() - time.monotonic()))

    def _deadline(self) -> float:
        return self._flight.deadline(of_first=self._polls)

    def _next(self) -> Step:
        if self._polls:
            if time.monotonic() >= self._deadline():
                return self._decider.lead_alone(self._call, self._keyed, self._miss, self._flight)
            return self._decider.poll(self._call, self._keyed, self._miss, self._flight, self)
        if self._flight.landed.done():
            return self._decider.landed(self._call, self._keyed, self._miss, self._flight)
        if time.monotonic() >= self._deadline():
            self._flight.leave()
            return Lead(self._decider, self._call, self._keyed, self._miss, None)
        return self

    def abandon(self) -> None:
        """The caller waits no longer; if others of this process wait behind it, one of them takes over."""
        self._decider.failed(self._call, asyncio.CancelledError(), self._keyed)
        if self._polls:
            self._flight.land()
        else:
            self._flight.leave()


Step = Hit | Bypass | Lead | Follow


def give_up(step: Step) -> None:
    """Ends a step that nobody will carry out."""
    match step:
        case Hit():
            pass
        case Bypass():
            step.fail(asyncio.CancelledError())
        case Lead() | Follow():
            step.abandon()
