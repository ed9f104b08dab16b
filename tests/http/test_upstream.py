"""The way to the provider: how long it may take, and what is said when it cannot be reached."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.http.upstream import AHEAD_BYTES, LONGEST_SECONDS, hold_back, patience
from tests.http.running import PLAIN_HTTP
from tests.openai_server import Behaviour

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How old is it?"}]}


@pytest.mark.parametrize(
    ("headers", "longest", "expected"),
    [
        ({}, None, 600),
        ({"x-stainless-read-timeout": "600"}, None, 600),
        ({"x-stainless-read-timeout": "1200.5"}, None, 1200.5),
        ({"x-stainless-read-timeout": "5"}, None, 5),
        ({"x-stainless-timeout": "90"}, None, 90),
        ({"x-stainless-read-timeout": "7", "x-stainless-timeout": "90"}, None, 7),
        ({"x-stainless-read-timeout": "NOT_GIVEN", "x-stainless-timeout": "90"}, None, 90),
        ({"x-stainless-timeout": "0"}, None, 600),
        ({"x-stainless-read-timeout": "-1"}, None, 600),
        ({"x-stainless-read-timeout": "inf"}, None, 600),
        ({"x-stainless-read-timeout": "nan"}, None, 600),
        ({"x-stainless-read-timeout": "1e400"}, None, 600),
        ({"x-stainless-read-timeout": "1, 2"}, None, 600),
        ({"x-stainless-read-timeout": "1e9"}, None, LONGEST_SECONDS),
        ({}, 30, 30),
        ({"x-stainless-read-timeout": "1200"}, 30, 30),
        ({"x-stainless-read-timeout": "5"}, 30, 5),
    ],
)
def test_the_callers_patience_counts_within_the_operators_limit(headers, longest, expected):
    assert patience(headers, longest) == expected


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client:
        yield client


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream", "application/json", ""])
def test_the_system_takes_in_little_of_what_is_passed_on(openai_server, http, kind):
    openai_server.always(Behaviour(raw=b"{}", content_type=kind))
    with http.stream("POST", f"{openai_server.url}/files", json={}) as response:
        connection = response.extensions["network_stream"].get_extra_info("socket")
        before = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        hold_back(response)
        after = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, AHEAD_BYTES)
        held = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert after == (before if kind == "application/json" else held)
    assert before != held


@pytest.mark.parametrize("path", ["/chat/completions", "/files"])
def test_a_provider_may_take_as_long_as_the_caller_waits(gateway, http, openai_server, path):
    gate = openai_server.hold()
    headers = {"X-Stainless-Read-Timeout": "0.2"}
    answer = http.post(gateway.url + path, json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "provider_timeout")
    gate.release()
    assert http.post(gateway.url + path, json=BODY, headers={"X-Stainless-Read-Timeout": "60"}).status_code == 200


class TlsServer:
    """A server that says nothing but its certificate."""

    def __init__(self, home: Path, name: str, *, age_days: int = 0) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
        begin = datetime.now(UTC) - timedelta(days=age_days + 1)
        names: list[x509.GeneralName] = (
            [x509.IPAddress(ip_address(name))] if name[0].isdigit() else [x509.DNSName(name)]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate = home / "certificate.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        keys = home / "key.pem"
        keys.write_bytes(key.private_bytes(*plain))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, keys)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                self._context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


def said_of(start_gateway, http, caplog, url: str) -> str:
    gateway = start_gateway(openai_base_url=url)
    caplog.clear()
    for path in ("/chat/completions", "/files"):
        answer = http.post(gateway.url + path, json=BODY, headers={"Authorization": "Bearer sk-canary"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_unreachable")
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    message: str = answer.json()["error"]["message"]
    assert logged == [message, message]
    assert "canary" not in message
    assert "127.0.0.1" not in message
    return message


@pytest.mark.parametrize(
    ("name", "age_days", "trusted", "expected"),
    [
        ("127.0.0.1", 0, False, "its TLS certificate is not accepted: self-signed certificate"),
        ("127.0.0.1", 300, True, "its TLS certificate is not accepted: certificate has expired"),
        ("other.example", 0, True, "its TLS certificate is not accepted: IP address mismatch"),
    ],
)
def test_what_is_wrong_with_tls_is_said_and_logged(
    start_gateway, http, caplog, tmp_path, monkeypatch, name, age_days, trusted, expected
):
    server = TlsServer(tmp_path, name, age_days=age_days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    assert expected in said_of(start_gateway, http, caplog, server.url)
    server.close()


def test_other_troubles_are_said_too(start_gateway, http, caplog, openai_server):
    plain = openai_server.url.replace("http://", "https://")
    assert "TLS failed: " in said_of(start_gateway, http, caplog, plain)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "it refuses connections" in said_of(start_gateway, http, caplog, f"http://127.0.0.1:{port}/v1")
    assert "its name cannot be resolved" in said_of(start_gateway, http, caplog, "http://provider.invalid/v1")
