"""The job queue: the only package that speaks RQ. What leaves it are plain values."""

from workers.queue.job import Interrupted, Task, current_task
from workers.queue.jobs import JobQueue, JobRefused
from workers.queue.reader import JobNotFound
from workers.queue.records import QUEUE_NAME, job_id
from workers.queue.views import JobState, JobView, QueueView, WorkerView
from workers.queue.worker import STOP_SIGNALS, run_worker

__all__ = [
    "QUEUE_NAME",
    "STOP_SIGNALS",
    "Interrupted",
    "JobNotFound",
    "JobQueue",
    "JobRefused",
    "JobState",
    "JobView",
    "QueueView",
    "Task",
    "WorkerView",
    "current_task",
    "job_id",
    "run_worker",
]
