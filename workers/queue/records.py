"""RQ's records of jobs and workers, translated into views."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

import redis
from rq import Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from core.text import printable
from workers.queue.job import AllowedJob, Refused
from workers.queue.views import JobState, WorkerView

QUEUE_NAME = "encore"


LOST_SECONDS = 30.0
"""A living worker is heard of every ten seconds."""


STATES = {
    JobStatus.CREATED.value: JobState.QUEUED,
    JobStatus.QUEUED.value: JobState.QUEUED,
    JobStatus.DEFERRED.value: JobState.QUEUED,
    JobStatus.READY_TO_ENQUEUE.value: JobState.QUEUED,
    JobStatus.RATE_LIMITED.value: JobState.QUEUED,
    JobStatus.STARTED.value: JobState.RUNNING,
    JobStatus.SCHEDULED.value: JobState.RETRYING,
    JobStatus.FINISHED.value: JobState.FINISHED,
    JobStatus.FAILED.value: JobState.FAILED,
    JobStatus.STOPPED.value: JobState.STOPPED,
    JobStatus.CANCELED.value: JobState.CANCELLED,
}


LIVE_STATES = [status for status, state in STATES.items() if state.is_live]


RUNNING = [status for status, state in STATES.items() if state is JobState.RUNNING]


def queue_on(connection: redis.Redis) -> Queue:
    """The library's queue, with our jobs and JSON."""
    return Queue(QUEUE_NAME, connection=connection, job_class=AllowedJob, serializer=JSONSerializer)


def job_id(kind: str, namespace: str | None) -> str:
    """The id of the one job of a kind for a namespace. Namespaces have dots, ids must not."""
    if namespace is None:
        return kind
    return f"{kind}-{hashlib.sha256(namespace.encode()).hexdigest()[:16]}"


def state_of(status: JobStatus | bytes | None) -> JobState:
    text = status.decode() if isinstance(status, bytes) else status.value if status else ""
    return STATES.get(text, JobState.UNKNOWN)


def ended_at(job: AllowedJob) -> float | None:
    # After a retry the library still has the end of the attempt before.
    moments = [moment for moment in (seconds_of(job.ended_at), job.stopped_at) if moment is not None]
    return max(moments, default=None)


def latest(job: AllowedJob) -> float:
    moments = (seconds_of(job.enqueued_at), seconds_of(job.started_at), ended_at(job))
    return max((moment for moment in moments if moment is not None), default=0.0)


def namespace_of(job: AllowedJob) -> str:
    try:
        value = job.kwargs.get("namespace", "")
    except Refused:
        return ""
    return printable(value, 64) if isinstance(value, str) else ""


def error_of(job: AllowedJob) -> str:
    """The message of the recorded error: its last line without the class."""
    latest = job.latest_result()
    lines = (latest.exc_string or "").strip().splitlines() if latest else []
    if not lines:
        return ""
    head, colon, text = lines[-1].partition(": ")
    is_class = colon and " " not in head
    return printable(text if is_class else lines[-1], 300)


def worker_view(key: str, fields: Mapping[bytes, bytes], executions: Iterable[bytes], now: float) -> WorkerView:
    heartbeat = moment_of(fields.get(b"last_heartbeat"))
    age = max(0.0, now - heartbeat) if heartbeat is not None else float("inf")
    running = next(iter(sorted(executions)), b"").decode().partition(":")[0]
    return WorkerView(
        name=key.removeprefix(BaseWorker.redis_worker_namespace_prefix),
        state=fields.get(b"state", b"unknown").decode(),
        job_id=running or None,
        heartbeat_age_seconds=age,
        done=int(fields.get(b"successful_job_count", 0)),
        failed=int(fields.get(b"failed_job_count", 0)),
        pid=int(fields.get(b"pid", 0)),
        host=fields.get(b"hostname", b"").decode(),
        born_at=moment_of(fields.get(b"birth")),
        worked_seconds=float(fields.get(b"total_working_time", 0)),
        lost=age > LOST_SECONDS,
    )


def seconds_of(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def moment_of(text: bytes | None) -> float | None:
    if not text:
        return None
    return datetime.fromisoformat(text.decode()).timestamp()
