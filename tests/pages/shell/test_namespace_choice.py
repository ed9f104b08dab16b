"""The control that chooses a namespace: names on the screen, ids in the URL and for the page."""

from __future__ import annotations

import pytest

from pages.components.shell.namespace_choice import ALL
from tests.pages.conftest import everything_said

KEY = "key-3f9a12cd7788990011e4b1c2"
UNKNOWN = "key-ffffffffffffffffffffffff"

PAGES = ["dashboard", "requests", "savings", "entries", "invalidations", "schedules", "quality"]


def in_url(at):
    value = at.query_params["namespace"]
    return value[0] if isinstance(value, list) else value


@pytest.fixture
def labelled(services, ask):
    ask("What is a card?", namespace=KEY)
    services.labels.give(KEY, "Support", actor="ada")
    return services


@pytest.mark.parametrize("page", PAGES)
def test_it_offers_names_and_the_url_has_the_id(open_page, labelled, page):
    at = open_page(page)
    assert "Support" in at.selectbox(key="namespace").options
    assert KEY not in at.selectbox(key="namespace").options
    first = at.selectbox(key="namespace").value
    other = "default" if first == KEY else KEY
    at.selectbox(key="namespace").set_value(other).run()
    assert not at.exception
    assert in_url(at) == other
    assert at.selectbox(key="namespace").value == other
    at.selectbox(key="namespace").set_value(first).run()
    assert "namespace" not in at.query_params


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("linked", [KEY, UNKNOWN])
def test_a_link_chooses_whatever_the_label_is(open_page, labelled, page, linked):
    at = open_page(page, namespace=linked)
    assert not at.exception
    assert at.selectbox(key="namespace").value == linked
    assert {KEY: "Support", UNKNOWN: "key-ffffffff…ffff"}[linked] in at.selectbox(key="namespace").options
    labelled.labels.give(KEY, "Another", actor="ada")
    assert at.run().selectbox(key="namespace").value == linked
    assert in_url(at) == linked


@pytest.mark.parametrize("page", PAGES)
def test_another_url_on_the_same_page_is_followed(open_page, labelled, page):
    at = open_page(page, namespace=UNKNOWN)
    del at.query_params["namespace"]
    at.run()
    assert at.selectbox(key="namespace").value != UNKNOWN
    at.query_params["namespace"] = UNKNOWN
    assert at.run().selectbox(key="namespace").value == UNKNOWN


ABOUT_ONE = ("entries", "invalidations", "schedules", "quality")
"""Pages that begin with one namespace, though all can be chosen; they say what is wrong with one that cannot be."""


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("linked", ["a b", "Support", "x" * 10_000, "<b>", "a~b~c"])
def test_what_is_no_id_breaks_no_page_and_stands_for_all_where_that_is_a_choice(open_page, labelled, page, linked):
    at = open_page(page, namespace=linked)
    assert not at.exception
    if linked == "Support":  # which could be the id of another
        return
    if "All namespaces" in at.selectbox(key="namespace").options and page not in ABOUT_ONE:
        assert at.selectbox(key="namespace").value == ALL
    if page == "entries":
        assert "letters" in everything_said(at)
