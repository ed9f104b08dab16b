"""Between the network and the pages: who may connect, headers, the way back after a login."""

from __future__ import annotations

from typing import Any

import pytest
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


async def ask(
    path: str = "/", *, at: str | None = "127.0.0.1", kind: str = "http", has_login: bool = False, **headers: str
) -> list[dict[str, Any]]:
    """What the server sends; headers are by name, in lower case."""
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
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "encore", **headers}.items()],
    }
    await AccessMiddleware(console, has_login=lambda: has_login)(scope, receive, send)
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
