"""The menu: its links carry the context and nothing else, and lead to every page. The browser tries it on each."""

from __future__ import annotations

from urllib.parse import parse_qsl

from core.access.roles import Actor, Role
from pages.components.data import context
from tests.e2e.conftest import PAGES

CONTEXT = {"range": "6h", "namespace": "shop", "model": "gpt-4o"}


def links(at):
    """What the links of the menu ask for, by their pages; the first page is the one of the root."""
    assert not at.exception
    found = at.sidebar.get("page_link")
    return {link.proto.page or "dashboard": dict(parse_qsl(link.proto.query_string)) for link in found}


def test_its_links_lead_to_every_page_with_the_context_and_nothing_that_is_the_pages_own(open_page, services):
    found = links(open_page("dashboard", **CONTEXT, id="0-ab", tab="Reasons", outcome="hit"))
    assert found == dict.fromkeys(PAGES, CONTEXT)


def test_they_carry_a_choice_at_once_and_nothing_without_one(open_page, services):
    at = open_page("dashboard")
    assert links(at) == {page: {} for page in PAGES}
    at.segmented_control(key="range").set_value("24h").run()
    assert links(at) == {page: {"range": "24h"} for page in PAGES}


def test_who_may_not_look_has_no_menu(open_page, services, monkeypatch):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="mallory@example.org", role=Role.NONE))
    assert links(open_page("dashboard")) == {}
