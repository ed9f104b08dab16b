"""An answer that is stopped while it streams: the provider is let go, nothing is stored, and the page says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import answers, send, settled
from tests.e2e.consoles import Console, variables
from tests.openai_server import OpenAIServer
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PROMPT = "What does it take to close an account?"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="module")
def console(tmp_path_factory, redis_url: str, server: OpenAIServer) -> Iterator[Console]:
    started = Console(
        tmp_path_factory.mktemp("console"),
        port=free_port(),
        OPENAI_API_KEY="sk-test",
        OPENAI_BASE_URL=server.url,
        **variables({"redis_url": redis_url, "namespace": "stopping"}),
    )
    started.wait_until_ready()
    yield started
    started.stop()
    assert "Traceback" not in started.log.read_text(), started.log.read_text()


@pytest.fixture
def page(browser: Browser, console: Console, server: OpenAIServer) -> Iterator[Page]:
    server.reset()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(f"{console.address}/playground")
    settled(opened)
    yield opened
    context.close()


@pytest.mark.parametrize("pieces", [0, 4], ids=["before-its-first-word", "in-its-midst"])
def test_a_stopped_answer_ends_everywhere_and_can_be_asked_for_again(page, server, picture, pieces):
    gate = server.hold(after=pieces)
    send(page, f"{PROMPT} {pieces}")
    gate.wait_for()
    expect(page.get_by_text("The answer is coming" if pieces else "Looking in the cache")).to_be_visible()
    page.get_by_role("button", name="Stop script").click()
    server.wait_for_disconnects()
    expect(page.get_by_text("Stopped before the answer was complete. Nothing was stored.")).to_be_visible()
    picture(page, f"playground-stopped-{pieces}")
    server.reset()
    page.get_by_role("button", name="Send it again").click()
    expect(answers(page)).to_have_count(1)
    expect(answers(page)).to_contain_text("Nothing was stored for")


def test_who_leaves_the_page_leaves_nothing_running(page, server):
    gate = server.hold(after=4)
    send(page, PROMPT)
    gate.wait_for()
    page.get_by_role("link", name="Entries", exact=True).click()
    server.wait_for_disconnects()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entries")


def test_who_closes_the_window_leaves_nothing_running(page, server):
    gate = server.hold(after=4)
    send(page, PROMPT)
    gate.wait_for()
    page.close()
    server.wait_for_disconnects()
