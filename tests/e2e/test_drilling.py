"""From a bar or a row to what is behind it, with the pointer."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from core.models import OutcomeKind
from tests.e2e.conftest import settled
from tests.e2e.traffic import beside
from tests.metrics.outcomes import an_outcome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
A_BAR = """chart => {
  const bars = [...chart.querySelectorAll('.trace.bars .point path')].map(bar => bar.getBoundingClientRect());
  const bar = bars.findLast(bar => bar.height > 1);
  return [bar.x + bar.width / 2, bar.y + bar.height / 2];
}"""
"""The middle of the latest bar that can be seen: most are of nothing."""
HEADER, ROW = 36, 35
"""Heights within a table, in pixels: it is drawn, and has no elements to click on."""


def tick(table: Locator, row: int) -> None:
    """Selects a row by the box in front of it."""
    table.click(position={"x": 18, "y": HEADER + ROW * row + ROW // 2})


def test_a_bar_of_the_dashboard_leads_to_the_requests_of_its_time(encore, open_console):
    with beside(encore) as services:
        now = services.clock()
        for ago in range(890, 1810, 10):  # the line of the window before lies upon the bars
            for _ in range(3):
                services.metrics.record(an_outcome(OutcomeKind.MISS, at=now - ago))
    page = open_console("dashboard")
    bars = page.get_by_test_id("stPlotlyChart").first.locator(".trace.bars .point path")
    expect(bars.first).to_be_attached()  # once the first step of its time has ended
    page.get_by_role("switch", name="Live").click(force=True)
    settled(page)
    chart = page.get_by_test_id("stPlotlyChart").first
    chart.scroll_into_view_if_needed()
    page.mouse.click(*chart.evaluate(A_BAR))  # what the chart listens with lies above it
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]since=.*[?&]until="))


def test_a_row_of_requests_opens_its_detail_and_leads_to_the_entry(open_console, picture):
    page = open_console("requests?outcome=hit&within=30d")
    tick(page.get_by_test_id("stDataFrame"), 0)
    expect(page.get_by_role("button", name="Open the entry")).to_be_visible()
    expect(page.get_by_text(re.compile("^(Exactly this request|A request)"))).to_be_visible()
    picture(page, "requests-detail")
    page.get_by_role("button", name="Open the entry").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entries")
    expect(page.get_by_text("Answer", exact=True)).to_be_visible()


def test_a_row_of_entries_opens_the_entry(open_console):
    page = open_console("entries")
    tick(page.get_by_test_id("stDataFrame"), 1)
    expect(page.get_by_text("Answer", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]key="))
    tick(page.get_by_test_id("stDataFrame"), 0)
    expect(page.get_by_text("2 entries selected")).to_be_visible()
