"""Requests: one by one, by link and filter, with a way to the entry and to the playground."""

from __future__ import annotations

import time

import pytest

from core.errors import ProviderUnavailable
from pages.components.data import context
from tests.pages.conftest import everything_said


@pytest.fixture
def traffic(ask):
    for prompt in ("What is a cat?", "What is a cat?", "what is a  cat", "What is a dog?"):
        ask(prompt)
    ask("What is a cat?", model="gpt-4o-mini")
    ask("What is a cat?", no_store=True)


def outcomes_of(at):
    return list(at.dataframe[0].value["outcome"])


def select(at, row):
    at.session_state["requests"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return at.run()


def test_the_latest_requests_are_listed_and_filtered(open_page, services, traffic):
    at = open_page("requests")
    assert outcomes_of(at) == ["bypass", "miss", "miss", "hit, normalized", "hit, exact", "miss"]
    assert list(at.dataframe[0].value["why"])[2:5] == [
        "nothing stored",
        "only case or spaces differ",
        "the same request",
    ]
    at.pills(key="outcome").select("hit, normalized").run()
    assert list(at.dataframe[0].value["prompt"]) == ["what is a  cat"]
    at.pills(key="outcome").select("error").run()
    assert "No matching request" in everything_said(at)


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"outcome": "hit"}, 2),
        ({"outcome": "miss", "of_model": "gpt-4o-mini"}, 1),
        ({"reason": "no-store"}, 1),
        ({"ttl_class": "general_knowledge"}, 5),
        ({"slower": "1e9"}, 0),
        ({"until": "1000"}, 0),
        ({"since": "1000", "within": "15m"}, 6),
        ({"slower": "much", "since": "-3", "until": "nan", "outcome": "?"}, 6),
    ],
)
def test_a_link_says_which(open_page, services, traffic, parameters, count):
    at = open_page("requests", **parameters)
    assert not at.exception
    assert len(at.dataframe[0].value if at.dataframe else []) == count


def test_a_filter_of_a_link_is_told_and_can_be_removed(open_page, services, traffic):
    at = open_page("requests", reason="no-store")
    assert at.button(key="no-reason").label == "Why: `asked not to use the cache`"
    at.button(key="no-reason").click().run()
    assert len(outcomes_of(at)) == 6
    assert "reason" not in at.query_params


def test_a_request_leads_to_its_entry(open_page, services, traffic):
    at = select(open_page("requests"), 4)
    said = everything_said(at)
    assert "Exactly this request was answered before." in said
    assert "What is a cat?" in [code.value for code in at.code]
    key = at.dataframe[0].value["key"][4]
    at.button(key="to-entry").click().run()
    assert [title.value for title in at.title] == ["Entries"]
    assert key in everything_said(at)


def test_a_request_can_be_asked_again_and_is_not_in_the_url(open_page, services, traffic):
    at = select(open_page("requests"), 2)
    at.button(key="to-playground").click().run()
    assert not at.exception
    assert [title.value for title in at.title] == ["Playground"]
    assert at.chat_input[0].value == "What is a dog?" or at.session_state["prompt"] == "What is a dog?"
    assert not at.query_params


def test_a_failed_request_says_what_failed(open_page, services, provider, ask):
    def fail(call: int) -> None:
        raise ProviderUnavailable("the provider does not answer")

    provider.before = fail
    with pytest.raises(ProviderUnavailable):
        ask("What is a cat?")
    at = select(open_page("requests", outcome="error"), 0)
    assert "No answer came." in everything_said(at)
    assert "ProviderUnavailable" in everything_said(at)


def test_a_miss_that_may_be_material_says_so_and_what_that_cost(open_page, services, provider, ask):
    for text in ("My card was eaten.", "my card was eaten"):
        ask(text)
    at = open_page("requests")
    assert set(at.dataframe[0].value["reason"]) == {"may be material"}
    said = everything_said(select(at, 0))
    assert "its text may be material to work on" in said
    assert "could have been a hit but for this caution: may be material" in said
    at = open_page("requests", reason="may be material")
    assert len(at.dataframe[0].value) == 2


def test_older_requests_follow(open_page, services, ask):
    for number in range(505):
        ask("What is a cat?")
        if number % 100 == 0:  # the log takes in so many at once
            services.metrics.flush()
    at = open_page("requests")
    assert len(outcomes_of(at)) == 500
    at.button(key="older").click().run()
    assert 1 <= len(outcomes_of(at)) <= 5
    assert not [button for button in at.button if button.key == "older"]


def test_without_requests_it_says_so(open_page, services):
    assert "No matching request" in everything_said(open_page("requests"))


def test_new_requests_appear_at_the_next_look(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("requests")
    assert len(outcomes_of(at)) == 1
    ask("What is a dog?")
    context.readings().renew()
    assert len(outcomes_of(at.run())) == 2
    assert abs(at.dataframe[0].value["time"][0].timestamp() - time.time()) < 86_400
