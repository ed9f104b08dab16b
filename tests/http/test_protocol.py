"""What one client may send and hold before anybody knows who it is: bytes and seconds of headers, connections."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from core.http.protocol import MOST_HEAD_BYTES, MOST_HEADERS, BoundedProtocol
from tests.http.running import RunningGateway, until
from tests.openai_server import Behaviour

PATIENCE_SECONDS = 120
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def connect(gateway) -> Iterator[object]:
    with ExitStack() as opened:

        def start(to: RunningGateway = gateway) -> socket.socket:
            return opened.enter_context(socket.create_connection(("127.0.0.1", to.port), timeout=PATIENCE_SECONDS))

        yield start


def sent(client: socket.socket, data: bytes) -> bool:
    """Whether the data could be sent: not on a connection that the other side has closed."""
    try:
        client.sendall(data)
    except OSError:
        return False
    return True


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Status and body of one response; 0 when the connection is closed without one."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            if not (piece := client.recv(65536)):
                return 0, data
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(b":")[1])
        while len(body) < length:
            body += client.recv(65536)
    except ConnectionResetError:
        return 0, data
    return int(head.split(b" ")[1]), body


def is_closed(client: socket.socket) -> bool:
    """Waits for the other side to close the connection."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Long: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n",
        GET + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(20)) + b"\r\n",
        GET + b"".join(b"X-%d: 1\r\n" % number for number in range(MOST_HEADERS + 1)) + b"\r\n",
        GET + b"".join(b"X: 1\r\n" for _ in range(20_000)) + b"\r\n",
        b"GET /" + b"x" * MOST_HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        POST + b"X-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 10\r\n\r\n0123456789",
    ],
)
@pytest.mark.parametrize("size", [1_000_000, 7000])
def test_headers_are_bounded_in_bytes_and_number(connect, head, size):
    client = connect()
    for start in range(0, len(head), size):
        if not sent(client, head[start : start + size]):
            break
    status, body = answer(client)
    assert status in (0, 431)  # a client that goes on sending may find the connection reset
    if status:
        assert json.loads(body)["error"]["code"] == "headers_too_large"
    assert is_closed(client)


def test_headers_without_end_are_not_collected(connect):
    client = connect()
    client.sendall(GET)
    written = 0
    while sent(client, b"X-Name: " + b"x" * 10_000 + b"\r\n"):
        written += 10_000
        assert written < 20_000_000  # what the system's buffers take, and no more
    assert is_closed(client)


def test_headers_of_the_usual_size_pass(connect):
    client = connect()
    for _ in range(3):
        client.sendall(GET + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 300) for number in range(150)) + b"\r\n")
        assert answer(client)[0] == 200


@pytest.mark.parametrize("beginning", [b"", b"GET", GET, GET + b"X-Slow: ", b"\r\n"])
def test_a_head_that_does_not_end_ends_the_connection(connect, monkeypatch, beginning):
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    client = connect()
    sent(client, beginning)
    assert is_closed(client)


@pytest.mark.parametrize("beginning", [b"GET", GET, GET + b"X-Slow: ", b"\r\n"])
def test_a_later_head_that_does_not_end_ends_the_connection(connect, monkeypatch, beginning):
    client = connect()
    client.sendall(GET + b"\r\n")
    assert answer(client)[0] == 200
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    client.sendall(beginning)
    assert is_closed(client)


def test_a_head_that_comes_in_drips_ends_the_connection(connect, monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.5)
    client = connect()
    client.settimeout(0.05)
    for _ in range(PATIENCE_SECONDS * 20):
        try:
            if not sent(client, b"\r\n") or not client.recv(100):
                break
        except TimeoutError:
            continue
        except ConnectionResetError:
            break
    else:
        raise AssertionError("the connection is still open")


def test_an_answer_may_take_longer_than_a_head(connect, gateway, openai_server, monkeypatch):
    gate = openai_server.hold()
    client = connect()
    client.sendall(GET + b"\r\n")
    assert answer(client)[0] == 200
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 1)
    head = POST + b"Content-Length: 2\r\n"
    client.sendall(head)
    client.sendall(b"\r\n{}")  # may come in a piece of its own: a timer begins, and ends
    gate.wait_for()
    assert is_closed(connect())  # more than the time for a head has passed
    gate.release()
    assert client.recv(12) == b"HTTP/1.1 200"


def test_the_rest_of_a_body_is_awaited_only_for_a_while(connect, start_gateway, monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "linger_seconds", 0.2)
    client = connect(start_gateway(gateway_keys="k", openai_api_key="sk"))
    client.sendall(POST + b"Content-Length: 100000\r\n\r\n{")
    assert answer(client)[0] == 401
    assert is_closed(client)


def test_a_connection_whose_body_came_after_its_answer_is_kept(connect, start_gateway):
    client = connect(start_gateway(gateway_keys="k", openai_api_key="sk"))
    for _ in range(2):
        client.sendall(POST + b"Content-Length: 10\r\n\r\n")
        assert answer(client)[0] == 401
        client.sendall(b"0123456789")


def test_connections_are_bounded_and_idle_ones_make_room(connect, start_gateway, openai_server):
    gateway = start_gateway(gateway_connections=10)
    gate = openai_server.hold()
    busy = [connect(gateway) for _ in range(9)]
    for client in busy:
        client.sendall(POST + b"Content-Length: 2\r\n\r\n{}")
    gate.wait_for(9)
    unfinished = connect(gateway)
    unfinished.sendall(GET)
    newcomer = connect(gateway)
    newcomer.sendall(GET + b"\r\n")
    assert answer(newcomer)[0] == 200
    assert is_closed(unfinished)
    newcomer.sendall(POST + b"Content-Length: 2\r\n\r\n{}")
    gate.wait_for(10)
    status, body = answer(connect(gateway))
    assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_connections")
    assert b"ENCORE_GATEWAY_CONNECTIONS" in body
    gate.release()
    for client in (*busy, newcomer):
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_client_that_reads_nothing_is_given_up(connect, gateway, openai_server, monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "stall_seconds", 0.2)
    openai_server.always(Behaviour(raw=b"x" * 50_000_000))
    client = connect()
    client.sendall(POST + b"Content-Length: 2\r\n\r\n{}")
    openai_server.wait_until(lambda: openai_server.calls == 1)
    until(lambda: not gateway._server.server_state.connections)


def test_a_cut_answer_leaves_no_odd_words_in_the_log(connect, openai_server, caplog):
    question = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "How old?"}], "stream": True}
    ).encode()
    openai_server.always(Behaviour(cut_after=2))
    client = connect()
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(question)
        + question
    )
    received = b""
    while piece := client.recv(65536):
        received += piece
    assert received.startswith(b"HTTP/1.1 200")
    assert not received.endswith(b"0\r\n\r\n")
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
