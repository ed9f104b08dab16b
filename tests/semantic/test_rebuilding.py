"""The index of near questions is rebuilt beside that of another embedder, from what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.errors import EmbedderError, InvalidInput
from core.models import ChatRequest, Controls
from core.semantic.embedding.embedders import EmbedderIdentity, WordLlamaEmbedder
from core.semantic.index.log import VectorLog
from core.semantic.rebuilding import BATCH, FAILURES
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.stores.clusters import a_cluster

QUESTION = "How do I reset my online banking password?"
PARAPHRASE = "How can I reset the password of my online banking?"
PATIENCE_SECONDS = 5.0


class Embedding(CountingProvider):
    """A provider whose embeddings are word vectors: another embedder with the same cosines."""

    def __init__(self, wordllama: WordLlamaEmbedder) -> None:
        super().__init__()
        self.wordllama = wordllama
        self.embedded: list[str] = []
        self.is_broken = False

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        if self.is_broken:
            raise EmbedderError("is broken")
        self.embedded += texts
        rows: list[list[float]] = self.wordllama.embed(texts).tolist()
        return rows


class Site:
    """Processes on one Redis: before with word vectors, after with another embedder."""

    def __init__(self, start: Callable[..., Services], provider: Embedding) -> None:
        self.provider = provider
        self.before = start(provider=provider)
        self.start = lambda **settings: start(
            provider=provider, embedder="openai:other", embedder_dimension=256, **settings
        )
        self.after = self.start()

    def rebuild(self, services: Services | None = None, **options):
        self.rests: list[float] = []
        return (services or self.after).near_index.rebuild(rest=self.rests.append, **options)


@pytest.fixture(params=["numpy", "redis"])
def redis_of(request, redis_server, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The kind of index, and the URL of a server of the test's own that can hold it: all its namespaces count."""
    if request.param == "cluster":
        with a_cluster(tmp_path_factory.mktemp("cluster"), request.getfixturevalue("redis_binary")) as running:
            yield "numpy", running.url
        return
    binary = request.getfixturevalue("redis8_binary") if request.param == "redis" else None
    yield request.param, redis_server(binary=binary).url


@pytest.fixture
def start(redis_of: tuple[str, str], namespace: str, tmp_path: Path) -> Iterator[Callable[..., Services]]:
    with ExitStack() as processes:

        def start(*, provider: CountingProvider, **settings) -> Services:
            index, url = redis_of
            given = {
                "home": tmp_path,
                "redis_url": url,
                "namespace": namespace,
                "strategy": "semantic",
                "semantic": "serve",
                "semantic_threshold": 0.8,
                "semantic_index": index,
                "ttl_seconds": 5000,
                "redis_timeout_seconds": PATIENCE_SECONDS,
                "embedder_deadline_seconds": PATIENCE_SECONDS,
            }
            return processes.enter_context(bootstrap(Settings(**(given | settings)), provider=provider))

        yield start


@pytest.fixture
def site(start, wordllama) -> Site:
    return Site(start, Embedding(wordllama))


def stored_by_another(*questions: str, namespace: str = "shop") -> None:
    """Has an embedder that is not the default one store questions, by the environment's settings otherwise."""
    settings = Settings(strategy="semantic", semantic="serve", embedder="openai:other", embedder_dimension=256)
    with bootstrap(settings, provider=Embedding(WordLlamaEmbedder())) as services:
        for question in questions:
            ask(services, question, namespace=namespace)


def ask(services: Services, question: str, *earlier: str, **controls) -> str:
    services.semantic.warm([controls.get("namespace", services.settings.namespace)])
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate((*earlier, question))]
    request = ChatRequest.from_openai(model="gpt-4o", messages=messages)
    return str(services.cache.complete(request, Controls(**controls)).outcome)


