"""What a worker may run: functions on a list, with JSON arguments, and nothing else that a job's record may name.

A record in Redis can name any importable function, callbacks that run after it and addresses to notify. Write access to
Redis must not be enough to run code here, so all of that is refused or left out as it is read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType
from typing import Any

import redis
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job, Retry
from rq.timeouts import JobTimeoutException

from core.errors import CacheError, InvalidInput
from core.text import printable, without_text

logger = logging.getLogger("encore.workers")

TASKS_MODULE = "workers.tasks"
KINDS = frozenset({"sweep", "replay", "prune", "refresh", "judge", "group", "rebuild"})
"""The allow-list: functions of `workers.tasks`."""

REPORT_SECONDS = 0.5
STOPPED_AT = "stopped_at"
"""A field of our own in a job's hash. In `meta` the running job would overwrite it."""
_ENDLESSLY = 1_000_000


class Ending:
    """Whether a work horse shall end between two batches.

    Without a lock, which an event has: a signal that comes while the one before is being heard would wait for it for
    ever. A terminal's Ctrl-C makes two.
    """

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: notes the request to end."""
        self.asked = True


ending = Ending()
"""Signals are the process' own, and so is this."""

_current: ContextVar[Task | None] = ContextVar("current_task", default=None)


class Refused(DeserializationError, CacheError):
    """Raised when a job's function is not on the list or its payload cannot be read."""


class TaskFailed(CacheError):
    """Raised in place of what a task raised, with a text that may be kept: types, and our own messages."""


class Interrupted(CacheError):
    """Raised by a task that ended early because it was asked to: its job goes back into the queue."""


class Task:
    """What a running task sees of its job."""

    def __init__(self, job: Job | None) -> None:
        self._job = job
        self._reported_at = 0.0
        self._waiting: dict[str, Any] | None = None

    def report(self, progress: Mapping[str, Any]) -> None:
        """Publishes the progress, at most twice a second. Never raises: a failed write is skipped."""
        self._waiting = dict(progress)
        if time.monotonic() - self._reported_at >= REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the latest reported progress."""
        if self._job is None or self._waiting is None:
            return
        self._job.meta["progress"], self._waiting = self._waiting, None
        self._reported_at = time.monotonic()
        try:
            self._job.save_meta()
        except redis.RedisError as error:
            logger.warning("progress of job %s is not written: %s", self._job.id, type(error).__name__)

    def should_stop(self) -> bool:
        """Whether the worker is ending: finish the batch and raise Interrupted."""
        return ending.asked


def current_task() -> Task:
    """The task that runs now; outside of a worker, a task whose progress goes nowhere."""
    return _current.get() or Task(None)


class AllowedJob(Job):
    """A job restricted to the functions on the list.

    `stopped_at` is when an operator stopped or cancelled it, in Unix seconds: the library does not note that.
    """

    stopped_at: float | None = None

    def restore(self, raw_data: Any) -> Any:
        """Reads a record, without the callbacks, webhooks and repetitions that none of our jobs has.

        One that cannot be read is no job: otherwise it would end every worker that meets it.
        """
        try:
            super().restore(raw_data)
            self.stopped_at = float(raw_data.get(STOPPED_AT.encode(), 0)) or None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NoSuchJobError("the record of this job cannot be read") from error
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        self.repeats_left = None

    def _deserialize_data(self) -> None:
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError:
            self.retries_left = 0
            raise Refused("refused: the payload cannot be read") from None
        name, function = self._func_name, _kind(self._func_name)
        if function is None or self._instance is not None:
            self.retries_left = 0
            raise Refused(f"refused: {printable(str(name), 60)} is not on the list of tasks")
        if self._args or not isinstance(self._kwargs, dict):
            self.retries_left = 0
            raise Refused("invalid-arguments: give a JSON object")

    @property
    def kind(self) -> str:
        """The task's name; `unknown` when the job is refused."""
        try:
            return _kind(self.func_name) or "unknown"
        except Refused:
            return "unknown"

    def _execute(self) -> Any:
        function: Callable[..., Any] = self.func
        task = Task(self)
        token = _current.set(task)
        try:
            return function(**self.kwargs)
        except Interrupted:
            return Retry(max=_ENDLESSLY)
        except InvalidInput as error:
            # As wrong the next time.
            self.retries_left = 0
            raise TaskFailed(f"invalid-arguments: {error}") from None
        except JobTimeoutException:
            raise TaskFailed("it exceeded its time limit") from None
        except CacheError as error:
            raise TaskFailed(f"{type(error).__name__}: {error}") from None
        except Exception as error:  # noqa: BLE001 (raised again, as what may be kept)
            raise TaskFailed(without_text(error)) from None
        finally:
            task.flush()
            _current.reset(token)


def _kind(function: object) -> str | None:
    """The task a function's name stands for, if it is on the list."""
    if not isinstance(function, str):
        return None
    module, _, name = function.rpartition(".")
    return name if module == TASKS_MODULE and name in KINDS else None
