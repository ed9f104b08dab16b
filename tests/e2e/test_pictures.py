"""Every page in its states, at two widths, light and dark: it fits, it stands, and a picture of it is kept.

With every run a representative part; all of it by `make pictures`.
"""

from __future__ import annotations

import os
import re
import signal
from itertools import product

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import PAGES, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
PHONE = (390, "dark")
OTHERS = [window for window in product((1280, 390), ("light", "dark")) if window != PHONE]
EVERY = [PHONE, *(pytest.param(*window, marks=pytest.mark.pictures) for window in OTHERS)]


@pytest.mark.parametrize(("width", "theme"), EVERY)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opened_by_its_link_fits_its_window(open_console, picture, name, width, theme):
    page = open_console(name, width=width, theme=theme)
    assert page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth") <= 0
    assert page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(element => element.scrollTop))") == 0
    picture(page, f"{name}-{width}-{theme}")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.pictures)])
def test_every_page_stands_while_redis_hangs(open_console, encore, picture, width, theme):
    page = open_console("dashboard", width=width, theme=theme)
    os.kill(encore.redis_pid, signal.SIGSTOP)
    try:
        for name in PAGES:
            if width > 640:
                visit(page, name.capitalize())
            else:  # the navigation is folded away
                page.goto(f"{encore.console}/{name}")
            expect(page.get_by_text("Redis did not answer in time").first).to_be_visible()
            picture(page, f"{name}-redis-down-{width}-{theme}")
    finally:
        os.kill(encore.redis_pid, signal.SIGCONT)
    expect(page.get_by_test_id("stAlert").filter(has_text="Redis did not answer in time")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"^Redis [\d.]+ answers in "))).to_be_visible()  # Health has looked again


def test_savings_are_printed_as_one_white_sheet_without_what_is_no_part_of_it(open_console):
    page = open_console("savings", theme="dark")
    sheet = page.locator(".st-key-savings-sheet")
    controls = page.locator(".st-key-savings-controls")
    expect(controls).to_be_visible()
    page.emulate_media(media="print")
    expect(sheet.get_by_role("table")).to_be_visible()
    for gone in (
        controls,
        page.get_by_test_id("stSidebar"),
        page.get_by_test_id("stAlert"),
        sheet.get_by_role("button"),
    ):
        expect(gone.filter(visible=True)).to_have_count(0)
    colours = sheet.locator("td").last.evaluate(
        "cell => [getComputedStyle(cell).color, getComputedStyle(document.querySelector('.stApp')).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
