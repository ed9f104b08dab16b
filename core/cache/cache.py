"""LLMCache: answers repeats from a store, asks the provider for the rest.

The drivers here are thin loops over the steps of `core.cache.steps`; every decision is in `core.cache.flow`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, assert_never

from ..access import Acting, AuditLog
from ..bans import Criteria
from ..concurrency import CircuitBreaker, in_thread
from ..errors import ProviderUnavailable
from ..invalidation import CacheInvalidator, Invalidation
from ..metrics import CacheMetrics, Summary
from ..models import NO_CONTROLS, Answer, ChatRequest, Completion, Controls, Usage
from ..policy import TTLPolicy
from ..stores import MemoryStore, Store
from .bypass import BypassSwitch
from .drivers import race, race_async
from .flow import CacheConfig, Decider, NearLookup, Recorder, Refresher
from .steps import Bypass, Follow, Hit, Lead, Step, give_up
from .streams import AsyncStream, Stream

if TYPE_CHECKING:
    from ..providers import Provider


class LLMCache:
    """A response cache for LLM calls. Threads, tasks and processes may share one store.

    Without a `store` entries live in this process. `provider` is needed by `complete` and `stream` only. `clock` gives
    Unix seconds.
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
        clock: Callable[[], float] = time.time,
        refresher: Refresher | None = None,
        semantic: NearLookup | None = None,
        invalidator: CacheInvalidator | None = None,
        switch: BypassSwitch | None = None,
    ) -> None:
        self.config = config or CacheConfig()
        self.store: Store = store or MemoryStore(self.config.max_size)
        self.provider = provider
        self.metrics: Recorder = metrics or CacheMetrics(None)
        self.invalidator = invalidator or CacheInvalidator(
            self.store, AuditLog(None), namespace=self.config.namespace, buckets=self.config.buckets, clock=clock
        )
        self.decider = Decider(
            self.config,
            self.store,
            self.metrics,
            ttl_policy or TTLPolicy(),
            price,
            clock,
            refresher,
            base_url=provider.base_url if provider is not None else "",
            semantic=semantic,
            switch=switch,
        )

    @property
    def breaker(self) -> CircuitBreaker:
        """Tells whether the store is being asked at the moment."""
        return self.decider.breaker

    def counted_by(self, metrics: Recorder) -> LLMCache:
        """The same cache, but what is done through it is counted elsewhere."""
        twin = copy(self)
        twin.metrics = metrics
        twin.decider = copy(self.decider)
        twin.decider.metrics = metrics
        return twin

    def begin(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Step:
        """The first step of a request, for drivers of one's own."""
        return self.decider.begin(request, controls)

    def complete(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer:
        """The answer, from the cache or the provider.

        Raises what the provider raises, NotCached (`only-if-cached`), InvalidInput, ProviderUnavailable.
        """
        step = self._settle(request, controls)
        match step:
            case Hit():
                return step.answer
            case Bypass():
                try:
                    completion = self._provider().complete(request)
                except BaseException as error:
                    step.fail(error)
                    raise
                return step.finish(completion)
            case Lead():
                try:
                    fetched = race(step, lambda: self._provider().complete(request), step.dropped)
                except BaseException as error:
                    if stale := step.fail(error):
                        return stale.answer
                    raise
                return fetched.answer if isinstance(fetched, Hit) else step.store(fetched)
            case _:
                assert_never(step)

    async def acomplete(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer:
        """The same on an event loop; a caller's cancellation never fails the others."""
        step = await self._settle_async(request, controls)
        match step:
            case Hit():
                return step.answer
            case Bypass():
                try:
                    completion = await self._provider().acomplete(request)
                except BaseException as error:
                    step.fail(error)
                    raise
                return step.finish(completion)
            case Lead():
                try:
                    fetched = await race_async(step, lambda: self._provider().acomplete(request), step.dropped)
                except BaseException as error:
                    if stale := await asyncio.to_thread(step.fail, error):
                        return stale.answer
                    raise
                if isinstance(fetched, Hit):
                    return fetched.answer
                return await asyncio.to_thread(step.store, fetched)
            case _:
                assert_never(step)

    def stream(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Stream:
        """The answer as chunks, passed on as they arrive, stored only when the stream ends properly."""
        return Stream(self._settle(request, controls), request, self._provider)

    async def astream(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> AsyncStream:
        """The same on an event loop."""
        return AsyncStream(await self._settle_async(request, controls), request, self._provider)

    def _settle(self, request: ChatRequest, controls: Controls) -> Hit | Bypass | Lead:
        step = self.begin(request, controls)
        while isinstance(step, Follow):
            follow = step
            try:
                step = follow.wait()
            except (KeyboardInterrupt, SystemExit):
                follow.abandon()
                raise
        return step

    async def _settle_async(self, request: ChatRequest, controls: Controls) -> Hit | Bypass | Lead:
        step = await in_thread(partial(self.begin, request, controls), give_up)
        while isinstance(step, Follow):
            step = await step.wait_async()
        return step

    def _provider(self) -> Provider:
        if self.provider is None:
            raise ProviderUnavailable("this cache has no provider: give one, or use begin() and call it yourself")
        return self.provider

    # One entry by hand

    def get(self, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Answer | None:
        """The stored answer or None; the provider is not asked. Counted as a hit or a miss."""
        hit = self.decider.find(request, controls)
        return hit.answer if hit else None

    def set(self, request: ChatRequest, completion: Completion, controls: Controls = NO_CONTROLS) -> bool:
        """Stores an answer that was got elsewhere; False when it may not be stored. `put` says why."""
        return isinstance(self.put(request, completion, controls), Answer)

    def put(self, request: ChatRequest, completion: Completion, controls: Controls = NO_CONTROLS) -> Answer | str:
        """The same: the answer as stored, or the reason."""
        return self.decider.put(request, completion, controls)

    # The cache as a whole

    def invalidate(
        self, criteria: Criteria, *, actor: Acting = "api", soft: bool = False, hold_seconds: float | None = None
    ) -> Invalidation:
        """Hides all that matches, effective when it returns. `CacheInvalidator.invalidate` says what it raises."""
        return self.invalidator.invalidate(criteria, actor=actor, soft=soft, hold_seconds=hold_seconds)

    def get_stats(self, window_seconds: float = 86_400) -> Summary | None:
        """Requests, hits, savings and latencies of the last so many seconds; None when another recorder keeps them."""
        return self.metrics.summary(window_seconds) if isinstance(self.metrics, CacheMetrics) else None

    def close(self) -> None:
        """Gives back what is held in the store, and lets go of its connections."""
        self.decider.close()
        self.store.close()
