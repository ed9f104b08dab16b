"""Effects: everything that the path of a request wants done outside of it, each a small value.

The path is a generator (`Flow`) that yields effects and is sent their results; it decides, and does no I/O. A
driver performs them, blocking or awaited. A question to the store is answered by None when the store cannot be asked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from ..bans import InvalidationRecord
from ..concurrency import in_thread
from ..keys import Identity, Slot
from ..models import Controls, Stamp
from ..stores import HeldLease, Leases, LocalCache, Reader, Seen, Store, StoredAs, Write
from .bypass import BypassSwitch
from .call import Call, OutOfPatience
from .flights import Flight, FlightResult
from .guard import Guard

if TYPE_CHECKING:
    from ..semantic import Ask, Miss, Search, SemanticResult, Serve

Result = TypeVar("Result")
POLL_SECONDS = 0.02
"""How often a process looks whether another process' leader has finished."""


class NearLookup(Protocol):
    """Looks for stored questions that are near a new one. Raises StoreUnavailable."""

    def applies(self, identity: Identity) -> bool:
        """Whether it is done at all for this request."""
        ...

    def candidates(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, controls: Controls, now: float
    ) -> Search | SemanticResult:
        """A search that has begun, or its result when the question has no usable vector."""
        ...

    def remember(self, identity: Identity, expires_at: float) -> None:
        """Adds a question that was just stored to the index, until `expires_at` (Unix seconds)."""
        ...


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What effects act on. `reader` is the store, or a `ReadThrough` that keeps local copies."""

    guard: Guard
    store: Store
    reader: Reader
    leases: Leases
    copies: LocalCache | None = None
    semantic: NearLookup | None = None
    switch: BypassSwitch | None = None
    buckets: int = 1


class Effect:
    """One thing outside of the flow to be done for a request."""

    __slots__ = ()

    def perform(self, world: World) -> Any:
        """Performs the effect, blocking. The result is sent to the flow; an error is thrown into it."""
        raise NotImplementedError

    async def perform_async(self, world: World) -> Any:
        """Performs the effect without blocking the event loop: on a thread, unless the effect can be awaited."""
        return await in_thread(partial(self.perform, world))


Flow = Generator[Effect, Any, Result]
"""A part of the path of a request, and what it comes to."""


class Run(msgspec.Struct, Generic[Result], frozen=True):
    """A flow under way, and what its effects act on."""

    flow: Flow[Result]
    world: World


class Question(Effect, msgspec.Struct, frozen=True):
    """An effect that asks the store or the semantic part; its result is None when that part does not answer."""

    call: Call

    def perform(self, world: World) -> Any:
        """Asks under the circuit breaker; None when the store does not answer."""
        return world.guard.ask(self.call, self.ask, world)

    def ask(self, world: World) -> Any:
        """Asks the store. Raises the store's errors."""
        raise NotImplementedError


class Read(Question, frozen=True):
    """Values and record, in one round trip: `Seen`."""

    digests: Sequence[bytes]

    def ask(self, world: World) -> Seen:
        """Reads the values at the digests and the record of the call's bucket."""
        return world.reader.read(self.call.slot, self.digests)


class MakeRecord(Question, frozen=True):
    """The bucket's invalidation record, made if there is none."""

    def ask(self, world: World) -> InvalidationRecord:
        """Returns the bucket's record, made if there is none."""
        return world.store.ensure_record(self.call.slot)


class ForgetRecord(Question, frozen=True):
    """Removes the bucket's record if nothing has happened to it since this request made it."""

    made: InvalidationRecord

    def ask(self, world: World) -> None:
        """Removes the record, and its namespace from the list if it was the only one."""
        if world.store.forget_record(self.call.slot, self.made):
            world.store.unlist(self.call.namespace, world.buckets)


class GrantCopies(Question, frozen=True):
    """Has invalidations of the bucket wait for this process' copies, when that is due."""

    def ask(self, world: World) -> None:
        """Writes the grant for local copies into the record."""
        if world.copies is not None:
            world.copies.request_grant(self.call.slot)


class Keep(Question, frozen=True):
    """Writes an entry and its alias through the fence: how that ended, and the record when it has moved on.

    `expected` is the sequence up to which bans have been looked at: the stamp's at first.
    """

    write: Write
    stamp: Stamp
    expected: int

    def ask(self, world: World) -> tuple[StoredAs, InvalidationRecord | None]:
        """Writes entry and alias, and drops the local copies they replace."""
        result = world.store.write(self.call.slot, self.write, self.stamp, self.expected)
        if result[0] is StoredAs.STORED and world.copies is not None:
            world.copies.forget(self.write.digest, *(self.write.alias or ())[:1])
        return result


class TakeLease(Question, frozen=True):
    """The lease for an answer as of an invalidation; False when another process has it."""

    since: int

    def ask(self, world: World) -> HeldLease | bool:
        """Takes the lease, which is then renewed until it is given back."""
        return world.leases.take(self.call.slot, self.call.identity.exact, self.since) or False


class IsLeased(Question, frozen=True):
    """Whether some process has the lease."""

    since: int

    def ask(self, world: World) -> bool:
        """Returns whether the lease is held, without taking it."""
        return world.store.leased(self.call.slot, self.call.identity.exact, self.since)


