"""Who may get an answer: sentences of many languages, who is named and how, earlier turns, and what is not text."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models import FUNCTION_ENDPOINT, NO_CONTROLS, ChatRequest, Controls
from core.policy.audience import EARLIER_TURNS, Audience, last_user_text, share, user_of
from core.policy.ttl import LOOKED_AT, TTLPolicy, TTLRule

SENTENCES = tomllib.loads((Path(__file__).parent / "sentences.toml").read_text(encoding="utf-8"))
PERSONAL, TIMELY, GENERAL = SENTENCES["personal"], SENTENCES["timely"], SENTENCES["general"]
NOT_SURELY_GENERAL = SENTENCES["not_general"]
POLICY = TTLPolicy()
AUTO, SHARED, USER = Audience.AUTO, Audience.SHARED, Audience.USER
SURELY, POSSIBLY = GENERAL[0], "How do I activate a card?"


def chat(endpoint: str = "chat", *, messages: Any = None, text: str = SURELY, **arguments: Any) -> ChatRequest:
    messages = messages or [{"role": "user", "content": text}]
    return ChatRequest.from_openai(model="m", messages=messages, endpoint=endpoint, **arguments)


def decided(request: ChatRequest, audience: Audience = AUTO, controls: Controls = NO_CONTROLS) -> tuple[Any, str, str]:
    found = share(request, controls, POLICY, audience)
    return found.user, found.own, found.bypass


EVERYBODYS = (None, "", "")


def test_there_are_sentences_enough() -> None:
    assert len(set(PERSONAL)) + len(set(TIMELY)) + len(set(GENERAL)) >= 150


@pytest.mark.parametrize("text", PERSONAL)
def test_what_is_personal_is_the_named_users_and_bypasses_without_one(text: str) -> None:
    assert POLICY.explain(text).personal
    assert decided(chat(text=text)) == (None, "", "no-user")
    assert decided(chat(text=text, user="ann"))[0] == "ann"


@pytest.mark.parametrize("text", TIMELY)
def test_what_is_soon_old_is_kept_for_minutes(text: str) -> None:
    assert POLICY.explain(text).seconds <= 300


@pytest.mark.parametrize("text", SENTENCES["chance"])
def test_what_has_to_be_another_each_time_is_not_kept(text: str) -> None:
    assert POLICY.explain(text).seconds == 0


@pytest.mark.parametrize("text", SENTENCES["settled"])
def test_what_only_has_words_of_it_is_kept(text: str) -> None:
    assert POLICY.explain(text).seconds > 0


@pytest.mark.parametrize("text", SENTENCES["short"])
def test_what_no_rule_understands_is_kept_for_minutes(text: str) -> None:
    assert decided(chat(text=text))[2] or POLICY.explain(text).seconds <= 300


@pytest.mark.parametrize("text", SENTENCES["changing"])
def test_who_holds_an_office_is_kept_for_hours(text: str) -> None:
    assert POLICY.explain(text).seconds <= 21_600
    assert decided(chat(text=text, user="ann"))[0] == "ann"


@pytest.mark.parametrize("text", SENTENCES["anybodys"])
def test_how_something_is_done_is_asked_by_anybody(text: str) -> None:
    assert POLICY.explain(text).ttl_class == "general_knowledge"
    assert decided(chat(text=text)) == EVERYBODYS
    assert decided(chat(text=text, user="ann"))[0] == "ann"


@pytest.mark.parametrize("text", GENERAL)
def test_what_a_rule_calls_general_is_everybodys(text: str) -> None:
    assert POLICY.explain(text).not_general == ""
    assert decided(chat(text=text)) == decided(chat(text=text, user="ann")) == EVERYBODYS


@pytest.mark.parametrize(("text", "why"), NOT_SURELY_GENERAL.items())
def test_what_is_not_surely_general_is_the_named_users(text: str, why: str) -> None:
    assert POLICY.explain(text).not_general == why
    assert decided(chat(text=text, user="ann")) == ("ann", why, "")


@given(st.text(max_size=80))
def test_a_text_in_no_known_words_is_never_shared_by_a_named_user(text: str) -> None:
    decision = POLICY.explain(text)
    if not decision.matched:
        assert decided(chat(text=text, user="ann"))[0] == "ann"


@given(
    st.sampled_from(GENERAL), st.sampled_from(["my ", "I ", "meine ", "mój ", "私の", "我的", "mój", " benim ", "مني "])
)
def test_a_first_person_anywhere_makes_a_text_ones_own(text: str, word: str) -> None:
    assert decided(chat(text=f"{word} {text}", user="ann"))[0] == "ann"
    assert decided(chat(text=f"{text} {word}", user="ann"))[0] == "ann"


def test_a_text_longer_than_the_rules_look_at_is_not_surely_general() -> None:
    filler = "and other words " * (2 * LOOKED_AT // 16)
    assert decided(chat(text=f"{SURELY} {filler} what is my balance? {filler}", user="ann")) == ("ann", "long", "")
    assert decided(chat(text=f"{SURELY} {filler} {filler}")) == EVERYBODYS


@pytest.mark.parametrize("text", [SURELY, POSSIBLY, PERSONAL[0]])
def test_a_shared_namespace_knows_no_users(text: str) -> None:
    assert decided(chat(text=text, user="ann"), SHARED) == decided(chat(text=text), SHARED) == EVERYBODYS


def test_in_a_users_namespace_a_named_user_shares_nothing() -> None:
    assert decided(chat(user="ann"), USER) == ("ann", "setting", "")
    assert decided(chat(), USER) == EVERYBODYS
    assert decided(chat(text=PERSONAL[0]), USER) == (None, "", "no-user")
    assert decided(chat("embeddings", user="ann"), USER) == ("ann", "setting", "")


def test_a_vector_is_the_same_for_everyone_and_always() -> None:
    request = chat("embeddings", text=PERSONAL[0], user="ann")
    found = share(request, NO_CONTROLS, POLICY, AUTO)
    assert (found.user, found.bypass, found.ttl.ttl_class) == (None, "", "static_facts")


# Who is named


@pytest.mark.parametrize(
    ("request_", "controls", "user"),
    [
        (chat(), NO_CONTROLS, None),
        (chat(user="a"), NO_CONTROLS, "a"),
        (chat(user=""), NO_CONTROLS, None),
        (chat(safety_identifier="s"), NO_CONTROLS, "s"),
        (chat(safety_identifier="", user="a"), NO_CONTROLS, "a"),
        (chat(safety_identifier="a", user="a"), NO_CONTROLS, "a"),
        (chat(safety_identifier="team", user="a"), NO_CONTROLS, ["team", "a"]),  # the provider may answer by either
        (chat(safety_identifier="s", user="a"), Controls(user="c"), "c"),
        (chat(user=7), NO_CONTROLS, 7),
        (chat(user=0), NO_CONTROLS, 0),
        (chat(user={"id": 1}), NO_CONTROLS, {"id": 1}),
        (chat(extra_body={"user": "a"}), NO_CONTROLS, "a"),
        (chat("responses", user="a"), NO_CONTROLS, "a"),
        (chat(FUNCTION_ENDPOINT, user="a"), NO_CONTROLS, "a"),
        (chat(prompt_cache_key="a", metadata={"user": "a"}), NO_CONTROLS, None),  # neither names who asks
    ],
)
def test_who_asks_is_named_by_the_controls_or_by_the_request(
    request_: ChatRequest, controls: Controls, user: Any
) -> None:
    assert user_of(request_, controls) == user


# Earlier turns, and what is not text


def turns(*texts: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"role": "system", "content": "You are my assistant. The user is Ann."}]
    for text in texts:
        found += [{"role": "user", "content": text}, {"role": "assistant", "content": "I see. Your balance is 5."}]
    return found[:-1]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((SURELY,), EVERYBODYS),  # what others wrote is in the scope, and says nothing of who asks
        ((SURELY, SURELY), EVERYBODYS),
        ((PERSONAL[0], SURELY), ("ann", "kind", "")),
        ((POSSIBLY, SURELY), ("ann", "earlier", "")),
        ((SURELY, POSSIBLY), ("ann", "no-rule", "")),
        ((SURELY,) * (EARLIER_TURNS + 1), EVERYBODYS),
        ((SURELY,) * (EARLIER_TURNS + 2), ("ann", "earlier", "")),  # not all of it is looked at
    ],
)
def test_a_conversation_is_surely_general_when_all_of_its_turns_are(texts: tuple[str, ...], expected: Any) -> None:
    assert decided(chat(messages=turns(*texts), user="ann")) == expected


def test_what_goes_on_with_a_personal_question_is_personal() -> None:
    request = chat(messages=turns(PERSONAL[0], "Yes, go on"))
    assert decided(request) == (None, "", "no-user")
    assert share(request, NO_CONTROLS, POLICY, USER).ttl.seconds == 1800
    assert decided(chat(messages=turns(PERSONAL[0], *["Go on"] * (EARLIER_TURNS + 1)))) == EVERYBODYS  # long ago


def test_it_is_kept_no_longer_than_either_question_allows() -> None:
    assert (
        share(
            chat(messages=turns(PERSONAL[0], "And what about today?"), user="a"), NO_CONTROLS, POLICY, AUTO
        ).ttl.seconds
        == 300
    )
    assert share(chat(messages=turns(PERSONAL[0], SURELY), user="a"), NO_CONTROLS, POLICY, AUTO).ttl.seconds == 1800


@pytest.mark.parametrize(
    "part", [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, 3, {"text": 4}]
)
def test_what_is_not_text_is_not_surely_general(part: Any) -> None:
    content = [{"type": "text", "text": SURELY}, part]
    assert decided(chat(messages=[{"role": "user", "content": content}], user="ann")) == ("ann", "not-text", "")
    assert decided(chat(messages=[{"role": "user", "content": content[:1]}], user="ann")) == EVERYBODYS


def test_only_three_classes_are_general_even_by_an_operators_rule() -> None:
    rules = [
        TTLRule(name="opening", ttl_class="current_events", phrases=("opening hours",)),
        TTLRule(name="shipping", ttl_class="general_knowledge", phrases=("shipping costs",)),
    ]
    policy = TTLPolicy(rules=rules)
    assert policy.explain("What are the opening hours").not_general == "kind"
    assert policy.explain("What are the shipping costs").not_general == ""
    assert policy.explain("What are the shipping costs of my parcel").not_general == "first-person"


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": "hi"}], "hi"),
        ([{"role": "user", "content": "first"}, {"role": "assistant", "content": "x"}], "first"),
        ([{"role": "user", "content": "first"}, {"role": "user", "content": "last"}], "last"),
        ([{"role": "system", "content": "be brief"}], ""),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is this"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "text", "text": "today"},
                    ],
                }
            ],
            "what is this\ntoday",
        ),
        ([{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "hi"),
        ([{"role": "user", "content": None}], ""),
        ([{"role": "user"}], ""),
        ([{"role": "user", "content": [3, {"text": 4}]}], ""),
    ],
)
def test_the_text_that_ttl_rules_look_at_is_the_last_users(messages: list[Any], text: str) -> None:
    assert last_user_text(chat(messages=messages)) == text
