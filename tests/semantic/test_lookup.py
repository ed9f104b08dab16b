"""Near questions through the whole cache, with the real embedder, index and guards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.errors import NotCached
from core.models import Answer, CacheEntry, CacheStrategy, ChatRequest, Controls, For, OutcomeKind, SemanticMode
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
from tests.samples import Clock, delete_value

QUESTION = "How do I reset my online banking password?"
PARAPHRASE = "How can I reset the password of my online banking?"
FAR = "Which planets have rings?"


class Judge:
    """Says what a test tells it to; a yes names the nearest."""

    def __init__(self, word: str = "yes") -> None:
        self.word = word
        self.asked: list[tuple[str, str]] = []
        self.calls = 0

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        self.calls += 1
        self.asked += [(case.question, entry.prompt) for entry in stored]
        others = "unnamed" if self.word == "yes" else self.word
        return [Judgement(word=self.word if place == 0 else others) for place in range(len(stored))]


@pytest.fixture(scope="module")
def embedder() -> CheckedEmbedder:
    return CheckedEmbedder(WordLlamaEmbedder())


class Setup:
    def __init__(self, store: Store, namespace: str, embedder: CheckedEmbedder) -> None:
        self.clock = Clock()
        self.namespace = namespace
        self.provider = CountingProvider()
        self.outcomes = Outcomes()
        self.judge = Judge()
        self.threshold = Threshold(mode=SemanticMode.SERVE, grey=0.6, serve=0.8)
        self.store = store
        self.seen: list = []
        self.refused: set[str] = set()
        self.semantic = SemanticLookup(
            embedder,
            NumpyIndex(clock=self.clock),
            thresholds=lambda namespace: self.threshold,
            refused=lambda namespace: self.refused,
            judge=self.judge,
            count=self.outcomes.count,
            observer=lambda identity, threshold, result: self.seen.append(result),
        )
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, strategy=CacheStrategy.SEMANTIC, ttl=1000),
            store=store,
            provider=self.provider,
            metrics=self.outcomes,
            clock=self.clock,
            semantic=self.semantic,
        )

    def use(self, mode: SemanticMode, **cosines: float) -> None:
        self.threshold = Threshold(mode=mode, **({"grey": 0.6, "serve": 0.8} | cosines))

    def ask(self, question: str = QUESTION, controls: Controls | None = None, **arguments) -> Answer:
        return self.cache.complete(self.request(question, **arguments), controls or Controls())

    def request(self, question: str, **arguments) -> ChatRequest:
        system = arguments.pop("system", "You work for a bank.")
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return ChatRequest.from_openai(**({"model": "gpt-4o", "messages": messages} | arguments))


@pytest.fixture(params=["memory", "redis"])
def setup(request: pytest.FixtureRequest, namespace: str, embedder: CheckedEmbedder) -> Iterator[Setup]:
    if request.param == "memory":
        store: Store = MemoryStore()
    else:
        store = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    yield Setup(store, namespace, embedder)
    store.close()


def test_a_paraphrase_above_the_threshold_is_served(setup):
    first = setup.ask()
    answer = setup.ask(PARAPHRASE)
    assert str(answer.outcome) == "hit (semantic)"
    assert 0.8 <= answer.similarity <= 1
    assert answer.key == first.key, "the key is the entry's, by which an operator can invalidate it"
    assert setup.provider.calls == 1
    assert setup.judge.asked == []


def test_a_far_question_is_a_miss(setup):
    setup.ask()
    assert setup.ask(FAR).outcome.reason == "far"


def test_off_acts_as_normalized(setup):
    setup.use(SemanticMode.OFF)
    setup.ask()
    assert setup.ask(PARAPHRASE).outcome.kind is OutcomeKind.MISS
    assert setup.ask(QUESTION.lower()).outcome.detail == "normalized"


def test_a_cheaper_strategy_never_looks_for_near_questions(setup):
    setup.ask()
    assert setup.ask(PARAPHRASE, Controls(strategy=CacheStrategy.NORMALIZED)).outcome.kind is OutcomeKind.MISS


@pytest.mark.parametrize(
    ("stored", "asked", "guard"),
    [
        ("How do I turn on two factor login?", "How do I turn off two factor login?", "contrast"),
        ("Can I withdraw 100 euros abroad?", "Can I withdraw 1000 euros abroad?", "numbers"),
        ("Is my card accepted abroad?", "Is my card not accepted abroad?", "negation"),
    ],
)
def test_a_guard_refuses_an_opposite_meaning_and_is_counted(setup, stored, asked, guard):
    setup.use(SemanticMode.SERVE, serve=0.5)
    setup.ask(stored)
    answer = setup.ask(asked)
    assert answer.outcome.reason == f"guard-{guard}"
    assert setup.outcomes.counts[f"guard_{guard}"] == 1
    assert setup.seen[-1].neighbours[0].guard == guard


@pytest.mark.parametrize(
    "difference",
    [
        {"system": "You work for an insurance company."},
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
    ],
)
def test_a_near_question_in_another_scope_is_a_miss(setup, difference):
    setup.ask()
    assert setup.ask(PARAPHRASE, **difference).outcome.kind is OutcomeKind.MISS


def test_a_near_question_of_another_tenant_is_a_miss(setup):
    setup.ask()
    assert setup.ask(PARAPHRASE, Controls(namespace=setup.namespace + "-b")).outcome.kind is OutcomeKind.MISS


def test_a_request_can_tighten_the_threshold(setup):
    setup.ask()
    similarity = setup.ask(PARAPHRASE).similarity
    assert setup.ask(PARAPHRASE, Controls(threshold=min(1.0, similarity + 0.01))).outcome.reason == "far"


def test_a_request_cannot_loosen_the_threshold(setup):
    setup.use(SemanticMode.SERVE, serve=0.99)
    setup.ask()
    assert setup.ask(PARAPHRASE, Controls(threshold=0.1)).outcome.kind is OutcomeKind.MISS


def test_an_invalidated_answer_is_not_served_to_a_near_question(setup):
    setup.ask()
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(model="gpt-4o"), now=setup.clock(), hold_seconds=60))
    assert setup.ask(PARAPHRASE).outcome.kind is OutcomeKind.MISS


def test_an_invalidated_first_does_not_hide_a_live_second(setup):
    setup.ask()
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(keywords=("reset my",)), now=setup.clock(), hold_seconds=60))
    second = setup.ask("How do I reset the password for online banking?", Controls(no_cache=True))
    answer = setup.ask(PARAPHRASE)
    assert str(answer.outcome) == "hit (semantic)"
    assert answer.key == second.key


def test_an_expired_answer_is_not_served_to_a_near_question(setup):
    setup.ask(controls=Controls(ttl=For(100)))
    setup.clock.forward(101)
    assert setup.ask(PARAPHRASE).outcome.kind is OutcomeKind.MISS


def test_a_row_whose_entry_is_gone_goes_away(setup):
    answer = setup.ask()
    slot = setup.cache.slot(setup.namespace, 0)
    delete_value(setup.store, slot, bytes.fromhex(answer.key[2:]))
    assert setup.semantic.index.counts().rows == 1
    assert setup.ask(PARAPHRASE).outcome.kind is OutcomeKind.MISS
    assert setup.semantic.index.counts().rows == 1, "the new question's row instead of the dangling one"


def test_the_judge_decides_between_grey_and_threshold(setup):
    setup.use(SemanticMode.JUDGE, serve=0.999)
    setup.ask()
    answer = setup.ask(PARAPHRASE)
    assert str(answer.outcome) == "hit (semantic)"
    assert setup.judge.asked == [(PARAPHRASE, QUESTION)]
    again = setup.ask(PARAPHRASE)
    assert str(again.outcome) == "hit (alias)", "a repeat of that wording needs no judge"
    assert len(setup.judge.asked) == 1
    assert setup.provider.calls == 1


@pytest.mark.parametrize("word", ["no", "late", "over-budget", "broken", "unreadable", "not-shown"])
def test_anything_but_a_yes_is_a_miss(setup, word):
    setup.use(SemanticMode.JUDGE, serve=0.999)
    setup.judge.word = word
    setup.ask()
    answer = setup.ask(PARAPHRASE)
    assert answer.outcome.reason == f"judge-{word}"
    assert setup.outcomes.counts[f"judge_{word.replace('-', '_')}"] == 1
    assert setup.provider.calls == 2


@pytest.mark.parametrize("word", ["no", "late", "broken"])
def test_at_most_three_candidates_are_shown_to_the_judge_in_one_call(setup, word):
    setup.use(SemanticMode.JUDGE, serve=0.999, grey=0.3)
    setup.judge.word = "no"
    for wording in ("How do I reset my password?", "How do I reset a password?", "How can I reset my password now?"):
        setup.ask(wording, Controls(no_cache=True))
    setup.ask("Please, how do I reset the password?", Controls(no_cache=True))
    setup.judge.asked.clear()
    setup.judge.calls, setup.judge.word = 0, word
    setup.ask("How might I reset my own password?")
    assert (len(setup.judge.asked), setup.judge.calls) == (3, 1)


def test_an_answer_with_several_wordings_is_shown_to_the_judge_once(setup):
    setup.use(SemanticMode.JUDGE, serve=0.999)
    setup.ask()
    setup.ask(PARAPHRASE)
    setup.judge.asked.clear()
    setup.judge.word = "no"
    third = "How can I reset the password of my online banking now?"
    assert setup.ask(third).outcome.reason == "judge-no"
    assert setup.judge.asked == [(third, QUESTION)], "the question that the answer was given to"


def test_a_miss_tells_how_near_the_nearest_question_was(setup):
    setup.use(SemanticMode.SERVE, serve=0.999)
    setup.ask()
    answer = setup.ask(PARAPHRASE)
    assert answer.outcome.reason == "far"
    assert 0.8 < answer.outcome.similarity < 0.999
    assert setup.seen[-1].neighbours[0].far
    assert setup.ask(FAR).outcome.similarity is None, "not worth a mention"


def test_what_is_served_unjudged_can_be_nothing_at_all(setup):
    setup.threshold = Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None)
    setup.ask("man bites dog, why?")
    setup.judge.word = "no"
    assert setup.ask("dog bites, why man?").outcome.kind is OutcomeKind.MISS, "the same words, and cosine 1"


@pytest.mark.parametrize("mode", [SemanticMode.SERVE, SemanticMode.JUDGE])
def test_a_pair_that_was_labelled_as_different_is_neither_served_nor_judged(setup, mode):
    setup.use(mode, serve=0.8 if mode is SemanticMode.SERVE else 0.999)
    setup.ask()
    setup.refused.add(pair_id(setup.namespace, PARAPHRASE, QUESTION))
    answer = setup.ask(PARAPHRASE)
    assert (answer.outcome.kind, answer.outcome.reason) == (OutcomeKind.MISS, "guard-label")
    assert setup.judge.asked == []
    setup.refused.clear()
    assert setup.ask("How can I reset the password of my online banking, please?").outcome.kind is OutcomeKind.HIT


def test_what_a_guard_refuses_is_not_shown_to_the_judge(setup):
    setup.use(SemanticMode.JUDGE, serve=0.999, grey=0.3)
    setup.ask("Can I withdraw 100 euros abroad?")
    setup.ask("Can I withdraw 1000 euros abroad?")
    assert setup.judge.asked == []


LONG = (
    "List the risks.\n\n"
    + "We sold more bicycles than we had planned in January, but two dealers closed their shops. " * 2
)
OTHER_ORDER = LONG.replace("List the risks", "Translate the text")


def test_what_is_left_of_long_prompts_is_left_to_the_judge_however_near(setup):
    setup.use(SemanticMode.JUDGE, serve=0.8)
    setup.ask(LONG)
    assert str(setup.ask("Please: " + LONG).outcome) == "hit (semantic)"
    assert setup.judge.asked == []
    setup.judge.word = "no"
    assert setup.ask(OTHER_ORDER).outcome.reason == "judge-no"
    assert setup.judge.asked == [(OTHER_ORDER, LONG)]
    assert setup.seen[-1].neighbours[0].guard == "remainder"


def test_without_a_judge_what_is_left_of_long_prompts_refuses(setup):
    setup.use(SemanticMode.SERVE, serve=0.8)
    setup.ask(LONG)
    assert setup.ask(OTHER_ORDER).outcome.reason == "guard-remainder"
    assert setup.judge.asked == []
    keyed = setup.cache.identify(setup.request(OTHER_ORDER), Controls()).keyed
    nearest = setup.semantic.explain(setup.store, setup.cache.slot, keyed.identity, setup.clock())
    reason = next(one.reason for one in nearest if one.prompt == LONG)
    assert reason.startswith("only one says translate (where one says “Translate the text”")


def test_an_invalidation_hides_a_judged_alias_by_either_wording(setup):
    setup.use(SemanticMode.JUDGE, serve=0.999)
    setup.ask()
    setup.ask(PARAPHRASE)
    setup.judge.word = "no"
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(keywords=("password of my",)), now=setup.clock(), hold_seconds=60))
    assert setup.ask(PARAPHRASE).outcome.kind is OutcomeKind.MISS
    assert setup.ask(QUESTION).outcome.kind is OutcomeKind.HIT, "the entry itself is not selected"


def test_an_invalidation_by_an_aliass_key_hides_every_spelling_of_it(setup):
    setup.use(SemanticMode.JUDGE, serve=0.999)
    setup.ask()
    setup.ask(PARAPHRASE)
    assert str(setup.ask(PARAPHRASE.lower()).outcome) == "hit (normalized)"
    setup.judge.word = "no"
    keyed = setup.cache.identify(setup.request(PARAPHRASE), Controls()).keyed
    slot = setup.cache.slot(setup.namespace, 0)
    setup.store.append(slot, new_ban("b", Criteria(key=keyed.identity.key), now=setup.clock(), hold_seconds=60))
    found = [setup.cache.get(setup.request(text)) for text in (PARAPHRASE, PARAPHRASE.lower(), QUESTION)]
    assert [answer is not None for answer in found] == [False, False, True]


def test_only_if_cached_takes_a_near_answer_too(setup):
    setup.ask()
    assert setup.ask(PARAPHRASE, Controls(only_if_cached=True)).outcome.detail == "semantic"
    with pytest.raises(NotCached):
        setup.ask(FAR, Controls(only_if_cached=True))


def test_neighbours_are_explained_without_judging_or_counting(setup):
    setup.ask()
    keyed = setup.cache.identify(
        ChatRequest.from_openai(
            model="gpt-4o",
            messages=[
                {"role": "system", "content": "You work for a bank."},
                {"role": "user", "content": "How do I change my address?"},
            ],
        ),
        Controls(),
    ).keyed
    neighbours = setup.semantic.explain(setup.store, setup.cache.slot, keyed.identity, setup.clock())
    assert [neighbour.prompt for neighbour in neighbours] == [QUESTION]
    assert setup.judge.asked == []
