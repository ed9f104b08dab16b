"""A wrong answer is out: an operator finds it, previews, hides it, checks that it is gone, and takes it back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import answers, metric, send, settled, visit
from tests.e2e.traffic import ask, beside

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
QUESTION = "How long does parcel zebra-4711 take to arrive?"
WORD = "zebra-4711"


@pytest.fixture
def wrong_answer(encore) -> None:
    """The answer to a request as the playground sends it."""
    with beside(encore) as services:
        ask(services, QUESTION, temperature=0.2)


def confirm(page: Page) -> None:
    """Says yes to the dialog, with the word where it asks for it."""
    dialog = page.get_by_role("dialog")
    word = dialog.get_by_label("Type invalidate to confirm")
    if word.count():
        word.fill("invalidate")
    dialog.get_by_role("button", name="Invalidate in").click()
    expect(dialog).to_be_hidden()


def test_a_bad_answer_is_found_previewed_hidden_and_taken_back(open_console, wrong_answer):
    page = open_console("entries")
    page.get_by_role("searchbox", name="Text").fill(WORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"^Searched all [\d,]+ entries: 1 matches"))).to_be_visible()
    page.get_by_role("button", name="Invalidate all that match").click()
    page.get_by_role("heading", level=1, name="Invalidations").wait_for()
    settled(page)
    page.get_by_role("button", name="Preview").click()
    expect(metric(page, "Entries")).to_have_text("1")
    expect(metric(page, "Time to ask again")).to_be_visible()
    page.get_by_role("button", name="Invalidate 1 entry").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 entry will be hidden from every lookup at once")
    confirm(page)
    expect(page.get_by_text("1 entry is hidden from every lookup now.")).to_be_visible()

    visit(page, "Playground")
    send(page, QUESTION)
    expect(answers(page)).to_have_count(1)
    expect(answers(page).last).to_contain_text("An invalidation hides the answer that was stored.")

    visit(page, "Invalidations")
    page.get_by_role("button", name=re.compile("^Undo")).first.click()
    expect(page.get_by_text("Undone: the answers are back")).to_be_visible()
    visit(page, "Playground")
    send(page, QUESTION)
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last).to_contain_text("hit, exact")


def test_an_answer_is_hidden_with_the_keyboard_alone(open_console, wrong_answer):
    page = open_console("invalidations")
    go_to(page, page.get_by_role("button", name="Model", exact=True))
    go_to(page, page.get_by_role("button", name="Keywords", exact=True), by="ArrowRight")
    page.keyboard.press("Enter")
    field = page.get_by_role("combobox", name="Keywords")
    expect(field).to_be_visible()
    go_to(page, field)
    page.keyboard.type(WORD)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # closes the list of words, which lies upon the page
    press(page, "Preview")
    expect(metric(page, "Entries")).to_be_visible()
    press(page, re.compile(r"Invalidate \d+ entr|Apply anyway"))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    press(page, re.compile(r"Invalidate \d+ entr|Apply anyway"))
    expect(dialog).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.innerText") or ""
        inside = page.evaluate("document.querySelector('[role=dialog]').contains(document.activeElement)")
        assert inside, "the keyboard leaves the dialog"
        if "Invalidate in" in focused:
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("hidden from every lookup now.")).to_be_visible()


def press(page: Page, name: str | re.Pattern[str]) -> None:
    """Goes to a button with the Tab key and presses Enter; the focus has to be seen."""
    button = page.get_by_role("button", name=name)
    expect(button).to_be_enabled()
    settled(page)
    go_to(page, button)
    seen = button.evaluate("one => { const s = getComputedStyle(one); return s.boxShadow + s.outlineStyle }")
    assert seen != "nonenone", "the focus cannot be seen"
    page.keyboard.press("Enter")


def go_to(page: Page, element: Locator, *, by: str = "Tab") -> None:
    """Presses a key until the element has the focus."""
    for _ in range(80):
        page.keyboard.press(by)
        if element.evaluate("one => one === document.activeElement"):
            break
    expect(element).to_be_focused()
