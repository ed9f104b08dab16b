"""Playground: every outcome with its reason, the next steps, and what goes wrong."""

from __future__ import annotations

from contextlib import suppress

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.roles import Actor, Role
from core.bootstrap import bootstrap
from core.errors import InvalidInput
from core.invalidation.history import InvalidationState
from core.models import OutcomeKind
from core.settings import Settings
from pages.components.data import context
from pages.components.playground.transcript import FORMAT, MOST_BYTES, dump, load
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
    assert "Exactly this request was answered before." in everything_said(at)
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
    assert not any(button.label == "This answer is wrong" for button in at.button)


def test_the_suggestions_show_one_outcome_each(playground):
    at = playground
    outcomes = []
    for position in range(4):
        at.button(key=f"suggestion-{position}").click().run()
        outcomes.append(str(last_outcome(at)))
    assert outcomes == ["miss (absent), stored", "hit (exact)", "hit (normalized)", "bypass (no-store)"]


def test_a_wrong_answer_is_hidden_at_once_and_can_be_brought_back(playground, services):
    at = send(playground, "What is a cat?")
    turn = at.session_state["turns"][-1]
    at.button(key=f"wrong-{turn.id}").click().run()
    assert "hidden from every lookup" in at.success[0].value
    assert not any(button.label == "This answer is wrong" for button in at.button)
    [done] = services.invalidation.history()
    assert (done.criteria.key, done.actor, done.can_undo) == (turn.answer.key, "console", True)
    at = send(at, "What is a cat?")
    assert str(last_outcome(at)) == "miss (invalidated), stored"
    at.button(key=f"undo-{turn.id}").click().run()
    assert services.invalidation.history()[0].state is InvalidationState.UNDONE
    assert str(last_outcome(send(at, "What is a cat?"))) == "hit (exact)"


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
    from pydantic import SecretStr

    def quote(call: int) -> None:
        raise openai.OpenAIError("Incorrect API key provided: sk-very-secret")

    provider.before = quote
    settings = services.settings.model_copy(update={"openai_api_key": SecretStr("sk-very-secret")})
    monkeypatch.setattr(context, "services", lambda: msgspec.structs.replace(services, settings=settings))
    at = send(open_page("playground"), "What is a cat?")
    assert "Incorrect API key provided: ***" in at.error[0].value


JSON = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
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
    assert "its answer is no longer stored" in everything_said(at)


def test_the_details_tell_parts_normal_form_ttl_and_time(playground):
    at = send(playground, "What is a cat?")
    at = details_of(at)
    assert not at.exception
    parts = next(frame.value for frame in at.dataframe if "digest" in frame.value)
    assert "parameter temperature" in list(parts["name"])
    assert "what is a cat" in [code.value for code in at.code]
    assert "TTL class `general_knowledge`" in everything_said(at)
    assert len(at.get("plotly_chart")) == 1


def test_the_nearest_entry_of_another_model_and_tenant_is_named(playground, services, ask):
    at = playground
    ask("How do I block my card?", model="gpt-4o-mini", namespace="acme")
    at = details_of(send(at, "How do I block my card?"))
    assert not at.exception
    differences = next(frame.value for frame in at.dataframe if "there" in frame.value)
    told = dict(zip(differences["name"], differences["there"], strict=True))
    assert (told["namespace"], told["model"]) == ("acme", "gpt-4o-mini")
    assert told["parameter temperature"] == "none"
    assert any(expander.label == "Why was this not a hit?" for expander in at.expander)


def test_when_nothing_is_like_it_that_is_said_with_how_much_was_looked_at(playground, ask):
    ask("What is the weather in Oslo?")
    at = details_of(send(playground, "How do I block my card?"))
    assert "No stored question is similar. Compared with the newest 1 entry." in everything_said(at)


# Stored and fresh


def test_a_stored_answer_is_compared_with_a_fresh_one_and_replaced_by_it(playground, services, provider):
    at = send(send(playground, "What is a cat?"), "What is a cat?")
    turn = at.session_state["turns"][-1]
    at.button(key=f"compare-{turn.id}").click().run()
    assert not at.exception
    assert provider.calls == 2
    assert len(at.session_state["turns"]) == 2
    assert "They differ: they share 67 % of their words" in at.warning[-1].value
    places = next(frame.value for frame in at.dataframe if "fresh" in frame.value)
    assert places.to_numpy().tolist() == [["1", "2"]]
    at.button(key=f"keep-{turn.id}").click().run()
    assert "gets the fresh answer" in at.success[0].value
    at = send(at, "What is a cat?")
    assert (str(last_outcome(at)), at.session_state["turns"][-1].text) == ("hit (exact)", "streamed answer 2")
    assert [record.action for record in services.audit.records(action="entry.")] == ["entry.kept"]


def test_an_equal_answer_is_told_to_be_equal(playground, provider):
    provider.answer = lambda call: "Always the same."
    at = send(playground, "What is a cat?")
    at.button(key=f"compare-{at.session_state['turns'][-1].id}").click().run()
    assert "Identical" in at.success[0].value
    assert not any(button.label == "Store the fresh answer instead" for button in at.button)


