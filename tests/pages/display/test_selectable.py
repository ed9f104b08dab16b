"""Selection by identity: a click is of what stood in the row when it was clicked, in every table alike."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import select_rows

SECONDS = 60


def a_page():
    import pandas as pd
    import streamlit as st

    from pages.components.display.selectable import selectable, selected, unselect

    ids = st.session_state["ids"]
    st.text(f"before {selected('numbers')}")
    chosen = selectable(
        pd.DataFrame({"id": ids}), ids, name="numbers", alt="Numbers", several=st.session_state.get("several", False)
    )
    st.text(f"chosen {chosen}")
    st.button("Close", key="close", on_click=unselect, args=("numbers",))


def opened(ids, **state):
    at = AppTest.from_function(a_page, default_timeout=SECONDS)
    for name, value in {"ids": ids, **state}.items():
        at.session_state[name] = value
    return at.run()


def said(at):
    assert not at.exception
    return [text.value for text in at.text]


def test_a_click_is_of_the_rows_that_were_drawn():
    at = opened(["b", "a"])
    at.session_state["ids"] = ["d", "c", "b", "a"]
    assert said(select_rows(at, "numbers", 1)) == ["before ['a']", "chosen ['a']"]
    at.session_state["ids"] = ["e", "d", "c", "b", "a"]
    assert said(at.run()) == ["before ['a']", "chosen ['a']"]


def test_a_click_on_what_is_gone_is_told_once_of_what_it_was():
    at = opened(["b", "a"])
    at.session_state["ids"] = ["d", "c"]
    assert said(select_rows(at, "numbers", 1)) == ["before ['a']", "chosen ['a']"]
    assert said(at.run()) == ["before []", "chosen []"]


@pytest.mark.parametrize("ids", [["a", "b"], ["b", "c", "a"]])
def test_several_stay_selected_in_another_order(ids):
    at = select_rows(opened(["c", "b", "a"], several=True), "numbers", 1, 2)
    assert said(at)[1] == "chosen ['b', 'a']"
    at.session_state["ids"] = ids
    at.run()
    assert set(said(at.run())[1]) == set("chosen ['a', 'b']")


def test_a_closed_selection_does_not_come_back():
    at = select_rows(opened(["b", "a"]), "numbers", 0)
    at.button(key="close").click().run()
    assert said(at) == ["before []", "chosen []"]
    at.session_state["ids"] = ["c", "b", "a"]
    assert said(at.run()) == ["before []", "chosen []"]


def test_without_rows_nothing_is_selected():
    assert said(opened([])) == ["before []", "chosen []"]
