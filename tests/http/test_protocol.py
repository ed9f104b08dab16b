"""What one client may send and hold before anybody knows who it is: bytes and seconds of headers, connections."""

from __future__ import annotations

import json
import socket
import struct
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


def test_clients_that_read_nothing_are_given_up_when_much_waits_for_them(connect, gateway, openai_server, monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "most_unread_bytes", 1_000_000)
    openai_server.always(Behaviour(raw=b'{"choices":"' + b"x" * 50_000_000 + b'"}'))
    question = b'{"model":"m","messages":[{"role":"user","content":"How?"}]}'
    client = connect()
    client.sendall(
        POST.replace(b"/files", b"/chat/completions") + b"Content-Length: %d\r\n\r\n%s" % (len(question), question)
    )
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


CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "How old?"}]}).encode()
STREAM = CHAT[:-1] + b', "stream": true}'


def posted(body: bytes = CHAT, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = (b"Host: localhost", b"Content-Length: %d" % len(body), *headers)
    return b"POST /v1/chat/completions HTTP/%b\r\n%b\r\n\r\n%b" % (version, b"\r\n".join(lines), body)


def in_chunks(body: bytes = CHAT, *headers: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    lines = (b"Host: localhost", b"Transfer-Encoding: chunked", *headers)
    head = b"POST /v1/chat/completions HTTP/1.1\r\n%b\r\n\r\n" % b"\r\n".join(lines)
    return head + b"%x\r\n%b\r\n" % (len(body), body) + end


@pytest.mark.parametrize("settings", [{}, {"gateway_keys": "k", "openai_api_key": "sk"}])
@pytest.mark.parametrize("end", [b"0\r\nX-A: ", b"0\r\nX-A: a\r\nX-B: ", b"0;x=", b"5;x=", b'5;x="'])
def test_what_follows_a_chunk_is_bounded_like_a_head(connect, start_gateway, openai_server, settings, end):
    openai_server.hold()
    client = connect(start_gateway(**settings))
    client.sendall(in_chunks(end=end))
    written = 0
    while sent(client, b"b" * 10_000):
        written += 10_000
        assert written < 20_000_000  # what the system's buffers take, and no more
    assert is_closed(client)


def test_many_trailers_are_bounded_like_headers(connect, openai_server):
    openai_server.hold()
    client = connect()
    client.sendall(in_chunks(end=b"0\r\n"))
    written = 0
    while sent(client, b"X-A: b\r\n" * 1000):
        written += 8000
        assert written < 20_000_000
    assert is_closed(client)


def test_a_body_of_many_small_chunks_is_as_good_as_one(connect):
    client = connect()
    body = CHAT + b" " * 30_000
    head = in_chunks(b"", end=b"").removesuffix(b"0\r\n\r\n")
    client.sendall(head)
    for start in range(0, len(body), 1000):
        client.sendall(
            b"".join(b"1;a=b\r\n%b\r\n" % body[at : at + 1] for at in range(start, start + 1000) if body[at:])
        )
    client.sendall(b"0\r\n\r\n")
    assert answer(client)[0] == 200


def test_a_trailer_is_no_header(connect, openai_server):
    trailers = (
        b"0\r\nAuthorization: Bearer another\r\nX-Encore-Namespace: another\r\nSec-Fetch-Site: cross-site\r\n\r\n"
    )
    client = connect()
    client.sendall(in_chunks(CHAT, b"Authorization: Bearer own", end=trailers))
    assert answer(client)[0] == 200
    assert openai_server.requests[-1].headers["authorization"] == "Bearer own"


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t  "])
def test_blanks_around_a_headers_value_are_no_part_of_it(connect, start_gateway, openai_server, blanks):
    gateway = start_gateway()
    given = (b"Authorization: Bearer own", b"X-Encore-Namespace: part", b"OpenAI-Organization: org")
    client = connect(gateway)
    client.sendall(posted(CHAT, *given))
    assert answer(client)[0] == 200
    client.sendall(posted(CHAT, *(line.replace(b": ", b": " + blanks) + blanks for line in given)))
    assert answer(client)[0] == 200
    assert openai_server.calls == 1
    client.sendall(GET.replace(b"localhost", b"localhost" + blanks) + b"\r\n")
    assert answer(client)[0] == 200
    client.sendall(GET + b"Sec-Fetch-Site: cross-site" + blanks + b"\r\n\r\n")
    assert answer(client)[0] == 403


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"deflate,chunked", b"chunked, chunked", b"x, chunked"])
def test_a_body_in_a_coding_that_nobody_unpacks_is_refused(connect, openai_server, coding):
    client = connect()
    client.sendall(in_chunks().replace(b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + coding))
    assert answer(client)[0] in (400, 501)
    assert openai_server.calls == 0


@pytest.mark.parametrize("headers", [(), (b"Connection: keep-alive",)])
def test_a_stream_for_a_client_without_chunks_ends_with_the_connection(connect, openai_server, headers):
    received = []
    for version in (b"1.0", b"1.0"):  # a miss and a hit
        client = connect()
        client.sendall(posted(STREAM, *headers, version=version))
        data = b""
        while piece := client.recv(65536):
            data += piece
        received.append(data)
    for data in received:
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert body.startswith(b"data: {")
        assert body.endswith(b"data: [DONE]\n\n")
    assert openai_server.calls == 1


def test_a_client_that_asks_much_and_leaves_is_no_failure(connect, gateway, openai_server, caplog):
    gate = openai_server.hold()
    client = connect()
    client.sendall(b"".join(posted(STREAM.replace(b"old", b"old is %d" % number)) for number in range(5)))
    gate.wait_for(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    until(lambda: not gateway._server.server_state.connections)
    gate.release()
    until(lambda: not gateway._server.server_state.tasks)
    assert openai_server.calls == 1
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


def test_many_hits_for_a_client_that_leaves_are_no_failure(connect, gateway, caplog):
    client = connect()
    client.sendall(posted())
    assert answer(client)[0] == 200
    client.sendall(posted() * 200)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    until(lambda: not gateway._server.server_state.connections)
    until(lambda: not gateway._server.server_state.tasks)
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


def test_the_refusal_of_a_later_head_is_no_answer_to_an_earlier_request(connect, openai_server):
    gate = openai_server.hold()
    client = connect()
    client.sendall(posted())
    gate.wait_for(1)
    sent(client, GET + b"X-Long: " + b"x" * 2 * MOST_HEAD_BYTES)
    assert answer(client)[0] == 0
