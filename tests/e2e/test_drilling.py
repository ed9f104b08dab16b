"""From a bar or a row to what is behind it, with the pointer."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.demo.replay import sample
from core.models import OutcomeKind
from tests.e2e.conftest import settled
from tests.e2e.traffic import ask, beside
from tests.metrics.outcomes import an_outcome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
A_BAR = """chart => {
  const bars = [...chart.querySelectorAll('.trace.bars .point path')].map(bar => bar.getBoundingClientRect());
  const bar = bars.findLast(bar => bar.height > 1);
  return [bar.x + bar.width / 2, bar.y + bar.height / 2];
}"""
"""The middle of the latest bar that can be seen: most are of nothing."""
MIDDLE = """point => {
  const box = point.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
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


def test_a_point_of_the_map_leads_to_the_requests_with_its_question(open_console, picture):
    page = open_console("questions")
    page.get_by_role("button", name="Group again").click()
    points = page.get_by_test_id("stPlotlyChart").locator(".point")
    expect(points.first).to_be_attached()
    settled(page)
    picture(page, "questions-map")
    points.first.scroll_into_view_if_needed()
    page.mouse.click(*points.first.evaluate(MIDDLE))
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.locator("input[aria-label=Find]")).not_to_have_value("")
    assert "=" not in page.url.replace("range=7d", ""), "a prompt is in no URL"


def test_a_row_of_requests_opens_its_detail_and_leads_to_the_entry(open_console, picture):
    page = open_console("requests?outcome=hit&range=30d")
    tick(page.get_by_test_id("stDataFrame"), 0)
    expect(page.get_by_role("button", name="Open the entry")).to_be_visible()
    expect(page.get_by_text(re.compile("^(Exactly this request|A request|This request)"))).to_be_visible()
    picture(page, "requests-detail")
    page.get_by_role("button", name="Open the entry").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entries")
    expect(page.get_by_text("Answer", exact=True)).to_be_visible()


class Traffic:
    """Repeats stored questions without a pause, so that nothing is stored anew and the log of requests moves."""

    def __init__(self, encore) -> None:
        self._encore = encore
        self._ending = threading.Event()
        self._moved = threading.Condition()
        self._count = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        questions = [str(question.messages[-1]["content"]) for question in sample("banking77")[:40]]
        with beside(self._encore) as services:
            while not self._ending.wait(0.02):
                ask(services, questions[self._count % len(questions)])
                services.metrics.flush()
                with self._moved:
                    self._count += 1
                    self._moved.notify_all()

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def moves(self) -> None:
        """Returns when more rows have come than a table shows at once."""
        with self._moved:
            wanted = self._count + 15
            assert self._moved.wait_for(lambda: self._count >= wanted, timeout=180)


@pytest.fixture
def traffic(encore) -> Iterator[Traffic]:
    with Traffic(encore) as running:
        yield running


def prompt_in(table: Locator, row: int) -> str:
    """What stands in a row as it is drawn, by what the table tells screen readers."""
    return table.get_by_test_id(f"glide-cell-2-{row}").text_content().strip()


def shows(page: Page, prompt: str) -> None:
    """The card shows this prompt; a table cuts what it has no room for."""
    expect(page.get_by_test_id("stCode").first).to_contain_text(prompt.removesuffix("…"))


def test_with_traffic_a_click_opens_what_was_clicked_and_its_own_entry(open_console, traffic):
    traffic.moves()
    page = open_console("requests?outcome=hit&range=15m")
    table = page.get_by_test_id("stDataFrame")
    clicked = prompt_in(table, 2)
    traffic.moves()
    tick(table, 2)
    shows(page, clicked)
    key = page.get_by_test_id("stCode").last.text_content().strip()  # a near hit's entry has a prompt of its own
    traffic.moves()
    page.get_by_role("button", name="Open the entry").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entries")
    expect(page.get_by_test_id("stCode").filter(has_text=key)).to_be_visible()


def test_live_waits_for_whoever_reads_a_request(open_console, traffic):
    traffic.moves()
    page = open_console("requests?outcome=hit&range=15m&requests_live=true")
    table = page.get_by_test_id("stDataFrame")
    waits = page.get_by_text("Live pauses while a row is selected.")
    while not waits.is_visible():  # a click on what is just being replaced is of nothing
        tick(table, 2)
        page.wait_for_timeout(500)
    shows(page, prompt_in(table, 2))
    read_at = page.get_by_role("button", name=re.compile("^Read at")).text_content()
    traffic.moves()
    page.get_by_role("button", name=re.compile("^Read at")).hover()
    settled(page)
    expect(page.get_by_role("button", name=re.compile("^Read at"))).to_have_text(read_at)
    shows(page, prompt_in(table, 2))


def test_a_row_of_entries_opens_the_entry(open_console):
    page = open_console("entries")
    tick(page.get_by_test_id("stDataFrame"), 1)
    expect(page.get_by_text("Answer", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]id="))
    tick(page.get_by_test_id("stDataFrame"), 0)
    expect(page.get_by_text("2 entries selected")).to_be_visible()


def test_a_drag_over_a_chart_chooses_its_time_for_the_whole_page(open_console):
    page = open_console("dashboard?range=1h")
    chart = page.get_by_test_id("stPlotlyChart").nth(1)
    chart.scroll_into_view_if_needed()
    settled(page)
    box = chart.locator(".nsewdrag").first.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    for share in (0.45, 0.6):
        page.mouse.move(box["x"] + box["width"] * share, y, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"[?&]range=\d+(~|%7E)\d+"))
    page.get_by_role("button", name="Back to live").click()
    expect(page).not_to_have_url(re.compile("range="))