def near(services: Services, question: str) -> str:
    """The answer that a near question is given; empty without one. Nothing is stored or asked of the provider."""
    services.semantic.warm([services.settings.namespace])
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
    identity = services.cache.identify(request).keyed.identity
    cache = services.cache
    found = services.semantic.lookup.find(services.store, cache.slot, identity, Controls(), services.clock()).found
    return found.entry.body["choices"][0]["message"]["content"] if found is not None else ""


def test_what_another_embedder_stored_is_found_after_a_rebuild_and_by_both(site):
    ask(site.before, QUESTION)
    assert near(site.after, PARAPHRASE) == ""
    state = site.after.near_index.state()
    assert (state.others, state.wanting) == (1, True)
    done = site.rebuild()
    assert (done.total, done.done, done.added, done.finished) == (1, 1, 1, True)
    assert near(site.after, PARAPHRASE) == near(site.before, PARAPHRASE) == "answer 1"
    assert near(site.start(), PARAPHRASE) == "answer 1"
    state = site.after.near_index.state()
    assert (state.others, state.wanting, state.rebuilt.progress) == (1, False, done)


def test_a_second_run_adds_nothing_and_embeds_nothing(site):
    for number in range(3):
        ask(site.before, f"{QUESTION} Number {number}")
    site.rebuild()
    site.provider.embedded.clear()
    again = site.rebuild()
    assert (again.done, again.added, again.present, site.provider.embedded) == (3, 0, 3, [])


def test_what_it_has_stored_itself_is_left_alone(site):
    ask(site.before, QUESTION)
    ask(site.after, QUESTION, no_cache=True)
    assert (site.rebuild().added, near(site.after, PARAPHRASE)) == (0, "answer 2")


def test_a_run_that_was_ended_is_carried_on_by_the_next(site):
    for number in range(BATCH + 1):
        ask(site.before, f"What does the word number {number} mean?")
    stops = iter([False, True])
    ended = site.rebuild(should_stop=lambda: next(stops))
    assert not ended.finished
    assert 0 < ended.added < BATCH + 1
    assert site.after.near_index.state().wanting
    done = site.rebuild()
    assert (done.added, done.present) == (BATCH + 1 - ended.added, ended.added)
    assert not site.after.near_index.state().wanting


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "while it runs"])
def test_what_is_invalidated_does_not_come_back_by_it_and_an_undo_brings_it_back_whole(site, is_before):
    ask(site.before, QUESTION)
    made = []

    def invalidate() -> None:
        made.append(site.before.invalidation.invalidate(Criteria(pattern="*banking*"), actor="api"))

    if is_before:
        invalidate()
    done = site.rebuild(on_batch=lambda progress: None if is_before else invalidate())
    assert done.added == 1
    assert near(site.after, PARAPHRASE) == ""
    site.before.invalidation.undo(made[0].id, actor="api")
    assert near(site.after, PARAPHRASE) == "answer 1"


def test_what_is_deleted_gets_no_row(site):
    ask(site.before, QUESTION)
    services = site.before
    services.redis.delete(*services.redis.scan_iter(f"encore:*{services.settings.namespace}:0}}:e:*"))
    done = site.rebuild()
    assert (done.added, done.gone) == (0, 1)


def test_what_was_stored_under_a_record_that_was_lost_gets_no_row(site):
    ask(site.before, QUESTION)
    site.before.redis.delete(site.before.cache.slot(site.before.settings.namespace).record)
    ask(site.before, "What is the fee for a card that was lost abroad?")
    done = site.rebuild()
    assert (done.added, done.gone) == (1, 1)


def test_an_answer_that_was_replaced_meanwhile_is_found_as_it_is_now(site):
    ask(site.before, QUESTION)
    site.rebuild(on_batch=lambda progress: ask(site.before, QUESTION, no_cache=True))
    assert near(site.after, PARAPHRASE) == "answer 2"


