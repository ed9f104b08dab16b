"""Range, namespace and model go along from page to page; Back, Forward and a reload say what the URL says."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PAGES, settled, visit
from tests.e2e.test_drilling import tick

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WORKED = True
NAMESPACE = "nightly"
CONTEXT = {"range": "24h", "namespace": NAMESPACE}


def context_of(page: Page) -> dict[str, str]:
    """What the URL says of the context."""
    asked = parse_qs(urlsplit(page.url).query)
    return {name: asked[name][0] for name in ("range", "namespace", "model") if name in asked}


def has_namespace(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Namespace").first).to_have_value(NAMESPACE)


def is_marked(page: Page, name: str) -> None:
    """The menu marks the page that is open, and no other."""
    expect(page.locator(".st-key-menu a[aria-current=page]").filter(visible=True)).to_have_text(re.compile(f"{name}$"))


def test_a_context_goes_along_by_the_menu_and_is_kept_by_back_forward_and_reload(open_console):
    page = open_console(f"?namespace={NAMESPACE}")
    is_marked(page, "Dashboard")
    page.get_by_role("radio", name="24h").click()
    expect(page).to_have_url(re.compile("range=24h"))
    for name in PAGES[1:]:
        visit(page, name.capitalize())
        is_marked(page, name.capitalize())
        assert context_of(page) == CONTEXT
    page.go_back()
    page.get_by_role("heading", level=1, name="Workers", exact=True).wait_for()
    assert context_of(page) == CONTEXT
    visit(page, "Dashboard")
    is_marked(page, "Dashboard")
    page.get_by_role("radio", name="6h").click()
    expect(page).to_have_url(re.compile("range=6h"))
    page.go_back()
    expect(page.get_by_role("radio", name="24h")).to_be_checked()
    has_namespace(page)
    page.go_forward()
    expect(page.get_by_role("radio", name="6h")).to_be_checked()
    page.reload()
    settled(page)
    expect(page.get_by_role("radio", name="6h")).to_be_checked()
    has_namespace(page)


def test_the_tab_is_kept(open_console):
    page = open_console("dashboard?range=30d")
    page.get_by_role("tab", name="Reasons").click()
    expect(page).to_have_url(re.compile("tab=Reasons"))
    page.reload()
    settled(page)
    expect(page.get_by_role("tab", name="Reasons")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_role("tab", name="Missed most")).to_have_attribute("aria-selected", "true")


def test_a_selected_entry_is_taken_back_by_back_and_kept_by_a_reload(open_console):
    page = open_console("entries")
    table = page.get_by_test_id("stDataFrame")
    tick(table, 1)
    expect(page.get_by_role("button", name="Close")).to_be_visible()
    expect(page).to_have_url(re.compile("[?&]id="))
    chosen = page.url
    page.go_back()
    expect(page.get_by_role("button", name="Close")).to_have_count(0)
    settled(page)
    expect(page).not_to_have_url(re.compile("[?&]id="))
    page.go_forward()
    expect(page.get_by_role("button", name="Close")).to_be_visible()
    page.reload()
    settled(page)
    expect(page.get_by_role("button", name="Close")).to_be_visible()
    assert page.url == chosen
    page.get_by_role("button", name="Close").click()
    expect(page).not_to_have_url(re.compile("[?&]id="))


def test_a_model_of_the_form_goes_along_at_once_and_is_taken_back_by_back(open_console):
    page = open_console("invalidations")
    page.get_by_role("button", name="Model", exact=True).click()
    page.get_by_role("combobox", name="Model").fill("encore-demo-large")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("model=encore-demo-large"))
    settled(page)
    link = page.locator(".st-key-menu").get_by_role("link", name="Entries", exact=True)
    expect(link).to_have_attribute("href", re.compile("model=encore-demo-large"))
    page.go_back()
    expect(page.get_by_role("combobox", name="Model")).to_have_count(0)
    expect(link).not_to_have_attribute("href", re.compile("model="))


def test_on_a_phone_the_menu_folds_after_a_click(open_console):
    page = open_console("dashboard?range=24h", width=390)
    page.get_by_test_id("stExpandSidebarButton").get_by_role("button").or_(
        page.locator("button[data-testid=stExpandSidebarButton]")
    ).first.click()
    visit(page, "Requests")
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible()
    expect(page.locator(".st-key-menu")).not_to_be_in_viewport()
    assert context_of(page) == {"range": "24h"}
