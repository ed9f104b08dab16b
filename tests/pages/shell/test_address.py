"""The URL is the only truth: what a control chooses and what is selected stand in it, and Back takes them back."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import select_rows

SECONDS = 60
FRUIT = ["apple", "pear", "plum"]


def a_control():
    import streamlit as st

    from pages.components.shell.address import follow

    fruit = ["apple", "pear", "plum"]
    write = follow("fruit", "apple", fruit)
    st.selectbox("Fruit", fruit, key="fruit", on_change=write)
    write = follow("colour", None)
    st.text_input("Colour", key="colour", on_change=write)


def a_table():
    import pandas as pd
    import streamlit as st

    from pages.components.display.selectable import selectable
    from pages.components.shell.address import close, follow_selection, select

    ids = ["a", "b", "c"]
    if st.session_state.get("elsewhere"):
        return
    follow_selection("letters")
    chosen = selectable(pd.DataFrame({"id": ids}), ids, name="letters", alt="Letters", several=True)
    select("letters", chosen)
    st.text(" ".join(chosen))
    st.button("Close", key="close", on_click=close, args=("letters",))


def opened(page, **parameters):
    at = AppTest.from_function(page, default_timeout=SECONDS)
    for name, value in parameters.items():
        at.query_params[name] = value
    return at.run()


def in_url(at, name):
    value = at.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def go(at, name, value):
    """As Back and Forward do: the page is run again with another URL."""
    if value is None:
        at.query_params.pop(name, None)
    else:
        at.query_params[name] = value
    return at.run()


@pytest.mark.parametrize(("asked", "value"), [("pear", "pear"), ("<b>", "apple"), ("p" * 10_000, "apple")])
def test_a_control_has_the_value_of_the_url_or_its_default(asked, value):
    at = opened(a_control, fruit=asked)
    assert not at.exception
    assert at.selectbox(key="fruit").value == value


def test_a_choice_is_written_and_taken_back_and_a_default_is_not_named():
    at = opened(a_control)
    at.selectbox(key="fruit").set_value("plum").run()
    assert in_url(at, "fruit") == "plum"
    assert go(at, "fruit", None).selectbox(key="fruit").value == "apple"
    assert go(at, "fruit", "plum").selectbox(key="fruit").value == "plum"
    at.selectbox(key="fruit").set_value("apple").run()
    assert in_url(at, "fruit") is None


def test_a_choice_that_the_browser_does_not_know_of_yet_is_not_lost_by_the_next():
    at = opened(a_control)
    at.selectbox(key="fruit").set_value("plum").run()
    del at.query_params["fruit"]  # the browser sends its own URL with a click
    at.text_input(key="colour").set_value("blue").run()
    assert (in_url(at, "fruit"), in_url(at, "colour")) == ("plum", "blue")


def test_a_selected_row_is_in_the_url_and_taken_back():
    at = select_rows(opened(a_table), "letters", 1)
    assert (at.text[0].value, in_url(at, "id")) == ("b", "b")
    go(at, "id", None)
    assert (at.text[0].value, in_url(at, "id")) == ("", None)
    go(at, "id", "b")
    assert in_url(at, "id") == "b", "what is selected by the URL is shown by the page"
    select_rows(at, "letters", 2)
    assert (at.text[0].value, in_url(at, "id")) == ("c", "c")
    select_rows(at, "letters")
    assert in_url(at, "id") is None, "a click that takes it back"


def test_several_rows_have_no_id_and_back_leads_to_the_one_before():
    at = select_rows(opened(a_table), "letters", 1)
    select_rows(at, "letters", 1, 2)
    assert (at.text[0].value, in_url(at, "id")) == ("b c", None)
    go(at, "id", "b")
    assert (at.text[0].value, in_url(at, "id")) == ("", "b")


def test_a_click_counts_also_when_the_browser_has_not_the_latest_url():
    at = select_rows(opened(a_table), "letters", 1)
    del at.query_params["id"]
    select_rows(at, "letters", 2)
    assert (at.text[0].value, in_url(at, "id")) == ("c", "c")


def test_who_comes_back_from_another_page_finds_what_the_url_says():
    at = select_rows(opened(a_table), "letters", 1)
    at.session_state["elsewhere"] = True
    at.run()
    at.session_state["elsewhere"] = False
    at.run()
    assert in_url(at, "id") == "b"


def test_closing_takes_row_and_id_away():
    at = select_rows(opened(a_table), "letters", 1)
    at.button(key="close").click().run()
    assert (at.text[0].value, in_url(at, "id")) == ("", None)
    at = opened(a_table, id="b")
    at.button(key="close").click().run()
    assert in_url(at, "id") is None
