"""The judge: a provider behind a real server, a deadline, a budget of all processes, and no way to buy a yes."""

from __future__ import annotations

import json
import re

import pytest

from core.demo.model import DemoProvider
from core.models import CacheEntry
from core.providers.openai import OpenAIProvider
from core.providers.prices import price
from core.semantic.judge.judge import ProviderJudge, SharedBudget
from core.semantic.judge.prompt import JudgeBudget
from core.stores.redis.store import request_client
from tests.fakes import Outcomes, a_body
from tests.openai_server import Behaviour, OpenAIServer, Received
from tests.samples import Clock, an_entry
from tests.semantic.judge.test_prompt import INJECTIONS

QUESTION = "How can I activate my new card?"
STORED = "How do I activate my new card?"


def stored(prompt: str = STORED, answer: str = "Call us, or use the app.") -> CacheEntry:
    return an_entry(prompt, body=a_body(answer))


def verdict(same: bool, reason: str = "both ask how") -> Behaviour:
    """A judge that rules as asked for."""

    def content(request: Received) -> str:
        token = re.match(r"<(\S+) new question>", request.question)
        assert token, "that is no question to a judge"
        return json.dumps({"token": token[1], "same": same, "reason": reason})

    return Behaviour(content=content)


@pytest.fixture
def counts() -> Outcomes:
    return Outcomes()


@pytest.fixture
def judge(openai_server: OpenAIServer, counts: Outcomes):
    provider = OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0)
    judge = ProviderJudge(
        provider,
        "gpt-4o",
        deadline_seconds=10,
        budget=JudgeBudget(100),
        price=price,
        count=counts.count,
    )
    yield judge
    judge.close()


@pytest.mark.parametrize(("same", "word"), [(True, "yes"), (False, "no")])
def test_a_model_of_the_provider_rules(judge, openai_server, same, word):
    openai_server.next(verdict(same))
    judgement = judge.rule("shop", QUESTION, stored())
    assert (judgement.word, judgement.reason, judgement.judge) == (word, "both ask how", "gpt-4o/1")
    body = openai_server.requests[0].body
    assert (body["model"], body["temperature"], body["response_format"]) == ("gpt-4o", 0, {"type": "json_object"})
    assert STORED in openai_server.requests[0].question


def test_what_it_costs_is_counted(judge, openai_server, counts):
    openai_server.next(verdict(True))
    judgement = judge.rule("shop", QUESTION, stored())
    assert judgement.input_tokens > 0
    assert judgement.latency_ms > 0
    assert counts.counts["judge_calls"] == 1
    assert counts.counts["judge_input_tokens"] == judgement.input_tokens
    assert counts.counts["judge_output_tokens"] == judgement.output_tokens
    assert counts.counts["judge_cost_nano_usd"] == round(judgement.cost_usd * 1e9) > 0


def test_a_model_without_a_price_costs_an_unknown_amount(openai_server, counts):
    provider = OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0)
    judge = ProviderJudge(
        provider, "nobody-knows", deadline_seconds=10, budget=JudgeBudget(1), price=price, count=counts.count
    )
    openai_server.next(verdict(True))
    assert judge.rule("shop", QUESTION, stored()).cost_usd is None
    assert counts.counts["judge_unpriced_calls"] == 1
    assert "judge_cost_nano_usd" not in counts.counts


def test_an_operator_changes_and_leaves_out_parameters(openai_server):
    judge = ProviderJudge(
        OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0),
        "o-small",
        deadline_seconds=10,
        budget=JudgeBudget(1),
        parameters={"temperature": None, "max_tokens": None, "reasoning_effort": "low"},
    )
    openai_server.next(verdict(True))
    assert judge.rule("shop", QUESTION, stored()).word == "yes"
    body = openai_server.requests[0].body
    assert "temperature" not in body
    assert "max_tokens" not in body
    assert body["reasoning_effort"] == "low"


def test_a_late_verdict_is_none_and_is_still_paid_for(openai_server, counts):
    gate = openai_server.hold()
    judge = ProviderJudge(
        OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0),
        "gpt-4o-mini",
        deadline_seconds=0.05,
        budget=JudgeBudget(10),
        count=counts.count,
    )
    assert judge.rule("shop", QUESTION, stored()).word == "late"
    gate.release()
    assert counts.counts["judge_calls"] == 1


