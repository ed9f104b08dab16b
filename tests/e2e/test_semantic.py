"""Near questions as a person meets them: a paraphrase is served, a trap refused with its reason, evidence adds up."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import answers, metric, send, settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
ASKED = "How do I reverse a string in Python?"
PARAPHRASE = "How can I reverse a string in Python?"
TRAP = ("What does a transfer of 20 euros cost?", "What does a transfer of 2000 euros cost?")


def ask(page: Page, prompt: str, count: int) -> Locator:
    """The answer to a prompt, which is the one of that number in the conversation."""
    send(page, prompt)
    expect(answers(page)).to_have_count(count)
    return answers(page).last


def details(answer: Locator) -> Locator:
    """What the answer says of itself when it is asked why."""
    answer.get_by_text(re.compile(r"^Why, in detail$|^Why was this not a hit\?$")).click()
    expect(answer.get_by_text("Nearest stored questions")).to_be_visible()
    return answer


def test_from_a_near_miss_to_a_judged_answer_to_a_plain_hit(open_console, picture):
    page = open_console("playground")
    expect(ask(page, ASKED, 1)).to_contain_text("miss")
    judged = ask(page, PARAPHRASE, 2)
    expect(judged).to_contain_text("hit, semantic")
    expect(judged).to_contain_text("A request that means the same was answered before.")
    row = details(judged).locator("canvas [role=row]").filter(has_text=ASKED)
    expect(row).to_contain_text(re.compile(r"(0\.9\d*|1)the judge said yes: "))
    picture(page, "playground-semantic")
    again = ask(page, PARAPHRASE, 3)
    expect(again).to_contain_text("hit, alias")
    expect(again).to_contain_text("judged to mean the same")


def test_a_trap_is_refused_with_the_guards_reason(open_console, picture):
    page = open_console("playground")
    ask(page, TRAP[0], 1)
    trap = ask(page, TRAP[1], 2)
    expect(trap).to_contain_text("miss")
    row = details(trap).locator("canvas [role=row]").filter(has_text=TRAP[0]).filter(has_text="refused by guard")
    expect(row).to_contain_text("refused by guard numbers: numbers differ: 2000 and 20")
    picture(page, "playground-trap")


def test_the_calibration_curve_and_the_what_if_are_drawn(open_console):
    page = open_console("quality")
    expect(page.get_by_text("Precision by hit rate")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_contain_text("right, at least (95 % confidence)")
    expect(metric(page, "False hits per hit")).to_have_text(re.compile(r"\d+\.\d %"))
    before = metric(page, "Would have hit").inner_text()
    slider = page.get_by_role("slider", name="Serve from the cosine")
    slider.press("Home")
    expect(metric(page, "Would have hit")).not_to_have_text(before)


def test_pairs_are_reviewed_by_keyboard(open_console):
    page = open_console("quality")
    expect(page.get_by_text("Does the stored answer answer what was asked?")).to_be_visible()
    given = int(re.search(r"(\d+) by operators", page.get_by_text("by operators").first.inner_text())[1])
    page.get_by_role("heading", name="Review").click()
    page.keyboard.press("y")
    expect(page.get_by_text("Noted: the stored answer fits.")).to_be_visible()
    settled(page)
    page.keyboard.press("n")
    expect(page.get_by_text("Noted: the stored answer does not fit.")).to_be_visible()
    expect(page.get_by_text(f"{given + 2} by operators")).to_be_visible()


def test_a_threshold_is_published_and_rolled_back(open_console):
    page = open_console("quality")
    page.get_by_role("button", name="Set it by hand").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Fix the cosine to judge from").click()
    dialog.get_by_role("spinbutton", name="Judge from").fill("0.8")
    dialog.get_by_role("textbox", name="Why").fill("fewer calls")
    page.keyboard.press("Tab")
    dialog.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is in force")).to_be_visible()
    expect(page.get_by_text("judged from 0.800 on, set by hand").first).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Version 2 is in force")).to_be_visible()
    expect(page.get_by_text("judged from 0.700 on").first).to_be_visible()
