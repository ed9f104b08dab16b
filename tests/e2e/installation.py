"""`make run` as a test starts it: the whole product on ports of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 240.0

SEMANTIC = {"ENCORE_STRATEGY": "semantic", "ENCORE_SEMANTIC": "judge", "ENCORE_JUDGE_MODEL": "encore-demo-small"}
"""Settings with which near questions are looked for, and shown to the demo judge."""


class Installation:
    """`make run`, without the make: Redis, workers, gateway and console on ports of their own."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.settings = dict(settings or {})
        self.said: list[str] = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ENCORE_", "OPENAI_"))}
        environment |= {
            "ENCORE_HOME": str(home),
            "ENCORE_CONSOLE_PORT": str(free_port()),
            "ENCORE_GATEWAY_PORT": str(free_port()),
            "ENCORE_REDIS_TIMEOUT_SECONDS": "1",  # on a busy machine it may take longer than by default
            **self.settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core.launcher"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.console = self._told("console")

    def _listen(self) -> None:
        assert self.process.stdout
        self.said.extend(self.process.stdout)

    def _told(self, name: str) -> str:
        """What the launcher says of a part, as soon as it does."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            for line in list(self.said):
                if line.startswith(f"{name} "):
                    return line.split()[1]
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() < deadline, "".join(self.said)
            self._listener.join(0.05)

    @property
    def redis_url(self) -> str:
        """The address of the embedded Redis."""
        return (self.home / "redis.url").read_text()

    @property
    def redis_pid(self) -> int:
        """The process of the embedded Redis."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if "redis-server" in Path(f"/proc/{pid}/cmdline").read_text())

    def log(self, part: str) -> str:
        """What a part wrote to its log."""
        return (self.home / "logs" / f"{part}.log").read_text()

    def stop(self) -> int:
        """Stops all of it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(READY_SECONDS)
        self._listener.join(READY_SECONDS)
        assert self.process.stdout
        self.process.stdout.close()
        return status
