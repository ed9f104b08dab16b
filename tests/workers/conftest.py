from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.bootstrap import Services, bootstrap
from core.models import ChatRequest, Controls
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.processes import descendants, hearing_signals
from workers.queue import JobQueue

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 120.0
"""Far more than any step takes on a busy machine: it ends a test that hangs, and decides nothing else."""


def eventually(what: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> object:
    """The first true value of `what`, asked again and again until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if value := what():
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class PoolProcess:
    """`python -m workers` as an operator starts it."""

    def __init__(self, url: str, home: Path, *arguments: str, **environment: str) -> None:
        self.errors = home / "workers.err"
        with self.errors.open("ab") as errors, hearing_signals():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers", *arguments],
                cwd=ROOT,
                env={**os.environ, "ENCORE_REDIS_URL": url, "ENCORE_HOME": str(home), **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def ready(self) -> str:
        """Waits for the line that says so."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.said()
        return line

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def said(self) -> str:
        return self.errors.read_text()

    def kill(self) -> None:
        """Ends it and all it started at once."""
        for pid in (self.process.pid, *descendants(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Installation:
    """A Redis, the services on it and its job queue."""

    url: str
    home: Path
    services: Services
    queue: JobQueue

    def fill(self, namespace: str, count: int, *, model: str = "gpt-4o") -> None:
        """Stores so many answers."""
        for number in range(count):
            request = ChatRequest.from_openai(
                model=model, messages=[{"role": "user", "content": f"What does the secret word number {number} mean?"}]
            )
            answer = self.services.cache.complete(request, Controls(namespace=namespace))
            assert answer.outcome.stored

    def entries(self, namespace: str) -> int:
        assert self.services.redis is not None
        return sum(1 for _ in self.services.redis.scan_iter(f"encore:4:{{{namespace}:0}}:e:*", count=1000))


@pytest.fixture
def installation(redis_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    with bootstrap(Settings(), provider=CountingProvider()) as services:
        yield Installation(server.url, tmp_path, services, JobQueue(services.queue_redis, services.audit))


@pytest.fixture
def start_pool(installation: Installation) -> Iterator[Callable[..., PoolProcess]]:
    """Starts pools of workers; those that a test leaves running are killed."""
    pools: list[PoolProcess] = []

    def start(*arguments: str, **environment: str) -> PoolProcess:
        pool = PoolProcess(installation.url, installation.home, *arguments, **environment)
        pools.append(pool)
        return pool

    yield start
    for pool in pools:
        if pool.process.poll() is None:
            pool.kill()
        assert pool.process.stdout
        pool.process.stdout.close()
