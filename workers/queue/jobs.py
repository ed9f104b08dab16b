"""JobQueue: puts jobs into the queue, stops, retries and deletes them. One queue of our own on one Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import redis
from rq import Retry
from rq.command import PUBSUB_CHANNEL_TEMPLATE, send_stop_job_command
from rq.exceptions import DuplicateJobError, InvalidJobOperation
from rq.registry import BaseRegistry, CanceledJobRegistry, FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from core.access import Acting, Action, Actor, AuditLog, AuditTrail, allowed
from core.errors import CacheError
from core.stores.redis import load_script, writing
from workers.queue.job import STOPPED_AT, TASKS_MODULE, AllowedJob
from workers.queue.reader import FAILURE_SECONDS, JobNotFound, QueueReader
from workers.queue.records import LIVE_STATES, RUNNING, job_id, state_of
from workers.queue.views import JobState, JobView

ARGUMENTS_VERSION = 1
RETRIES = Retry(max=5, interval=[1, 5, 15, 60, 300])
SWEEP_SECONDS = 6 * 3600
REPLAY_SECONDS = 3600
REFRESH_SECONDS = 300
JUDGE_SECONDS = 3600
GROUP_SECONDS = 600
REBUILD_SECONDS = 6 * 3600
RESULT_SECONDS = 86_400


REST_SECONDS = {JobState.FAILED: 600.0, JobState.STOPPED: 3600.0, JobState.CANCELLED: 3600.0}
"""How long the reconciler leaves a sweep alone that ended so: what an operator stopped stays stopped for an hour."""
PRUNE_REST_SECONDS = dict.fromkeys(JobState, 3600.0)


_FORGET = load_script(__file__, "forget_job")


class JobRefused(CacheError):
    """Raised when a job's state does not allow what was asked; says which state it is in."""