def rows_of(services: Services, embedder: EmbedderIdentity) -> dict[tuple[bytes, bytes], list[float]]:
    """The stored rows of an embedder, by scope and key."""
    return {
        (partition.scope, row.key): [round(float(number), 3) for number in row.vector]
        for batch in VectorLog(services.redis, embedder).load(services.settings.namespace)
        for partition, rows in batch.items()
        for row in rows
    }


@pytest.mark.parametrize("redis_of", ["numpy"], indirect=True)
def test_rows_are_those_that_storing_would_have_made_in_conversations_too(start, wordllama):
    provider = Embedding(wordllama)
    settings = {"semantic_conversations": "judge", "judge_model": "judge"}
    before = start(provider=provider, **settings)
    after = start(provider=provider, embedder="openai:other", embedder_dimension=256, **settings)
    ask(before, QUESTION)
    ask(before, PARAPHRASE)  # an alias of the first
    ask(before, "When did it last erupt?", "How high is Mount Fuji?", "Mount Fuji is 3,776 metres high.")
    stored = rows_of(before, wordllama.identity)
    assert len({scope for scope, _ in stored}) == 3  # first questions, the conversation, and its family
    done = after.near_index.rebuild(rest=lambda seconds: None)
    assert (done.added, done.gone) == (len(stored), 0)
    other = EmbedderIdentity(name="openai", version=f"other@{provider.base_url}", dimension=256)
    assert other.digest.hex() == after.near_index.embedder()
    assert rows_of(after, other) == stored == rows_of(before, wordllama.identity)


def test_an_embedder_that_fails_now_and_then_leaves_those_for_another_run(site):
    ask(site.before, QUESTION)
    site.provider.is_broken = True
    failed = site.rebuild()
    assert (failed.failed, failed.added, site.after.near_index.state().wanting) == (1, 0, True)
    site.provider.is_broken = False
    assert site.rebuild().added == 1
    assert not site.after.near_index.state().wanting


def test_an_embedder_that_fails_always_ends_it(site):
    for number in range(BATCH * FAILURES):
        ask(site.before, f"What does the word number {number} mean?")
    site.provider.is_broken = True
    with pytest.raises(EmbedderError):
        site.rebuild()


def test_a_question_that_the_embedder_cannot_read_is_told_and_not_wanted_again(site):
    ask(site.before, QUESTION)
    site.provider.wordllama = Zeros()
    done = site.rebuild()
    assert (done.unreadable, done.added) == (1, 0)
    assert not site.after.near_index.state().wanting


class Zeros:
    def embed(self, texts):
        import numpy as np

        return np.zeros((len(texts), 256))


def test_it_rests_as_long_as_it_worked(site):
    ask(site.before, QUESTION)
    site.rebuild()
    assert site.rests
    assert all(rest > 0 for rest in site.rests)


def test_what_others_store_after_a_rebuild_wants_another(site):
    ask(site.before, QUESTION)
    site.rebuild()
    ask(site.before, "What is the fee for a card that was lost abroad?")
    state = site.after.near_index.state()
    assert state.wanting
    assert "newer than its last rebuild" in state.words


@pytest.mark.parametrize("redis_of", ["cluster"], indirect=True)
def test_entries_in_several_buckets_of_a_cluster_are_found(start, wordllama):
    provider = Embedding(wordllama)
    before = start(provider=provider, buckets=8)
    after = start(provider=provider, buckets=8, embedder="openai:other", embedder_dimension=256)
    for number in range(8):
        ask(before, f"What does the word number {number} mean?")
        ask(before, f"What does the word number {number} mean?", namespace="elsewhere")
    assert after.near_index.state().others == 16
    done = after.near_index.rebuild(rest=lambda seconds: None)
    assert (done.added, done.gone) == (16, 0)
    assert not after.near_index.state().wanting


def test_without_semantic_lookup_there_is_nothing_to_rebuild(start, wordllama):
    plain = start(provider=Embedding(wordllama), strategy="normalized")
    assert plain.near_index.state().words == ""
    with pytest.raises(InvalidInput):
        plain.near_index.ask(actor="api")
