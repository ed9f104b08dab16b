"""A console on another address of this machine than the usual one shows its pages, and to no page of another origin."""

from __future__ import annotations

import http.client
import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import settled
from tests.e2e.consoles import Console
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.mark.parametrize("host", ["::1", "127.0.0.2"])
def test_a_console_on_another_loopback_address_shows_its_pages(browser: Browser, tmp_path, host):
    console = Console(tmp_path, "--server.address", host, port=free_port(), host=host)
    try:
        console.wait_until_ready()
        page = browser.new_page()
        page.goto(f"{console.address}/health")
        expect(page.get_by_role("heading", level=1)).to_have_text("Health")
        settled(page)
        page.close()
        for origin in (console.address, "http://localhost:1", "http://evil.example", "null"):
            answered = handshake(console.address, origin)
            assert answered == (101 if origin == console.address else 403), origin
    finally:
        console.stop()
    assert "Traceback" not in console.log.read_text()


def handshake(address: str, origin: str) -> int:
    """The status with which a page's connection is answered."""
    connection = http.client.HTTPConnection(re.sub("^http://", "", address), timeout=60)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Origin": origin,
    }
    connection.request("GET", "/_stcore/stream", headers=headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()
