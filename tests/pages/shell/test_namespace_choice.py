"""The control that chooses a namespace: names on the screen, ids in the URL and for the page."""

from __future__ import annotations

import pytest

KEY = "key-3f9a12cd7788990011e4b1c2"
UNKNOWN = "key-ffffffffffffffffffffffff"

PAGES = [
    ("dashboard", "for_namespace"),
    ("requests", "of_namespace"),
    ("entries", "entries_namespace"),
    ("quality", "quality_namespace"),
]


def in_url(at, key):
    value = at.query_params[key]
    return value[0] if isinstance(value, list) else value


@pytest.fixture
def labelled(services, ask):
    ask("What is a card?", namespace=KEY)
    services.labels.give(KEY, "Support", actor="ada")
    return services


@pytest.mark.parametrize(("page", "key"), PAGES)
def test_it_offers_names_and_the_url_has_the_id(open_page, labelled, page, key):
    at = open_page(page)
    assert "Support" in at.selectbox(key=key).options
    assert KEY not in at.selectbox(key=key).options
    at.selectbox(key=key).set_value(KEY).run()
    assert not at.exception
    assert in_url(at, key) == KEY
    assert at.selectbox(key=key).value == KEY
    first = at.selectbox(key=key).options[0]
    at.selectbox(key=key).select(first).run()
    assert key not in at.query_params


@pytest.mark.parametrize(("page", "key"), PAGES)
@pytest.mark.parametrize("linked", [KEY, UNKNOWN])
def test_a_link_chooses_whatever_the_label_is(open_page, labelled, page, key, linked):
    at = open_page(page, **{key: linked})
    assert not at.exception
    assert at.selectbox(key=key).value == linked
    assert {KEY: "Support", UNKNOWN: "key-ffffffff…ffff"}[linked] in at.selectbox(key=key).options
    labelled.labels.give(KEY, "Another", actor="ada")
    assert at.run().selectbox(key=key).value == linked
    assert in_url(at, key) == linked


@pytest.mark.parametrize(("page", "key"), PAGES)
def test_another_url_on_the_same_page_is_followed(open_page, labelled, page, key):
    at = open_page(page, **{key: KEY})
    del at.query_params[key]
    at.run()
    assert at.selectbox(key=key).value != KEY
    at.query_params[key] = KEY
    assert at.run().selectbox(key=key).value == KEY


@pytest.mark.parametrize(("page", "key"), PAGES)
@pytest.mark.parametrize("linked", ["a b", "Support", "x" * 10_000, "<b>", "a~b~c"])
def test_what_is_no_id_chooses_the_first(open_page, labelled, page, key, linked):
    at = open_page(page, **{key: linked})
    assert not at.exception
    if linked != "Support" and page != "entries":  # it could be the id of another; Entries says what is wrong with it
        assert at.selectbox(key=key).value in ("all", "default")
