"""Periodic work: due sweeps, retries, scheduled invalidations, pins, pruning. One look every few seconds.

Several pools may run at the same time: every step is done once, by the pool that looks first.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable

from core.cache import RefreshQueue
from core.entries import Pins
from core.errors import CacheError
from core.invalidation import CacheInvalidator, Schedules
from core.monitoring import BEAT_SECONDS, WorkerPools
from core.semantic.quality import Evidence
from core.semantic.questions import Questions
from core.text import without_text
from workers.queue import JobQueue

logger = logging.getLogger("encore.workers")

RETRY_LOOK_SECONDS = 1.0
REFRESH_LOOK_SECONDS = 1.0
DUE_LOOK_SECONDS = 2.0
"""Shortest time from the end of a hold to its sweep, on average half of it."""
DUE_LOOK_SHARE = 0.05
"""Largest share of the time spent on looking for what is due: with very many namespaces it is done less often."""
SCHEDULES_SECONDS = 5.0
PRUNE_LOOK_SECONDS = 60.0
JUDGE_LOOK_SECONDS = 5.0
GREY_LOOK_SECONDS = 3600.0
GREY_SHARE = 0.01
"""Largest share of the time spent on setting from where a judge is asked: all evidence of a month is read for it."""
SAMPLE_LOOK_SECONDS = 5.0
QUESTIONS_LOOK_SECONDS = 2.0
SAMPLE_SHARE = 0.02
"""Largest share of the time spent on sampling the gauges: with very many namespaces it is done less often."""
PINS_SECONDS = 600.0
IDLE_LOOK_SECONDS = 600.0
IDLE_SHARE = 0.02
"""Largest share of the time spent on looking for namespaces that nobody uses."""


class Schedule:
    """The periodic work of one pool. `tick` does what is due and returns; what a step raises is logged."""

    def __init__(
        self,
        queue: JobQueue,
        invalidation: CacheInvalidator,
        schedules: Schedules,
        pools: WorkerPools,
        refreshes: RefreshQueue,
        evidence: Evidence,
        pins: Pins,
        questions: Questions,
        *,
        count_workers: Callable[[], int],
        are_failing: Callable[[], bool],
        keep_sample: Callable[[], None],
        clean_idle: Callable[[], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._invalidation = invalidation
        self._schedules = schedules
        self._pools = pools
        self._refreshes = refreshes
        self._evidence = evidence
        self._pins = pins
        self._questions = questions
        self._count_workers = count_workers
        self._are_failing = are_failing
        self._keep_sample = keep_sample
        self._clean_idle = clean_idle
        self._monotonic = monotonic
        self._pool_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._next: dict[str, float] = {}
        self._failing: dict[str, str] = {}

    def tick(self) -> None:
        """Runs the steps that are due by now. What a step raises is logged."""
        self._every(BEAT_SECONDS, "beat", self._beat)
        self._every(RETRY_LOOK_SECONDS, "retries", self._queue.enqueue_due_retries)
        self._every(REFRESH_LOOK_SECONDS, "refreshes", self.enqueue_refreshes)
        self._every(DUE_LOOK_SECONDS, "sweeps", self.reconcile, share=DUE_LOOK_SHARE)
        self._every(SCHEDULES_SECONDS, "schedules", self._schedules.run_due)
        self._every(PRUNE_LOOK_SECONDS, "prune", self._queue.reconcile_prune)
        self._every(JUDGE_LOOK_SECONDS, "judging", self.enqueue_judging)
        self._every(GREY_LOOK_SECONDS, "judged from", self._evidence.set_grey, share=GREY_SHARE)
        self._every(QUESTIONS_LOOK_SECONDS, "questions", self.enqueue_grouping)
        self._every(SAMPLE_LOOK_SECONDS, "gauges", self._keep_sample, share=SAMPLE_SHARE)
        self._every(PINS_SECONDS, "pins", self._pins.renew)
        self._every(IDLE_LOOK_SECONDS, "idle namespaces", self._clean_idle, share=IDLE_SHARE)

    def reconcile(self) -> None:
        """One sweep for every namespace with bans that are due and no live job: what was lost is started again."""
        for namespace in self._invalidation.due_namespaces():
            self._queue.reconcile_sweep(namespace)

    def enqueue_refreshes(self) -> None:
        """One job for every stale answer that was served and is to be generated anew."""
        for key in self._refreshes.take():
            self._queue.enqueue_refresh(key)

    def enqueue_judging(self) -> None:
        """Counts new labels for the bounds, and one job for all hits that wait to be judged afterwards."""
        self._evidence.bounds.update()
        if self._evidence.samples_waiting():
            self._queue.enqueue_judging()

    def enqueue_grouping(self) -> None:
        """One job that groups the recorded questions, when somebody asked for it or the last is long ago."""
        if self._questions.take_up():
            self._queue.enqueue_grouping()
        elif self._questions.is_due():
            self._queue.reconcile_grouping()

    def close(self) -> None:
        """Removes this pool from the list of living pools."""
        try:
            self._pools.leave(self._pool_id)
        except CacheError as error:
            logger.warning("the pool could not be removed from the list of pools: %s", error)

    def _beat(self) -> None:
        self._pools.beat(
            self._pool_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            workers=self._count_workers(),
            failing=self._are_failing(),
        )

    def _every(self, seconds: float, name: str, step: Callable[[], object], *, share: float = 1.0) -> None:
        began = self._monotonic()
        if began < self._next.get(name, began):
            return
        try:
            step()
        except CacheError as error:
            self._note(name, str(error))
        except Exception as error:  # noqa: BLE001 (one step that fails must not end the workers)
            self._note(name, without_text(error))
        else:
            self._note(name, "")
        ended = self._monotonic()
        self._next[name] = max(began + seconds, ended + (ended - began) / share)

    def _note(self, name: str, problem: str) -> None:
        """Logs one line per change of state, not one a second, and one for all steps with the same problem."""
        before = self._failing.pop(name, "")
        others = self._failing.values()
        if problem and problem != before and problem not in others:
            logger.warning("%s: %s", name, problem)
        if before and not problem and before not in others:
            logger.warning("%s: works again", name)
        if problem:
            self._failing[name] = problem
