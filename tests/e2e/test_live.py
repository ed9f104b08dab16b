"""A live dashboard for two minutes with traffic: it keeps up, loses nothing that is open, and does not grow.

Run with `python -m pytest -m soak --log-cli-level=INFO tests/e2e/test_live.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.bootstrap import bootstrap
from core.models import ChatRequest
from core.settings import Settings

logger = logging.getLogger("encore.tests")

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(600)]

SECONDS = 120.0
LOOK_SECONDS = 10.0
RATE = 10.0
MEGABYTE = 2**20
MOST_GROWTH = 1.5


@pytest.fixture
def traffic(encore) -> Iterator[None]:
    """Requests of an application, most of them hits, a few hundred different ones."""
    ended = threading.Event()
    services = bootstrap(Settings(home=encore.home))

    def ask() -> None:
        number = 0
        while not ended.wait(1 / RATE):
            number += 1
            messages = [{"role": "user", "content": f"What is number {number % 20 if number % 4 else number}?"}]
            services.cache.complete(ChatRequest.from_openai(model="encore-demo-small", messages=messages))

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    ended.set()
    thread.join()
    services.close()


def heap_bytes(page: Page) -> int:
    """What the page's scripts keep, after the garbage is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


def test_a_dashboard_lives_for_two_minutes(open_console, traffic):
    page = open_console("dashboard")
    charts = page.locator("[data-testid=stPlotlyChart] .main-svg:first-child")
    expect(charts.nth(3)).to_be_visible(timeout=90_000)
    requests = page.get_by_test_id("stMetric").filter(has=page.get_by_text("Requests", exact=True))
    page.get_by_role("tab", name="By model").click()
    expect(page.get_by_text("Hit rate by model")).to_be_visible()
    counts, heaps = [], []
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        page.wait_for_timeout(LOOK_SECONDS * 1000)
        counts.append(int(requests.get_by_test_id("stMetricValue").inner_text().replace(",", "")))
        heaps.append(heap_bytes(page))
        assert page.get_by_test_id("stException").count() == 0
        # What the viewer has opened stays open, whatever ticks around it.
        expect(page.get_by_role("tab", name="By model")).to_have_attribute("aria-selected", "true")
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
    half = len(heaps) // 2
    told = ", ".join(f"{used / MEGABYTE:.0f}" for used in heaps)
    logger.info("heap in MB every %.0f s: %s; requests %s to %s", LOOK_SECONDS, told, counts[0], counts[-1])
    assert min(heaps[half:]) < MOST_GROWTH * min(heaps[:half]), told
