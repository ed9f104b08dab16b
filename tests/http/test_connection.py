"""Bodies and headers as they pass: of any size, piece by piece, byte for byte."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import httpx2
import pytest

from core.http.connection import Connection
from tests.http.running import PLAIN_HTTP, RunningGateway, until
from tests.openai_server import Behaviour

CHAT = "/v1/chat/completions"
MODEL = "模型-A".encode().decode("latin-1")


def question(text: str = "How old is it?", **fields: Any) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}).encode()


Ask = Callable[..., HTTPResponse]


@pytest.fixture
def ask(gateway) -> Iterator[Ask]:
    """Sends one request with headers and body as they are. The response has its body as `content`."""
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=120)

    def send(content: Any = None, path: str = CHAT, method: str = "POST", **headers: str) -> HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=question() if content is None else content, headers=named)
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        return answer

    yield send
    connection.close()


# Headers


@pytest.mark.parametrize("value", [MODEL, "Caf\xe9", "na\xefve \x80\xff", "tab\there", "x" * 4000, ""])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_bytes_of_the_providers_headers_pass(ask, openai_server, value, path, stream):
    openai_server.always(Behaviour(headers={"X-Provider": value}))
    answer = ask(question(stream=stream), path=path)
    assert answer.status == 200
    assert answer.headers["x-provider"] == value


@pytest.mark.parametrize("code", [429, 500])
def test_the_bytes_of_an_errors_headers_pass(ask, openai_server, code):
    openai_server.always(Behaviour(status=code, headers={"X-Provider": MODEL}))
    answer = ask()
    assert (answer.status, answer.headers["x-provider"]) == (code, MODEL)


@pytest.mark.parametrize("value", [MODEL, "Caf\xe9", "\x80\xff"])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_the_bytes_of_a_callers_headers_pass(ask, openai_server, value, path):
    assert ask(path=path, User_Agent=value).status == 200
    assert openai_server.requests[-1].headers["user-agent"] == value


class Saying:
    """A provider that answers each request with the same bytes, in pieces that the test lets go one by one."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.received = bytearray()
        self.connections = 0
        self.broken = threading.Event()
        self.go = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self.read(connection)
                for piece in self.pieces:
                    connection.sendall(piece)

    def read(self, connection: socket.socket) -> None:
        connection.settimeout(0.01)
        before = len(self.received)
        while not (self.go.is_set() and b"\r\n\r\n" in self.received[before:]):
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                piece = b""
            if not piece:
                self.broken.set()
                return
            self.received += piece


@pytest.fixture
def saying() -> Iterator[Callable[..., Saying]]:
    started: list[Saying] = []

    def start(*pieces: bytes, at_once: bool = True) -> Saying:
        provider = Saying(*pieces)
        if at_once:
            provider.go.set()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        provider.go.set()
        provider.listener.close()


def straight(gateway: RunningGateway, method: str = "GET", path: str = "/v1/models") -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=120)
    connection.request(method, path, body=question() if method == "POST" else None)
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Odd: a\x01b\r\nContent-Length: 2\r\n\r\n{}", 200),
        (b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\n{}", 299),
        (b"HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\n{}", 502),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: a\r\n\r\n", 304),
        (b"HTTP/1.1 204 No Content\r\nX-A: \r\n\r\n", 204),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200),
    ],
)
def test_what_a_provider_says_oddly_is_an_answer_nevertheless(start_gateway, saying, said, status):
    gateway = start_gateway(openai_base_url=saying(said).url)
    answer = straight(gateway)
    assert answer.status == status
    assert answer.headers["x-odd"] is None


