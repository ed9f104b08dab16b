"""The whole product, started as an operator starts it, and a real browser in front of it.

Nothing waits for a fixed time: every step waits for what it needs to see. Pictures of the pages are kept in the folder
that SCREENSHOTS names, else in `screenshots/` beside this file.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parent / "screenshots")
READY_SECONDS = 90.0
PATIENCE_MS = 30_000
TALLEST = 6000

expect.set_options(timeout=PATIENCE_MS)


class Installation:
    """`make run`, without the make: Redis, workers, gateway and console on ports of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[str] = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ENCORE_", "OPENAI_"))}
        environment |= {
            "ENCORE_HOME": str(home),
            "ENCORE_CONSOLE_PORT": str(free_port()),
            "ENCORE_GATEWAY_PORT": str(free_port()),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core.launcher"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.console = self._told("console")

    def _listen(self) -> None:
        assert self.process.stdout
        self.said.extend(self.process.stdout)

    def _told(self, name: str) -> str:
        """What the launcher says of a part, as soon as it does."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            for line in list(self.said):
                if line.startswith(f"{name} "):
                    return line.split()[1]
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() < deadline, "".join(self.said)
            self._listener.join(0.05)

    @property
    def redis_pid(self) -> int:
        """The process of the embedded Redis."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if "redis-server" in Path(f"/proc/{pid}/cmdline").read_text())

    def log(self, part: str) -> str:
        """What a part wrote to its log."""
        return (self.home / "logs" / f"{part}.log").read_text()

    def stop(self) -> int:
        """Stops all of it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._listener.join(10)
        assert self.process.stdout
        self.process.stdout.close()
        return status


def free_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def encore(tmp_path_factory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("encore"))
    yield installation
    assert installation.stop() == 0, "".join(installation.said)
    assert "Traceback" not in installation.log("console"), installation.log("console")


@pytest.fixture(scope="module")  # no longer: while it is open its event loop runs, and no other can in this thread
def browser(chromium: Path) -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=options)
        yield found
        found.close()


@pytest.fixture
def open_console(browser: Browser, encore: Installation) -> Iterator[Callable[..., Page]]:
    """Opens a page of the console in its own window. At the end nothing has left the machine, and no script failed."""
    outside: list[str] = []
    failures: list[str] = []
    contexts = []

    def begin(path: str = "", *, width: int = 1280, theme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, timezone_id="Europe/Paris", locale="en-GB"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: None if is_inside(request.url) else outside.append(request.url))
        page.on("websocket", lambda socket: None if is_inside(socket.url) else outside.append(socket.url))
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{encore.console}/{path}")
        settled(page)
        return page

    yield begin
    for context in contexts:
        context.close()
    assert outside == []
    assert failures == []


def is_inside(url: str) -> bool:
    """Whether a request stays on this machine."""
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def settled(page: Page) -> None:
    """Waits until the page stands, its script has ended and its elements and charts are drawn."""
    page.get_by_role("heading", level=1).wait_for()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    charts = page.get_by_test_id("stPlotlyChart")
    expect(charts.locator(".main-svg:first-child")).to_have_count(charts.count())
    assert page.get_by_test_id("stException").count() == 0


@pytest.fixture
def picture() -> Callable[[Page, str], Path]:
    """Keeps a picture of a whole page, as tall as it is."""
    PICTURES.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> Path:
        settled(page)
        size = page.viewport_size
        tall = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": min(max(size["height"], tall + 24), TALLEST)})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        path = PICTURES / f"{name}.png"
        page.mouse.move(0, 0)
        page.screenshot(path=path, animations="disabled")
        page.set_viewport_size(size)
        return path

    return take
