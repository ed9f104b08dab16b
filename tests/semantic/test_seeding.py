"""Known questions become entries, their variants lead to them, and a file is checked before anything is stored."""

from __future__ import annotations

import json

import pytest

from core.access.audit import AuditLog
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries.seeding import SeedReport, import_seeds, read_seeds
from core.errors import InvalidInput
from core.models import Answer, CacheStrategy, ChatRequest, Controls, SemanticMode
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.index.numpy_index import NumpyIndex
from core.semantic.lookup import SemanticLookup
from core.semantic.quality.thresholds import Threshold
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import Clock

PIN = {"question": "How do I change my PIN?", "answer": "At any cash machine.", "variants": ["I want another PIN"]}


class Shop:
    def __init__(self, store, namespace: str, *, buckets: int = 1, **config) -> None:
        self.clock = Clock()
        self.namespace = namespace
        self.provider = CountingProvider()
        self.outcomes = Outcomes()
        self.audit = AuditLog(None)
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, buckets=buckets, **config),
            store=store,
            provider=self.provider,
            metrics=self.outcomes,
            clock=self.clock,
            semantic=config.get("semantic"),
        )

    def seed(self, *lines: dict, **options) -> SeedReport:
        seeds = read_seeds([json.dumps(line) for line in lines])
        trail = self.audit.by("ann", source="cli")
        given = {"namespace": self.namespace, "model": "gpt-4o", "trail": trail} | options
        *_, report = import_seeds(self.cache, seeds, **given)
        return report

    def ask(self, question: str, *, model: str = "gpt-4o", system: str = "", **parameters) -> Answer:
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        return self.cache.complete(ChatRequest.from_openai(model=model, messages=messages, **parameters))


@pytest.fixture(params=["memory", "redis"])
def shop(request, namespace) -> Shop:
    if request.param == "memory":
        return Shop(MemoryStore(), namespace)
    return Shop(RedisStore(request_client(request.getfixturevalue("redis_url"), 5)), namespace)


def test_a_question_and_its_variants_are_hits(shop):
    report = shop.seed(PIN)
    assert (report.read, report.stored, report.aliases) == (1, 1, 1)
    asked = shop.ask("How do I change my PIN?")
    assert (str(asked.outcome), asked.completion.text) == ("hit (exact)", "At any cash machine.")
    variant = shop.ask("I want another PIN")
    assert (str(variant.outcome), variant.completion.text) == ("hit (alias)", "At any cash machine.")
    assert variant.key == asked.key, "the key is the entry's, by which it can be invalidated"
    assert str(shop.ask("i want  another pin!").outcome) == "miss (absent), stored", "PIN keeps its case"


def test_another_spelling_of_a_variant_is_a_hit(shop):
    shop.seed(PIN | {"variants": ["Where can I get a new number?"]})
    assert str(shop.ask("where can i get  a new number").outcome) == "hit (normalized)"


def test_nothing_of_it_is_counted_as_a_request(shop):
    shop.seed(PIN)
    assert shop.outcomes.all == []
    assert shop.provider.calls == 0


def test_a_model_a_system_message_and_parameters_are_those_of_the_requests(shop):
    shop.seed(PIN, system="You work for a bank.")
    shop.seed(PIN | {"model": "gpt-4o-mini", "parameters": {"temperature": 0}})
    assert shop.ask("How do I change my PIN?", system="You work for a bank.").outcome.kind == "hit"
    assert shop.ask("How do I change my PIN?", model="gpt-4o-mini", temperature=0).outcome.kind == "hit"
    assert shop.ask("How do I change my PIN?").outcome.kind == "miss"


def test_a_ttl_is_the_lines_own_or_the_one_for_all(shop):
    shop.seed(PIN | {"ttl": 100}, {"question": "Who are you?", "answer": "A bank."}, ttl_seconds=1000)
    shop.clock.forward(101)
    assert shop.ask("How do I change my PIN?").outcome.kind == "miss"
    assert shop.ask("Who are you?").outcome.kind == "hit"
    shop.clock.forward(900)
    assert shop.ask("Who are you?").outcome.kind == "miss"


def test_the_same_file_again_renews_its_entries(shop):
    shop.seed(PIN, ttl_seconds=100)
    shop.clock.forward(90)
    report = shop.seed(PIN, ttl_seconds=100)
    assert (report.stored, report.renewed, report.replaced) == (0, 1, 0)
    shop.clock.forward(20)
    assert shop.ask("I want another PIN").outcome.kind == "hit"


def test_a_better_answer_replaces_the_one_there_was(shop):
    shop.ask("How do I change my PIN?")
    report = shop.seed(PIN)
    assert (report.stored, report.replaced) == (0, 1)
    assert shop.ask("How do I change my PIN?").completion.text == "At any cash machine."


def test_repeated_wordings_are_counted_and_stored_once(shop):
    report = shop.seed(PIN, PIN, {"question": "I want another PIN.", "answer": PIN["answer"]})
    assert (report.stored, report.aliases, report.repeated) == (1, 1, 3)


