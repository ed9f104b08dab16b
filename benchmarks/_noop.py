"""A worker as RQ has it, for a job that does nothing but say that it has begun: `python -m benchmarks._noop URL`."""

from __future__ import annotations

import sys

from redis import Redis
from rq import Queue, Worker, get_current_job

KEY = b"noop-began"


def start() -> None:
    """Deletes a key, which shows the benchmark that the job has begun."""
    job = get_current_job()
    assert job is not None
    job.connection.set(KEY, 1)
    job.connection.unlink(KEY)


if __name__ == "__main__":
    connection = Redis.from_url(sys.argv[1])
    Worker([Queue("noop", connection=connection)], connection=connection).work(logging_level="ERROR")
