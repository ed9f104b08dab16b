"""A gateway on a loopback port, as its own process would run it, in a thread of the test."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from core.bootstrap import Services, bootstrap
from core.cache.cache import LLMCache
from core.http.gateway import build
from core.http.server import server_config
from core.settings import Settings
from tests.ports import free_port
from tests.processes import hearing_signals

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120
PLAIN_HTTP = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of servers without TLS: to load the certificates of the world takes longer than a test."""


def followers(cache: LLMCache) -> int:
    """How many callers of this process wait for others' answers."""
    return sum(flight.followers for flight in list(cache.flights._flights.values()))


def until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads bring about."""
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came about")


class RunningGateway:
    """`url` is the base URL for clients, `services` what the gateway works with."""

    def __init__(self, services: Services, *, graceful_seconds: int | None = None) -> None:
        self.services = services
        self._graceful_seconds = graceful_seconds
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(2048)
        self.port = self._listener.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"

    def __enter__(self) -> RunningGateway:
        config = server_config(
            build(self.services), self.services.settings, timeout_graceful_shutdown=self._graceful_seconds
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._server.serve(sockets=[self._listener]),), name="gateway", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


class GatewayProcess:
    """A gateway in a process of its own."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self.log = home / "gateway.log"
        with self.log.open("wb") as log, hearing_signals():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "core.http"],
                cwd=ROOT,
                env={**os.environ, "ENCORE_HOME": str(home), "ENCORE_GATEWAY_PORT": str(self.port), **environment},
                stdout=log,
                stderr=log,
            )

    def ready(self) -> GatewayProcess:
        until(lambda: self.process.poll() is not None or self._answers())
        assert self.process.poll() is None, self.said
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def said(self) -> str:
        return self.log.read_text()


def services_for(
    provider_url: str | None, redis_url: str, namespace: str, clock: Callable[[], float] = time.time, **settings: Any
) -> Services:
    """Services on the shared Redis, with a namespace that the gateway's callers share unless the settings say not."""
    values: dict[str, Any] = {
        "redis_url": redis_url,
        "redis_timeout_seconds": 5,
        "namespace": namespace,
        "gateway_namespace": namespace,
        "openai_base_url": provider_url,
        "record_prompts": True,
    }
    return bootstrap(Settings(**(values | settings)), clock=clock)