class GiveBack(Question, frozen=True):
    """Gives back a lease: at once when the store answers, else in the background."""

    lease: HeldLease

    def perform(self, world: World) -> None:
        """Gives the lease back under the circuit breaker; after a failure it is given back later."""
        is_given_back: bool | None = None
        try:
            is_given_back = super().perform(world)
        finally:
            if not is_given_back:
                world.leases.give_back_later(self.lease, after_failure=True)

    def ask(self, world: World) -> bool:
        """Gives the lease back in the store."""
        world.leases.give_back(self.lease)
        return True


class ReadSwitch(Question, frozen=True):
    """Whether an operator has the namespace bypass the cache."""

    def ask(self, world: World) -> bool:
        """Returns whether the bypass switch is on for the call's namespace."""
        return world.switch is not None and world.switch.read(self.call.namespace)


class LookNear(Question, frozen=True, kw_only=True):
    """Begins a search for near questions; None where semantic lookup does not apply."""

    slot_of: Callable[[str, int], Slot]
    now: float

    def ask(self, world: World) -> Search | SemanticResult | None:
        """Embeds the question and searches the index."""
        semantic, identity = world.semantic, self.call.identity
        if semantic is None or not semantic.applies(identity):
            return None
        return semantic.candidates(world.store, self.slot_of, identity, self.call.controls, self.now)


class Decide(Question, frozen=True):
    """The next step of a search for near questions; reads the entries that the decision needs."""

    search: Search

    def ask(self, world: World) -> Serve | Ask | Miss:
        """Reads entries until the search can decide its next step."""
        return self.search.decide()


class AskJudge(Question, frozen=True):
    """Has the judge rule on the entries that a search has come to."""

    search: Search
    step: Ask

    def ask(self, world: World) -> bool:
        """Asks the judge. Blocks up to the judge's deadline."""
        self.search.ask(self.step)
        return True


class Remember(Question, frozen=True):
    """Adds a wording that was just stored to the semantic index."""

    expires_at: float

    def ask(self, world: World) -> None:
        """Adds the wording to the index."""
        if world.semantic is not None:
            world.semantic.remember(self.call.identity, self.expires_at)


class Wait(Effect, msgspec.Struct, frozen=True):
    """A wait that needs no thread of its own."""

    call: Call

    def perform(self, world: World) -> Any:
        """Waits until the caller's patience runs out. Raises OutOfPatience then."""
        return self.within(self.call.until - time.monotonic())

    async def perform_async(self, world: World) -> Any:
        """Waits, without blocking the event loop, until the caller's patience runs out. Raises OutOfPatience then."""
        return await self.within_async(self.call.until - time.monotonic())

    def within(self, seconds: float) -> Any:
        """Waits for at most `seconds`. Raises OutOfPatience when that was too short."""
        raise NotImplementedError

    async def within_async(self, seconds: float) -> Any:
        """Waits for at most `seconds`, awaited. Raises OutOfPatience when that was too short."""
        raise NotImplementedError


class AwaitFlight(Wait, frozen=True):
    """Waits for another caller of this process that computes the answer: its result, None when it took too long."""

    flight: Flight

    def within(self, seconds: float) -> FlightResult | None:
        """Blocks for at most `seconds`, or until the flight's deadline. Raises OutOfPatience after `seconds`."""
        give_up_at = time.monotonic() + seconds
        while self._goes_on(give_up_at):
            futures.wait([self.flight.result], timeout=self._left(give_up_at))
        return self._result()

    async def within_async(self, seconds: float) -> FlightResult | None:
        """Awaits the flight for at most `seconds`; a cancelled caller does not end it. Raises OutOfPatience."""
        give_up_at = time.monotonic() + seconds
        ended = asyncio.shield(asyncio.wrap_future(self.flight.result))
        while self._goes_on(give_up_at):
            await asyncio.wait([ended], timeout=self._left(give_up_at))
        return self._result()

    def _left(self, give_up_at: float) -> float:
        return max(0.0, min(give_up_at, self.flight.deadline(of_first=False)) - time.monotonic())

    def _goes_on(self, give_up_at: float) -> bool:
        """Whether to wait (again): the deadline moves when the first caller begins to compute."""
        if self.flight.result.done() or time.monotonic() >= self.flight.deadline(of_first=False):
            return False
        if time.monotonic() >= give_up_at:
            raise OutOfPatience("another caller's answer to the same question did not come in time")
        return True

    def _result(self) -> FlightResult | None:
        return self.flight.result.result() if self.flight.result.done() else None


class Pause(Wait, frozen=True):
    """A pause of POLL_SECONDS while another process computes the answer."""

    def within(self, seconds: float) -> None:
        """Blocks for POLL_SECONDS or `seconds`, whichever is less. Raises OutOfPatience when no time is left."""
        threading.Event().wait(self._seconds(seconds))

    async def within_async(self, seconds: float) -> None:
        """Sleeps for POLL_SECONDS or `seconds`, whichever is less, awaited.

        Raises OutOfPatience when no time is left.
        """
        await asyncio.sleep(self._seconds(seconds))

    @staticmethod
    def _seconds(seconds: float) -> float:
        if seconds < 0:
            raise OutOfPatience("another caller's answer to the same question did not come in time")
        return min(POLL_SECONDS, seconds)


class Stop(Effect):
    """Where a driver hands over to its caller, who goes on with the flow later."""

    def reached(self, run: Run[Any]) -> None:
        """Receives the flow that has stopped here."""
        raise NotImplementedError