def test_every_answer_has_a_request_id(ask, openai_server, gateway):
    assert ask().headers["x-request-id"] == "req_test"  # the provider's
    ids = {ask().headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(each.startswith("req_") and each != "req_test" for each in ids)
    assert ask(X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
    for bad in ("x" * 200, "caf\xe9", "a b"):
        assert ask(X_Request_Id=bad).headers["x-request-id"].startswith("req_")
    refused = ask(path="/v1/../x", X_Client_Request_Id="mine-2")
    assert (refused.status, refused.headers["x-request-id"]) == (404, "mine-2")


def test_headers_that_connection_names_stay_on_their_connection(ask, openai_server):
    assert ask(path="/v1/files", Connection="keep-alive, X-Hop", X_Hop="1", X_End="2").status == 200
    assert openai_server.requests[-1].headers["x-end"] == "2"
    assert "x-hop" not in openai_server.requests[-1].headers


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions"])
@pytest.mark.parametrize("named", [b"close, X-Hop", b"x-hop", b"X-HOP ,close"])
def test_headers_that_the_providers_connection_names_stay_on_it(start_gateway, saying, path, named):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Hop: 1\r\nX-End: 2\r\nConnection: %b\r\n\r\n{}" % named
    gateway = start_gateway(openai_base_url=saying(head).url)
    answer = straight(gateway, "POST", path)
    assert answer.headers["x-end"] == "2"
    assert "x-hop" not in answer.headers


# Bodies of requests


def test_a_recording_of_any_size_passes(ask, openai_server):
    recording = bytes(range(256)) * 50_000
    for path in ("/v1/audio/transcriptions", "/v1/files", "/v1/images/edits"):
        answer = ask(recording, path=path)
        assert (answer.status, answer.headers["cache-status"]) == (200, "encore; fwd=bypass; detail=path")
        assert openai_server.requests[-1].raw == recording
        assert openai_server.requests[-1].headers["content-length"] == str(len(recording))


@pytest.mark.parametrize("more", [{"n": 1, "x": "x" * 8_000_000}, {"x": [0] * 200_000}], ids=["bytes", "values"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_too_large_for_the_cache_bypasses_it(ask, openai_server, gateway, stream, more):
    picture = question(stream=stream, **more)
    before = gateway.services.metrics.summary(3600).bypasses
    for _ in range(2):
        answer = ask(picture)
        assert (answer.status, answer.headers["cache-status"]) == (200, "encore; fwd=bypass; detail=too-large")
        assert openai_server.requests[-1].raw == picture
    assert openai_server.calls == 2
    gateway.services.metrics.flush()
    assert gateway.services.metrics.summary(3600).bypasses == before + 2


def test_what_is_said_to_the_cache_about_a_large_request_holds(ask, openai_server):
    picture = question("x" * 2_000_000)
    assert ask(picture, X_Encore_TTL="soon").status == 400
    answer = ask(picture, Cache_Control="only-if-cached")
    assert (answer.status, json.loads(answer.content)["error"]["code"]) == (504, "not_cached")
    assert openai_server.calls == 0


def test_a_body_without_a_length_passes(ask, openai_server):
    pieces = [b"x" * 50_000] * 40
    for path in (CHAT, "/v1/files"):
        assert ask(iter(pieces), path=path).status == 200
        assert openai_server.requests[-1].raw == b"".join(pieces)
        assert "content-length" not in openai_server.requests[-1].headers


def test_who_waits_for_a_go_ahead_gets_it_only_when_it_may_send(start_gateway, openai_server):
    gateway = start_gateway(gateway_keys="k", openai_api_key="sk")
    head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n"
    for key, first in ((b"wrong", b"HTTP/1.1 401"), (b"k", b"HTTP/1.1 100")):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=120) as client:
            client.sendall(head + b"Authorization: Bearer %s\r\n\r\n" % key)
            assert client.recv(12, socket.MSG_WAITALL) == first
            if first.endswith(b"100"):
                client.sendall(b"x" * 100_000)
                received = b""
                while b"HTTP/1.1 200" not in received:
                    received += client.recv(65536)
    assert openai_server.requests[-1].raw == b"x" * 100_000
    assert "expect" not in openai_server.requests[-1].headers


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_large_body_goes_on_before_it_is_whole(start_gateway, saying, path):
    provider = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", at_once=False)
    gateway = start_gateway(openai_base_url=provider.url)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=120) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" % path.encode())
        client.sendall(b"x" * 200_000)
        until(lambda: provider.received.endswith(b"x" * 200_000))
        client.sendall(b"x" * 8_800_000)
        until(lambda: provider.received.endswith(b"x" * 9_000_000))
        provider.go.set()
        assert client.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_client_that_leaves_in_the_middle_ends_the_call(start_gateway, saying, path):
    provider = saying(at_once=False)
    gateway = start_gateway(openai_base_url=provider.url)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=120) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" % path.encode())
        client.sendall(b"x" * 200_000)
        until(lambda: provider.received.endswith(b"x" * 200_000))
    assert provider.broken.wait(120)


def test_a_large_body_that_stops_coming_is_refused(start_gateway, saying):
    provider = saying(at_once=False)
    gateway = start_gateway(openai_base_url=provider.url, gateway_body_seconds=0.5)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=120) as client:
        client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\nxxx")
        assert client.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 408"
    assert provider.broken.wait(120)


