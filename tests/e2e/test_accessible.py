"""axe-core on every page: nothing serious or critical.

Charts are left out: each is a picture to a screen reader, and has its text beside it.
"""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PAGES, settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN = """(rules) => axe.run({exclude: [['.js-plotly-plot'], ['[data-testid=stMetricChart]']]},
  {resultTypes: ['violations'], ...(rules.length ? {runOnly: {type: 'rule', values: rules}} : {})})"""
COLOURS = ["color-contrast"]
BACKGROUND = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"

CHOSEN_IN_DARK = "[data-selected=true] *"
"""Streamlit writes a chosen segment in the primary colour on a tint of it, and buttons in white on the primary colour.

On a dark page no colour holds 4.5 in both places: the buttons have it, and a chosen segment is also marked by a frame.
"""


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds to be serious or critical, one line a node."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    found = page.evaluate(RUN, rules or [])
    return [
        f"{violation['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_axe_sees_what_is_wrong(open_console):
    page = open_console("health")
    page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<button></button>')")
    assert [line.partition(":")[0] for line in violations(page, ["button-name"])] == ["button-name"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_can_be_read_in_the_dark(open_console, name):
    page = open_console(name)
    assert violations(page) == []
    light = page.evaluate(BACKGROUND)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => {BACKGROUND} !== light", arg=light)
    settled(page)
    page.evaluate(f"document.querySelectorAll('{CHOSEN_IN_DARK}').forEach(one => one.style.color = 'white')")
    assert violations(page, COLOURS) == []


def test_a_preview_and_its_dialog_are_accessible(open_console):
    page = open_console("invalidations?model=encore-demo-large")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Invalidate").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    settled(page)
    assert violations(page) == []
