"""What the doctor finds in the provider."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from core.bootstrap import bootstrap
from core.doctor.findings import Level
from core.doctor.provider import provider_findings
from core.settings import Settings
from tests.doctor.findings import the_only


def provider_finding(monkeypatch, **environment: str):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with bootstrap(Settings()) as services:
        return the_only(provider_findings(services))


def test_the_demo_model_is_a_warning(monkeypatch):
    assert provider_finding(monkeypatch).level is Level.WARNING


def test_a_provider_without_a_key_is_an_error(monkeypatch):
    finding = provider_finding(monkeypatch, ENCORE_PROVIDER="openai")
    assert (finding.level, "no key" in finding.text) == (Level.ERROR, True)


def test_a_provider_that_is_not_there_is_an_error(monkeypatch):
    finding = provider_finding(monkeypatch, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert (finding.level, "APIConnectionError" in finding.text) == (Level.ERROR, True)


def test_a_silent_provider_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("core.doctor.probe.PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        finding = provider_finding(monkeypatch, OPENAI_BASE_URL=address)
    assert (finding.level, "no answer" in finding.text) == (Level.ERROR, True)


def test_a_provider_that_answers_is_fine(monkeypatch, openai_server):
    finding = provider_finding(monkeypatch, OPENAI_BASE_URL=openai_server.url, OPENAI_API_KEY="sk-x")
    assert (finding.level, "models" in finding.text) == (Level.OK, True)


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything with one status."""

    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("status", "level", "word"),
    [
        (401, Level.ERROR, "refuses the key"),
        (403, Level.ERROR, "refuses the key"),
        (404, Level.OK, "does not list"),
        (400, Level.ERROR, "BadRequestError"),
    ],
)
def test_what_a_provider_answers_is_told(monkeypatch, status, level, word):
    monkeypatch.setattr(Refusing, "status", status)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        finding = provider_finding(monkeypatch, OPENAI_BASE_URL=address, OPENAI_API_KEY="sk-x")
        server.shutdown()
    assert (finding.level, word in finding.text) == (level, True)
