"""A relay between clients and a Redis server: the network in between, which a test may cut or hold up.

A test that needs something to be under way lets it come to a gate, instead of making it long:

    gate = relay.hold_after(b"...")   # whoever sends this hears the answer, but not the one after it
    ...                               # start it
    gate.wait_for()                   # until it waits
    gate.open()
"""

from __future__ import annotations

import select
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

PATIENCE_SECONDS = 120
PIECE_BYTES = 1 << 20


class Gate:
    """Where connections that said certain words wait, for the next answer but one, until it is opened."""

    def __init__(self, words: tuple[bytes, ...]) -> None:
        self._words = words
        self._reached, self._opened = threading.Event(), threading.Event()
        self._comes_next: dict[socket.socket, bool] = {}
        """The connections that said the words, and whether they have asked for something since."""

    def wait_for(self) -> None:
        """Blocks the test until a connection waits here."""
        assert self._reached.wait(PATIENCE_SECONDS), "nothing came to the gate"

    def open(self) -> None:
        """Lets everyone through, now and later."""
        self._opened.set()

    def asked(self, client: socket.socket, data: bytes) -> None:
        if client in self._comes_next:
            self._comes_next[client] = True
        elif any(words in data for words in self._words):
            self._comes_next[client] = False

    def answered(self, client: socket.socket, answer: bytes) -> None:
        if self._comes_next.get(client):
            self._reached.set()
            self._opened.wait()
        elif answer.startswith(b"-NOSCRIPT"):
            self._comes_next.pop(client, None)  # it will say the words again


class Relay:
    """Passes everything on, until it hangs up on all clients and takes no new ones. `url` is its address."""

    def __init__(self, path: Path, server_url: str) -> None:
        self._server_url = server_url
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1000)
        self._ends: list[socket.socket] = []
        self._gates: list[Gate] = []
        self._fatal: bytes | None = None
        self._hung_up = False
        self.distance_seconds = 0.0
        """How much longer every answer takes."""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """As that of the server; whoever waits here waits as long as the test does."""
        return f"{self.impatient_url}&socket_timeout={PATIENCE_SECONDS}"

    @property
    def impatient_url(self) -> str:
        """As that of the server; whoever waits here waits as long as its client does."""
        where = urlsplit(self._server_url)
        password = f":{where.password}@" if where.password else ""
        return f"unix://{password}{quote(str(self._path))}?db=0"

    def hold_after(self, *words: bytes) -> Gate:
        """From now on whoever sends one of these and has heard the answer waits for the next one."""
        gate = Gate(words)
        self._gates.append(gate)
        return gate

    def hang_up_after(self, words: bytes) -> None:
        """As soon as the server has answered a command that has these words, which nobody gets to hear."""
        self._fatal = words

    def hang_up(self) -> None:
        """Now."""
        self._hung_up = True
        self._path.unlink(missing_ok=True)
        for gate in self._gates:
            gate.open()
        for end in (self._listener, *self._ends):
            with suppress(OSError):  # the other side has gone
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hangs up, and returns when nobody is left."""
        self.hang_up()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _connect(self) -> socket.socket:
        where = urlsplit(self._server_url)
        if where.scheme != "unix":
            return socket.create_connection((where.hostname, where.port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(unquote(where.path))
        return server

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:  # it hung up
                    return
                try:
                    server = self._connect()
                except OSError:  # it has gone: so does whoever came
                    client.close()
                    continue
                self._ends += [client, server]
                thread = threading.Thread(target=self._pass_on, args=(client, server), daemon=True)
                self._threads.append(thread)
                thread.start()
                if self._hung_up:  # while this one came
                    self.hang_up()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        is_fatal = False
        with client, server, suppress(OSError):  # it was hung up, or one side has gone
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    if not (data := client.recv(PIECE_BYTES)):
                        return
                    for gate in self._gates:
                        gate.asked(client, data)
                    is_fatal = is_fatal or (self._fatal is not None and self._fatal in data)
                    server.sendall(data)
                if server in ready:
                    if not (data := server.recv(PIECE_BYTES)):
                        return
                    if is_fatal:
                        self.hang_up()
                        return
                    for gate in self._gates:
                        gate.answered(client, data)
                    if self.distance_seconds:
                        time.sleep(self.distance_seconds)
                    client.sendall(data)


@contextmanager
def relay_to(server_url: str) -> Iterator[Relay]:
    """A relay in front of a server."""
    with tempfile.TemporaryDirectory() as home:  # the path of a socket must be short
        relay = Relay(Path(home) / "relay.sock", server_url)
        try:
            yield relay
        finally:
            relay.close()
