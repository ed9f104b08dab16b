"""The gateway as people deploy it: behind nginx, HAProxy and Caddy, configured as docs/production.md says."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.http.proxies import NAME, Proxy, certificate, documented
from tests.http.running import RunningGateway
from tests.openai_server import Behaviour
from tests.ports import free_port

LANGUAGES = {"nginx": "nginx", "haproxy": "haproxy", "caddy": "caddyfile"}
KEYS = {"gateway_keys": "a-key", "openai_api_key": "sk-operator"}
KEY = {"Authorization": "Bearer a-key"}
CHAT = "/v1/chat/completions"


def question(text: str = "How old is it?", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}


class Outside:
    """A client that knows the proxy by its name."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.http = httpx2.Client(verify=context, timeout=120, base_url=f"https://127.0.0.1:{port}")
        self.origin = f"https://{NAME}:{port}"
        self._how = {"extensions": {"sni_hostname": NAME}}
        self._host = {"Host": f"{NAME}:{port}"}

    def __call__(self, path: str = CHAT, method: str = "POST", headers: dict[str, str] = KEY, **how: Any) -> Any:
        if method == "POST" and "content" not in how and "json" not in how:
            how["json"] = question()
        return self.http.request(method, path, headers=self._host | headers, **self._how, **how)

    def stream(self, path: str, **how: Any) -> Any:
        return self.http.stream("POST", path, headers=self._host | KEY, **self._how, **how)


Start = Callable[..., Outside]


@pytest.fixture
def before(tmp_path: Path, start_gateway: Callable[..., RunningGateway]) -> Iterator[Start]:
    """Starts a proxy before a gateway with the settings given, and gives a client of it."""
    running: list[Proxy] = []
    clients: list[Outside] = []

    def start(kind: str, text: str | None = None, **settings: Any) -> Outside:
        home = tmp_path / str(len(running))
        home.mkdir()
        gateway = start_gateway(**settings)
        running.append(Proxy(kind, text or documented(LANGUAGES[kind]), home, gateway.port))
        clients.append(Outside(running[-1].port))
        return clients[-1]

    yield start
    for client in clients:
        client.http.close()
    for proxy in running:
        proxy.stop()


@pytest.fixture(params=LANGUAGES)
def kind(request) -> str:
    return request.param


def test_with_keys_the_outer_name_is_answered(kind, before, openai_server):
    ask = before(kind, **KEYS)
    miss, hit = ask(), ask()
    assert miss.headers["cache-status"].startswith("encore; fwd=uri-miss")
    assert hit.headers["cache-status"] == "encore; hit; detail=exact"
    assert hit.json() == miss.json()
    assert ask(headers={}).status_code == 401
    assert openai_server.calls == 1


def test_without_keys_the_outer_name_is_one_of_the_settings(kind, before, openai_server):
    refused = before(kind)(headers={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden_origin")
    assert "ENCORE_GATEWAY_HOSTS" in refused.text
    assert NAME in refused.text
    assert before(kind, gateway_hosts=NAME)(headers={}).status_code == 200


def test_without_the_outer_name_no_setting_is_needed(before):
    lines = documented("nginx").splitlines(keepends=True)
    ask = before("nginx", "".join(line for line in lines if "Host $http_host" not in line))
    assert ask(headers={}).status_code == 200


def test_streams_come_as_they_come(kind, before, openai_server):
    gate = openai_server.hold(after=2)
    with before(kind, **KEYS).stream(CHAT, json=question(stream=True)) as answer:
        pieces = answer.iter_raw()
        received = next(pieces)  # before the provider goes on
        gate.release()
        received += b"".join(pieces)
    assert received.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])  # Caddy ends it like a whole one: its [DONE] is missing
def test_a_stream_that_breaks_off_breaks_off(kind, before, openai_server):
    ask = before(kind, **KEYS)
    openai_server.always(Behaviour(cut_after=2))
    with pytest.raises(httpx2.RemoteProtocolError), ask.stream(CHAT, json=question(stream=True)) as answer:
        list(answer.iter_raw())
    openai_server.reset()
    assert ask().headers["cache-status"].startswith("encore; fwd=uri-miss")


def test_recordings_and_pictures_of_any_size_pass(kind, before, openai_server):
    ask = before(kind, **KEYS)
    recording = bytes(range(256)) * 50_000
    assert ask("/v1/audio/transcriptions", content=recording).status_code == 200
    assert openai_server.requests[-1].raw == recording
    picture = ask(json=question("x" * 8_000_000))
    assert picture.headers["cache-status"] == "encore; fwd=bypass; detail=too-large"


def test_pages_of_the_outer_address_are_the_gateways_own(kind, before):
    ask = before(kind, **KEYS)
    assert ask(headers=KEY | {"Origin": ask.origin, "Sec-Fetch-Site": "same-origin"}).status_code == 200
    for origin in ("null", "https://evil.example", ask.origin.replace("https", "http"), f"https://{NAME}:1"):
        assert ask(headers=KEY | {"Origin": origin}).status_code == 403


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])  # Caddy chooses its site by the name
def test_a_base_url_that_leads_back_through_the_proxy_is_found(kind, start_gateway, tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path)[0]))
    gateway = start_gateway(**KEYS, openai_base_url=f"https://127.0.0.1:{port}/v1")
    proxy = Proxy(kind, documented(LANGUAGES[kind]), tmp_path, gateway.port, port)
    ask = Outside(port)
    for path in (CHAT, "/v1/files"):
        answer = ask(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (508, "loop")
        assert "OPENAI_BASE_URL" in answer.text
    ask.http.close()
    proxy.stop()


def test_haproxys_unique_id_makes_no_request_another_one(before, openai_server):
    ask = before("haproxy", **KEYS)
    ask()
    assert "x-unique-id" in openai_server.requests[-1].headers
    assert ask().headers["cache-status"] == "encore; hit; detail=exact"


def test_what_cloudflare_adds_makes_no_request_another_one(kind, before, openai_server):
    ask = before(kind, **KEYS)
    for number in (1, 2):
        added = {
            "CF-Ray": f"8f{number}abc-AMS",
            "CF-Connecting-IP": f"203.0.113.{number}",
            "CF-IPCountry": ("NL", "DE")[number - 1],
            "CF-Visitor": '{"scheme":"https"}',
            "CDN-Loop": "cloudflare; loops=1",
            "X-Forwarded-For": f"203.0.113.{number}",
            "True-Client-IP": f"203.0.113.{number}",
        }
        answer = ask(headers=KEY | added)
    assert answer.headers["cache-status"] == "encore; hit; detail=exact"
    assert openai_server.calls == 1


@pytest.mark.parametrize("takes_it_away", [False, True])
def test_a_path_of_its_own(before, openai_server, takes_it_away):
    text, settings = documented("nginx", 1), {"gateway_root_path": "/llm"}
    if takes_it_away:
        text, settings = text.replace("proxy_pass http://127.0.0.1:8090;", "proxy_pass http://127.0.0.1:8090/;"), {}
    ask = before("nginx", text, **KEYS, **settings)
    assert ask("/llm/v1/chat/completions").status_code == 200
    assert ask("/llm/v1/models/org%2Fname", "GET").status_code == 200
    assert openai_server.requests[-1].path == "/v1/models/org/name"
    assert ask("/llm/healthz", "GET").status_code == 200
    assert ask("/v1/models", "GET").headers["server"].startswith("nginx")  # nothing of the gateway's
