"""QueueReader: jobs, workers and the queue as they are now. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast

import redis
from rq.exceptions import NoSuchJobError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.registry import BaseRegistry
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.worker import BaseWorker
from rq.worker_registration import get_keys

from core.errors import NotFound, NotPermitted
from core.keys import names
from core.stores.redis import reading
from core.text import printable
from workers.queue.job import AllowedJob
from workers.queue.records import ended_at, error_of, latest, namespace_of, queue_on, seconds_of, state_of, worker_view
from workers.queue.views import JobState, JobView, QueueView, WorkerView

FAILURE_SECONDS = 7 * 86_400
MAX_LISTED = 1000


class JobNotFound(NotFound):
    """Raised when there is no such job, or its record has expired."""


class QueueReader:
    """Reads the job queue of a Redis. All methods raise StoreUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._queue = queue_on(connection)

    def ping(self) -> None:
        """Raises StoreUnavailable unless Redis answers; that its user may not ask is an answer."""
        with suppress(NotPermitted), reading():
            # No PING: a server that cannot save refuses that too.
            self._connection.exists(names.POOLS.decode())

    def job(self, name: str) -> JobView | None:
        """A job by its id; None when there is none (any more)."""
        with reading():
            try:
                return self._view(self._fetch(name))
            except JobNotFound:
                return None

    def jobs(self, state: JobState | None = None, limit: int = 100) -> list[JobView]:
        """Jobs of one state or of all, the latest first."""
        with reading():
            names = dict.fromkeys(name.partition(":")[0] for names in self._names(state) for name in names)
            with self._connection.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hgetall(AllowedJob.key_for(name))
                records = pipeline.execute()
            found = [self._restored(name, record) for name, record in zip(names, records, strict=True) if record]
            chosen = [job for job in found if job and state in (None, state_of(job.get_status(refresh=False)))]
            chosen.sort(key=latest, reverse=True)
            return [self._view(job) for job in chosen[:limit]]

    def _names(self, state: JobState | None) -> Iterable[list[str]]:
        queue = self._queue
        registries: dict[JobState, BaseRegistry] = {
            JobState.RUNNING: queue.started_job_registry,
            JobState.RETRYING: queue.scheduled_job_registry,
            JobState.FINISHED: queue.finished_job_registry,
            JobState.FAILED: queue.failed_job_registry,
            JobState.STOPPED: queue.failed_job_registry,
            JobState.CANCELLED: queue.canceled_job_registry,
        }
        if state in (None, JobState.QUEUED):
            yield queue.get_job_ids(0, MAX_LISTED)
        for wanted, registry in registries.items():
            if state in (None, wanted):
                # Tidying up is the workers' business: a page only looks.
                yield registry.get_job_ids(0, MAX_LISTED, desc=True, cleanup=False)

    def queue_view(self) -> QueueView:
        """The queue in numbers, as of now."""
        queue = self._queue
        now = time.time()
        with reading():
            failed = queue.failed_job_registry.get_job_ids(0, MAX_LISTED, cleanup=False)
            with self._connection.pipeline(transaction=False) as pipeline:
                pipeline.llen(queue.key)
                pipeline.lindex(queue.key, 0)
                pipeline.zcount(queue.started_job_registry.key, now, "+inf")
                pipeline.zcard(queue.scheduled_job_registry.key)
                pipeline.zcount(queue.canceled_job_registry.key, now - FAILURE_SECONDS, "+inf")
                pipeline.zcount(queue.finished_job_registry.key, now, "+inf")
                for name in failed:
                    pipeline.hget(AllowedJob.key_for(name), "status")
                waiting, first, running, retrying, cancelled, finished, *statuses = pipeline.execute()
            oldest = self.job(first.decode()) if first else None
            is_stopped = bool(is_suspended(self._connection))
        states = [state_of(status) for status in statuses]
        return QueueView(
            waiting=waiting,
            oldest_age_seconds=now - oldest.enqueued_at if oldest and oldest.enqueued_at else None,
            running=running,
            retrying=retrying,
            failed=states.count(JobState.FAILED),
            stopped=states.count(JobState.STOPPED),
            cancelled=cancelled,
            finished=finished,
            alive_workers=self.alive_workers(),
            suspended=is_stopped,
        )

    def workers(self) -> list[WorkerView]:
        """All worker processes that are registered, the ones that may be lost included."""
        now = time.time()
        with reading():
            # Read as they stand: the library's own objects would change the time-outs of this connection.
            keys = sorted(get_keys(queue=self._queue))
            with self._connection.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                    name = key.removeprefix(BaseWorker.redis_worker_namespace_prefix)
                    pipeline.smembers(WORKER_EXECUTIONS_KEY_TEMPLATE.format(name))
                replies = pipeline.execute()
        return [
            worker_view(key, fields, executions, now)
            for key, fields, executions in zip(keys, replies[::2], replies[1::2], strict=True)
            if fields.get(b"birth") and not fields.get(b"death")
        ]

    def alive_workers(self) -> int:
        """Number of workers with a recent heartbeat. Raises StoreUnavailable."""
        return sum(not worker.lost for worker in self.workers())

    def _fetch(self, name: str) -> AllowedJob:
        try:
            return cast("AllowedJob", AllowedJob.fetch(name, connection=self._connection, serializer=JSONSerializer))
        except (NoSuchJobError, ValueError, TypeError):
            raise JobNotFound(f"there is no job {printable(str(name), 80)}") from None

    def _restored(self, name: str, record: Mapping[bytes, bytes]) -> AllowedJob | None:
        job = AllowedJob(name, connection=self._connection, serializer=JSONSerializer)
        try:
            job.restore(record)
        except NoSuchJobError:
            return None
        return job

    def _view(self, job: AllowedJob) -> JobView:
        state = state_of(job.get_status(refresh=False))
        progress = job.meta.get("progress")
        result = job.return_value() if state is JobState.FINISHED else None
        ended = state not in (JobState.QUEUED, JobState.RUNNING)
        return JobView(
            id=job.id,
            kind=job.kind,
            namespace=namespace_of(job),
            state=state,
            progress=progress if isinstance(progress, dict) else {},
            result=result if isinstance(result, dict) else None,
            error=error_of(job) if state is JobState.FAILED else "",
            worker=job.worker_name or "" if state is JobState.RUNNING else "",
            retries_left=job.retries_left or 0,
            enqueued_at=seconds_of(job.enqueued_at),
            started_at=seconds_of(job.started_at),
            ended_at=ended_at(job) if ended else None,
        )
