"""What users share, through the whole cache: no user gets what another one was told of oneself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import cached_llm_call
from core.cache.cache import LLMCache
from core.cache.call import Caution
from core.cache.config import CacheConfig
from core.models import Answer, ChatRequest, Completion, Controls, For
from core.policy import Audience
from tests.fakes import CountingProvider, Outcomes, a_body

GENERAL = "What is the capital of France?"
POSSIBLY = "How do I activate a card?"
PERSONAL = (
    "What is my balance?",
    "Jaki jest mój stan konta?",
    "Siparişim nerede?",
    "Vad är mitt saldo?",
    "Berapa saldo saya?",
    "我还有多少余额",
    "Wie viel Geld habe ich noch?",
    "Où est mon colis ?",
    "私の荷物はどこですか",
    "सरकार: मेरा बैलेंस क्या है?",
)
NOT_SURELY_GENERAL = (
    POSSIBLY,
    "Where is the parcel?",
    "残高はいくらですか",
    "zork blip?",
    "Hello",
    "Python: mein Code",
)


class KnowsTheUser:
    """A provider that answers by who asks."""

    name = "knowing"
    base_url = "http://provider.test/v1"

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        return Completion(body=a_body(f"for {request.unkeyed.get('user')}"))


def ask(cache: LLMCache, text: str, user: Any = None, controls: Controls | None = None, **arguments: Any) -> Answer:
    named = {} if user is None else {"user": user}
    messages = [{"role": "user", "content": text}]
    request = ChatRequest.from_openai(model="m", messages=messages, **named, **arguments)
    return cache.complete(request, controls or Controls())


def a_cache(**config: Any) -> LLMCache:
    return LLMCache(CacheConfig(**config), provider=CountingProvider(), metrics=Outcomes())


@pytest.mark.parametrize("text", [*PERSONAL, *NOT_SURELY_GENERAL])
def test_a_named_user_never_gets_anothers_answer(text: str) -> None:
    cache = LLMCache(provider=KnowsTheUser())
    for user in ("ann", "bob", "ann", "bob"):
        assert ask(cache, text, user).completion.text == f"for {user}"


@pytest.mark.parametrize("text", [*PERSONAL, *NOT_SURELY_GENERAL])
def test_a_named_user_gets_ones_own_answer_again(text: str) -> None:
    cache = a_cache()
    first = ask(cache, text, "ann")
    assert ask(cache, text, "ann").completion.text == first.completion.text


@pytest.mark.parametrize("text", PERSONAL)
def test_a_personal_question_of_nobody_bypasses(text: str) -> None:
    cache = a_cache()
    ask(cache, text, "ann")
    assert str(ask(cache, text).outcome) == "bypass (no-user)"


@pytest.mark.parametrize("text", NOT_SURELY_GENERAL)
def test_a_named_user_and_nobody_share_only_what_is_surely_general(text: str) -> None:
    cache = a_cache()
    ask(cache, text, "ann")
    assert ask(cache, text).outcome.detail is None
    assert ask(cache, GENERAL, "ann").completion.text == ask(cache, GENERAL).completion.text


def test_a_general_question_is_answered_for_all_by_one_answer() -> None:
    cache = a_cache()
    assert {ask(cache, GENERAL, user).completion.text for user in ("ann", None, "bob", 7, {"id": 1})} == {"answer 1"}


@pytest.mark.parametrize(
    ("named", "other"),
    [
        ({"user": "ann"}, {"user": "bob"}),
        ({"user": 1}, {"user": 2}),
        ({"user": {"id": 1}}, {"user": {"id": 2}}),
        ({"safety_identifier": "ann"}, {"safety_identifier": "bob"}),
        ({"safety_identifier": "team", "user": "ann"}, {"safety_identifier": "team", "user": "bob"}),
        ({"extra_body": {"user": "ann"}}, {"extra_body": {"user": "bob"}}),
        ({"controls": Controls(user="ann")}, {"controls": Controls(user="bob")}),
        ({"user": "x", "controls": Controls(user="ann")}, {"user": "x", "controls": Controls(user="bob")}),
    ],
)
def test_however_a_user_is_named_no_other_gets_the_answer(named: Any, other: Any) -> None:
    cache = a_cache()
    assert ask(cache, POSSIBLY, **named).outcome.stored
    assert ask(cache, POSSIBLY, **other).outcome.detail is None
    assert ask(cache, POSSIBLY, **named).outcome.detail is not None


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_every_family_but_vectors_has_users(endpoint: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": POSSIBLY}], "input": POSSIBLY}
    cache = a_cache()

    def key(endpoint: str, user: str) -> str:
        request = ChatRequest.from_wire(endpoint, {**body, "user": user})
        assert request is not None
        keyed = cache.identify(request).keyed
        assert keyed is not None
        return keyed.identity.key

    assert key(endpoint, "ann") != key(endpoint, "bob")
    assert key("embeddings", "ann") == key("embeddings", "bob")


def test_a_user_without_a_stable_form_bypasses() -> None:
    assert ask(a_cache(), POSSIBLY, object()).outcome.reason == "unencodable"


def test_a_functions_user_is_the_user() -> None:
    cache = LLMCache()
    calls: list[Any] = []

    def answer(prompt: str, model: str, user: Any = None) -> str:
        calls.append(user)
        return f"{prompt} for {user}"

    for user in ("ann", "bob", "ann"):
        assert cached_llm_call(cache, answer, PERSONAL[1], "m", user=user) == f"{PERSONAL[1]} for {user}"
    assert calls == ["ann", "bob"]
    for user in ("ann", "bob"):
        assert cached_llm_call(cache, answer, GENERAL, "m", user=user) == f"{GENERAL} for ann"


def test_the_audience_is_set_by_namespace() -> None:
    cache = a_cache(audience=Audience.USER, audiences={"faq": Audience.SHARED, "mixed": Audience.AUTO})
    texts = {
        (name, text): [ask(cache, text, user, Controls(namespace=name)).completion.text for user in ("ann", "bob")]
        for name in ("default", "faq", "mixed")
        for text in (GENERAL, PERSONAL[0])
    }
    shares = {key for key, (first, second) in texts.items() if first == second}
    assert shares == {("faq", GENERAL), ("faq", PERSONAL[0]), ("mixed", GENERAL)}


def test_an_audience_is_given_as_a_word_too_and_no_other_word_will_do() -> None:
    cache = LLMCache(CacheConfig(audience="user", audiences={"faq": "shared"}), provider=CountingProvider())  # type: ignore[arg-type]
    assert ask(cache, GENERAL, "ann").completion.text != ask(cache, GENERAL, "bob").completion.text
    faq = Controls(namespace="faq")
    assert ask(cache, POSSIBLY, "ann", faq).completion.text == ask(cache, POSSIBLY, "bob", faq).completion.text
    for wrong in ({"audience": "users"}, {"audiences": {"faq": "all"}}):
        with pytest.raises(ValueError, match="is not a valid Audience"):
            CacheConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("namespace", "is_shared"),
    [
        ("acme", False),
        ("acme~faq", False),
        ("acme.faq", True),
        ("acmefaq", True),
        ("faq~acme", True),
    ],
)
def test_a_callers_part_of_a_namespace_has_the_audience_of_the_whole(namespace: str, is_shared: bool) -> None:
    cache = a_cache(audience=Audience.SHARED, audiences={"acme": Audience.USER})
    controls = Controls(namespace=namespace)
    answers = {ask(cache, GENERAL, user, controls).completion.text for user in ("ann", "bob")}
    assert (len(answers) == 1) == is_shared


def test_a_shared_namespace_answers_personal_questions_of_nobody() -> None:
    cache = a_cache(audience=Audience.SHARED)
    assert ask(cache, PERSONAL[0]).completion.text == ask(cache, PERSONAL[0], "ann").completion.text == "answer 1"


def test_an_operators_one_ttl_changes_nothing_of_who_shares() -> None:
    cache = a_cache(ttl=3600)
    first = ask(cache, POSSIBLY, "ann", Controls(ttl=For(7200)))
    assert ask(cache, POSSIBLY, "bob").completion.text != first.completion.text


def test_a_miss_says_that_the_answer_may_be_the_users_own_and_what_that_cost() -> None:
    cache = a_cache()
    found = [ask(cache, POSSIBLY, user).outcome for user in ("ann", "bob", "bob", None)]
    assert [outcome.reason for outcome in found] == [Caution.OWN, Caution.OWN, "", "absent"]
    assert [outcome.forgone for outcome in found] == ["", Caution.OWN, "", ""]
    assert [ask(cache, GENERAL, user).outcome.forgone for user in ("ann", "bob")] == ["", ""]


def test_what_differs_in_more_than_the_user_has_cost_nothing() -> None:
    cache = a_cache()
    ask(cache, POSSIBLY, "ann")
    assert ask(cache, POSSIBLY, "bob", temperature=0.5).outcome.forgone == ""
    assert ask(cache, POSSIBLY.upper(), "bob").outcome.forgone == Caution.OWN  # it would have been found normalized


WORDS = st.sampled_from(
    ["my", "the", "parcel", "balance", "capital of France", "Python", "mitt", "saldo", "?", "我的", "zork"]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["ann", "bob", None]), st.lists(WORDS, min_size=1, max_size=4)), max_size=8))
def test_an_answer_given_to_a_named_user_is_anothers_only_if_surely_general(asked: Any) -> None:
    cache = a_cache()
    owners: dict[str, set[Any]] = {}
    for user, words in asked:
        answer = ask(cache, " ".join(words), user)
        prepared = cache.identify(
            ChatRequest.from_openai(
                model="m", messages=[{"role": "user", "content": " ".join(words)}], **({"user": user} if user else {})
            )
        )
        if answer.key and (prepared.keyed is None or prepared.keyed.ttl.not_general):
            owners.setdefault(answer.completion.text, set()).add(user)
    assert all(len(users) == 1 for users in owners.values())


def test_the_users_part_of_a_key_is_told() -> None:
    cache = a_cache()
    keyed = cache.identify(
        ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": POSSIBLY}], user="a")
    )
    assert keyed.keyed is not None
    assert msgspec.structs.asdict(keyed.keyed)["own"] == "no-rule"
