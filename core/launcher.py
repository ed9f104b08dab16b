"""Everything on one machine with one command: Redis, workers, gateway and console, started and stopped in order.

Run as `python -m core.launcher` (`make run` does). Owns the order, the ports, the log files and what is said on the
terminal; each part is a process of its own that only gets settings. Ctrl-C stops all, a second one kills at once, and a
part that ends by itself ends the rest.
"""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .concurrency import processes
from .errors import CacheError, EmbeddedRedisError
from .settings import Settings, unknown_settings
from .stores.redis import EmbeddedRedis
from .text import in_url, masked, printable

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
PORTS_TRIED = 100
READY_SECONDS = 120.0
GRACE_SECONDS = 15.0  # a worker ends between two batches
IMPATIENCE_SECONDS = 0.5  # an interrupt sooner than this after the first is the same one, delivered twice
START_POLL_SECONDS = 0.05
WATCH_POLL_SECONDS = 0.2
LOG_BYTES = 5_000_000  # a larger log is set aside at the next start
REPORT_BYTES = 65_536  # of a log, looked through at a time
LONGEST_REPORT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process that the launcher runs; with a port it is ready when its health page answers.

    One without says itself how it is, in lines of its log that begin with its name as the launcher's lines do.
    """

    name: str
    command: tuple[str, ...]
    host: str = HOST
    port: int | None = None
    health: str = ""
    address: str = ""


class PartFailed(CacheError):
    """Raised when a part cannot start, does not become ready or ends by itself; says which, and its last words."""


class Launcher:
    """Runs parts in order until it is interrupted or one of them ends. `run` returns the exit status."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        home: Path,
        redis_server: EmbeddedRedis | None,
        environment: Mapping[str, str],
    ) -> None:
        self._parts = tuple(parts)
        self._logs = home / "logs"
        self._redis = redis_server
        self._environment = dict(environment)
        self._processes: dict[Part, subprocess.Popen[bytes]] = {}
        self._read: dict[Part, int] = {}
        self._interrupted_at: float | None = None

    def run(self) -> int:
        """Starts everything, watches it, and stops it again: 0 after an interrupt, 1 when a part failed."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and background jobs stay as they were asked for
                signal.signal(number, self._interrupt)
        try:
            self._start()
            self._watch()
        except (PartFailed, EmbeddedRedisError) as error:
            _say(str(error))
            return 1
        finally:
            self._stop()
        return 0

    def _start(self) -> None:
        if self._redis is not None:
            self._redis.start()
            self._environment["ENCORE_REDIS_URL"] = self._redis.url
            _say(f"redis    {masked(self._redis.url)}")
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in self._parts:
            if self._interrupted_at is not None:
                return
            log = self._log(part)
            if log.exists() and log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".old.log"))
            self._read[part] = log.stat().st_size if log.exists() else 0
            self._processes[part] = processes.spawn(
                part.command, output=log, folder=ROOT, environment=self._environment
            )
            if part.port is not None:
                self._wait(part)
        if self._interrupted_at is None:
            _say(f"logs     {self._logs}\nCtrl-C stops everything.")

    def _wait(self, part: Part) -> None:
        """Returns when the part answers, so that the console, the last, says that all are there."""
        deadline = time.monotonic() + READY_SECONDS
        while self._interrupted_at is None:
            self._check_alive()
            if _is_healthy(part):
                _say(f"{part.name:<8} {part.address}")
                return
            if time.monotonic() > deadline:
                raise PartFailed(f"{part.name} is not ready after {READY_SECONDS:.0f} s{self._tail(part)}")
            time.sleep(START_POLL_SECONDS)

    def _watch(self) -> None:
        while self._interrupted_at is None:
            self._check_alive()
            time.sleep(WATCH_POLL_SECONDS)

    def _check_alive(self) -> None:
        for part, process in self._processes.items():
            if part.port is None:
                self._report(part)
            if process.poll() is not None:
                raise PartFailed(f"{part.name} ended by itself ({_status(process.returncode)}){self._tail(part)}")
        server = self._redis.process if self._redis is not None else None
        if self._redis is not None and server is not None and server.poll() is not None:
            raise PartFailed(
                f"redis ended by itself ({_status(server.returncode)}), says {self._redis.log}:\n"
                f"{processes.last_lines(self._redis.log)}"
            )

    def _report(self, part: Part) -> None:
        """Says on the terminal what a part has said of itself since the last look."""
        log = self._log(part)
        if not log.exists() or log.stat().st_size <= self._read[part]:
            return
        with log.open("rb") as file:
            file.seek(self._read[part])
            written = file.read(REPORT_BYTES)
        whole = written.rfind(b"\n") + 1 or (len(written) if len(written) == REPORT_BYTES else 0)
        self._read[part] += whole
        for line in written[:whole].decode(errors="replace").splitlines():
            if line.startswith(f"{part.name:<8} "):
                _say(printable(line, LONGEST_REPORT))

    def _stop(self) -> None:
        """Asks all parts at once to stop, the console first, and stops Redis after them."""
        self._interrupted_at = self._interrupted_at or time.monotonic()
        if any(process.poll() is None for process in self._processes.values()):
            _say("stopping")
        latest_first = list(reversed(self._processes.items()))
        for _, process in latest_first:
            process.terminate()
        for part, process in latest_first:
            if not processes.wait(process, grace_seconds=GRACE_SECONDS):
                _say(f"{part.name} did not stop in {GRACE_SECONDS:.0f} s and was killed")
        if self._redis is not None:
            self._redis.stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._interrupted_at is None:
            self._interrupted_at = now
        elif is_impatient(number, after_seconds=now - self._interrupted_at):
            # Only the kernel is called here: the code that this handler interrupts may hold any lock.
            server = self._redis.process if self._redis is not None else None
            left = [p.pid for p in (*self._processes.values(), server) if p is not None and p.returncode is None]
            for pid in left:
                with suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            os._exit(128 + signal.SIGINT)

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    def _tail(self, part: Part) -> str:
        return f", says {self._log(part)}:\n{processes.last_lines(self._log(part))}"


def main() -> int:
    """Runs Redis, workers, gateway and console by the settings. Blocks until they end. Returns the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may have what the terminal cannot show
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to stop: end without a traceback
    try:
        settings = Settings()
        if unknown := unknown_settings():
            _say(unknown)
        if settings.redis_url is not None:
            _check_redis(settings.redis_url.get_secret_value())
        gateway_host = settings.gateway_host
        # Streamlit's own setting of where it listens; the console refuses what others could reach.
        console_host = os.environ.get("STREAMLIT_SERVER_ADDRESS", "").strip() or HOST
        gateway_port = free_port(settings.gateway_port, name="gateway", host=gateway_host)
        operations_port = settings.operations_port
        if operations_port is not None:
            operations_port = free_port(operations_port, name="operations", host=gateway_host, taken={gateway_port})
        taken = {gateway_port, operations_port}
        console_port = free_port(settings.console_port, name="console", host=console_host, taken=taken)
    except CacheError as error:
        _say(str(error))
        return 1
    home = settings.home.absolute()
    environment = {
        **os.environ,
        "ENCORE_HOME": str(home),
        "ENCORE_CONSOLE_PORT": str(console_port),
        "ENCORE_GATEWAY_PORT": str(gateway_port),
        "ENCORE_OPERATIONS_PORT": str(operations_port or ""),
        "PYTHONUNBUFFERED": "1",
    }
    parts = [
        Part(name="workers", command=(sys.executable, "-m", "workers")),
        Part(
            name="gateway",
            command=(sys.executable, "-m", "core.http"),
            host=gateway_host,
            port=gateway_port,
            health="/healthz",
            address=f"{_address(gateway_host, gateway_port)}/v1",
        ),
        Part(
            name="console",
            command=(sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(console_port)),
            host=console_host,
            port=console_port,
            health="/_stcore/health",
            address=_address(console_host, console_port),
        ),
    ]
    embedded = EmbeddedRedis(home) if settings.redis_url is None else None
    _say(f"model    {_model(settings)}")
    return Launcher(parts, home=home, redis_server=embedded, environment=environment).run()


