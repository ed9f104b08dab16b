"""Verdicts: what an operator calls wrong is out of service at once, and the pair is labelled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.access.roles import Actor, Role
from core.bootstrap import Services, bootstrap
from core.entries.seeding import import_seeds, read_seeds
from core.errors import AccessDenied, InvalidInput, NotFound, OutcomeUnknown
from core.models import Answer, ChatRequest, Controls
from core.semantic.quality.records import pair_id
from core.settings import Settings
from tests.fakes import CountingProvider

QUESTION, VARIANT = "How do I change my PIN?", "I want another PIN"
LINE = f'{{"question": "{QUESTION}", "answer": "At any cash machine.", "variants": ["{VARIANT}"]}}'


def a_request(prompt: str) -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])


class Shop:
    """A cache with a known answer that another wording leads to."""

    def __init__(self, services: Services, namespace: str) -> None:
        self.services, self.namespace = services, namespace
        self.verdicts = services.verdicts
        self.olga = services.audit.by("olga", source="console")
        list(import_seeds(services.cache, read_seeds([LINE]), namespace=namespace, model="gpt-4o", trail=self.olga))
        self.key = self.ask(QUESTION).key

    def ask(self, prompt: str) -> Answer:
        return self.services.cache.complete(a_request(prompt), Controls(namespace=self.namespace))

    def outcome(self, prompt: str) -> str:
        found = self.services.cache.get(a_request(prompt), Controls(namespace=self.namespace))
        return str(found.outcome) if found else "miss"

    def is_apart(self, question: str, stored: str) -> bool:
        refused = self.services.evidence._rejected.current(self.namespace)
        return pair_id(self.namespace, question, stored) in refused


@pytest.fixture(params=["memory", "redis"])
def shop(request, namespace, tmp_path) -> Iterator[Shop]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    settings = Settings(redis_url=url, namespace=namespace, home=tmp_path, redis_timeout_seconds=5)
    with bootstrap(settings, provider=CountingProvider()) as services:
        yield Shop(services, namespace)


def test_a_wrong_answer_is_hidden_from_every_wording_and_can_be_brought_back(shop):
    verdict = shop.verdicts.wrong(shop.namespace, shop.key, actor=shop.olga)
    assert (shop.outcome(QUESTION), shop.outcome(VARIANT)) == ("miss", "miss")
    assert (verdict.labelled, verdict.problem) == (False, "")
    shop.services.invalidation.undo(verdict.hidden.id)
    assert shop.outcome(QUESTION) == "hit (exact)"


def test_it_is_on_record_in_the_name_of_who_said_so(shop):
    hidden = shop.verdicts.wrong(shop.namespace, shop.key, actor=shop.olga).hidden
    records = shop.services.audit.of(hidden.id)
    assert {(record.actor, record.source) for record in records} == {("olga", "console")}
    assert records[0].criteria == {"namespace": shop.namespace, "key": shop.key}


def test_with_the_question_that_it_was_served_for_the_pair_is_labelled_too(shop):
    verdict = shop.verdicts.wrong(shop.namespace, shop.key, actor=shop.olga, question="What is a PIN?")
    assert verdict.labelled
    assert shop.is_apart("What is a PIN?", QUESTION)


def test_a_question_is_not_labelled_as_different_from_itself(shop):
    assert not shop.verdicts.wrong(shop.namespace, shop.key, actor=shop.olga, question=QUESTION).labelled
    assert not shop.is_apart(QUESTION, QUESTION)


def test_an_answer_is_hidden_even_when_the_label_fails(shop, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(shop.services.evidence, "call_different", fail)
    verdict = shop.verdicts.wrong(shop.namespace, shop.key, actor=shop.olga, question=VARIANT)
    assert (verdict.labelled, verdict.problem) == (False, "no answer")
    assert shop.outcome(QUESTION) == "miss"
    with pytest.raises(OutcomeUnknown):
        shop.verdicts.apart(shop.namespace, shop.key, a_request(VARIANT), actor=shop.olga)


def test_apart_hides_the_wording_and_leaves_the_answer(shop):
    assert shop.outcome(VARIANT) == "hit (alias)"
    verdict = shop.verdicts.apart(shop.namespace, shop.key, a_request(VARIANT), actor=shop.olga)
    assert verdict.labelled
    assert (shop.outcome(QUESTION), shop.outcome(VARIANT)) == ("hit (exact)", "miss")
    assert shop.is_apart(VARIANT, QUESTION)
    shop.services.invalidation.undo(verdict.hidden.id)
    assert shop.outcome(VARIANT) == "hit (alias)"


def test_apart_takes_a_stored_answer_and_another_question(shop):
    with pytest.raises(NotFound, match="no answer is stored"):
        shop.verdicts.apart(shop.namespace, "0-" + "0" * 64, a_request(VARIANT), actor=shop.olga)
    with pytest.raises(InvalidInput, match="call it wrong"):
        shop.verdicts.apart(shop.namespace, shop.key, a_request(QUESTION), actor=shop.olga)
    with pytest.raises(InvalidInput, match="bypasses"):
        shop.verdicts.apart(
            shop.namespace, shop.key, a_request(VARIANT), Controls(no_store=True, no_cache=True), actor=shop.olga
        )
    assert shop.outcome(QUESTION) == "hit (exact)"


def test_apart_takes_only_a_request_that_the_answer_may_be_served_for(shop):
    other_model = ChatRequest.from_openai(model="gpt-4o-mini", messages=[{"role": "user", "content": VARIANT}])
    briefly = ChatRequest.from_openai(
        model="gpt-4o",
        temperature=0.2,
        messages=[{"role": "system", "content": "Be brief."}, *a_request(VARIANT).messages],
    )
    for request, names in (
        (other_model, "differ in model$"),
        (briefly, "differ in system prompt, parameter temperature$"),
    ):
        with pytest.raises(InvalidInput, match=names):
            shop.verdicts.apart(shop.namespace, shop.key, request, actor=shop.olga)
    assert shop.outcome(VARIANT) == "hit (alias)"
    assert not shop.is_apart(VARIANT, QUESTION)


@pytest.mark.parametrize("question", [None, VARIANT])
def test_where_no_answer_is_stored_there_is_nothing_to_call_wrong(shop, question):
    before = shop.services.invalidation.history(namespace=shop.namespace)
    with pytest.raises(NotFound, match="no answer is stored"):
        shop.verdicts.wrong(shop.namespace, "0-" + "0" * 64, actor=shop.olga, question=question)
    assert shop.services.invalidation.history(namespace=shop.namespace) == before


@pytest.mark.parametrize("role", [Role.NONE, Role.VIEWER])
def test_who_may_not_invalidate_changes_nothing(shop, role):
    nobody = Actor(name="vera", role=role)
    with pytest.raises(AccessDenied):
        shop.verdicts.wrong(shop.namespace, shop.key, actor=nobody, question=VARIANT)
    with pytest.raises(AccessDenied):
        shop.verdicts.apart(shop.namespace, shop.key, a_request(VARIANT), actor=nobody)
    assert (shop.outcome(QUESTION), shop.outcome(VARIANT)) == ("hit (exact)", "hit (alias)")
    assert not shop.is_apart(VARIANT, QUESTION)


def test_the_stored_question_no_question_and_no_key_are_refused(shop):
    other_model = ChatRequest.from_openai(model="gpt-4o-mini", messages=[{"role": "user", "content": QUESTION}])
    for key, request, field in (
        (shop.key, other_model, "key"),
        (shop.key, a_request(" "), "question"),
        ("nokey", a_request("What is a PIN?"), "key"),
    ):
        with pytest.raises(InvalidInput) as raised:
            shop.verdicts.apart(shop.namespace, key, request, actor=shop.olga)
        assert raised.value.field == field
    assert not shop.is_apart(QUESTION, QUESTION)