def test_a_comparison_that_fails_says_why_and_keeps_the_stored_answer(playground, provider):
    at = send(playground, "What is a cat?")

    def refuse(call: int) -> None:
        raise openai.OpenAIError("no connection")

    provider.before = refuse
    at.button(key=f"compare-{at.session_state['turns'][-1].id}").click().run()
    assert "No fresh answer" in at.error[0].value
    assert "streamed answer 1" in [text.value for text in at.text]


# Conversations and parameters


def test_a_conversation_is_sent_along_when_asked_for_and_makes_another_request(playground, provider):
    at = send(playground, "What is a cat?")
    at.toggle(key="playground-history").set_value(True).run()
    at = send(at, "What is a cat?")
    assert last_outcome(at).kind is OutcomeKind.MISS
    assert [message["role"] for message in provider.requests[-1].messages] == ["user", "assistant", "user"]
    at = details_of(at)
    differences = next(frame.value for frame in at.dataframe if "there" in frame.value)
    assert list(differences["name"]) == ["earlier messages"]


def test_further_parameters_are_part_of_the_request(playground, provider):
    playground.text_area(key="playground-parameters").set_value('{"seed": 7}').run()
    at = send(playground, "What is a cat?")
    assert provider.requests[-1].parameters["seed"] == 7
    at.text_area(key="playground-parameters").set_value("{").run()
    at = send(at, "What is a cat?")
    assert "give a JSON object" in at.error[0].value
    assert "What is a cat?" in [text.value for text in at.text]


def test_a_link_chooses_model_and_namespace_and_nothing_that_is_not_there(open_page, services, ask):
    ask("What is a cat?", namespace="acme")
    at = open_page("playground", model="gpt-4o-mini", namespace="acme")
    assert (at.selectbox(key="playground-model").value, at.selectbox(key="playground-namespace").value) == (
        "gpt-4o-mini",
        "acme",
    )
    at = open_page("playground", namespace="nobody")
    assert at.selectbox(key="playground-namespace").value == services.settings.namespace


# Near questions

ASKED = "How can I reset the password of my online banking?"
STORED = "How do I reset my online banking password?"


@pytest.fixture
def near(pages_server, provider, monkeypatch, use, tmp_path, open_page):
    """The playground on a cache that serves near questions, after a hit by one."""
    with pages_server.client() as client:
        client.flushall()
    settings = Settings(
        redis_url=pages_server.url,
        home=tmp_path,
        strategy="semantic",
        semantic="serve",
        semantic_threshold=0.8,
        redis_timeout_seconds=5,
    )
    with bootstrap(settings, provider=provider) as built:
        use(built)
        built.semantic.warm([settings.namespace])
        at = send(open_page("playground"), STORED)
        at = send(at, ASKED)
        assert str(last_outcome(at)) == "hit (semantic)"
        yield at, built


def test_a_near_hit_that_is_wrong_is_hidden_and_its_pair_labelled(near):
    at, services = near
    turn = at.session_state["turns"][-1]
    at.button(key=f"wrong-{turn.id}").click().run()
    assert "labelled as different" in at.success[0].value
    [pair] = services.evidence.pairs(services.settings.namespace, is_labelled=True)
    assert (pair.question, pair.stored, pair.operator_label, pair.operator) == (ASKED, STORED, False, "console")
    assert last_outcome(send(at, STORED)).kind is OutcomeKind.MISS
    at.button(key=f"undo-{turn.id}").click().run()
    assert last_outcome(send(at, ASKED)).kind is OutcomeKind.MISS  # the pair stays apart


def test_a_near_hit_may_be_wrong_for_its_question_only(near):
    at, services = near
    at.button(key=f"apart-{at.session_state['turns'][-1].id}").click().run()
    assert str(last_outcome(send(at, STORED))) == "hit (exact)"
    assert last_outcome(send(at, ASKED)).kind is OutcomeKind.MISS
    [pair] = services.evidence.pairs(services.settings.namespace, is_labelled=True)
    assert pair.operator_label is False


def test_the_neighbours_of_a_near_hit_are_told_with_the_threshold(near):
    at, _ = near
    at = details_of(at)
    found = next(frame.value for frame in at.dataframe if "similarity" in frame.value)
    assert (found["prompt"][0], found["verdict"][0]) == (STORED, "near enough to be served")
    assert "served from 0.800 on" in everything_said(at)


# Transcripts


def test_a_transcript_comes_back_as_it_was_and_nothing_of_it_is_sent(open_page, services, provider, playground):
    at = send(send(playground, "What is a cat?"), "What is a cat?")
    text = dump(at.session_state["turns"])
    calls = provider.calls
    at = imported(open_page, text)
    assert not at.exception
    assert provider.calls == calls
    assert [str(turn.answer.outcome) for turn in at.session_state["turns"]] == [
        "miss (absent), stored",
        "hit (exact)",
    ]
    assert [text.value for text in at.text].count("streamed answer 1") == 2
    assert not any(button.label == "This answer is wrong" for button in at.button)
    at.button(key=f"repeat-{at.session_state['turns'][0].id}").click().run()
    assert str(last_outcome(at)) == "hit (exact)"


