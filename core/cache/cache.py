"""LLMCache: answers repeated requests from a store and asks the provider for the others.

What becomes of a request is decided in `flow`; the drivers carry it out. Here the parts are put together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, TypeVar, cast

from ..access import Acting, AuditLog
from ..bans import Criteria
from ..concurrency import CircuitBreaker
from ..errors import ProviderUnavailable
from ..invalidation import CacheInvalidator, Invalidation
from ..keys import Slot
from ..metrics import CacheMetrics, Summary
from ..models import NO_CONTROLS, Answer, ChatRequest, Completion, Controls, Usage
from ..policy import TTLPolicy
from ..stores import Clock, Found, Leases, LocalCache, Lookup, MemoryStore, Store
from .bypass import BypassSwitch
from .call import Call, Prepared, Recorder
from .config import CacheConfig
from .drivers import drive
from .effects import Flow, NearLookup, Run, World
from .flights import Flights
from .flow import Refresher, RequestFlow
from .guard import Guard
from .hedging import ask, ask_async
from .near import NearPart
from .preparation import Preparation
from .reader import RequestReader
from .recorder import OutcomeRecorder
from .singleflight import SingleFlight
from .steps import Hit, Step, first_step, settle, settle_async
from .streams import AsyncStream, Stream
from .writer import Writer

if TYPE_CHECKING:
    from ..providers import Provider

Result = TypeVar("Result")


class LLMCache:
    """A response cache for LLM calls. Threads, tasks and processes may share one store.

    Without a `store` entries live in this process. `provider` is needed by `complete` and `stream` only. `clock` gives
    Unix seconds: the store's own unless given.
    """

    def __init__(
        self,
        config: CacheConfig | None = None,
        *,
        store: Store | None = None,
        provider: Provider | None = None,
        metrics: Recorder | None = None,
        ttl_policy: TTLPolicy | None = None,
        price: Callable[[str, Usage], float | None] = lambda model, usage: None,
        clock: Clock | None = None,
        refresher: Refresher | None = None,
        semantic: NearLookup | None = None,
        invalidator: CacheInvalidator | None = None,
        switch: BypassSwitch | None = None,
    ) -> None:
        self.config = config = config or CacheConfig()
        self.store: Store = store or MemoryStore(config.max_size)
        clock = clock or self.store.clock
        self.provider = provider
        self.metrics: Recorder = metrics or CacheMetrics(None)
        self.invalidator = invalidator or CacheInvalidator(
            self.store, AuditLog(None), namespace=config.namespace, buckets=config.buckets, clock=clock
        )
        self.copies: LocalCache | None = None
        if config.l1_seconds:
            max_bytes = config.l1_megabytes * 1_000_000
            self.copies = LocalCache(self.store, seconds=config.l1_seconds, max_bytes=max_bytes, clock=clock)
        self.flights = Flights(config.lease_seconds)
        self._preparation = Preparation(
            config, ttl_policy or TTLPolicy(), base_url=provider.base_url if provider is not None else ""
        )
        self._world = World(
            guard=Guard(self.metrics, lambda slot: self.store.read(slot, ()), self.store.place_of),
            store=self.store,
            reader=self.store if self.copies is None else self.copies.through,
            leases=Leases(self.store, config.lease_seconds),
            copies=self.copies,
            semantic=semantic,
            switch=switch,
            buckets=config.buckets,
        )
        outcomes = OutcomeRecorder(
            price,
            clock,
            wider_forms=self._preparation.wider_forms,
            log_hits=config.log_hits,
            fresh_ids=config.fresh_ids,
        )
        self._reader = RequestReader(self.copies, clock)
        writer = Writer(config, outcomes, clock, ttl_policy or TTLPolicy())
        self._flow = RequestFlow(
            config,
            reader=self._reader,
            writer=writer,
            near=NearPart(self._preparation.slot, writer, outcomes, clock),
            single_flight=SingleFlight(self.flights, self._world.leases, self._reader, outcomes),
            outcomes=outcomes,
            clock=clock,
            refresher=refresher,
        )

    @property
    def breaker(self) -> CircuitBreaker:
        """The circuit breaker of the store: open while the store is not asked."""
        return self._world.guard.breaker

    def counted_by(self, metrics: Recorder) -> LLMCache:
        """A cache that shares all parts with this one but counts into other metrics."""
        twin = copy(self)
        twin.metrics = metrics
        return twin

    # A request

    def run(
        self,
        request: ChatRequest,
        controls: Controls = NO_CONTROLS,
        *,
        patience_seconds: float = math.inf,
        bypass: str = "",
        credential: bytes = b"",
        caller: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Run[Hit | Answer]:
        """A request that has not begun, for the drivers. Raises InvalidInput for a namespace that is not a valid name.

        `patience_seconds` is how long it waits for another caller's answer; `bypass` a reason of the caller's own why
        it may not use the cache; `credential` a digest of the key of its own that the provider sees; `caller` what
        stands for whoever sends it in the request log; `headers` those that came with it, by name in lower case: no
        answer is kept that repeats one of them.
        """
        call = self._call(request, controls)
        call.credential, call.caller = credential, caller
        call.headers = headers or {}
        if patience_seconds != math.inf:
            call.until = time.monotonic() + patience_seconds
        if bypass:
            call.pass_by(bypass)
        return Run(self._flow.answer(call), self._world)

    def begin(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Step:
        """The first step of a request, for drivers of one's own. Raises NotCached (`only-if-cached`), InvalidInput."""
        return first_step(self.run(request, controls))

    def complete(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer:
        """The answer, from the cache or the provider. Blocks.

        Raises what the provider raises, NotCached (`only-if-cached`), InvalidInput, ProviderUnavailable.
        """
        step = settle(Run(self._flow.answer(self._call(request, controls)), self._world))
        if isinstance(step, Hit):
            return step.answer
        return ask(step, lambda: self._provider().complete(request))

    async def acomplete(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer:
        """The answer, from the cache or the provider, awaited. A cancelled caller never fails the others.

        Raises what the provider raises, NotCached (`only-if-cached`), InvalidInput, ProviderUnavailable."""
        step = await settle_async(self.run(request, controls))
        if isinstance(step, Hit):
            return step.answer
        return await ask_async(step, lambda: self._provider().acomplete(request))

    def stream(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Stream:
        """The answer as chunks, passed on as they arrive, stored only when the stream ends properly."""
        return Stream(settle(self.run(request, controls)), request, self._provider)

    async def astream(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> AsyncStream:
        """The answer as chunks on an event loop, passed on as they arrive."""
        return AsyncStream(await settle_async(self.run(request, controls)), request, self._provider)

    def _provider(self) -> Provider:
        if self.provider is None:
            raise ProviderUnavailable("this cache has no provider: give one, or use begin() and call it yourself")
        return self.provider

    # What is known of a request

    def identify(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Prepared:
        """Namespace, strategy, identity and TTL of a request, or why it bypasses. Asks and counts nothing.

        Raises InvalidInput for a namespace that is not a valid name.
        """
        return self._preparation.prepare(request, controls)

    def slot(self, namespace: str, bucket: int = 0) -> Slot:
        """The key names of a bucket. Raises InvalidInput for a namespace that cannot be."""
        return self._preparation.slot(namespace, bucket)

    def may_serve(self, found: Found, controls: Controls = NO_CONTROLS) -> bool:
        """Whether a stored answer would be served: fresh, or stale while it is refreshed, when that is allowed."""
        return self._flow.may_serve(found, controls)

    # One entry by hand

    def look_up(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Lookup | None:
        """What a lookup sees, stale answers too; None when the store cannot be asked, and for a bypass. Not counted."""
        call = self._call(request, controls)
        return None if call.bypass else self._drive(self._reader.look_up(call))

    def get(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer | None:
        """The stored answer, or None. Counted as a hit or a miss. Never asks the provider."""
        hit = self._drive(self._flow.find(self._call(request, controls)))
        return hit.answer if hit else None

    def set(self, request: ChatRequest, completion: Completion, controls: Controls = NO_CONTROLS) -> bool:
        """Stores an answer that was obtained elsewhere; False when it may not be stored (`put` gives the reason)."""
        return isinstance(self.put(request, completion, controls), Answer)

    def put(self, request: ChatRequest, completion: Completion, controls: Controls = NO_CONTROLS) -> Answer | str:
        """Stores an answer that was obtained elsewhere.

        Returns the stored answer, or the reason why it may not be stored.
        """
        return self._drive(self._flow.put(self._call(request, controls), completion))

    def alias(self, wording: ChatRequest, of: ChatRequest, controls: Controls = NO_CONTROLS) -> str:
        """Stores another wording as an alias of a request's answer. Returns "" or why it was not stored. Not counted.

        They must differ in nothing but the last message, and their buckets must be the same one.
        """
        return self._drive(self._flow.alias(self._call(wording, controls), self._call(of, controls)))

    def _call(self, request: ChatRequest, controls: Controls) -> Call:
        call = Call(request, controls, self._preparation.prepare(request, controls), self.metrics)
        if self._world.switch is not None:
            call.is_switched = self._world.switch.known(call.namespace)
        return call

    def _drive(self, flow: Flow[Result]) -> Result:
        return cast("Result", drive(Run(flow, self._world)))

    # The cache as a whole

    def invalidate(
        self, criteria: Criteria, *, actor: Acting = "api", soft: bool = False, hold_seconds: float | None = None
    ) -> Invalidation:
        """Hides all that matches, effective when it returns. `CacheInvalidator.invalidate` says what it raises."""
        return self.invalidator.invalidate(criteria, actor=actor, soft=soft, hold_seconds=hold_seconds)

    def get_stats(self, window_seconds: float = 86_400) -> Summary | None:
        """Requests, hits, savings and latencies of a window of seconds; None when another recorder keeps them."""
        return self.metrics.summary(window_seconds) if isinstance(self.metrics, CacheMetrics) else None

    def close(self) -> None:
        """Gives back all leases and closes the store's connections."""
        self._world.guard.close()
        self._world.leases.close()
        self.store.close()
