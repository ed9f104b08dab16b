"""The whole product, started as an operator starts it, and a real browser in front of it.

Nothing waits for a fixed time: every step waits for what it needs to see. Pictures of the pages are kept in the folder
that SCREENSHOTS names, else in `screenshots/` beside this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.e2e.installation import SEMANTIC, Installation
from tests.e2e.traffic import work

PAGES = (
    *("dashboard", "requests", "playground", "questions", "savings", "entries"),
    *("invalidations", "schedules", "quality", "workers", "health"),
)
PICTURES = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parent / "screenshots")
PATIENCE_MS = 180_000
TALLEST = 6000
TALL = """document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight
  + (document.querySelector('[data-testid=stBottom]')?.offsetHeight ?? 0)"""
IDLE = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def encore(request, tmp_path_factory) -> Iterator[Installation]:
    """The product, started anew for each file of tests with its `SETTINGS`; those with `WORKED` share one."""
    if getattr(request.module, "WORKED", False):
        yield request.getfixturevalue("worked")
    else:
        settings = getattr(request.module, "SETTINGS", {})
        yield from _running(Installation(tmp_path_factory.mktemp("encore"), settings))


@pytest.fixture(scope="package")
def worked(tmp_path_factory) -> Iterator[Installation]:
    """An installation that looks for near questions, with a day's work behind it: one for all files that only look."""
    installation = Installation(tmp_path_factory.mktemp("worked"), SEMANTIC)
    work(installation)
    yield from _running(installation)


def _running(installation: Installation) -> Iterator[Installation]:
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
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            reduced_motion="reduce",
            timezone_id="Europe/Paris",
            locale="en-GB",
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


def visit(page: Page, name: str) -> None:
    """Opens another page from the menu."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", level=1, name=name, exact=True).wait_for()
    settled(page)


def metric(page: Page, label: str) -> Locator:
    """The value of a tile."""
    tile = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return tile.get_by_test_id("stMetricValue")


def send(page: Page, prompt: str) -> None:
    """Sends a prompt in the playground."""
    page.get_by_test_id("stChatInputTextArea").fill(prompt)
    page.keyboard.press("Enter")


def answers(page: Page) -> Locator:
    """The cards that say how each answer came about, one per answer."""
    return page.get_by_test_id("stChatMessage").filter(has=page.get_by_text("Waited", exact=True))


def settled(page: Page) -> None:
    """Waits until the page stands, its script has ended and its elements and charts are drawn."""
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function(IDLE)  # looks at every frame: between two ticks of what is live it may be idle for a moment
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    undrawn = page.locator("[data-testid=stPlotlyChart]:not(:has(.main-svg))").filter(visible=True)
    expect(undrawn).to_have_count(0)
    assert page.get_by_test_id("stException").count() == 0


@pytest.fixture
def picture() -> Callable[[Page, str], Path]:
    """Keeps a picture of a whole page, as tall as it is."""
    PICTURES.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> Path:
        settled(page)
        size = page.viewport_size
        tall = page.evaluate(TALL)
        page.set_viewport_size({"width": size["width"], "height": min(max(size["height"], tall + 24), TALLEST)})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        path = PICTURES / f"{name}.png"
        page.mouse.move(0, 0)
        page.screenshot(path=path, animations="disabled")
        page.set_viewport_size(size)
        return path

    return take
