"""One conversation answered by another through the whole cache: only after the judge, only within a family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.keys import names
from core.models import Answer, CacheEntry, CacheStrategy, ChatRequest, Controls, OutcomeKind, SemanticMode
from core.policy import Audience, TTLPolicy
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.index.numpy_index import NumpyIndex
from core.semantic.lookup import SemanticLookup
from core.semantic.quality.records import pair_id
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Case, Judgement
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import Clock

FUJI = ("How high is Mount Fuji?", "Mount Fuji is 3,776 metres high.", "When did it last erupt?")
FUJI_TOO = ("Tell me about Mount Fuji's height", "It rises to 3,776 m.", "when was its last eruption?")
ETNA = ("How high is Mount Etna?", "Mount Etna is 3,400 metres high.", "When did it last erupt?")
SYSTEM = {"role": "system", "content": "You know mountains."}


class Judge:
    """Says what a test tells it to, and keeps what it was shown."""

    def __init__(self) -> None:
        self.word = "yes"
        self.shown: list[tuple[Case, Sequence[CacheEntry]]] = []

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        self.shown.append((case, stored))
        return [Judgement(word=self.word)] + [Judgement(word="no")] * (len(stored) - 1)


class Setup:
    def __init__(self, store: Store, namespace: str, embedder: CheckedEmbedder) -> None:
        self.clock = Clock()
        self.namespace = namespace
        self.provider = CountingProvider()
        self.outcomes = Outcomes()
        self.judge = Judge()
        self.store = store
        self.embedder = embedder
        self.index = NumpyIndex(clock=self.clock)
        self.single = Threshold(mode=SemanticMode.OFF)
        self.conversations = Threshold(mode=SemanticMode.JUDGE, grey=0.5, serve=None)
        self.refused: set[str] = set()
        self.seen: list[Any] = []
        self.cache = self.another()

    def another(self, **config: Any) -> LLMCache:
        """A cache over the same store and index, configured in another way."""
        is_on = config.get("conversations", True)
        semantic = SemanticLookup(
            self.embedder,
            self.index,
            thresholds=lambda name: self.conversations if name.endswith(names.CONVERSATIONS) else self.single,
            refused=lambda name: self.refused,
            judge=self.judge,
            count=self.outcomes.count,
            observer=lambda identity, threshold, result: self.seen.append((identity, result)),
            conversations=is_on,
            personal=lambda text: TTLPolicy().explain(text).personal,
        )
        settings = {
            "namespace": self.namespace,
            "strategy": CacheStrategy.SEMANTIC,
            "ttl": 1000,
            "conversations": is_on,
        }
        return LLMCache(
            CacheConfig(**(settings | config)),
            store=self.store,
            provider=self.provider,
            metrics=self.outcomes,
            clock=self.clock,
            semantic=semantic,
        )

    def ask(self, texts: Sequence[str], controls: Controls | None = None, **arguments: Any) -> Answer:
        return self.cache.complete(chat(texts, **arguments), controls or Controls())


def chat(texts: Sequence[str], **arguments: Any) -> ChatRequest:
    """A request with texts of user and model in turn."""
    messages = arguments.pop("before", [SYSTEM]) + [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)
    ]
    return ChatRequest.from_openai(**({"model": "gpt-4o", "messages": messages} | arguments))


@pytest.fixture(params=["memory", "redis"])
def setup(request: pytest.FixtureRequest, namespace: str, wordllama: WordLlamaEmbedder) -> Iterator[Setup]:
    if request.param == "memory":
        store: Store = MemoryStore()
    else:
        store = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    yield Setup(store, namespace, CheckedEmbedder(wordllama))
    store.close()


def test_the_same_question_in_another_conversation_is_answered_when_the_judge_agrees(setup):
    first = setup.ask(FUJI)
    answer = setup.ask(FUJI_TOO)
    assert str(answer.outcome) == "hit (semantic)"
    assert answer.key == first.key
    assert setup.provider.calls == 1


def test_the_judge_sees_both_histories_and_what_each_question_depends_on(setup):
    setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    [(case, [stored])] = setup.judge.shown
    assert case.namespace == setup.namespace + ":conversations"
    assert case.converses
    assert case.history == ("user: Tell me about Mount Fuji's height", "assistant: It rises to 3,776 m.")
    assert any("Mount Fuji" in words for words in case.dependencies)
    assert stored.prompt == FUJI[-1]
    assert stored.history


def test_off_by_default_no_conversation_answers_another(setup):
    setup.cache = setup.another(conversations=False)
    setup.ask(FUJI)
    answer = setup.ask(FUJI_TOO)
    assert answer.outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []
    assert setup.index.counts().rows == 0, "nothing is kept for it either"


def test_nothing_of_another_conversation_is_served_unjudged(setup):
    setup.single = Threshold(mode=SemanticMode.SERVE, grey=0.1, serve=0.1)
    setup.conversations = Threshold(mode=SemanticMode.JUDGE, grey=0.1, serve=0.1)
    setup.judge.word = "no"
    setup.ask(FUJI)
    answer = setup.ask((FUJI[0], FUJI[1] + " It is in Japan.", FUJI[2]))
    assert answer.outcome.reason == "judge-no"
    assert len(setup.judge.shown) == 1


@pytest.mark.parametrize("word", ["no", "late", "broken", "over-budget", "unreadable"])
def test_anything_but_a_yes_is_a_miss(setup, word):
    setup.ask(FUJI)
    setup.judge.word = word
    assert setup.ask(FUJI_TOO).outcome.reason == f"judge-{word}"
    assert setup.provider.calls == 2


def test_another_referent_is_refused_before_the_judge(setup):
    setup.ask(FUJI)
    answer = setup.ask(ETNA)
    assert answer.outcome.reason.startswith("guard-")
    assert setup.judge.shown == []


def test_a_repeat_of_what_the_judge_agreed_to_is_a_plain_hit(setup):
    first = setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    again = setup.ask(FUJI_TOO)
    assert str(again.outcome) == "hit (alias)"
    assert again.key == first.key
    assert len(setup.judge.shown) == 1


def test_what_was_agreed_to_is_a_miss_when_conversations_are_switched_off(setup):
    setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    setup.cache = setup.another(conversations=False)
    answer = setup.ask(FUJI_TOO)
    assert answer.outcome.kind is OutcomeKind.MISS
    assert "corrupt_entries" not in setup.outcomes.counts


def test_a_third_conversation_finds_the_answer_by_the_wording_of_the_second(setup):
    first = setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    third = setup.ask(("Hello", "Hello!", *FUJI_TOO))
    assert str(third.outcome) == "hit (semantic)"
    assert third.key == first.key
    assert setup.judge.shown[-1][1][0].history == setup.judge.shown[0][1][0].history, "the entry's own history is shown"


def test_a_first_question_answers_one_in_a_conversation_and_not_the_other_way_round(setup):
    alone = ("When did Mount Fuji last erupt?",)
    first = setup.ask(alone)
    assert setup.ask(("Hi", "Hello!", "When did Mount Fuji last erupt?")).key == first.key
    setup.judge.shown.clear()
    setup.ask(FUJI)
    setup.judge.shown.clear()
    setup.ask(("When did Mount Fuji erupt the last time?",))
    assert setup.judge.shown == []


@pytest.mark.parametrize(
    "difference",
    [
        {"model": "gpt-4o-mini"},
        {"before": [{"role": "system", "content": "You know mountains. Answer in one word."}]},
        {"before": []},
        {"temperature": 0.5},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"extra_headers": {"X-Another": "1"}},
        {"extra_query": {"version": "2"}},
        {"base_url": "http://elsewhere/v1"},
    ],
)
def test_a_conversation_of_another_family_is_never_a_candidate(setup, difference):
    setup.ask(FUJI)
    answer = setup.ask(FUJI_TOO, **difference)
    assert answer.outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []


def test_another_tenants_conversation_is_never_a_candidate(setup):
    setup.ask(FUJI)
    assert setup.ask(FUJI_TOO, Controls(namespace=setup.namespace[:50] + "-b")).outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}],
}
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,a"}}]}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([CALL, {"role": "tool", "tool_call_id": "1", "content": "3776"}], []),
        (
            [CALL, {"role": "tool", "tool_call_id": "1", "content": "3776"}],
            [CALL, {"role": "tool", "tool_call_id": "1", "content": "3775"}],
        ),
        ([PICTURE], [{**PICTURE, "content": [{"type": "image_url", "image_url": {"url": "data:,b"}}]}]),
        ([{"role": "user", "name": "ann", "content": "Hi"}], [{"role": "user", "name": "bob", "content": "Hi"}]),
        ([{"role": "system", "content": "Be rude now."}], []),
    ],
)
def test_what_is_more_than_text_in_a_history_must_be_equal(setup, ours, theirs):
    opening = {"role": "user", "content": "Hello"}
    setup.ask(FUJI, before=[SYSTEM, opening, *ours])
    assert setup.ask(FUJI_TOO, before=[SYSTEM, opening, *theirs]).outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []
    assert str(setup.ask(FUJI_TOO, before=[SYSTEM, opening, *ours]).outcome) == "hit (semantic)"


ACCOUNT = ("My order is late, what now?", "Which one?", "The red shoes.", "I see.", *FUJI)
ACCOUNT_TOO = ("My order is late, what now?", "Which one?", "The red shoes.", "I see.", *FUJI_TOO)


def test_a_personal_fact_makes_a_conversation_its_users_own(setup):
    setup.cache = setup.another(audience=Audience.SHARED)
    setup.ask(ACCOUNT, user="ann")
    assert setup.ask(ACCOUNT_TOO, user="bob").outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []
    assert str(setup.ask((*ACCOUNT_TOO[:-1], "And when did it last erupt?"), user="ann").outcome) == "hit (semantic)"


def test_a_personal_fact_far_back_keeps_the_conversation_of_nobody_named_apart(setup):
    long = [*ACCOUNT[:4], *(text for number in range(6) for text in (f"Is {number} even?", "It depends."))]
    setup.ask([*long, *FUJI])
    assert setup.ask([*long, *FUJI_TOO]).outcome.reason == "history-personal"
    assert setup.judge.shown == []


def test_a_named_user_shares_no_conversation_that_may_be_their_own(setup):
    setup.ask(("I am tired.", "Sleep well.", *FUJI), user="ann")
    assert setup.ask(("I am tired.", "Good night.", *FUJI_TOO), user="bob").outcome.kind is OutcomeKind.MISS
    assert setup.judge.shown == []


@pytest.mark.parametrize(
    "criteria",
    [{"pattern": "*last erupt*"}, {"tags": ("doc:1",)}, {"keywords": ("erupt?",)}, {"model": "gpt-4o"}, {"all": True}],
)
def test_an_invalidation_of_the_entry_hides_it_from_its_family(setup, criteria):
    setup.ask(FUJI, Controls(tags=("doc:1",)))
    setup.ask(FUJI_TOO)
    setup.ask(("Hello", "Hello!", *FUJI_TOO))
    setup.judge.shown.clear()
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(**criteria), now=setup.clock(), hold_seconds=60))
    for texts in (FUJI_TOO, ("Hello", "Hello!", *FUJI_TOO), ("Hey", "Hello!", *FUJI_TOO)):
        found = setup.cache.get(chat(texts))
        assert found is None
        assert setup.ask(texts).completion.text != "answer 1"
    assert all(entry.prompt != FUJI[-1] for _, shown in setup.judge.shown for entry in shown)


def test_an_invalidation_by_the_entrys_key_hides_it_from_its_family(setup):
    first = setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(key=first.key), now=setup.clock(), hold_seconds=60))
    assert setup.cache.get(chat(FUJI_TOO)) is None
    assert setup.ask(FUJI_TOO).outcome.kind is OutcomeKind.MISS


def test_a_pair_that_was_called_different_is_not_shown_again(setup):
    setup.judge.word = "no"
    setup.ask(FUJI)
    setup.ask(FUJI_TOO)
    identity, result = setup.seen[-1]
    [neighbour] = result.neighbours
    assert identity.namespace == setup.namespace + ":conversations"
    setup.refused.add(pair_id(identity.namespace, identity.prompt, neighbour.prompt))
    setup.judge.shown.clear()
    assert setup.ask(FUJI_TOO, Controls(no_cache=True)).outcome.kind is OutcomeKind.MISS
    shown = [entry.prompt for _, entries in setup.judge.shown for entry in entries]
    assert FUJI[-1] not in shown


def test_a_history_that_is_too_long_is_not_compared(setup):
    long = [*(text for number in range(30) for text in (f"Is {number} even?", "It depends.")), *FUJI]
    setup.ask(long)
    assert setup.ask(long[2:]).outcome.reason == "history-too-long"


def test_a_miss_says_that_no_question_was_asked_after_this_history(setup):
    assert setup.ask(FUJI).outcome.reason == "new-history"
    setup.cache = setup.another(conversations=False)
    setup.single = Threshold(mode=SemanticMode.SERVE, serve=0.9)
    assert setup.ask(("Hello", "Hello!", *FUJI)).outcome.reason == "new-history"
    assert setup.ask(("Which planets have rings?",)).outcome.reason == "far"


def test_the_same_history_is_looked_at_first_as_ever(setup):
    setup.single = Threshold(mode=SemanticMode.SERVE, grey=0.5, serve=0.8)
    first = setup.ask(FUJI)
    answer = setup.ask((*FUJI[:2], "When was it that it did last erupt?"))
    assert (str(answer.outcome), answer.key) == ("hit (semantic)", first.key)
    assert setup.judge.shown == [], "served from the namespace's own threshold on"


def test_an_expired_answer_is_not_served_to_another_conversation(setup):
    setup.ask(FUJI)
    setup.clock.forward(1_001)
    assert setup.ask(FUJI_TOO).outcome.kind is OutcomeKind.MISS
