"""Between the network and the pages: who may connect, headers, the way back after a login."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.websockets import WebSocket

from pages.components.server.serving import COOKIE, LONGEST, AccessMiddleware, is_page, page_of

pytestmark = pytest.mark.anyio


async def console(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).accept()
    elif scope["path"] == "/oauth2callback":
        await RedirectResponse("/", 302)(scope, receive, send)
    else:
        await PlainTextResponse("the console")(scope, receive, send)


HOSTS = ["encore", "*.example.org"]


async def ask(
    path: str = "/",
    *,
    at: str | None = "127.0.0.1",
    kind: str = "http",
    has_login: bool = False,
    address: str | None = None,
    seen: list[Any] | None = None,
    **headers: str | None,
) -> list[dict[str, Any]]:
    """What the server sends; headers are by name, in lower case. What comes to Streamlit is added to `seen`."""
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "query_string": b"",
        "server": (at, 8501) if at else None,
        "client": ("127.0.0.1", 50_000),
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "encore", **headers}.items() if value],
    }

    async def streamlit(scope: Any, receive: Any, send: Any) -> None:
        if seen is not None:
            seen.append(Headers(scope=scope))
        await console(scope, receive, send)

    middleware = AccessMiddleware(streamlit, has_login=lambda: has_login, hosts=HOSTS, address=address)
    await middleware(scope, receive, send)
    for message in said:
        message["headers"] = {name.decode(): value.decode() for name, value in message.get("headers", ())}
    return said


@pytest.mark.parametrize("at", ["192.0.2.1", "0.0.0.0", "2001:db8::1", "encore", None])
async def test_without_a_login_a_connection_from_elsewhere_gets_one_sentence(at):
    start, body = await ask(at=at)
    assert start["status"] == 403
    assert body["body"] == b"There is no login, so the console answers on this machine only.\n"
    [closed] = await ask(at=at, kind="websocket")
    assert closed["type"] == "websocket.close"


@pytest.mark.parametrize(("at", "has_login"), [("127.0.0.1", False), ("::1", False), ("192.0.2.1", True)])
async def test_others_pass(at, has_login):
    start, _ = await ask(at=at, has_login=has_login)
    assert start["status"] == 200
    assert start["headers"]["x-frame-options"] == "SAMEORIGIN"
    assert start["headers"]["content-security-policy"] == "frame-ancestors 'self'"
    assert start["headers"]["referrer-policy"] == "same-origin"
    [accepted] = await ask(at=at, has_login=has_login, kind="websocket")
    assert accepted["type"] == "websocket.accept"


async def passes(**given: Any) -> bool:
    """Whether a request and a page's connection with these headers both come to Streamlit, or neither."""
    seen: list[Any] = []
    [start, *_], [opened] = await ask(seen=seen, **given), await ask(kind="websocket", seen=seen, **given)
    assert (start["status"] == 403) == (opened["type"] == "websocket.close") == (not seen)
    return bool(seen)


@pytest.mark.parametrize(
    "host",
    [
        "encore",
        "ENCORE:8501",
        "encore.:8501",
        "localhost",
        "127.0.0.1:9000",
        "[::1]:8501",
        "10.1.2.3:8501",  # a probe's, which names the container's address
        "a.example.org",
        None,  # a probe's that speaks HTTP/1.0
    ],
)
async def test_its_own_names_and_literal_addresses_are_the_consoles(host):
    assert await passes(host=host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "encore.evil.example:8501",
        "example.org",
        "example.org.evil.example",
        "encore@evil.example",
        "evil.example/encore",
        "encore:port",
        "encore:99999",
        "127.0.0.1.evil.example",
        "2130706433",
        "[::1",
        "encore evil.example",
    ],
)
async def test_a_name_that_another_made_this_machines_is_refused(host):
    assert not await passes(host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://encore", "encore"),
        ("http://encore:80", "encore"),
        ("http://localhost:8501", "localhost:8501"),
        ("http://LOCALHOST:8501", "localhost:8501"),
        ("https://a.example.org", "a.example.org"),
        ("https://a.example.org", "a.example.org:443"),
        ("http://[::1]:8501", "[::1]:8501"),
        (None, "encore"),
    ],
)
async def test_a_page_of_the_console_and_a_program_pass(origin, host):
    assert await passes(origin=origin, host=host)


