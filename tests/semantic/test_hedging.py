"""Hedging: a judge beside the provider, whoever is first is served, the other one is dropped; in every driver."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.steps import Follow, Hit, Lead
from core.function import cached_llm_call
from core.models import CacheEntry, CacheStrategy, ChatRequest, Controls, SemanticMode
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.index.numpy_index import NumpyIndex
from core.semantic.lookup import SemanticLookup
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Case, Judgement, SemanticResult
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes
from tests.http.running import until

QUESTION = "How do I reset my online banking password?"
PARAPHRASE = "How can I reset the password of my online banking?"
FAR = "Which planets have rings?"
PATIENCE_SECONDS = 120


class Judge:
    """Says its word when a test lets it."""

    def __init__(self) -> None:
        self.word = "yes"
        self.asked = threading.Event()
        self.may_rule = threading.Event()

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        self.asked.set()
        assert self.may_rule.wait(PATIENCE_SECONDS)
        if self.word == "crash":
            raise ZeroDivisionError
        assert len(stored) == 1
        return [Judgement(word=self.word)]


class Setup:
    """A cache that hedges, with one stored question; from then on the provider waits to be let through."""

    def __init__(self, store: RedisStore, namespace: str, embedder: CheckedEmbedder) -> None:
        self.store = store
        self.namespace = namespace
        self.judge = Judge()
        self.outcomes = Outcomes()
        self.seen: list[SemanticResult] = []
        self.called = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.failure: Exception | None = None
        self.provider = CountingProvider(self.before)
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, strategy=CacheStrategy.SEMANTIC, ttl=1000, hedge=True),
            store=store,
            provider=self.provider,
            metrics=self.outcomes,
            price=lambda model, usage: 0.001,
            semantic=SemanticLookup(
                embedder,
                NumpyIndex(),
                thresholds=lambda namespace: Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None),
                judge=self.judge,
                count=self.outcomes.count,
                observer=lambda identity, threshold, result: self.seen.append(result),
            ),
        )
        self.stored = self.cache.complete(request(QUESTION))
        self.outcomes.all.clear()
        self.called.clear()
        self.may_answer.clear()

    def before(self, call: int) -> None:
        self.called.set()
        assert self.may_answer.wait(PATIENCE_SECONDS)
        if self.failure is not None:
            raise self.failure

    def judge_is_first(self, word: str = "yes") -> None:
        """Rules as soon as the provider has been called."""
        self.judge.word = word

        def rule() -> None:
            assert self.called.wait(PATIENCE_SECONDS)
            self.judge.may_rule.set()

        threading.Thread(target=rule, daemon=True).start()

    def provider_is_first(self) -> None:
        """Answers as soon as the judge has been asked."""

        def answer() -> None:
            assert self.judge.asked.wait(PATIENCE_SECONDS)
            self.may_answer.set()

        threading.Thread(target=answer, daemon=True).start()

    def everyone_goes_on(self) -> None:
        self.judge.may_rule.set()
        self.may_answer.set()

    def is_at_rest(self) -> None:
        """Nobody holds a lease, and nobody waits."""
        cache = self.cache.counted_by(Outcomes())
        step = cache.begin(request(PARAPHRASE), Controls(strategy=CacheStrategy.EXACT))
        assert not isinstance(step, Follow)
        if isinstance(step, Lead):
            step.abandon()
        assert len(self.cache.flights) == 0


def request(question: str) -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])


@pytest.fixture(scope="module")
def embedder() -> CheckedEmbedder:
    return CheckedEmbedder(WordLlamaEmbedder())


@pytest.fixture
def setup(redis_url: str, namespace: str, embedder: CheckedEmbedder) -> Iterator[Setup]:
    store = RedisStore(request_client(redis_url, 5))
    made = Setup(store, namespace, embedder)
    yield made
    made.everyone_goes_on()
    store.close()


def complete(setup: Setup) -> str | None:
    return setup.cache.complete(request(PARAPHRASE)).completion.text


def acomplete(setup: Setup) -> str | None:
    async def run() -> str | None:
        answer = await setup.cache.acomplete(request(PARAPHRASE))
        setup.may_answer.set()  # the loop waits for its threads
        return answer.completion.text

    return asyncio.run(run())


def stream(setup: Setup) -> str:
    with setup.cache.stream(request(PARAPHRASE)) as chunks:
        return text_of(list(chunks))


def astream(setup: Setup) -> str:
    async def run() -> str:
        async with await setup.cache.astream(request(PARAPHRASE)) as chunks:
            text = text_of([chunk async for chunk in chunks])
        setup.may_answer.set()
        return text

    return asyncio.run(run())


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


DRIVERS: list[Callable[[Setup], str | None]] = [complete, acomplete, stream, astream]
every_driver = pytest.mark.parametrize("ask", DRIVERS, ids=lambda ask: ask.__name__)


@every_driver
def test_a_yes_that_is_first_is_served_and_the_provider_is_dropped(setup, ask):
    setup.judge_is_first()
    assert ask(setup) == setup.stored.completion.text
    assert setup.outcomes.words() == ["hit (semantic)"]
    setup.may_answer.set()
    until(lambda: setup.outcomes.counts.get("hedge_dropped") == 1)
    setup.is_at_rest()
    assert setup.cache.complete(request(PARAPHRASE)).outcome.detail == "alias"
    assert setup.outcomes.words() == ["hit (semantic)", "hit (alias)"]
    assert setup.provider.calls == 2


@every_driver
def test_a_provider_that_is_first_is_served_and_a_later_yes_changes_nothing(setup, ask):
    setup.provider_is_first()
    answer = ask(setup)
    assert answer.endswith("answer 2")
    assert setup.outcomes.words() == ["miss (judge-overtaken), stored"]
    setup.judge.may_rule.set()
    until(lambda: len(setup.seen) == 2)
    assert setup.seen[-1].found is None
    assert setup.seen[-1].reason == "judge-overtaken"
    assert [neighbour.ruling for neighbour in setup.seen[-1].neighbours] == ["yes"], "what it said is evidence still"
    setup.is_at_rest()
    assert setup.cache.complete(request(PARAPHRASE)).completion.text == answer
    assert "hedge_dropped" not in setup.outcomes.counts


@every_driver
def test_after_a_no_the_provider_answers(setup, ask):
    setup.judge_is_first("no")

    def answer() -> None:
        until(lambda: len(setup.seen) == 2)
        setup.may_answer.set()

    threading.Thread(target=answer, daemon=True).start()
    assert ask(setup).endswith("answer 2")
    assert setup.outcomes.words() == ["miss (judge-no), stored"]
    setup.is_at_rest()


@every_driver
def test_a_yes_saves_a_request_whose_provider_fails(setup, ask):
    setup.failure = ConnectionError("the provider is away")
    setup.may_answer.set()
    setup.judge_is_first()
    assert ask(setup) == setup.stored.completion.text
    assert setup.outcomes.words() == ["hit (semantic)"]
    setup.is_at_rest()


@every_driver
def test_without_a_yes_the_providers_error_is_raised(setup, ask):
    setup.failure = ConnectionError("the provider is away")
    setup.may_answer.set()
    setup.judge_is_first("late")
    with pytest.raises(ConnectionError):
        ask(setup)
    assert setup.outcomes.words() == ["error (ConnectionError)"]
    setup.is_at_rest()


@every_driver
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_judge_that_breaks_down_costs_nothing_but_its_yes(setup, ask):
    setup.judge_is_first("crash")
    setup.provider_is_first()
    assert ask(setup).endswith("answer 2")
    assert setup.outcomes.words() == ["miss (judge-overtaken), stored"]
    setup.is_at_rest()


def test_what_a_dropped_call_cost_is_counted_when_it_ends(setup):
    setup.judge_is_first()
    complete(setup)
    assert "hedge_cost_nano_usd" not in setup.outcomes.counts
    setup.may_answer.set()
    until(lambda: "hedge_cost_nano_usd" in setup.outcomes.counts)
    assert setup.outcomes.counts["hedge_cost_nano_usd"] == 1_000_000
    assert (setup.outcomes.counts["hedge_input_tokens"], setup.outcomes.counts["hedge_output_tokens"]) == (10, 20)


def test_those_who_wait_for_the_same_answer_get_the_judges(setup):
    answers: list[str | None] = []
    leader = threading.Thread(target=lambda: answers.append(complete(setup)))
    leader.start()
    assert setup.judge.asked.wait(PATIENCE_SECONDS)
    assert setup.called.wait(PATIENCE_SECONDS)
    follower = threading.Thread(target=lambda: answers.append(complete(setup)))
    follower.start()
    until(lambda: any(flight.followers for flight in list(setup.cache.flights._flights.values())))
    setup.judge.may_rule.set()
    for thread in (leader, follower):
        thread.join(PATIENCE_SECONDS)
    assert answers == [setup.stored.completion.text] * 2
    assert sorted(setup.outcomes.words()) == ["hit (semantic)", "miss (collapsed), collapsed"]
    assert setup.provider.calls == 2


@pytest.mark.parametrize("question", [QUESTION, FAR])
def test_without_anything_to_judge_there_is_no_race(setup, question):
    setup.may_answer.set()
    step = setup.cache.begin(request(question))
    assert isinstance(step, Hit) or step.hedge is None
    if isinstance(step, Lead):
        step.abandon()
    assert not setup.judge.asked.is_set()


def test_a_caller_who_goes_away_is_served_nothing_later(setup):
    async def run() -> None:
        asking = asyncio.create_task(setup.cache.acomplete(request(PARAPHRASE)))
        await asyncio.to_thread(setup.called.wait, PATIENCE_SECONDS)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        setup.may_answer.set()

    asyncio.run(run())
    setup.judge.may_rule.set()
    until(lambda: len(setup.seen) == 2)
    assert setup.seen[-1].found is None
    assert setup.outcomes.words() == ["error (cancelled)"]
    setup.is_at_rest()
    assert "hedge_dropped" not in setup.outcomes.counts


def test_a_caller_who_goes_away_while_a_yes_is_being_served_is_counted_once(setup, monkeypatch):
    writing, may_write = threading.Event(), threading.Event()
    write = RedisStore.write

    def slow(store, *args):
        writing.set()
        assert may_write.wait(PATIENCE_SECONDS)
        return write(store, *args)

    monkeypatch.setattr(RedisStore, "write", slow)
    step = setup.cache.begin(request(PARAPHRASE))
    assert isinstance(step, Lead)
    setup.judge.may_rule.set()
    assert writing.wait(PATIENCE_SECONDS)
    step.abandon()
    assert len(setup.cache.flights) == 1
    may_write.set()
    assert isinstance(step.hedge.verdict.result(PATIENCE_SECONDS), Hit)
    assert [outcome.kind for outcome in setup.outcomes.all] == ["hit"]
    setup.is_at_rest()


def test_a_driver_that_does_not_race_gets_the_judges_answer_at_its_end(setup):
    step = setup.cache.begin(request(PARAPHRASE))
    assert isinstance(step, Lead)
    setup.judge.may_rule.set()
    assert isinstance(step.hedge.verdict.result(PATIENCE_SECONDS), Hit)
    answer = step.finish(setup.stored.completion)
    assert str(answer.outcome) == "hit (semantic)"
    assert setup.outcomes.words() == ["hit (semantic)"]
    assert setup.outcomes.counts["hedge_dropped"] == 1
    assert step.fail(asyncio.CancelledError()) is None
    assert setup.outcomes.words() == ["hit (semantic)"]


def test_any_function_is_hedged(setup):
    def model(prompt: str, *, model: str) -> str:
        setup.before(0)
        return "an answer"

    setup.may_answer.set()
    assert cached_llm_call(setup.cache, model, QUESTION, "gpt-4o") == "an answer"
    setup.may_answer.clear()
    setup.called.clear()
    setup.judge.asked.clear()
    setup.judge_is_first()
    assert cached_llm_call(setup.cache, model, PARAPHRASE, "gpt-4o") == "an answer"
    assert setup.outcomes.words()[-1] == "hit (semantic)"
