"""Requests: one by one, by link and filter, with a way to the entry and to the playground."""

from __future__ import annotations

import time

import pytest

from core.bootstrap import bootstrap
from core.errors import ProviderUnavailable
from core.metrics import Sender
from core.models import ChatRequest
from core.settings import Settings
from pages.components.data import context
from tests.metrics.outcomes import a_hit, a_miss
from tests.pages.conftest import everything_said, select_rows


@pytest.fixture
def traffic(ask):
    for prompt in ("What is a cat?", "What is a cat?", "what is a  cat", "What is a dog?"):
        ask(prompt)
    ask("What is a cat?", model="gpt-4o-mini")
    ask("What is a cat?", no_store=True)


def test_under_all_namespaces_each_request_says_whose_it_is(open_page, services, traffic):
    def shown(**parameters: str) -> tuple[str, ...]:
        return tuple(open_page("requests", **parameters).dataframe[0].proto.column_order)

    assert shown()[:3] == ("outcome", "prompt", "namespace_label")
    assert "namespace_label" not in shown(namespace="default")


def outcomes_of(at):
    return list(at.dataframe[0].value["outcome"])


def select(at, row):
    return select_rows(at, "requests", row)


def test_the_latest_requests_are_listed_and_filtered(open_page, services, traffic):
    at = open_page("requests")
    assert outcomes_of(at) == ["bypass", "miss", "miss", "hit, normalized", "hit, exact", "miss"]
    assert list(at.dataframe[0].value["why"])[2:5] == [
        "nothing stored",
        "only typed otherwise",
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
        ({"outcome": "miss", "model": "gpt-4o-mini"}, 1),
        ({"reason": "no-store"}, 1),
        ({"ttl_class": "general_knowledge"}, 5),
        ({"slower": "1e9"}, 0),
        ({"until": "1000"}, 0),
        ({"since": "1000", "range": "15m"}, 6),
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
    said = everything_said(open_page("requests"))
    assert "No requests yet" in said
    assert "longer range" not in said


def prompts_of(at):
    return list(at.dataframe[0].value["prompt"])


def test_new_requests_appear_when_they_are_asked_for(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("requests")
    assert prompts_of(at) == ["What is a cat?"]
    ask("What is a dog?")
    context.readings().renew()
    assert prompts_of(at.run()) == ["What is a cat?"]  # rows do not move under the pointer
    at.button(key="requests-refresh").click().run()
    assert prompts_of(at) == ["What is a dog?", "What is a cat?"]
    assert abs(at.dataframe[0].value["time"][0].timestamp() - time.time()) < 86_400


@pytest.mark.parametrize("live", ["true", "false"])
def test_a_click_opens_the_request_that_was_clicked_whatever_has_come_since(open_page, services, ask, live):
    ask("What is a cat?")
    ask("What is a dog?")
    at = open_page("requests", requests_live=live)
    assert prompts_of(at) == ["What is a dog?", "What is a cat?"]
    for number in range(3):
        ask(f"What is number {number}?")
        context.readings().renew()
    select(at, 1)
    assert "What is a cat?" in [code.value for code in at.code]
    ask("What is the latest?")
    context.readings().renew()
    at.button(key="to-entry").click().run()
    assert [title.value for title in at.title] == ["Entries"]
    assert "What is a cat?" in [text.value for text in at.text]


def test_a_selected_request_stays_selected_where_it_stands_after_new_ones_came(open_page, services, ask):
    ask("What is a cat?")
    at = select(open_page("requests", requests_live="true"), 0)
    ask("What is a dog?")
    context.readings().renew()
    at.run()
    assert prompts_of(at) == ["What is a cat?"]
    assert "Live pauses while a row is selected." in everything_said(at)
    at.button(key="requests-refresh").click().run()
    assert prompts_of(at) == ["What is a dog?", "What is a cat?"]
    assert next(code.value for code in at.code) == "What is a cat?"
    at.button(key="request-close").click().run()
    assert not at.code
    ask("What is a bird?")
    context.readings().renew()
    assert prompts_of(at.run())[0] == "What is a bird?"


def test_an_answer_stands_beside_its_request_unless_a_newer_one_took_its_place(open_page, services, provider, ask):
    ask("What is a cat?", no_cache=True)
    at = open_page("requests")
    [first] = at.dataframe[0].value["answer"]
    assert first
    ask("What is a cat?", no_cache=True)
    at.button(key="requests-refresh").click().run()
    newer, older = at.dataframe[0].value["answer"]
    assert isinstance(newer, str)
    assert not isinstance(older, str)
    select(at, 1)
    assert "The answer that it got is no longer stored." in everything_said(at)


HOSTILE = "</div><b>*x*</b> \u202egnp =1+1 " + "y" * 10_000


@pytest.mark.parametrize("found", ["CAT", "u-anna", "req-1", "key-abc", "key"])
def test_requests_are_found_by_text_user_id_caller_and_key_and_never_by_the_url(open_page, use, pages_server, found):
    with bootstrap(Settings(record_callers=True)) as services:
        use(services)
        hit = a_hit(key="0-" + "ab" * 32)
        services.metrics.record(
            hit, "What is a cat?", lambda names: Sender(caller="key-abc", user="U-Anna", request_id="req-1")
        )
        services.metrics.record(a_miss(), "What is a dog?", lambda names: Sender(caller="key-abd"))
        at = open_page("requests", range="30d")
        at.text_input(key="find-requests").input(hit.key if found == "key" else found).run()
        assert prompts_of(at) == ["What is a cat?"]
        assert not {"find", "find-requests"} & at.query_params.keys()
        at.switch_page("pages/entries.py").run()
        at.switch_page("pages/requests.py").run()
        assert at.text_input(key="find-requests").value
        at.text_input(key="find-requests").input(HOSTILE[:200]).run()
        assert not at.exception
        assert "No matching request" in everything_said(at)


def test_what_callers_send_is_shown_as_it_is(open_page, use, services, pages_server):
    with bootstrap(Settings(record_callers=True)) as keeping:
        use(keeping)
        sender = Sender(caller="key-abc", user=HOSTILE, request_id=HOSTILE)
        keeping.metrics.record(a_hit(key="0-" + "ab" * 32), HOSTILE, lambda names: sender)
        at = select(open_page("requests"), 0)
        assert not at.exception
        said = everything_said(at)
        assert "user `</div><b>*x*</b>" in said
        assert "\u202e" not in said


def test_a_miss_says_in_how_many_other_scopes_its_question_was_asked(open_page, services):
    for number in range(5):
        messages = [
            {"role": "system", "content": f"It is 10:0{number}."},
            {"role": "user", "content": "What is a card?"},
        ]
        services.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
    at = select_rows(open_page("requests"), "requests", 0)
    said = everything_said(at).replace("\\", "")
    assert "Its question was asked in 4 other scopes too: they differ in the system prompt." in said
    assert "`It is 10:03.`" in said
    assert "`It is 10:04.`" in said
