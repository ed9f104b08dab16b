"""The store, guarded: the one place on the path of a request where its errors are caught and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ..concurrency import BackgroundWorker, CircuitBreaker
from ..errors import NotPermitted, OutcomeUnknown, StoreUnavailable, WriteRefused
from ..keys import Slot
from ..stores import MissReason
from .call import Call, Recorder

logger = logging.getLogger("encore.cache")

PROBE_SECONDS = 1.0
"""How often the store is asked whether it answers again."""

Result = TypeVar("Result")
Asked = TypeVar("Asked")


class _Watch:
    """What is known of one server: its breaker, and what failed last."""

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self.breaker = CircuitBreaker(on_change=on_change)
        self.reason = MissReason.STORE_DOWN
        self.slot: Slot | None = None


class Guard:
    """Asks the store on behalf of requests, under a circuit breaker for each of its servers.

    While one is open no request asks that server: a thread does so once a second, by `probe` and what was asked last.
    `place` names the server of a slot; None when there is but one. `metrics` hears when a breaker opens.
    """

    def __init__(
        self, metrics: Recorder, probe: Callable[[Slot], object], place: Callable[[Slot], str] | None = None
    ) -> None:
        self._metrics = metrics
        self._probe = probe
        self._place = place
        self._only = _Watch(self._changed)
        self._watches: dict[str, _Watch] = {}
        self._told: set[str] = set()
        self._worker = BackgroundWorker(self.try_again, name="encore-probe", every_seconds=PROBE_SECONDS)

    @property
    def breaker(self) -> CircuitBreaker:
        """The breaker of a single server; in a cluster one that is open, if there is any."""
        return next((watch.breaker for watch in self._all() if watch.breaker.is_open), self._only.breaker)

    def ask(self, call: Call, question: Callable[[Asked], Result], of: Asked) -> Result | None:
        """What `question(of)` returns, or None when the store does not answer or the breaker is open.

        Then `call.unanswered` says why. Never raises a store error.
        """
        if call.store_failed:
            return None
        watch = self._only if self._place is None else self._watch_of(self._place(call.slot))
        breaker = watch.breaker
        if not breaker.is_settled and breaker.is_open:
            call.unanswered = watch.reason
            self._worker.start()
            return None
        try:
            answer = question(of)
        except (WriteRefused, NotPermitted) as error:
            # The server answers, it just does not do this: all else goes on.
            breaker.succeeded()
            call.unanswered = MissReason.of(error)
            self._refused(call, error)
            return None
        except (StoreUnavailable, OutcomeUnknown) as error:
            call.store_failed, call.unanswered = True, MissReason.of(error)
            watch.slot, watch.reason = call.slot, call.unanswered
            breaker.failed()
            call.metrics.count("store_errors")
            return None
        if not breaker.is_settled:
            breaker.succeeded()
        return answer

    def _watch_of(self, place: str) -> _Watch:
        return self._watches.get(place) or self._watches.setdefault(place, _Watch(self._changed))

    def _all(self) -> list[_Watch]:
        return [self._only, *list(self._watches.values())]

    def try_again(self) -> bool:
        """Asks the servers whose breakers are open whether they answer again. True as long as one does not."""
        away = [self._is_still_away(watch) for watch in self._all() if watch.breaker.is_open]
        return any(away)

    def _is_still_away(self, watch: _Watch) -> bool:
        if watch.slot is not None:
            try:
                self._probe(watch.slot)
            except NotPermitted:
                pass  # it answers
            except (StoreUnavailable, OutcomeUnknown):
                return True
        watch.breaker.succeeded()
        return False

    def close(self) -> None:
        """Asks no more."""
        self._worker.stop(0)

    def _refused(self, call: Call, error: WriteRefused | NotPermitted) -> None:
        if isinstance(error, WriteRefused):
            call.metrics.count("writes_refused")
            logger.debug("store: %s", error)
            return
        call.metrics.count("rights_missing")
        if (refusal := str(error)) not in self._told:  # there are no more of them than commands
            self._told.add(refusal)
            logger.warning("%s: `python -m core doctor` says what does not work, and what to grant", refusal)

    def _changed(self, is_open: bool) -> None:
        if is_open:
            self._metrics.count("breaker_openings")
            logger.warning("the store does not answer: requests go straight to the provider, it is asked once a second")
            self._worker.start()
        else:
            logger.warning("the store answers again")
