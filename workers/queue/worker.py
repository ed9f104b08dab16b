"""One worker process: takes jobs from the queue and runs each in a process of its own (the horse), until asked to stop.

Asked to stop, it lets the horse end between two batches and put its job back, instead of waiting for the whole job.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from core.errors import StoreUnavailable
from core.stores.redis import is_refusal, open_client, reading, translated
from workers.queue.job import AllowedJob, ending
from workers.queue.records import queue_on

logger = logging.getLogger("encore.workers")

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

WORKER_SECONDS = 60
MONITORING_SECONDS = 10
MAINTENANCE_SECONDS = 30
DEQUEUE_SECONDS = 10
"""Longest silence of an idle worker."""
REFUSED_SECONDS = 1.0
"""How often a worker asks a Redis that takes no writes whether it does again."""

_BECAME_REPLICA = "UNBLOCKED"
"""How the error begins by which a server that becomes a replica ends a wait for a job."""

PR_SET_PDEATHSIG = 1  # of prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class PoolWorker(Worker):
    """The library's worker, made to end quickly, to survive a restart of Redis and to end with its parent."""

    max_connection_wait_time = 5.0

    def __init__(self, connection: redis.Redis, name: str, *, parent: int) -> None:
        super().__init__(
            [queue_on(connection)],
            name=name,
            connection=connection,
            job_class=AllowedJob,
            serializer=JSONSerializer,
            worker_ttl=WORKER_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
            maintenance_interval=MAINTENANCE_SECONDS,
        )
        self._parent = parent
        self._may_be_interrupted = False
        self._is_refused = False

    @property
    def dequeue_timeout(self) -> int:
        """Seconds it waits for a job before the next heartbeat."""
        return DEQUEUE_SECONDS

    def _set_ip_address(self, connection: redis.Redis) -> None:
        """Asks Redis nothing: the library cannot read the answer where the path of a socket has a space or a "=", and
        nobody needs it."""
        self.ip_address = "unknown"

    # Stopping

    def _install_signal_handlers(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self.request_stop)
        # The process began with these signals held back: what came meanwhile is heard now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Asks the worker to end after the job's current batch. May be called again."""
        self._stop_requested = True
        if self.horse_pid:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self.horse_pid, signal.SIGTERM)
        if self._may_be_interrupted:
            raise StopRequested

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Waits for a job: the one place where a request to stop may interrupt."""
        self._may_be_interrupted = True
        try:
            while True:
                self._end_if_asked()
                if self._is_refused:
                    self._wait_for_writes()
                try:
                    return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
                except redis.ResponseError as error:
                    if not str(error).startswith(_BECAME_REPLICA):
                        self._note_refusal(error)
        finally:
            self._may_be_interrupted = False

    def run_maintenance_tasks(self) -> None:
        """Runs RQ's maintenance without interruption: an interrupted one would leave its lock for 15 minutes."""
        was, self._may_be_interrupted = self._may_be_interrupted, False
        with self._sitting_out():
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        self._may_be_interrupted = was
        if was:
            self._end_if_asked()

    def unsubscribe(self) -> None:
        """Ends the thread that hears commands.

        The flag is set before the thread is woken, else it would sleep for a minute more.
        """
        if self.pubsub_thread is not None and self.pubsub is not None:
            self.pubsub_thread.stop()
            self.pubsub.unsubscribe()
            self.pubsub_thread.join(timeout=1)
            self.pubsub.close()

    def _end_if_asked(self) -> None:
        if os.getppid() != self._parent:
            logger.warning("worker %s: the pool is gone", self.name)
            self._stop_requested = True
        if self._stop_requested:
            raise StopRequested

    # Redis that goes and comes back

    @contextmanager
    def _sitting_out(self) -> Iterator[None]:
        """Skips a step while Redis is away, where the library would end the worker and the pool start another."""
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            logger.warning("worker %s: Redis does not answer (%s)", self.name, type(error).__name__)
        except redis.ResponseError as error:
            self._note_refusal(error)

    def _note_refusal(self, error: redis.ResponseError) -> None:
        """Says once that Redis takes no writes. Raises any other error."""
        if not is_refusal(error):
            raise error
        if not self._is_refused:
            logger.warning("worker %s waits: %s", self.name, translated(error, writing=True))
        self._is_refused = True

    def _wait_for_writes(self) -> None:
        """Waits until Redis takes writes again. Raises StopRequested."""
        while self._is_refused:
            if signal.sigpending() & STOP_SIGNALS:  # before the worker has its own way of hearing them
                self._stop_requested = True
            self._end_if_asked()
            time.sleep(REFUSED_SECONDS)
            try:
                self.connection.set(f"{self.key}:writes", 1, px=1)
            except redis.ResponseError as still:
                self._note_refusal(still)
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            else:
                self._is_refused = False
                logger.warning("worker %s goes on: Redis takes writes again", self.name)

    def register_birth(self) -> None:
        """Registers the worker, as soon as Redis takes writes."""
        while True:
            try:
                super().register_birth()  # type: ignore[no-untyped-call]
            except redis.ResponseError as error:
                self._note_refusal(error)
                self._wait_for_writes()
            else:
                return

    def register_death(self) -> None:
        """Takes the worker off the list; while Redis takes no writes its record expires instead."""
        with self._sitting_out():
            super().register_death()  # type: ignore[no-untyped-call]

    def check_for_suspension(self, burst: bool) -> None:
        """Waits while the queue is suspended."""
        with self._sitting_out():
            super().check_for_suspension(burst)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Writes the heartbeat, and registers again where Redis has lost the worker."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            return
        with self._sitting_out():
            with self.connection.pipeline() as beat:
                super().heartbeat(timeout, beat)
                beat.hexists(self.key, "birth")
                *_, is_registered = beat.execute()
            if self.birth_date and not is_registered:
                with self.connection.pipeline() as again:
                    again.hset(self.key, mapping=self.serialize() | {"state": self.get_state()})
                    worker_registration.register(self, again)
                    again.expire(self.key, self.worker_ttl + 60)
                    again.execute()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Runs a job to its end, also when its progress can no longer be written."""
        with self._sitting_out():
            super().execute_job(job, queue)
            return
        if self.horse_pid:
            self.wait_for_horse()
        self._horse_pid = 0
        self.executions.clear()

    # The horse

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Starts the horse, with stop signals held back until it has its own way of hearing them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            super().fork_work_horse(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def setup_work_horse_signals(self) -> None:
        """Has the horse end between two batches when its worker asks for it or has gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, ending.hear)
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def end_with_parent() -> None:
    """Has the kernel send SIGTERM to this process when its parent dies, where the kernel can."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def worker_client(url: str) -> redis.Redis:
    """A client for a worker process: it sits out a restart of Redis."""
    return open_client(url, retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), 8), socket_connect_timeout=5)


def run_worker(url: str, name: str, *, burst: bool, parent: int) -> int:
    """Works until asked to stop, or (with `burst`) until the queue is empty. Returns the exit status.

    Begins with the stop signals held back by the process that started it, `parent`, and ends when that is gone.
    """
    end_with_parent()
    connection = worker_client(url)
    try:
        with reading(), suppress(StopRequested):  # in words of ours: Redis' own may name keys
            PoolWorker(connection, name, parent=parent).work(burst=burst)
    except StoreUnavailable as error:
        logger.error("worker %s ends: %s", name, error)  # noqa: TRY400
        return 1
    finally:
        connection.close()
    return 0
