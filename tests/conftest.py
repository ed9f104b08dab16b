"""What every test stands on: private Redis servers, a fresh namespace, an environment without settings.

Redis is real. A part that a machine lacks skips its tests, and says so; in CI a missing browser is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
import redis
from hypothesis import settings as hypothesis_settings

from core.errors import EmbeddedRedisError
from core.settings import Settings
from core.stores.redis.embedded import EmbeddedRedis, ServerBinary, find_server, server_at
from tests.openai_server import openai_server, openai_server_of_the_run

__all__ = ["openai_server", "openai_server_of_the_run"]

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
REDIS8 = os.environ.get("ENCORE_TEST_REDIS8")  # read now: tests run without ENCORE_* variables
VALKEY = os.environ.get("ENCORE_TEST_VALKEY")
MINILM = os.environ.get("ENCORE_TEST_MINILM", "sentence-transformers/all-MiniLM-L6-v2")
CHROMIUM = os.environ.get("CHROMIUM")
ISOLATED = ("ENCORE_", "OPENAI_", "STREAMLIT_")
BROWSER_TESTS = "tests/e2e/"
KINDS = {BROWSER_TESTS: "e2e", "tests/faults/": "faults"}
"""Marks of all tests in a folder."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

# No deadline per example: on a busy machine a slow example says nothing about the code.
hypothesis_settings.register_profile("encore", deadline=None, print_blob=True)
hypothesis_settings.load_profile("encore")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for folder, kind in KINDS.items():
            if item.nodeid.startswith(folder):
                item.add_marker(kind)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """How `make test` spreads tests over processes: file by file; all browser tests, the slowest, go to one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BROWSER_TESTS if nodeid.startswith(BROWSER_TESTS) else super()._split_scope(nodeid)

    return ByFile(config, log)


class RedisServer(EmbeddedRedis):
    """A Redis server that a test may hurt. Commands for that are sent by signal, as an operating system would."""

    def kill(self) -> None:
        """Ends the server as `kill -9` does; `start` brings it back under the same URL."""
        process = self._running()
        process.kill()
        process.wait()

    def pause(self) -> None:
        """Lets the server hang: connections are accepted, nothing is answered."""
        os.kill(self._running().pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on."""
        os.kill(self._running().pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.resume()
        super().stop()

    def client(self, **options: object) -> redis.Redis:
        """A client of this server with bytes replies; the caller closes it."""
        return redis.Redis.from_url(self.url, **options)

    def _running(self):
        if self.process is None:
            raise EmbeddedRedisError("this Redis server is not running")
        return self.process


RedisFactory = Callable[..., RedisServer]


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """No settings from outside: neither variables nor a .env file, and no proxy before servers on the loopback.

    The one that is set: a Redis that is well may take longer to answer on a busy machine than operators want to wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(ISOLATED) or name.lower() in PROXIES:
                patch.delenv(name)
        patch.setenv("ENCORE_REDIS_TIMEOUT_SECONDS", "5")
        patch.setitem(Settings.model_config, "env_file", None)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_binary() -> ServerBinary:
    """The redis-server program under test."""
    try:
        return find_server()
    except EmbeddedRedisError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory, redis_binary: ServerBinary) -> Iterator[str]:
    """The session's server, in memory only. Tests share it: stay inside `namespace`, and never hurt it."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as server:
        yield server.url


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory, redis_binary: ServerBinary) -> Iterator[RedisFactory]:
    """Starts servers of a test's own: `redis_server("maxmemory 4mb")`, `redis_server(durable=True)`."""
    with ExitStack() as servers:

        def start(*options: str, durable: bool = False, binary: ServerBinary | None = None) -> RedisServer:
            home = tmp_path_factory.mktemp("redis")
            server = RedisServer(home, binary=binary or redis_binary, durable=durable, options=options)
            return servers.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def redis8_binary() -> ServerBinary:
    """A redis-server of version 8 or newer: ENCORE_TEST_REDIS8, else the one on the PATH."""
    path = REDIS8 or shutil.which("redis-server")
    binary = server_at(Path(path)) if path else None
    if binary is None or binary.version < (8, 0, 0):
        pytest.skip("needs a Redis 8 server: name one in ENCORE_TEST_REDIS8")
    return binary


@pytest.fixture(scope="session")
def valkey_binary() -> ServerBinary:
    """A valkey-server: ENCORE_TEST_VALKEY, else the one on the PATH."""
    path = VALKEY or shutil.which("valkey-server")
    binary = server_at(Path(path)) if path else None
    if binary is None:
        pytest.skip("needs a Valkey server: name one in ENCORE_TEST_VALKEY")
    return binary


@pytest.fixture(scope="session")
def redis8_url(tmp_path_factory: pytest.TempPathFactory, redis8_binary: ServerBinary) -> Iterator[str]:
    """A Redis 8 server for the session, in memory only."""
    with RedisServer(tmp_path_factory.mktemp("redis8"), binary=redis8_binary, durable=False) as server:
        yield server.url


@pytest.fixture
def namespace() -> str:
    """A namespace no other test has: the isolation between tests on one server."""
    return f"test-{uuid4().hex}"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The distribution's Chromium, or the program named in CHROMIUM."""
    names = [CHROMIUM] if CHROMIUM else ["chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing("needs Chromium: install the distribution's, or name one in CHROMIUM")
    return Path(found)


def missing(reason: str) -> NoReturn:
    """A part that a machine lacks: its tests are skipped, in CI they fail."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
