"""Playground: every outcome with its reason, the next steps, and what goes wrong."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest

from core.models import OutcomeKind
from pages.components import context
from tests.pages.conftest import everything_said


@pytest.fixture
def playground(open_page, services):
    return open_page("playground")


def send(at, prompt):
    return at.chat_input[0].set_value(prompt).run()


def last_outcome(at):
    return at.session_state["turns"][-1].answer.outcome


def test_a_prompt_sent_twice_is_a_miss_and_then_a_hit(playground, provider):
    at = send(playground, "What is a cat?")
    assert last_outcome(at).kind is OutcomeKind.MISS
    assert "Nothing was stored for this request." in everything_said(at)
    assert "stored for the next time" in everything_said(at)
    at = send(at, "What is a cat?")
    assert str(last_outcome(at)) == "hit (exact)"
    assert "The same request was answered before, to the letter." in everything_said(at)
    assert provider.calls == 1
    assert [text.value for text in at.text].count("streamed answer 1") == 2
    assert not at.exception


def test_case_and_spaces_do_not_matter_to_a_normalized_lookup(playground, provider):
    at = send(send(playground, "What is a cat?"), "what is a   CAT".replace("CAT", "cat"))
    assert str(last_outcome(at)) == "hit (normalized)"
    assert provider.calls == 1


def test_past_the_cache_every_prompt_is_answered_anew(playground, provider):
    playground.toggle(key="playground-bypass").set_value(True).run()
    at = send(send(playground, "What is a cat?"), "What is a cat?")
    assert str(last_outcome(at)) == "bypass (no-store)"
    assert provider.calls == 2
    assert not any(button.label == "Forget this entry" for button in at.button)


def test_the_suggestions_show_one_outcome_each(playground):
    at = playground
    outcomes = []
    for position in range(4):
        at.button(key=f"suggestion-{position}").click().run()
        outcomes.append(str(last_outcome(at)))
    assert outcomes == ["miss (absent), stored", "hit (exact)", "hit (normalized)", "bypass (no-store)"]


def test_a_forgotten_entry_is_a_miss_at_once(playground, services):
    at = send(playground, "What is a cat?")
    turn = at.session_state["turns"][-1]
    at.button(key=f"forget-{turn.id}").click().run()
    assert "hidden from every lookup" in at.success[0].value
    assert not any(button.label == "Forget this entry" for button in at.button)
    at = send(at, "What is a cat?")
    assert last_outcome(at).kind is OutcomeKind.MISS
    assert services.invalidation.history()[0].criteria.key == turn.answer.key


def test_an_answer_can_be_asked_again_with_and_without_the_cache(playground, provider):
    at = send(playground, "What is a cat?")
    turn = at.session_state["turns"][-1]
    at.button(key=f"repeat-{turn.id}").click().run()
    assert str(last_outcome(at)) == "hit (exact)"
    at.button(key=f"fresh-{turn.id}").click().run()
    assert str(last_outcome(at)) == "bypass (no-store)"
    assert provider.calls == 2


def test_a_link_fills_the_prompt_and_sends_nothing(open_page, services, provider):
    at = open_page("playground", prompt="What is a dog?")
    assert (at.chat_input[0].proto.set_value, at.chat_input[0].proto.value) == (True, "What is a dog?")
    at.run()
    assert not at.chat_input[0].proto.set_value
    assert not at.session_state["turns"]
    assert provider.calls == 0


def test_the_key_is_there_to_be_copied_and_age_and_ttl_are_told(playground):
    at = send(send(playground, "What is a cat?"), "What is a cat?")
    answer = at.session_state["turns"][-1].answer
    assert at.code[-1].value == answer.key
    said = everything_said(at)
    assert "since it was generated" in said
    assert "general knowledge" in said


def test_a_ttl_can_be_chosen(playground):
    playground.selectbox(key="playground-ttl").select("1 minute").run()
    at = send(playground, "What is a cat?")
    assert at.session_state["turns"][-1].answer.ttl_seconds == 60
    at.selectbox(key="playground-ttl").select("Do not store").run()
    at = send(at, "What is a dog?")
    assert "The answer was not stored. Its TTL is 0." in everything_said(at)


def test_a_high_temperature_goes_past_the_cache_and_says_so(playground):
    playground.number_input(key="playground-temperature").set_value(1.5).run()
    at = send(playground, "What is a cat?")
    assert "The temperature is above the limit for caching." in everything_said(at)


def test_another_system_prompt_is_another_answer(playground, provider):
    at = send(playground, "What is a cat?")
    at.text_area(key="playground-system").set_value("Answer in French.").run()
    at = send(at, "What is a cat?")
    assert last_outcome(at).kind is OutcomeKind.MISS
    assert provider.calls == 2


def test_a_provider_error_is_shown_and_the_prompt_kept(playground, provider):
    def refuse(call: int) -> None:
        request = httpx2.Request("POST", "http://provider.test/v1/chat/completions")
        raise openai.RateLimitError("slow down", response=httpx2.Response(429, request=request), body=None)

    provider.before = refuse
    at = send(playground, "What is a cat?")
    assert "RateLimitError: slow down" in at.error[0].value
    assert "What is a cat?" in [text.value for text in at.text]
    provider.before = lambda call: None
    at.button(key=f"again-{at.session_state['turns'][-1].id}").click().run()
    assert last_outcome(at).kind is OutcomeKind.MISS


def test_an_error_does_not_show_the_provider_key(open_page, services, provider, monkeypatch):
    import msgspec
    from pydantic import SecretStr

    def quote(call: int) -> None:
        raise openai.OpenAIError("Incorrect API key provided: sk-very-secret")

    provider.before = quote
    settings = services.settings.model_copy(update={"openai_api_key": SecretStr("sk-very-secret")})
    monkeypatch.setattr(context, "services", lambda: msgspec.structs.replace(services, settings=settings))
    at = send(open_page("playground"), "What is a cat?")
    assert "Incorrect API key provided: ***" in at.error[0].value


HOSTILE = "<img src=x onerror=alert(1)> [link](http://example.org) ![i](http://example.org/i.png) :red[x] $y$ \u202egpj"


def test_text_from_outside_is_shown_as_text_only(open_page, services, provider):
    provider.body = {"model": HOSTILE}
    at = send(open_page("playground"), HOSTILE)
    shown = [text.value for text in at.text]
    assert HOSTILE.replace("\u202e", "⟨U+202E⟩") in shown
    for element in (*at.markdown, *at.caption, *at.error):
        assert "http://example.org" not in str(element.value)
        assert "onerror" not in str(element.value)


def test_clearing_begins_anew(playground):
    at = send(playground, "What is a cat?")
    at.button(key="clear").click().run()
    assert not at.session_state["turns"]
    assert "See the cache decide" in everything_said(at)


def test_a_transcript_holds_prompts_answers_and_outcomes(playground):
    at = send(playground, "What is a cat?")
    assert not at.exception
    [turn] = at.session_state["turns"]
    assert turn.ask.prompt == "What is a cat?"
    assert json.dumps(str(turn.answer.outcome)) == '"miss (absent), stored"'


def details_of(at):
    """Opens the details of the latest answer."""
    at.session_state[f"why-{at.session_state['turns'][-1].id}"] = True
    return at.run()


def test_a_miss_is_compared_with_the_nearest_prompt_part_by_part(playground):
    at = send(playground, "What is a cat?")
    at = send(at, "How far away is the moon?")
    at.number_input(key="playground-temperature").set_value(0.5).run()
    at = details_of(send(at, "What is a cat"))
    differences = next(frame.value for frame in at.dataframe if "there" in frame.value)
    assert list(differences["name"]) == ["parameter temperature", "prompt, not its normal form"]
    assert (differences["here"][0], differences["there"][0]) == ("0.5", "0.2")


def test_a_miss_for_the_same_request_says_that_the_answer_is_gone(playground, services):
    at = send(playground, "What is a cat?")
    services.invalidation.invalidate_by_model("gpt-4o", actor="console")
    at = details_of(send(at, "What is a cat?"))
    assert "whose answer is not there any more" in everything_said(at)


def test_the_details_tell_parts_normal_form_ttl_and_time(playground):
    at = send(playground, "What is a cat?")
    at = details_of(at)
    assert not at.exception
    parts = next(frame.value for frame in at.dataframe if "digest" in frame.value)
    assert "parameter temperature" in list(parts["name"])
    assert "what is a cat" in [code.value for code in at.code]
    assert "TTL class `general_knowledge`" in everything_said(at)
    assert len(at.get("plotly_chart")) == 1