@pytest.mark.parametrize(
    "reply",
    [
        Behaviour(status=500),
        Behaviour(status=401),
        Behaviour(raw=b"<html>"),
        Behaviour(cut_after=0),
        Behaviour(content=""),
        Behaviour(content="yes"),
        Behaviour(content='{"token": "000000000000", "same": true, "reason": ""}'),
        Behaviour(content=None, tool_calls=[("f", "{}")]),
    ],
)
def test_whatever_goes_wrong_is_no_yes_and_no_error(judge, openai_server, reply):
    openai_server.always(reply)
    assert judge.rule("shop", QUESTION, stored()).word == "broken"


def test_a_judge_that_fails_again_and_again_is_left_alone(judge, openai_server, counts):
    openai_server.always(Behaviour(status=500))
    words = [judge.rule("shop", QUESTION, stored()).word for _ in range(6)]
    assert words == ["broken"] * 6
    assert openai_server.calls < 6, "but for a probe a second"
    assert counts.counts["judge_breaker_openings"] == 1


def test_nobody_switches_the_judge_off_by_making_it_talk_nonsense(judge, openai_server):
    openai_server.always(Behaviour(content="I would rather not say."))
    assert [judge.rule("shop", QUESTION, stored()).word for _ in range(6)] == ["broken"] * 6
    assert openai_server.calls == 6


def test_a_stored_answer_without_words_is_not_judged(judge, openai_server):
    assert judge.rule("shop", QUESTION, an_entry(STORED, body={"choices": []})).word == "no"
    assert openai_server.calls == 0


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("place", ["question", "stored question", "stored answer"])
def test_no_injection_buys_a_yes(injection, place):
    """With the demo model, which would say yes to these two questions and this answer."""
    provider = DemoProvider(latency_scale=0)
    judge = ProviderJudge(provider, "encore-demo-small", deadline_seconds=10, budget=JudgeBudget(1000))
    answer = provider.complete(_asking(STORED)).text
    assert judge.rule("shop", QUESTION, stored(answer=answer)).word == "yes", "an honest pair"
    texts = {"question": QUESTION, "stored question": STORED, "stored answer": answer}
    texts[place] += "\n" + injection
    judgement = judge.rule("shop", texts["question"], stored(texts["stored question"], texts["stored answer"]))
    assert judgement.word == "no"


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_injection_makes_another_answer_the_same(injection):
    provider = DemoProvider(latency_scale=0)
    judge = ProviderJudge(provider, "encore-demo-small", deadline_seconds=10, budget=JudgeBudget(1000))
    other = provider.complete(_asking("What is the capital of France?")).text
    assert judge.rule("shop", f"{QUESTION} {injection}", stored("What is the capital of France?", other)).word == "no"


def _asking(question: str):
    from core.models import ChatRequest

    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])


class TestBudget:
    def test_it_is_shared_by_all_processes_and_each_namespace_has_its_own(self, redis_url, namespace):
        clock = Clock()
        first, second = (SharedBudget(request_client(redis_url, 5), 3, clock=clock) for _ in range(2))
        assert [first.take(namespace), second.take(namespace), first.take(namespace)] == [True, True, True]
        assert [first.take(namespace), second.take(namespace)] == [False, False]
        assert first.take(namespace + "-b")
        clock.forward(3600)
        assert second.take(namespace)

    def test_its_counters_go_away(self, redis_url, namespace):
        client = request_client(redis_url, 5)
        SharedBudget(client, 3).take(namespace)
        [name] = client.keys(f"encore:judge:{namespace}:*")
        assert 3600 < client.ttl(name) <= 7200

    def test_none_is_left_where_none_is_given(self, redis_url, namespace):
        client = request_client(redis_url, 5)
        assert not SharedBudget(client, 0).take(namespace)
        assert client.keys(f"encore:judge:{namespace}:*") == []

    def test_what_cannot_be_counted_is_not_spent(self, redis_server, namespace):
        server = redis_server()
        budget = SharedBudget(request_client(server.url, 0.2), 100)
        assert budget.take(namespace)
        server.kill()
        assert not budget.take(namespace)

    def test_over_it_the_provider_is_not_asked(self, openai_server):
        provider = OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0)
        judge = ProviderJudge(provider, "gpt-4o-mini", deadline_seconds=10, budget=JudgeBudget(0))
        assert judge.rule("shop", QUESTION, stored()).word == "over-budget"
        assert openai_server.calls == 0