@pytest.mark.parametrize("has_login", [False, True])
@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:9999", "localhost:8501"),
        ("http://localhost", "localhost:8501"),
        ("http://127.0.0.1:8501", "localhost:8501"),
        ("http://0.0.0.0:8501", "localhost:8501"),
        ("https://localhost", "localhost:80"),
        ("https://evil.example", "encore"),
        ("http://b.example.org", "a.example.org"),
        ("http://encore.evil.example", "encore"),
        ("null", "encore"),
        ("file://", "encore"),
        ("encore", "encore"),
        ("ftp://encore", "encore"),
        ("chrome-extension://encore", "encore"),
        ("http://encore@evil.example", "encore"),
        ("http://evil.example@encore", "encore"),
        ("http://encore/x", "encore"),
        ("http://encore http://evil.example", "encore"),
        ("http://encore:port", "encore"),
        ("http://", "encore"),
        ("http://encore", None),
    ],
)
async def test_a_page_of_another_place_is_refused_on_whatever_port(origin, host, has_login):
    assert not await passes(origin=origin, host=host, has_login=has_login)


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("https://console.example.org", True),
        ("https://console.example.org:443", True),
        ("http://console.example.org", False),
        ("https://other.example.org", False),
    ],
)
async def test_behind_a_proxy_with_a_host_of_its_own_the_address_in_browsers_counts(origin, may):
    address = "https://console.example.org/oauth2callback"
    assert await passes(origin=origin, host="10.0.0.5:8501", has_login=True, address=address) is may


async def test_streamlit_finds_host_and_origin_alike_and_need_not_look_further():
    seen: list[Any] = []
    for origin, host in (("https://console.example.org", "10.0.0.5:8501"), ("http://LOCALHOST:8501", "localhost:8501")):
        await ask(
            kind="websocket", origin=origin, host=host, address="https://console.example.org", has_login=True, seen=seen
        )
        assert seen[-1]["host"] == origin.partition("://")[2]
        assert seen[-1]["origin"] == origin
    await ask(kind="websocket", seen=seen)
    assert seen[-1]["host"] == "encore"


async def test_a_login_leads_back_to_the_page_it_began_on():
    start, _ = await ask("/auth/login", referer="http://encore/entries?model=gpt-4o&page=2")
    cookie, *attributes = start["headers"]["set-cookie"].split("; ")
    assert "HttpOnly" in attributes
    assert "SameSite=Lax" in attributes
    start, _ = await ask("/oauth2callback", cookie=f"other=1; {cookie}")
    assert start["headers"]["location"] == "/entries?model=gpt-4o&page=2"
    assert start["headers"]["set-cookie"].startswith(f"{COOKIE}=; Path=/; Max-Age=0")


@pytest.mark.parametrize(
    "value", ["", "%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example", "%2Fa%0D%0Ax%3A1", "%ff"]
)
async def test_a_login_leads_nowhere_else(value):
    start, _ = await ask("/oauth2callback", cookie=f"{COOKIE}={value}")
    assert start["headers"]["location"] == "/"


@pytest.mark.parametrize(
    ("referer", "page"),
    [
        ("http://encore/entries", "/entries"),
        ("http://encore/", "/"),
        ("http://encore/ops/entries?key=0-ab", "/ops/entries?key=0-ab"),
        ("http://evil.example/entries", "/"),
        ("http://encore@evil.example/entries", "/"),
        ("http://encore//evil.example", "/"),
        ("http://encore/..//evil.example", "/"),
        ("", "/"),
        ("http://encore/" + "a" * LONGEST, "/"),
    ],
)
async def test_a_page_is_one_of_this_console(referer, page):
    assert page_of(referer, "encore") == page
    assert is_page(page)