def test_of_two_answers_to_one_wording_the_first_counts_and_the_other_is_told(shop):
    report = shop.seed(PIN, {"question": "I want another PIN", "answer": "You cannot.", "variants": ["New PIN"]})
    assert (report.stored, report.conflicts) == (1, 1)
    [note] = report.notes
    assert (note.seed, note.wording) == (2, "I want another PIN")
    assert shop.ask("I want another PIN").completion.text == "At any cash machine."
    assert shop.ask("New PIN").outcome.kind == "miss", "a variant of an answer that does not count"


def test_what_may_not_be_stored_is_refused_with_its_reason(shop):
    report = shop.seed({"question": "What is my balance?", "answer": "42 euros."}, PIN)
    assert (report.refused, report.stored) == (1, 1)
    assert report.notes[0].problem == "is not stored: no-user"


def test_an_invalidation_of_the_question_hides_its_variants(shop):
    from core.bans.changes import new_ban
    from core.bans.criteria import Criteria

    shop.seed(PIN | {"tags": ["faq"]})
    shop.cache.store.append(
        shop.cache.slot(shop.namespace, 0), new_ban("b", Criteria(tags=("faq",)), now=shop.clock(), hold_seconds=60)
    )
    assert shop.ask("I want another PIN").outcome.kind == "miss"


def test_a_variant_in_another_bucket_has_a_copy(redis_url, namespace):
    shop = Shop(RedisStore(request_client(redis_url, 5)), namespace, buckets=16)
    variants = [f"Way number {name} of asking for it" for name in ("one", "two", "three", "four", "five", "six")]
    report = shop.seed(PIN | {"variants": variants})
    assert report.copies > 0
    assert report.copies + report.aliases == 6
    assert {shop.ask(variant).completion.text for variant in variants} == {"At any cash machine."}


def test_a_near_question_finds_a_variant(namespace):
    semantic = SemanticLookup(
        CheckedEmbedder(WordLlamaEmbedder()),
        NumpyIndex(),
        thresholds=lambda namespace: Threshold(mode=SemanticMode.SERVE, serve=0.85),
    )
    cache = LLMCache(
        CacheConfig(namespace=namespace, strategy=CacheStrategy.SEMANTIC),
        provider=CountingProvider(),
        metrics=Outcomes(),
        semantic=semantic,
    )
    line = {"question": "Is there a charge for cash?", "answer": "No.", "variants": ["Do I pay fees at cash machines?"]}
    trail = AuditLog(None).by("ann")
    *_, report = import_seeds(cache, read_seeds([json.dumps(line)]), namespace=namespace, model="gpt-4o", trail=trail)
    assert report.aliases == 1
    messages = [{"role": "user", "content": "Do I pay any fees at cash machines?"}]
    answer = cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
    assert (str(answer.outcome), answer.completion.text) == ("hit (semantic)", "No.")


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"question": "Why?"}',
        '{"question": "Why?", "answer": ""}',
        '{"question": "Why?", "answer": "So.", "variants": [" "]}',
        '{"question": "Why?", "answer": "So.", "variants": "Why not?"}',
        '{"question": "Why?", "answer": "So.", "ttl": -1}',
        '{"question": "Why?", "answer": "So.", "tags": [""]}',
        '{"question": "Why?", "answer": "So.", "parameters": {"model": "gpt-4o"}}',
        '{"question": "Why?", "answer": "So.", "anser": "typo"}',
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_stored(line):
    with pytest.raises(InvalidInput, match="line 3"):
        read_seeds([json.dumps(PIN), "", line])


def test_a_seeding_is_on_record(shop):
    shop.seed(PIN, {"question": "Where?", "answer": "Here."})
    [record] = shop.audit.records()
    assert (record.action, record.actor, record.namespace) == ("seed.imported", "ann", shop.namespace)
    assert record.source == "cli"
    assert record.details["stored"] == 2
    assert "notes" not in record.details


def test_alias_needs_the_same_scope_and_a_stored_answer(namespace):
    shop = Shop(MemoryStore(), namespace)
    shop.seed(PIN)

    def request(question: str, model: str = "gpt-4o") -> ChatRequest:
        return ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": question}])

    def alias(wording: ChatRequest, of: ChatRequest) -> str:
        return shop.cache.alias(wording, of, Controls())

    pin = request("How do I change my PIN?")
    assert alias(request("New PIN?", "gpt-4o-mini"), pin) == "other-scope"
    assert alias(request("how do I change my PIN"), pin) == "same-wording"
    assert alias(request("New PIN?"), request("Never asked")) == "absent"
    assert alias(pin, pin) == "same-wording"
    assert shop.ask("How do I change my PIN?").outcome.detail == "exact"
    shop.seed({"question": "?!?", "answer": "Pardon?"})
    assert alias(request("?!?"), request("?!?")) == "same-wording", "it has no normal form"
    assert shop.ask("?!?").outcome.detail == "exact"
