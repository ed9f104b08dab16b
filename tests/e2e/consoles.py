"""A console alone, started as in production: `streamlit run app.py`, in front of a Redis of the test's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from core.text import in_url

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 240.0


class Console:
    """The process, what it said, and where it answers."""

    def __init__(
        self,
        home: Path,
        *options: str,
        port: int,
        host: str = "127.0.0.1",
        script: str = "app.py",
        **environment: str,
    ) -> None:
        self.address = f"http://{in_url(host)}:{port}"
        self.log = home / "console.log"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ENCORE_", "OPENAI_", "STREAMLIT_"))
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port), *options],
                cwd=ROOT,
                # On a busy machine Redis may take longer than operators want to wait.
                env=inherited | {"ENCORE_HOME": str(home), "ENCORE_REDIS_TIMEOUT_SECONDS": "5"} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        """Returns when it serves."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            if self._serves():
                return
            time.sleep(0.05)

    def refusal(self) -> str:
        """What it says when it does not start. It has served nobody until then."""
        deadline = time.monotonic() + READY_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.log.read_text()
            assert not self._serves(), self.log.read_text()
            time.sleep(0.02)
        assert self.process.returncode != 0, self.log.read_text()
        return self.log.read_text()

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        self.process.terminate()
        self.process.wait(READY_SECONDS)


def variables(values: Mapping[str, object]) -> dict[str, str]:
    """Settings as environment variables."""
    return {f"ENCORE_{name.upper()}": str(value) for name, value in values.items()}
