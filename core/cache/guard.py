"""The store, guarded: the one place on the path of a request where its errors are caught and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ..concurrency import CircuitBreaker
from ..errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from .call import Call, Recorder

logger = logging.getLogger("encore.cache")

Result = TypeVar("Result")
Asked = TypeVar("Asked")


class Guard:
    """Asks the store on behalf of requests, under one circuit breaker. `metrics` hears when it opens."""

    def __init__(self, metrics: Recorder) -> None:
        self._metrics = metrics
        self.breaker = CircuitBreaker(on_change=self._changed)

    def ask(self, call: Call, question: Callable[[Asked], Result], of: Asked) -> Result | None:
        """What `question(of)` returns, or None when the store does not answer or the breaker is open.

        Never raises a store error.
        """
        breaker = self.breaker
        if call.store_failed or not (breaker.is_settled or breaker.allows()):
            return None
        try:
            answer = question(of)
        except WriteRefused as error:
            # The server answers, it just takes no writes: lookups go on.
            breaker.succeeded()
            call.metrics.count("writes_refused")
            logger.debug("store: %s", error)
            return None
        except (StoreUnavailable, OutcomeUnknown):
            call.store_failed = True
            breaker.failed()
            call.metrics.count("store_errors")
            return None
        if not breaker.is_settled:
            breaker.succeeded()
        return answer

    def _changed(self, is_open: bool) -> None:
        if is_open:
            self._metrics.count("breaker_openings")
            logger.warning("the store does not answer: requests go straight to the provider, one probe a second")
        else:
            logger.warning("the store answers again")
