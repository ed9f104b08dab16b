"""The first minutes with the product, in a real browser on a server started by the real launcher."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import PAGES, answers, metric, send, settled, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PROMPT = "How do I activate my new card?"
OTHER_PROMPT = "What is a contactless payment?"


def test_every_page_has_something_to_say_while_it_is_empty(open_console, picture):
    page = open_console()
    for name in PAGES:
        visit(page, name.capitalize())
        picture(page, f"{name}-empty")


def test_a_newcomer_sees_a_living_dashboard_within_a_minute(open_console, picture):
    page = open_console()
    expect(page.get_by_text("No requests yet")).to_be_visible()
    picture(page, "dashboard-empty")
    page.get_by_role("button", name="Replay sample questions").click()
    expect(page.get_by_text("Replaying sample questions")).to_be_visible()
    expect(metric(page, "Hit rate")).to_have_text(re.compile(r"\d+\.\d %"))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Replaying sample questions")).to_be_hidden()
    expect(page.locator("[data-testid=stPlotlyChart] .main-svg").first).to_be_visible()
    picture(page, "dashboard-replay")


def test_from_a_miss_to_a_hit_to_an_invalidation_to_a_swept_cache(open_console, picture):
    page = open_console("playground")
    send(page, PROMPT)
    expect(answers(page)).to_have_count(1)
    expect(answers(page).last).to_contain_text("miss")
    expect(answers(page).last).to_contain_text("Nothing was stored for this request.")
    send(page, PROMPT)
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last).to_contain_text("hit, exact")
    expect(answers(page).last).to_contain_text("Exactly this request was answered before.")
    picture(page, "playground")

    send(page, OTHER_PROMPT)
    expect(answers(page)).to_have_count(3)

    before = open_console()
    requests = int(metric(before, "Requests").inner_text().replace(",", ""))
    send(page, PROMPT)
    expect(answers(page)).to_have_count(4)
    expect(metric(before, "Requests")).to_have_text(re.compile(rf"^{requests + 1:,}$"))

    visit(page, "Invalidations")
    page.get_by_role("button", name="Model", exact=True).click()
    page.get_by_role("combobox", name="Model").fill("encore-demo-large")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Preview").click()
    expect(metric(page, "Entries")).to_have_text("2")
    picture(page, "invalidations-preview")
    page.get_by_role("button", name="Invalidate 2 entries").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 entries will be hidden from every lookup at once")
    picture(page, "invalidations-confirm")
    if dialog.get_by_label("Type invalidate to confirm").count():
        dialog.get_by_label("Type invalidate to confirm").fill("invalidate")
    dialog.get_by_role("button", name="Invalidate in").click()
    expect(page.get_by_text("2 entries are hidden from every lookup now.")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(r"Undo \(4:\d\d left\)"))).to_be_visible()
    picture(page, "invalidations-held")

    visit(page, "Playground")
    send(page, PROMPT)
    expect(answers(page)).to_have_count(5)
    expect(answers(page).last).to_contain_text("An invalidation hides the answer that was stored.")

    visit(page, "Invalidations")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Delete now…").click()
    page.get_by_role("button", name="Delete now", exact=True).click()
    job = page.get_by_test_id("stVerticalBlock").filter(has=page.get_by_text("Sweep", exact=True)).last
    expect(job).to_contain_text("finished")
    expect(job).to_contain_text("2 deleted")
    picture(page, "invalidations-swept")
    page.reload()
    settled(page)
    expect(page).to_have_url(re.compile(r"[?&]job=sweep-"))
    expect(page.get_by_text("2 deleted").first).to_be_visible()

    visit(page, "Workers")
    expect(metric(page, "Workers alive")).to_have_text("2")
    expect(page.get_by_text("finished", exact=True).first).to_be_visible()
    picture(page, "workers")


def test_an_undone_invalidation_brings_the_answer_back(open_console):
    page = open_console("playground")
    send(page, "What does a direct debit cost?")
    expect(answers(page)).to_have_count(1)
    visit(page, "Invalidations")
    page.get_by_role("button", name="Pattern", exact=True).click()
    page.get_by_role("textbox", name="Pattern").fill("*direct debit*")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Invalidate 1 entry").click()
    dialog = page.get_by_role("dialog")
    if dialog.get_by_label("Type invalidate to confirm").count():
        dialog.get_by_label("Type invalidate to confirm").fill("invalidate")
    dialog.get_by_role("button", name="Invalidate in").click()
    page.get_by_role("button", name=re.compile("^Undo")).first.click()
    expect(page.get_by_text("Undone: the answers are back")).to_be_visible()
    visit(page, "Playground")
    send(page, "What does a direct debit cost?")
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last).to_contain_text("hit, exact")


def test_a_dialog_is_closed_by_the_keyboard_and_stays_closed(open_console):
    page = open_console("invalidations?older_than_days=0.00001")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name=re.compile(r"Invalidate \d+ entr|Apply anyway")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Preview").click()
    settled(page)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_links_fill_and_never_act(open_console):
    page = open_console("playground?prompt=What%20is%20a%20dog%3F")
    expect(page.get_by_test_id("stChatInputTextArea")).to_have_value("What is a dog?")
    expect(answers(page)).to_have_count(0)
    page = open_console("dashboard?range=1h&live=false")
    expect(page.get_by_text("Last hour, updated")).to_be_visible()
    page.get_by_role("radio", name="6h").click()
    expect(page).to_have_url(re.compile("range=6h"))


def test_a_redis_that_hangs_is_told_and_the_values_stay(open_console, encore, picture):
    page = open_console()
    expect(metric(page, "Requests")).to_be_visible()
    os.kill(encore.redis_pid, signal.SIGSTOP)
    try:
        expect(page.get_by_text("Redis did not answer in time")).to_be_visible()
        expect(metric(page, "Requests")).to_be_visible()
        picture(page, "dashboard-redis-down")
    finally:
        os.kill(encore.redis_pid, signal.SIGCONT)
    expect(page.get_by_text("Redis did not answer in time")).to_be_hidden()
