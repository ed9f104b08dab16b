"""What is said of a write when the connection ends: whether Redis may have done it, or has never heard of it."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.errors import OutcomeUnknown, StoreUnavailable
from core.invalidation.invalidator import CacheInvalidator
from core.stores.redis.store import RedisStore, patient_client


class Relay:
    """Between clients and a server: passes everything on, until it hangs up on all clients and takes no new ones."""

    def __init__(self, path: Path, server: Callable[[], socket.socket]) -> None:
        self.path = path
        self._connect = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._fatal: bytes | None = None
        self._ends: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def hang_up_after(self, words: bytes) -> None:
        """As soon as the server has answered a command that has these words, which nobody gets to hear."""
        self._fatal = words

    def hang_up(self) -> None:
        """Now."""
        self.path.unlink(missing_ok=True)
        for end in self._ends:
            with contextlib.suppress(OSError):  # the other side has gone
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            self._ends += [client, server]
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """One command at a time: whoever asks waits for the answer."""
        with contextlib.suppress(OSError):  # it was hung up
            while asked := client.recv(1 << 20):
                server.sendall(asked)
                answer = server.recv(1 << 20)
                if self._fatal is not None and self._fatal in asked:
                    self.hang_up()
                    return
                client.sendall(answer)


@pytest.fixture
def relay(redis_url):
    where = urlsplit(redis_url)

    def connect() -> socket.socket:
        if where.scheme != "unix":
            return socket.create_connection((where.hostname, where.port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(unquote(where.path))
        return server

    with tempfile.TemporaryDirectory() as home:  # the path of a socket must be short
        relay = Relay(Path(home) / "relay.sock", connect)
        yield relay
        relay.hang_up()


@pytest.fixture
def through(relay, redis_url):
    """An invalidator that reaches Redis through the relay."""
    password = urlsplit(redis_url).password
    store = RedisStore(patient_client(f"unix://:{password}@{quote(str(relay.path))}?db=0"))
    yield CacheInvalidator(store, AuditLog(None))
    store.close()


def active(redis_url: str, namespace: str) -> list[str]:
    """The invalidations in force, as anyone else sees them."""
    store = RedisStore(patient_client(redis_url))
    invalidator = CacheInvalidator(store, AuditLog(None))
    found = [str(ban.criteria.model) for where, ban in invalidator.active() if where == namespace]
    store.close()
    return sorted(found)


def test_what_redis_did_before_it_went_is_not_said_to_be_undone(through, relay, redis_url, namespace):
    through.invalidate(Criteria(namespace=namespace, model="first"), actor="test")
    relay.hang_up_after(b"EVALSHA")
    with pytest.raises(OutcomeUnknown):
        through.invalidate(Criteria(namespace=namespace, model="second"), actor="test")
    assert active(redis_url, namespace) == ["first", "second"]


def test_what_redis_never_heard_of_is_said_not_to_be_done(through, relay, redis_url, namespace):
    through.invalidate(Criteria(namespace=namespace, model="first"), actor="test")
    relay.hang_up()
    with pytest.raises(StoreUnavailable):
        through.invalidate(Criteria(namespace=namespace, model="second"), actor="test")
    assert active(redis_url, namespace) == ["first"]