class JobQueue(QueueReader):
    """The job queue of a Redis. Raises StoreUnavailable, WriteRefused or OutcomeUnknown like everything on Redis.

    Every act on a job or on the workers is recorded in `audit` after it is done, since a log that cannot
    be written must not keep a job from being stopped; `AuditTrail.problem` then says why it is not there.
    """

    def __init__(self, connection: redis.Redis, audit: AuditLog) -> None:
        super().__init__(connection)
        self._audit = audit
        self._forgetting = connection.register_script(_FORGET)

    # Into the queue

    def enqueue_sweep(self, namespace: str, *, actor: Actor | str = "worker") -> JobView:
        """Queues a sweep of a namespace. Returns the live one if there is one. Raises AccessDenied."""
        allowed(actor, Action.SWEEP)
        return self._enqueue("sweep", namespace, {}, timeout=SWEEP_SECONDS, retry=RETRIES)

    def reconcile_sweep(self, namespace: str) -> JobView | None:
        """Queues a sweep for the reconciler; None when the last one failed or was stopped only just now."""
        return None if self._rests("sweep", namespace, REST_SECONDS) else self.enqueue_sweep(namespace)

    def enqueue_replay(
        self,
        namespace: str = "demo",
        *,
        sample: str = "banking77",
        seconds: float = 60,
        rate: float = 20,
        actor: Actor | str = "api",
    ) -> JobView:
        """Queues a replay of a sample's questions, `rate` a second for `seconds`. Raises AccessDenied."""
        allowed(actor, Action.ASK)
        arguments = {"sample": sample, "seconds": seconds, "rate": rate}
        return self._enqueue("replay", namespace, arguments, timeout=REPLAY_SECONDS, retry=None)

    def enqueue_prune(self) -> JobView:
        """Queues a pruning of the indexes and the audit log of all namespaces."""
        return self._enqueue("prune", None, {}, timeout=SWEEP_SECONDS, retry=RETRIES)

    def reconcile_prune(self) -> JobView | None:
        """Queues a pruning of all namespaces, at most once an hour."""
        return None if self._rests("prune", None, PRUNE_REST_SECONDS) else self.enqueue_prune()

    def enqueue_refresh(self, key: str) -> JobView:
        """Queues the refresh of a stale answer. Not retried: the next stale hit queues it again."""
        return self._enqueue("refresh", None, {"key": key}, timeout=REFRESH_SECONDS, retry=None, name=f"refresh-{key}")

    def enqueue_judging(self) -> JobView:
        """Queues the judging of hits that were served unjudged. Not retried: the next look finds what is left."""
        return self._enqueue("judge", None, {}, timeout=JUDGE_SECONDS, retry=None)

    def enqueue_grouping(self) -> JobView:
        """Queues the grouping of recorded questions. Not retried: a person asks again, or the next look does."""
        return self._enqueue("group", None, {}, timeout=GROUP_SECONDS, retry=None)

    def enqueue_rebuild(self) -> JobView:
        """Queues the rebuild of the index of near questions. Returns the live one if there is one."""
        return self._enqueue("rebuild", None, {}, timeout=REBUILD_SECONDS, retry=RETRIES)

    def reconcile_grouping(self) -> JobView | None:
        """Queues a grouping that nobody asked for; None when the last one failed or was stopped only just now."""
        return None if self._rests("group", None, REST_SECONDS) else self.enqueue_grouping()

    def _rests(self, kind: str, namespace: str | None, rest_seconds: Mapping[JobState, float]) -> bool:
        last = self.job(job_id(kind, namespace))
        if last is None or last.ended_at is None:
            return False
        return time.time() < last.ended_at + rest_seconds.get(last.state, 0.0)

    def _enqueue(
        self,
        kind: str,
        namespace: str | None,
        arguments: dict[str, Any],
        *,
        timeout: int,
        retry: Retry | None,
        name: str | None = None,
    ) -> JobView:
        """One job per name (kind and namespace) at a time: a record that is no longer alive makes room first."""
        name = name or job_id(kind, namespace)
        given = {"version": ARGUMENTS_VERSION, **arguments}
        if namespace is not None:
            given["namespace"] = namespace
        with writing():
            while True:
                self._forget(name, unless_alive=LIVE_STATES)
                with suppress(DuplicateJobError):
                    # The description is our own: the library's would quote the arguments.
                    self._queue.enqueue_call(
                        f"{TASKS_MODULE}.{kind}",
                        kwargs=given,
                        job_id=name,
                        description=f"{kind} {namespace}" if namespace else kind,
                        timeout=timeout,
                        result_ttl=RESULT_SECONDS,
                        failure_ttl=FAILURE_SECONDS,
                        retry=retry,
                        unique=True,
                    )
                try:
                    return self._view(self._fetch(name))
                except JobNotFound:
                    # It ran and was deleted in between, or waits with a record that nobody can read.
                    self._forget(name, unless_alive=RUNNING)

    def enqueue_due_retries(self) -> int:
        """Puts jobs whose retry is due back into the queue. Returns their number."""
        registry = self._queue.scheduled_job_registry
        count = 0
        with writing():
            for name in registry.get_jobs_to_schedule():
                # The pool that removes the row enqueues the job: several pools may look at the same time.
                if not self._connection.zrem(registry.key, name):
                    continue
                try:
                    self._queue.enqueue_job(self._fetch(name))
                except JobNotFound:
                    continue
                count += 1
        return count

    # Acting

    def stop(self, name: str, *, actor: Acting = "api") -> JobView:
        """Ends a job: a running one is killed between two commands, a waiting one is cancelled.

        Raises AccessDenied, JobNotFound, or JobRefused when it has ended already.
        """
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_JOBS)
        with writing():
            job = self._fetch(name)
            try:
                if state_of(job.get_status()) is JobState.RUNNING and self._is_listened_to(job):
                    self._connection.hset(job.key, STOPPED_AT, repr(time.time()))
                    send_stop_job_command(self._connection, name, serializer=JSONSerializer)
                elif state_of(job.get_status()).is_live:
                    self._connection.hset(job.key, STOPPED_AT, repr(time.time()))
                    job.cancel()
                    self._connection.expire(job.key, FAILURE_SECONDS)
                else:
                    raise JobRefused(f"the job is {state_of(job.get_status())} already")
            except InvalidJobOperation:
                raise JobRefused("the job has just ended") from None
            stopped = self._view(job)
        _record(trail, "job.stopped", stopped)
        return stopped

    def _is_listened_to(self, job: AllowedJob) -> bool:
        """Whether its worker will hear a command: a killed one stays listed for a while."""
        channel = PUBSUB_CHANNEL_TEMPLATE % (job.worker_name or "")
        return any(count for _, count in self._connection.pubsub_numsub(channel))

    def retry(self, name: str, *, actor: Acting = "api") -> JobView:
        """Queues a job again that failed, was stopped or was cancelled.

        Raises AccessDenied, JobNotFound, JobRefused.
        """
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_JOBS)
        with writing():
            job = self._fetch(name)
            registry: BaseRegistry
            match state_of(job.get_status(refresh=False)):
                case JobState.FAILED | JobState.STOPPED:
                    registry = FailedJobRegistry(queue=self._queue, job_class=AllowedJob)
                case JobState.CANCELLED:
                    registry = CanceledJobRegistry(queue=self._queue, job_class=AllowedJob)
                case state:
                    raise JobRefused(f"the job is {state}")
            if job.kind == "unknown":
                raise JobRefused("no worker runs this job")
            job.retries_left = RETRIES.max if job.retry_intervals else None
            job.meta = {}
            self._connection.hdel(job.key, STOPPED_AT)
            try:
                registry.requeue(job)
            except InvalidJobOperation:
                raise JobRefused("the job is queued again already") from None
            again = self._view(job)
        _record(trail, "job.retried", again)
        return again

    def delete(self, name: str, *, actor: Acting = "api") -> None:
        """Deletes a job that does not run. Raises AccessDenied, JobNotFound or JobRefused."""
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_JOBS)
        with writing():
            job = self._view(self._fetch(name))
            if not self._forget(name, unless_alive=RUNNING):
                raise JobRefused("the job is running: stop it first")
        _record(trail, "job.deleted", job)

    def suspend(self, *, actor: Acting = "api") -> None:
        """Suspends all workers of the library on this Redis: they finish their jobs and take no new ones.

        Raises AccessDenied.
        """
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_WORKERS)
        with writing():
            suspend(self._connection)
        trail.try_record("workers.suspended")

    def resume(self, *, actor: Acting = "api") -> None:
        """Lets suspended workers take jobs again. Raises AccessDenied."""
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_WORKERS)
        with writing():
            resume(self._connection)
        trail.try_record("workers.resumed")

    def _forget(self, name: str, *, unless_alive: Iterable[str]) -> bool:
        """Deletes what is known of a job but if it is alive in one of these states: whether it is gone."""
        queue, job = self._queue, AllowedJob(name, connection=self._connection, serializer=JSONSerializer)
        registries: list[BaseRegistry] = [
            queue.started_job_registry,
            queue.scheduled_job_registry,
            queue.finished_job_registry,
            queue.failed_job_registry,
            queue.canceled_job_registry,
        ]
        keys = [
            job.key,
            queue.key,
            queue.intermediate_queue_key,
            *(registry.key for registry in registries),
            job.execution_registry.key,
            Result.get_key(job.id),
        ]
        return bool(self._forgetting(keys=keys, args=[job.id, time.time(), *unless_alive]))


def _record(trail: AuditTrail, action: str, job: JobView) -> None:
    trail.try_record(action, namespace=job.namespace or None, details={"job": job.id, "kind": job.kind})
