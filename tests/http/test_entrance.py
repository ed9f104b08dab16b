"""Who is let in to the gateway: by host, origin, method and way, before every path; and what browsers are answered."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from typing import Any

import pytest

from core.http.entrance import METHODS, Entrance
from core.settings import Settings
from tests.http.running import RunningGateway
from tests.openai_server import Behaviour

PATHS = ("/v1/models", "/metrics", "/healthz", "/readyz", "/", "/v1/chat/completions")
SITE = "https://chat.example.org"
CHAT = "/v1/chat/completions"


def reason(method: str = "POST", scheme: str = "http", settings: dict[str, Any] | None = None, **headers: str) -> int:
    """The status of the refusal, 0 when there is none. Names of headers have underscores."""
    told = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    entrance = Entrance(None, Settings(**(settings or {})), "encore-0123456789abcdef")
    refusal = entrance.refusal(method, scheme, told)
    return refusal.reply.status if refusal else 0


KEYS = {"gateway_keys": "k"}
NAMED = {"gateway_hosts": "llm.example.org, https://Other.Example:8443/"}


@pytest.mark.parametrize(
    ("settings", "host", "expected"),
    [
        ({}, "127.0.0.1:8090", 0),
        ({}, "localhost", 0),
        ({}, "LOCALHOST.:8090", 0),
        ({}, "[::1]:8090", 0),
        ({}, "10.1.2.3:8090", 0),  # a probe of a pod; no page can make an address its own
        ({}, "[fd00::1]", 0),
        ({}, "", 0),  # no browser leaves it out: a health check of HTTP/1.0 does
        ({}, "llm.example.org", 403),
        ({}, "localhost.example.org", 403),
        ({}, "127.0.0.1.example.org", 403),
        ({}, "127.0.0.1@example.org", 403),
        ({}, "example.org#127.0.0.1", 403),
        ({}, "localhost, example.org", 403),
        ({}, "[::1", 403),
        ({}, "local host", 403),
        ({}, "gateway", 403),
        (NAMED, "llm.example.org", 0),
        (NAMED, "LLM.example.org:443", 0),
        (NAMED, "other.example", 0),
        (NAMED, "sub.llm.example.org", 403),
        (NAMED, "example.org", 403),
        (KEYS, "llm.example.org", 0),
        (KEYS, "anything at all", 0),
    ],
)
def test_without_keys_a_gateway_answers_to_its_own_names_only(settings, host, expected):
    assert reason(settings=settings, host=host) == expected


OWN = {"host": "localhost:8090"}
ALLOWED = {"gateway_origins": f"{SITE}, app://obsidian.md"}


@pytest.mark.parametrize(
    ("settings", "origin", "headers", "expected"),
    [
        ({}, "http://localhost:8090", OWN, 0),
        ({}, "http://localhost:3000", OWN, 0),
        ({}, "http://127.0.0.1", OWN, 0),
        ({}, "http://[::1]:3000", OWN, 0),
        ({}, "tauri://localhost", OWN, 0),
        ({}, "null", OWN, 403),
        ({}, "", OWN, 403),
        ({}, "https://evil.example", OWN, 403),
        ({}, "http://localhost.evil.example", OWN, 403),
        ({}, "http://127.0.0.1.evil.example:80", OWN, 403),
        ({}, "app://obsidian.md", OWN, 403),
        ({}, "chrome-extension://abcdefghijklmnop", OWN, 403),
        ({}, "file://", OWN, 403),
        ({}, "http://[broken", OWN, 403),
        ({}, "http://localhost:99999", OWN, 403),
        (KEYS, "http://llm.example.org", {"host": "llm.example.org"}, 0),
        (KEYS, "http://llm.example.org:80", {"host": "llm.example.org"}, 0),
        (KEYS, "http://llm.example.org:8080", {"host": "llm.example.org"}, 403),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org"}, 403),  # the proxy is to say X-Forwarded-Proto
        (KEYS, "https://llm.example.org", {"host": "llm.example.org", "scheme": "https"}, 0),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org:443", "scheme": "https"}, 0),
        (KEYS, "http://llm.example.org", {"host": "llm.example.org", "scheme": "https"}, 403),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org", "x_forwarded_proto": "https"}, 0),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org", "x_forwarded_proto": "http, https"}, 0),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org", "x_forwarded_proto": "https, http"}, 403),
        (KEYS, "https://llm.example.org", {"host": "llm.example.org", "x_forwarded_proto": "odd"}, 403),
        (KEYS, "https://evil.example", {"host": "llm.example.org"}, 403),
        (KEYS, "http://x", {"host": "x:99999"}, 403),
        (ALLOWED, SITE, OWN, 0),
        (ALLOWED, SITE, OWN | {"sec_fetch_site": "cross-site"}, 0),
        (ALLOWED, "app://obsidian.md", OWN, 0),
        (ALLOWED, "http://chat.example.org", OWN, 403),
        (ALLOWED, "https://chat.example.org.evil.example", OWN, 403),
        (ALLOWED, "null", OWN, 403),
    ],
)
def test_pages_may_ask_from_the_gateways_own_origin_this_machine_and_configured_ones(
    settings, origin, headers, expected
):
    assert reason(settings=settings, origin=origin, **headers) == expected


@pytest.mark.parametrize(("site", "expected"), [("cross-site", 403), ("same-site", 0), ("same-origin", 0), ("none", 0)])
def test_what_another_site_embeds_is_refused(site, expected):
    assert reason(method="GET", sec_fetch_site=site, sec_fetch_dest="image", **OWN) == expected


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "OPTIONS", "get", "PURGE", "M-SEARCH", "QUERY"])
def test_methods_beyond_those_of_the_api_are_refused(method):
    assert reason(method=method, **OWN) == 405


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_the_api_are_let_in(method):
    assert reason(method=method, **OWN) == 0


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("1.1 encore-0123456789abcdef", 508),
        ("1.1 nginx, 1.1 encore-0123456789abcdef, 2 cdn", 508),
        ("1.1 encore-fedcba9876543210", 0),  # a gateway behind a gateway
        ("1.1 varnish", 0),
    ],
)
def test_what_came_through_this_gateway_before_is_a_loop(via, expected):
    assert reason(via=via, **OWN) == expected


# With a server


def send(gateway: RunningGateway, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=120)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


QUESTION = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "How old is it?"}]}).encode()


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Host": "rebound.example"}, "ENCORE_GATEWAY_HOSTS"),
        ({"Origin": "null"}, "ENCORE_GATEWAY_ORIGINS"),
        ({"Origin": "https://evil.example"}, "ENCORE_GATEWAY_ORIGINS"),
        ({"Sec-Fetch-Site": "cross-site"}, "ENCORE_GATEWAY_ORIGINS"),
    ],
)
def test_one_check_stands_before_every_path(gateway, openai_server, headers, named):
    for path in PATHS:
        for method in ("GET", "POST"):
            answer = send(gateway, method, path, headers, QUESTION)
            assert (answer.status, json.loads(answer.text)["error"]["code"]) == (403, "forbidden_origin"), path
            assert named in answer.text
    assert openai_server.requests == []


def test_a_host_that_was_let_in_lets_nothing_else_in(gateway, openai_server):
    for _ in range(2):
        assert send(gateway, "POST", CHAT, {}, QUESTION).status == 200
    for headers in ({"Origin": "null"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert send(gateway, "POST", CHAT, headers, QUESTION).status == 403
    assert send(gateway, "TRACE", CHAT, {}).status == 405
    assert openai_server.calls == 1


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_reach_no_provider(gateway, openai_server, method):
    for path in PATHS:
        answer = send(gateway, method, path, {})
        assert answer.status == 405
        assert answer.headers["allow"] == ", ".join(METHODS)
    assert openai_server.requests == []


def test_what_the_provider_says_of_origins_never_passes(gateway, openai_server):
    cors = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "X-Shown": "1"}
    openai_server.always(Behaviour(headers=cors | {"Cross-Origin-Resource-Policy": "cross-origin"}))
    for path in ("/v1/chat/completions", "/v1/chat/completions", "/v1/files"):
        answer = send(gateway, "POST", path, {"Origin": "http://localhost:3000"}, QUESTION)
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith(("Access", "access", "Cross", "cross"))]


def test_pages_of_a_configured_origin_read_misses_hits_and_errors_alike(start_gateway, openai_server):
    gateway = start_gateway(gateway_origins=SITE)
    page = {"Origin": SITE, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
    openai_server.always(Behaviour(headers={"Access-Control-Allow-Origin": "*"}))
    said = []
    for body in (QUESTION, QUESTION, b'{"encore": {"ttl": "never"}}'):
        answer = send(gateway, "POST", "/v1/chat/completions", page, body)
        said.append({name: value for name, value in answer.getheaders() if name.startswith(("access-", "vary"))})
    assert said[0] == said[1] == said[2]
    assert said[0]["access-control-allow-origin"] == SITE
    assert said[0]["vary"] == "origin"
    for name in ("cache-status", "x-encore-key", "x-encore-similarity", "age"):
        assert name in said[0]["access-control-expose-headers"]
    assert "access-control-allow-origin" not in send(gateway, "POST", "/v1/chat/completions", {}, QUESTION).headers
    assert openai_server.calls == 1


def test_preflights_are_answered_here(start_gateway, openai_server):
    gateway = start_gateway(gateway_origins=SITE, gateway_keys="k", openai_api_key="sk")
    asked = "authorization, content-type, x-stainless-lang"
    preflight = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    answer = send(gateway, "OPTIONS", "/v1/chat/completions", preflight)
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-allow-headers"] == asked
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-private-network" not in answer.headers
    private = preflight | {"Access-Control-Request-Private-Network": "true"}
    answer = send(gateway, "OPTIONS", "/v1/chat/completions", private)
    assert answer.headers["access-control-allow-private-network"] == "true"
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        answer = send(gateway, "OPTIONS", "/v1/chat/completions", preflight | {"Origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, None)
    assert openai_server.requests == []


@pytest.mark.parametrize("settings", [{}, {"gateway_root_path": "/llm"}, {"gateway_root_path": "/a/llm/"}])
def test_a_proxy_may_leave_its_path_in_or_take_it_away(start_gateway, settings):
    gateway = start_gateway(**settings)
    prefix = settings.get("gateway_root_path", "").rstrip("/")
    for before in {"", prefix}:
        assert send(gateway, "GET", f"{before}/healthz", {}).status == 200
        assert send(gateway, "GET", f"{before}/v1/models", {}).status == 200
        assert send(gateway, "POST", f"{before}/v1/chat/completions", {}, QUESTION).status == 200
    for path in (
        "/other/v1/models",
        f"{prefix}/x/v1/models",
        "/llm%2Fv1/models",
        f"{prefix}{prefix or '/x'}/v1/models",
    ):
        assert send(gateway, "GET", path, {}).status == 404


def test_a_websocket_is_refused_plainly(gateway, caplog):
    answer = send(gateway, "GET", "/v1/realtime?model=gpt-4o", {"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (501, "no_websocket")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_an_upgrade_that_a_client_only_offers_is_not_in_the_way(gateway, openai_server):
    offers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    answer = send(gateway, "POST", "/v1/chat/completions", offers, QUESTION)
    assert answer.status == 200
    assert "http2-settings" not in openai_server.requests[-1].headers
    assert openai_server.requests[-1].raw == QUESTION


def test_a_base_url_that_names_the_gateway_is_found_at_the_first_hop(start_process, start_gateway):
    gateway = start_gateway()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    looped = start_process(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1", ENCORE_GATEWAY_PORT=str(port))
    looped.port, looped.root = port, f"http://127.0.0.1:{port}"
    looped.ready()
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/v1/files")):
        answer = send(looped, method, path, {}, QUESTION)  # type: ignore[arg-type]
        assert (answer.status, json.loads(answer.text)["error"]["code"]) == (508, "loop")
        assert "OPENAI_BASE_URL" in answer.text
        assert answer.headers["x-should-retry"] == "false"
    assert gateway.services.provider.base_url != ""


def test_a_gateway_behind_a_gateway_is_no_loop(start_gateway, openai_server, namespace):
    behind = start_gateway()
    before = start_gateway(openai_base_url=behind.url, gateway_namespace=f"{namespace}-edge")
    assert send(before, "POST", "/v1/chat/completions", {}, QUESTION).status == 200
    assert openai_server.requests[-1].headers["via"].count("encore-") == 2