def test_a_provider_may_answer_before_a_large_body_is_whole(start_gateway, saying):
    body = b'{"error": {"message": "no"}}'
    provider = saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    gateway = start_gateway(openai_base_url=provider.url)
    answer = HTTPConnection("127.0.0.1", gateway.port, timeout=120)
    answer.request("POST", "/v1/files", body=b"x" * 9_000_000)
    assert answer.getresponse().status in (403, 502)  # a provider that closes while it is sent to may not be heard
    answer.close()


# Bodies of answers


def test_files_come_with_their_length_and_as_the_client_asked_for_them(start_gateway, saying):
    packed = gzip.compress(b"a file")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    provider = saying(head + packed)
    gateway = start_gateway(openai_base_url=provider.url)
    answer = straight(gateway, path="/v1/files/1/content")
    assert answer.content == packed  # type: ignore[attr-defined]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(packed))


def test_the_codings_of_the_client_are_those_that_the_provider_is_asked_for(ask, openai_server):
    ask(path="/v1/files", Accept_Encoding="br, zstd")
    assert openai_server.requests[-1].headers["accept-encoding"] == "br, zstd"
    ask(path="/v1/files", Accept_Encoding="identity")
    assert openai_server.requests[-1].headers["accept-encoding"] == "identity"
    ask(Accept_Encoding="br, zstd")
    assert openai_server.requests[-1].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "br, gzip", "x-made-up"])
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_what_is_not_unpacked_keeps_its_name_and_is_not_kept(ask, openai_server, coding, content_type):
    packed = b"\x0b\x02\x80{not to be read}\x03"
    openai_server.always(Behaviour(raw=packed, content_type=content_type, headers={"Content-Encoding": coding}))
    for call in (1, 2):
        answer = ask()
        assert (answer.status, answer.content, answer.headers["content-encoding"]) == (200, packed, coding)
        assert openai_server.calls == call


def test_a_head_is_answered_like_a_get_without_its_body(start_gateway, saying):
    provider = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    answer = straight(start_gateway(openai_base_url=provider.url), "HEAD", "/v1/files/1/content")
    assert (answer.status, answer.headers["content-length"], answer.content) == (200, "1234", b"")  # type: ignore[attr-defined]


def test_a_file_passes_as_it_comes_and_breaks_off_as_it_breaks_off(start_gateway, saying):
    provider = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x" * 50)
    gateway = start_gateway(openai_base_url=provider.url)
    with httpx2.Client(verify=PLAIN_HTTP) as http, pytest.raises(httpx2.RemoteProtocolError):
        http.get(f"{gateway.url}/files/1/content")


@pytest.mark.parametrize(
    ("prefix", "raw_path", "expected"),
    [
        ("/v1", b"/v1/models", "/models"),
        ("/v1", b"/v1//models", "/models"),
        ("/v1", b"/v1/a%2Fb", "/a%2Fb"),
        ("/v1", b"/v1%2Fmodels", ""),
        ("/v1", b"/%761/models", ""),
        ("/v1", b"/v1", ""),
        ("", b"/metrics", "/metrics"),
    ],
)
def test_a_path_is_what_follows_a_prefix_that_is_spelled_plainly(prefix, raw_path, expected):
    scope = {"method": "GET", "root_path": prefix, "raw_path": raw_path, "query_string": b"", "headers": []}
    assert Connection(scope, None, None).path == expected
