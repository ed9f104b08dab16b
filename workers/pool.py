"""A pool of worker processes: starts them, replaces those that die, and does the periodic work in between.

One loop without threads, because it forks: a worker is ready in milliseconds, with everything imported already.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import secrets
import signal
import time
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

import click

from core.bootstrap import Services
from core.cache import RefreshQueue
from core.errors import StoreUnavailable
from core.invalidation import IdleNamespaces
from core.monitoring import WorkerPools
from workers import tasks
from workers.periodic import Schedule
from workers.queue import STOP_SIGNALS, JobQueue, run_worker

logger = logging.getLogger("encore.workers")

LOOP_SECONDS = 0.2
GRACE_SECONDS = 12.0
"""How long a worker may take to end its batch before it is killed: less than the launcher waits for the pool."""
STABLE_SECONDS = 10.0
"""A worker that ends sooner has not done what it was started for."""
MOST_EARLY_ENDS = 2
"""So many workers in a row may end early before that is said to be what workers do."""
LONGEST_PAUSE_SECONDS = 30.0


class Pool:
    """`size` workers on the queue of these services. `run` returns the exit status.

    With `burst` it ends when the queue is empty.
    """

    def __init__(self, services: Services, url: str, *, size: int, burst: bool = False) -> None:
        if services.queue_redis is None or services.schedules is None or services.pins is None:
            raise StoreUnavailable(
                "workers need a single Redis for their queue: set ENCORE_REDIS_URL, beside a cluster "
                "ENCORE_QUEUE_REDIS_URL, or start everything with `make run`"
            )
        self._services = services
        self._url = url
        self._size = size
        self._burst = burst
        self._queue = JobQueue(services.queue_redis, services.audit)
        self._schedule = Schedule(
            self._queue,
            services.invalidation,
            services.schedules,
            WorkerPools(services.queue_redis, clock=services.clock),
            RefreshQueue(services.queue_redis),
            services.evidence,
            services.pins,
            services.questions,
            services.near_index,
            count_workers=self._count,
            are_failing=lambda: self._are_failing,
            keep_sample=services.health.keep_sample,
            clean_idle=IdleNamespaces(services.health.store, buckets=services.health.buckets).clean,
        )
        self._context = multiprocessing.get_context("fork")
        self._children: dict[str, tuple[BaseProcess, float]] = {}
        self._stopping_since: float | None = None
        self._early_ends = 0
        self._pause_seconds = 0.0
        self._start_again_at = 0.0

    def run(self) -> int:
        """Runs workers until SIGTERM or SIGINT, then lets each end its batch. Returns the exit status."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        tasks.inherited.set(self._services)  # every worker, being a fork of this process, has all of this already
        tasks.warm_up()
        gc.freeze()  # a collection in a worker would touch, and so copy, all that it shares with this process
        if not self._wait_for_redis():
            return 0
        if self._burst:
            # Before the workers start: one that finds nothing to do ends.
            self._schedule.tick()
        try:
            self._fill()
            self._schedule.tick()
            self._watch()
        finally:
            self._ask_to_stop(signal.SIGTERM, None)
            self._stop()
            self._schedule.close()
        return 0

    def _watch(self) -> None:
        """Until asked to stop or, in a burst, until the last worker has found nothing more to do."""
        ready = False
        while self._stopping_since is None and (self._children or not self._burst):
            self._note_stable()
            if not self._are_failing and not ready and (ready := self._all_registered()):
                click.echo(f"workers  {self._size} ready")
            wait([process.sentinel for process, _ in self._children.values()], timeout=LOOP_SECONDS)
            if self._reap():
                ready = False
            if not self._burst:
                self._fill()
            self._schedule.tick()

    def _wait_for_redis(self) -> bool:
        """Waits until Redis answers; False when asked to stop first."""
        has_warned = False
        while self._stopping_since is None:
            try:
                self._queue.ping()
            except StoreUnavailable as error:
                if not has_warned:
                    logger.warning("%s: waiting for it", error)
                has_warned = True
                time.sleep(LOOP_SECONDS)
            else:
                return True
        return False

    def _fill(self) -> None:
        """Starts the workers that are missing, after a pause that grows while they die young."""
        while (
            self._stopping_since is None
            and len(self._children) < self._size
            and time.monotonic() >= self._start_again_at
        ):
            self._start()

    def _start(self) -> None:
        name = f"encore-{os.getpid()}-{secrets.token_hex(4)}"
        process = self._context.Process(target=_work, args=(self._url, name, self._burst, os.getpid()), name=name)
        # A signal that arrives before the child has its own way of hearing it must not be lost, nor heard as ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            if self._stopping_since is None:
                process.start()
                self._children[name] = (process, time.monotonic())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    @property
    def _are_failing(self) -> bool:
        """Whether workers end, one after the other, soon after they were started."""
        return self._early_ends > MOST_EARLY_ENDS

    def _note_stable(self) -> None:
        if self._early_ends and len(self._stable()) == self._size:
            self._early_ends = 0

    def _stable(self) -> list[str]:
        now = time.monotonic()
        return [name for name, (_, born) in self._children.items() if now - born >= STABLE_SECONDS]

    def _reap(self) -> bool:
        """Notes which workers have ended; True when it has just turned out that they fail."""
        failed_before = self._are_failing
        for name, (process, born) in list(self._children.items()):
            if process.is_alive():
                continue
            process.join()
            del self._children[name]
            if self._burst or self._stopping_since is not None:
                continue
            lived = time.monotonic() - born
            self._pause_seconds = (
                0.0 if lived >= STABLE_SECONDS else min(LONGEST_PAUSE_SECONDS, self._pause_seconds * 2 or 0.5)
            )
            self._start_again_at = time.monotonic() + self._pause_seconds
            self._early_ends += lived < STABLE_SECONDS
            logger.warning("worker %s ended (%s): another one is started", name, process.exitcode)
        if failed_before or not self._are_failing:
            return False
        click.echo(
            "workers  keep stopping right after they start: nothing is swept, no schedule runs; their log says why"
        )
        return True

    def _count(self) -> int:
        """The workers that are there; while they fail only those that have proved to work."""
        return len(self._stable() if self._are_failing else self._children)

    def _all_registered(self) -> bool:
        try:
            return len({worker.name for worker in self._queue.workers()} & self._children.keys()) == self._size
        except StoreUnavailable:
            return False

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            for process, _ in list(self._children.values()):
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGTERM)

    def _stop(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        for process, _ in self._children.values():
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                logger.warning("worker %s did not end in %.0f s and is killed", process.name, GRACE_SECONDS)
                process.kill()
                process.join()


def _work(url: str, name: str, burst: bool, parent: int) -> None:
    # What this process has at its exit is the pool's to do, not the worker's.
    os._exit(run_worker(url, name, burst=burst, parent=parent))