def free_port(preferred: int, *, name: str, host: str = HOST, taken: Container[int | None] = ()) -> int:
    """The preferred port of an address, or the next one that is free, and says so. Raises PartFailed when none is."""
    for port in range(preferred, min(preferred + PORTS_TRIED, 65536)):
        if port not in taken and _can_listen(host, port):
            if port != preferred:
                _say(f"port {preferred} is busy: the {name} is on {port}")
            return port
    raise PartFailed(
        f"no port from {preferred} on is free for the {name} at {host}: choose one with ENCORE_{name.upper()}_PORT"
    )


def is_impatient(number: int, *, after_seconds: float) -> bool:
    """Whether a signal, this many seconds after the first one, asks to stop at once. A repeated SIGTERM never does."""
    return number == signal.SIGINT and after_seconds > IMPATIENCE_SECONDS


def _check_redis(url: str) -> None:
    """Fails fast, and with words, when the given Redis is not there; Sentinel and Cluster are left to their clients."""
    if urlsplit(url).scheme in ("redis", "rediss", "unix"):
        try:
            with (
                redis.Redis.from_url(
                    url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
                ) as client,
                suppress(redis.exceptions.NoPermissionError),
            ):  # it answers
                client.ping()
        except (redis.RedisError, OSError) as error:
            raise EmbeddedRedisError(
                f"cannot use the Redis of ENCORE_REDIS_URL, {masked(url)}: {error}\n"
                "Start it, correct the variable, or unset it to let `make run` start its own."
            ) from error
    _say(f"redis    {masked(url)}")


def _model(settings: Settings) -> str:
    if settings.uses_demo_model:
        return "demo: answers are made up here; set OPENAI_API_KEY or OPENAI_BASE_URL for a real one"
    if settings.openai_base_url is not None:
        return f"served by {masked(settings.openai_base_url)}"
    if settings.openai_api_key is not None:
        return "served by OpenAI"
    return "none: ENCORE_PROVIDER is openai, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set"


def _can_listen(host: str, port: int) -> bool:
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in places:
            with socket.socket(family, kind, protocol) as probe:
                # As servers do: a closed one is not in the way.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(place)
    except OSError:
        return False
    return True


def _reached(host: str) -> str:
    """Where this machine reaches what listens at an address: all addresses are reached at the loopback."""
    return {"": HOST, "0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104 (nothing listens there by this)


def _address(host: str, port: int) -> str:
    return f"http://{in_url(_reached(host))}:{port}"


def _is_healthy(part: Part) -> bool:
    connection = http.client.HTTPConnection(_reached(part.host), part.port, timeout=2)
    try:
        connection.request("GET", part.health)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _status(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _say(text: str) -> None:
    """Prints a line at once; a terminal that has gone away must not keep the parts from being stopped."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
