"""Jobs, workers and the queue as plain values: what pages and commands see of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class JobState(StrEnum):
    """Where a job is in its life. `retrying` waits for its next attempt; `stopped` was ended while it ran."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_live(self) -> bool:
        """Whether it runs or will run by itself."""
        return self in (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One job. Times are Unix seconds, None for what has not happened.

    `kind` is the task (`sweep`, `replay`, `prune`, `refresh`, `judge`; `unknown` for a job that these workers refuse),
    `namespace` the one it works on. `progress` is what the task reported last. `error` says why it failed, in one
    line without any caller's text. `retries_left` counts the attempts that follow a failure.
    """

    id: str
    kind: str
    namespace: str
    state: JobState
    progress: Mapping[str, Any] = {}
    result: Mapping[str, Any] | None = None
    error: str = ""
    worker: str = ""
    retries_left: int = 0
    enqueued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def share(self) -> float | None:
        """The share of the work that is done, 0 to 1; None when the task does not know it."""
        if self.state is JobState.FINISHED:
            return 1.0
        done, total = self.progress.get("done"), self.progress.get("total")
        if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
            return None
        return min(1.0, max(0.0, done / total))


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process. `lost`: it has not been heard of for longer than a living worker stays silent."""

    name: str
    state: str
    job_id: str | None
    heartbeat_age_seconds: float
    done: int
    failed: int
    pid: int
    host: str
    born_at: float | None
    worked_seconds: float
    lost: bool


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """The queue in numbers. `oldest_age_seconds` is how long the first in line has waited; None when none waits.

    `failed` leaves out what was stopped on purpose. `suspended`: workers take no new jobs until resumed.
    """

    waiting: int
    oldest_age_seconds: float | None
    running: int
    retrying: int
    failed: int
    stopped: int
    cancelled: int
    finished: int
    alive_workers: int
    suspended: bool
