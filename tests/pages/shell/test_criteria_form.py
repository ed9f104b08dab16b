"""The form of an invalidation and the URL: what may stand there does, and Back takes it back."""

from __future__ import annotations

import pytest

from tests.pages.shell.test_address import go, in_url


def chosen(at):
    return set(at.pills(key="criteria-selectors").value)


def test_a_choice_is_in_the_url_and_taken_back_by_back(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["model", "pattern"]).run()
    at.text_input(key="criteria-pattern").input("*cat*").run()
    at.selectbox(key="criteria-model").select("gpt-4o").run()
    assert in_url(at, "model") == "gpt-4o"
    go(at, "model", None)
    assert chosen(at) == {"pattern"}
    assert at.text_input(key="criteria-pattern").value == "*cat*", "what is no part of the URL stays"
    go(at, "model", "gpt-4o")
    assert at.selectbox(key="criteria-model").value == "gpt-4o"
    at.pills(key="criteria-selectors").set_value(["pattern"]).run()
    assert in_url(at, "model") is None


def test_texts_and_users_are_never_in_the_url(open_page, services):
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["pattern", "keywords", "user"]).run()
    at.text_input(key="criteria-pattern").input("*secret*").run()
    at.multiselect(key="criteria-keywords").set_value(["secret"]).run()
    at.text_input(key="criteria-user").input("secret@example.org").run()
    assert not at.exception
    assert "secret" not in str(dict(at.query_params))


@pytest.mark.parametrize(
    ("days", "age", "unit"),
    [("7", 7, "days"), ("0.5", 12, "hours"), ("0.0416666667", 1, "hours"), ("0.0208333333", 30, "minutes")],
)
def test_an_age_has_the_unit_in_which_it_is_a_whole_number(open_page, services, days, age, unit):
    at = open_page("invalidations", older_than_days=days)
    assert (at.number_input(key="criteria-age").value, at.selectbox(key="criteria-unit").value) == (age, unit)


def test_an_age_tags_and_a_key_are_in_the_url(open_page, services):
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["age", "tags", "key"]).run()
    at.number_input(key="criteria-age").set_value(12).run()
    at.selectbox(key="criteria-unit").select("hours").run()
    at.multiselect(key="criteria-tags").set_value(["doc:1", "doc:2"]).run()
    at.text_input(key="criteria-key").input("0-ab").run()
    found = [in_url(at, name) for name in ("older_than_days", "tags", "key")]
    assert found == ["0.5", "doc:1,doc:2", "0-ab"]


@pytest.mark.parametrize("days", ["much", "-1", "nan", "0", "1e9"])
def test_what_is_no_age_is_left_out(open_page, services, days):
    at = open_page("invalidations", older_than_days=days)
    assert not at.exception
    assert chosen(at) == set()


def test_it_is_filled_again_after_a_visit_to_another_page(open_page, services):
    at = open_page("invalidations", model="gpt-4o")
    at.switch_page("pages/health.py").run()
    at.query_params["model"] = "gpt-4o"
    at.switch_page("pages/invalidations.py")
    at.query_params["model"] = "gpt-4o"
    at.run()
    assert at.selectbox(key="criteria-model").value == "gpt-4o"