def imported(open_page, text):
    at = open_page("playground")
    at.file_uploader(key="transcript-0").upload("transcript.json", text, "application/json").run()
    return at.button(key="import-go").click().run()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"no json", "is not a transcript"),
        (b"[]", "is not a transcript"),
        (b'{"format": "encore-transcript-1", "turns": [{"prompt": ""}]}', "prompt"),
        (b'{"format": "encore-transcript-1", "turns": [{"prompt": "x", "namespace": "no {namespace}"}]}', "namespace"),
        (b'{"format": "encore-transcript-1", "turns": [{"prompt": "x", "asked_at": 1e300}]}', "asked_at"),
        (b" " * (MOST_BYTES + 1), "5 MB"),
    ],
)
def test_a_file_that_is_no_transcript_is_refused_in_words(open_page, services, text, told):
    at = imported(open_page, text)
    assert not at.exception
    assert told in at.error[0].value
    assert at.session_state["turns"] == []


def hostile(turn, **outcome):
    """A turn as somebody may have put it into a file."""
    turn.text = turn.problem = HOSTILE
    turn.ask = msgspec.structs.replace(
        turn.ask, model=HOSTILE.replace("\u202e", ""), system=HOSTILE, history=(("user", HOSTILE),)
    )
    turn.answer = msgspec.structs.replace(
        turn.answer, outcome=msgspec.structs.replace(turn.answer.outcome, model=HOSTILE, **outcome)
    )
    return turn


def test_an_imported_transcript_is_shown_as_text_only(open_page, services, playground):
    turn = hostile(send(playground, HOSTILE).session_state["turns"][0], reason="guard-[x](y)", not_stored="")
    with pytest.raises(InvalidInput, match="impossible outcome"):
        load(dump([turn]))
    turn = hostile(turn, reason="guard-number")
    nameless = msgspec.structs.replace(turn.ask, model=HOSTILE)
    with pytest.raises(InvalidInput, match="impossible model name"):
        load(dump([msgspec.structs.replace(turn, ask=nameless)]))
    at = details_of(imported(open_page, dump([turn])))
    assert not at.exception
    assert [text.value for text in at.text].count(HOSTILE.replace("\u202e", "⟨U+202E⟩")) >= 2
    for element in (*at.markdown, *at.caption, *at.error, *at.success, *at.warning, *at.info):
        shown = str(element.value)
        assert "http://example.org" not in shown or "`" in shown
        assert "onerror" not in shown or "`" in shown


@given(st.binary(max_size=300) | st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_a_file_holds_it_is_read_or_refused(content):
    text = content if isinstance(content, bytes) else msgspec.json.encode({"format": FORMAT, "turns": content})
    with suppress(InvalidInput):
        assert isinstance(load(text), list)


# Read only, and without Redis


def test_a_viewer_may_look_at_a_transcript_and_send_nothing(open_page, services, playground, provider, request):
    text = dump(send(playground, "What is a cat?").session_state["turns"])
    calls = provider.calls
    request.getfixturevalue("viewer")
    at = imported(open_page, text)
    assert at.chat_input[0].disabled
    assert "Read only" in everything_said(at)
    asking = [button for button in at.button if button.label.startswith(("Ask", "1.", "2.", "Compare", "Send"))]
    assert asking
    assert all(button.disabled for button in asking)
    assert provider.calls == calls


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operators_and_admins_send_and_judge(open_page, services, monkeypatch, role):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="olga@example.org", role=role))
    at = send(open_page("playground"), "What is a cat?")
    turn = at.session_state["turns"][-1]
    at.button(key=f"wrong-{turn.id}").click().run()
    assert services.invalidation.history()[0].actor == "olga@example.org"


def test_without_redis_answers_come_from_the_provider_and_the_page_says_so(open_page, provider, use, redis_server):
    server = redis_server()
    with bootstrap(Settings(redis_url=server.url), provider=provider) as built:
        use(built)
        at = send(open_page("playground"), "What is a cat?")
        server.kill()
        at = send(at, "What is a cat?")
        assert not at.exception
        assert provider.calls == 2
        assert "Redis did not answer, so the provider was asked" in everything_said(at)
        at = details_of(at)
        assert not at.exception
        turn = at.session_state["turns"][0]
        at.button(key=f"wrong-{turn.id}").click().run()
        assert "Not done" in at.error[-1].value or "Not known" in at.warning[-1].value
        assert not turn.hidden_by


def test_with_an_unusable_setting_only_the_problem_is_shown(open_page, monkeypatch):
    monkeypatch.setenv("ENCORE_SEMANTIC", "sometimes")
    at = open_page("playground")
    assert not at.exception
    assert "cannot start" in at.error[0].value
    assert not at.chat_input
