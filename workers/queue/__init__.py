"""The job queue: the only package that speaks RQ. What leaves it are plain values."""

from workers.queue.job import Interrupted, Task, current_task
from workers.queue.jobs import JobQueue, JobRefused
from workers.queue.reader import JobNotFound
from workers.queue.records import QUEUE_NAME
from workers.queue.views import JobState, JobView, QueueView, WorkerView

__all__ = [
    "QUEUE_NAME",
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
]
