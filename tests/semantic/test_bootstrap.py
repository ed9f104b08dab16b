"""Semantic lookup as settings put it together: over processes and restarts, with a judge behind a real server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.errors import InvalidSettings
from core.models import Answer, ChatRequest, Controls, SemanticMode
from core.semantic.quality.thresholds import Threshold
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.openai_server import Behaviour
from tests.semantic.judge.test_judge import verdict

QUESTION = "How do I reset my online banking password?"
PARAPHRASE = "How can I reset the password of my online banking?"
ANOTHER = "How can I reset my password for online banking?"
PATIENCE_SECONDS = 5.0
"""Redis' time-out: this is not about speed, and the machine may be busy."""

Start = Callable[..., Services]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes' services; `make run` is not running here."""
    with ExitStack() as processes:

        def start(**settings) -> Services:
            overrides = {"provider": settings.pop("provider")} if "provider" in settings else {}
            given = {
                "home": tmp_path,
                "strategy": "semantic",
                "semantic": "serve",
                "semantic_threshold": 0.8,
                "ttl_seconds": 1000,
                "redis_timeout_seconds": PATIENCE_SECONDS,
            }
            return processes.enter_context(bootstrap(Settings(**(given | settings)), **overrides))

        yield start


def ask(services: Services, question: str = QUESTION, **controls) -> Answer:
    # Loading goes on beside the requests, which a busy machine may notice.
    if services.semantic is not None:
        services.semantic.warm([services.settings.namespace])
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
    return services.cache.complete(request, Controls(**controls))


def python(code: str, environment: dict[str, str]) -> list[str]:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_an_answer_of_one_process_is_a_near_hit_in_another(start, redis_url, namespace):
    first, second = (start(redis_url=redis_url, namespace=namespace, provider=CountingProvider()) for _ in range(2))
    ask(second, "Something that has both of them begin")
    stored = ask(first)
    answer = ask(second, PARAPHRASE)
    assert str(answer.outcome) == "hit (semantic)"
    assert answer.key == stored.key
    assert 0.8 <= answer.similarity <= 1


def test_an_answer_of_a_process_that_has_ended_is_a_near_hit_in_this_one(start, redis_url, namespace, tmp_path):
    code = (
        "from core.bootstrap import bootstrap\n"
        "from core.models import ChatRequest\n"
        "from core.settings import Settings\n"
        "from tests.fakes import CountingProvider\n"
        "with bootstrap(Settings(redis_timeout_seconds=5), provider=CountingProvider()) as services:\n"
        "    services.semantic.warm()\n"
        f"    messages = [{{'role': 'user', 'content': {QUESTION!r}}}]\n"
        "    print(services.cache.complete(ChatRequest.from_openai(model='gpt-4o', messages=messages)).outcome)\n"
    )
    environment = {
        "ENCORE_REDIS_URL": redis_url,
        "ENCORE_HOME": str(tmp_path),
        "ENCORE_NAMESPACE": namespace,
        "ENCORE_STRATEGY": "semantic",
        "ENCORE_SEMANTIC": "serve",
    }
    assert python(code, environment) == ["miss (far), stored"]
    services = start(redis_url=redis_url, namespace=namespace, provider=CountingProvider())
    assert str(ask(services, PARAPHRASE).outcome) == "hit (semantic)"


def test_after_a_restart_near_questions_are_hits_again(start, redis_url, namespace):
    options = {"redis_url": redis_url, "namespace": namespace, "provider": CountingProvider()}
    with start(**options) as before:
        ask(before)
    assert str(ask(start(**options), PARAPHRASE).outcome) == "hit (semantic)"


def test_an_invalidation_hides_an_answer_from_near_questions_everywhere(start, redis_url, namespace):
    options = {"redis_url": redis_url, "namespace": namespace, "provider": CountingProvider()}
    first, second = start(**options), start(**options)
    ask(first)
    assert ask(second, PARAPHRASE).outcome.kind == "hit"
    done = second.invalidation.invalidate(Criteria(model="gpt-4o"), actor="ann")
    assert ask(first, ANOTHER).outcome.kind == "miss"
    second.invalidation.undo(done.id, actor="ann")
    assert ask(second, PARAPHRASE).outcome.kind == "hit"


def test_a_judged_wording_is_an_alias_hit_in_every_process(start, redis_server, namespace, openai_server):
    options = {
        "redis_url": redis_server().url,
        "namespace": namespace,
        "semantic": "judge",
        "judge_model": "gpt-4o-mini",
        "judge_deadline_seconds": 10,
        "openai_base_url": openai_server.url,
        "openai_api_key": "sk-test",
    }
    first, second = start(**options), start(**options)
    stored = ask(first)
    openai_server.next(verdict(True))
    judged = ask(first, PARAPHRASE)
    assert str(judged.outcome) == "hit (semantic)"
    assert judged.completion.text == stored.completion.text
    assert openai_server.requests[-1].body["model"] == "gpt-4o-mini"
    calls = openai_server.calls
    assert str(ask(second, PARAPHRASE).outcome) == "hit (alias)"
    assert str(ask(second, PARAPHRASE.lower()).outcome) == "hit (normalized)"
    assert openai_server.calls == calls, "neither judge nor provider"
    events = first.metrics.totals().events
    assert events["judge_yes"] == events["judge_calls"] == 1
    report = second.evidence.report(namespace)
    assert (report.judge_labels, report.judging.rulings) == (1, {"yes": 1})


def test_a_wording_near_a_judged_one_finds_the_answer_too(start, redis_url, namespace, openai_server):
    services = start(
        redis_url=redis_url,
        namespace=namespace,
        semantic="judge",
        semantic_grey=0.75,
        judge_model="gpt-4o-mini",
        judge_deadline_seconds=10,
        openai_base_url=openai_server.url,
        openai_api_key="sk-test",
    )
    stored = ask(services)
    openai_server.next(verdict(True), verdict(True))
    ask(services, PARAPHRASE)
    answer = ask(services, "How can I reset the password of my online banking today?")
    assert answer.key == stored.key
    judged = openai_server.requests[-1].question
    assert QUESTION in judged
    assert PARAPHRASE not in judged, "the judge sees the question that the answer was given to"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (verdict(False), "judge-no"),
        (Behaviour(status=500), "judge-broken"),
        (Behaviour(content="Yes, certainly!"), "judge-unreadable"),
    ],
)
def test_without_a_yes_the_provider_answers(start, redis_url, namespace, openai_server, reply, reason):
    services = start(
        redis_url=redis_url,
        namespace=namespace,
        semantic="judge",
        judge_model="gpt-4o-mini",
        judge_deadline_seconds=10,
        openai_base_url=openai_server.url,
        openai_api_key="sk-test",
    )
    ask(services)
    openai_server.always(reply, when=lambda request: request.body["model"] == "gpt-4o-mini")
    answer = ask(services, PARAPHRASE)
    assert (answer.outcome.reason, answer.outcome.stored) == (reason, True)
    assert answer.outcome.similarity > 0.8, "of the nearest question"
    assert answer.similarity is None, "which is not the one that was served"


def is_judge(request) -> bool:
    return request.body["model"] == "gpt-4o-mini"


def chat(services, question: str, *earlier: str, **controls):
    """An answer to a question after others, which the user and the assistant said in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(earlier)]
    messages.append({"role": "user", "content": question})
    request = ChatRequest.from_openai(model="gpt-4o", messages=messages)
    return services.cache.complete(request, Controls(**controls))


@pytest.fixture
def judging(start, redis_url, namespace, openai_server):
    return start(
        redis_url=redis_url,
        namespace=namespace,
        semantic="judge",
        semantic_grey=0.4,
        judge_model="gpt-4o-mini",
        judge_deadline_seconds=10,
        openai_base_url=openai_server.url,
        openai_api_key="sk-test",
    )


WORDINGS = ("How do I reset my password?", "How do I reset a password?", "Please, how do I reset the password?")
THIRD = "How might I reset my own password?"


def test_three_stored_answers_are_judged_in_one_call_and_the_one_that_is_named_is_served(judging, openai_server):
    stored = [chat(judging, wording, no_cache=True) for wording in WORDINGS]
    openai_server.always(verdict(2, different=[1]), when=is_judge)
    answer = chat(judging, THIRD)
    [asked] = [request for request in openai_server.requests if is_judge(request)]
    shown = re.findall(r"stored question (\d)>\n(.*)\n", asked.question)
    assert sorted(json.loads(text) for _, text in shown) == sorted(WORDINGS)
    second = json.loads(next(text for number, text in shown if number == "2"))
    assert answer.key == stored[WORDINGS.index(second)].key
    judging.evidence.flush()
    labels = [pair.judge_label for pair in judging.evidence.pairs(judging.settings.namespace) if pair.question == THIRD]
    assert sorted(labels, key=str) == [False, None, True], "of the third nothing was said"


def test_what_came_before_is_shown_to_the_judge(judging, openai_server):
    earlier = ("Do you sell kettles?", "Yes, the Aqua and the Blu.")
    stored = chat(judging, "How much is the second one?", *earlier)
    openai_server.always(verdict(True), when=is_judge)
    assert chat(judging, "What does the second one cost?", *earlier).key == stored.key
    asked = openai_server.requests[-1].question
    assert '["user: Do you sell kettles?", "assistant: Yes, the Aqua and the Blu."]' in asked


def test_an_answer_that_is_not_shown_to_the_judge_says_so_and_costs_no_call(judging, openai_server):
    openai_server.next(Behaviour(content="A very long answer. " * 1000))
    ask(judging)
    answer = ask(judging, PARAPHRASE)
    assert (answer.outcome.kind, answer.outcome.reason) == ("miss", "judge-not-shown")
    assert not any(map(is_judge, openai_server.requests))
    assert judging.metrics.totals().events["judge_not_shown"] == 1
    judging.evidence.flush()
    report = judging.evidence.report(judging.settings.namespace)
    assert (report.labels, report.judging.rulings) == (0, {"not-shown": 1})


def test_the_demo_model_judges_for_the_demo(start):
    services = start(semantic="judge", judge_model="encore-demo-small", judge_deadline_seconds=30)
    request = ChatRequest.from_openai(
        model="gpt-4o", messages=[{"role": "user", "content": "How do I activate my new card?"}]
    )
    services.cache.complete(request)
    assert str(ask(services, "How can I activate my new card?").outcome) == "hit (semantic)"
    assert ask(services, "How can I not activate my new card?").outcome.kind == "miss"


def test_without_a_judge_near_questions_are_misses_in_mode_judge(start, redis_url, namespace):
    services = start(redis_url=redis_url, namespace=namespace, semantic="judge", provider=CountingProvider())
    ask(services)
    answer = ask(services, PARAPHRASE)
    assert (answer.outcome.kind, answer.outcome.reason) == ("miss", "far")


def test_a_published_threshold_switches_a_namespace_on_and_off(start, redis_url, namespace):
    services = start(redis_url=redis_url, namespace=namespace, semantic="off", provider=CountingProvider())
    ask(services)
    assert ask(services, PARAPHRASE).outcome.kind == "miss"
    services.thresholds.publish(namespace, Threshold(mode=SemanticMode.SERVE, serve=0.8, unproved=True), actor="ann")
    ask(services, QUESTION, no_cache=True)
    assert str(ask(services, ANOTHER).outcome) == "hit (semantic)"
    services.thresholds.roll_back(namespace, 0, actor="ann")
    assert ask(services, "How might I reset my password for online banking?").outcome.kind == "miss"


def test_without_redis_it_works_inside_the_process(start):
    services = start(provider=CountingProvider())
    ask(services)
    assert str(ask(services, PARAPHRASE).outcome) == "hit (semantic)"
    assert services.evidence.report("default").hits == 1


def test_tenants_do_not_share_near_answers(start, redis_url, namespace):
    services = start(redis_url=redis_url, namespace=namespace, provider=CountingProvider())
    ask(services)
    assert ask(services, PARAPHRASE, namespace=f"{namespace}-b").outcome.kind == "miss"


def test_a_cache_without_semantic_lookup_loads_nothing_for_it(redis_url, tmp_path):
    code = (
        "import sys\n"
        "from core.bootstrap import bootstrap\n"
        "from core.models import ChatRequest\n"
        "from core.settings import Settings\n"
        "from tests.fakes import CountingProvider\n"
        "with bootstrap(Settings(), provider=CountingProvider()) as services:\n"
        "    request = ChatRequest.from_openai(model='gpt-4o', messages=[{'role': 'user', 'content': 'Why?'}])\n"
        "    print(services.cache.complete(request).outcome, services.cache.complete(request).outcome)\n"
        "print([name for name in ('numpy', 'tokenizers', 'core.semantic.lookup') if name in sys.modules])\n"
    )
    environment = {"ENCORE_REDIS_URL": redis_url, "ENCORE_HOME": str(tmp_path)}
    for semantic in ({"ENCORE_SEMANTIC": "judge"}, {"ENCORE_STRATEGY": "semantic", "ENCORE_SEMANTIC": "off"}):
        namespace = {"ENCORE_NAMESPACE": f"test-{tmp_path.name}-{len(semantic)}"}
        assert python(code, environment | semantic | namespace) == ["miss (absent), stored hit (exact)", "[]"]


class TestWarming:
    def test_requests_do_without_while_the_embedder_is_loaded(self, namespace):
        import threading

        from core.keys.identity import identify
        from core.semantic.deferred import DeferredLookup
        from core.stores.memory import MemoryStore

        gate = threading.Event()
        remembered: list[str] = []

        class Built:
            def remember(self, identity, expires_at):
                remembered.append(identity.prompt)

            def candidates(self, *arguments):
                return "search"

            def close(self):
                pass

        def build():
            gate.wait()
            return Built(), None

        deferred = DeferredLookup(lambda namespace: Threshold(mode=SemanticMode.SERVE), build, wait_seconds=0.01)
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
        identity = identify(request, namespace)
        search = (MemoryStore(), None, identity, Controls(), 0.0)
        assert deferred.candidates(*search).reason == "loading"
        deferred.remember(identity, 1.0)
        assert remembered == []
        gate.set()
        deferred.warm()
        assert deferred.candidates(*search) == "search"
        deferred.remember(identity, 1.0)
        assert remembered == [QUESTION, QUESTION], "what came meanwhile, and what comes now"

    def test_an_embedder_that_cannot_be_loaded_leaves_the_cache_as_it_is(self, start):
        services = start(embedder="sentence-transformers:no/such-model", provider=CountingProvider())
        ask(services)
        assert ask(services, PARAPHRASE).outcome.kind == "miss"
        assert str(ask(services, QUESTION.lower()).outcome) == "hit (normalized)"
        assert "sentence-transformers" in services.semantic.problem
        assert services.metrics.totals().events["semantic_unavailable"] == 1


class TestEmbedders:
    def test_an_endpoint_for_embeddings(self, start, redis_url, namespace, openai_server):
        services = start(
            redis_url=redis_url,
            namespace=namespace,
            embedder="openai:text-embedding-3-small",
            embedder_deadline_seconds=10,
            semantic_threshold=0.5,
            openai_base_url=openai_server.url,
            openai_api_key="sk-test",
        )
        ask(services)
        ask(services, PARAPHRASE)
        asked = [request.path for request in openai_server.requests]
        assert "/v1/embeddings" in asked
        assert services.semantic.lookup.embedder.identity.dimension == 1536

    @pytest.mark.parametrize("name", ["minilm", "openai:", "wordllama:256"])
    def test_a_name_that_is_none_is_told_at_the_start(self, name):
        with pytest.raises(InvalidSettings, match="ENCORE_EMBEDDER"):
            Settings(embedder=name)


@pytest.mark.redis8
def test_vector_sets_on_a_server_that_has_them(start, redis8_url, namespace):
    from core.semantic.index.vector_sets import VectorSetIndex

    options = {
        "redis_url": redis8_url,
        "namespace": namespace,
        "semantic_index": "redis",
        "provider": CountingProvider(),
    }
    first, second = start(**options), start(**options)
    ask(first)
    assert str(ask(second, PARAPHRASE).outcome) == "hit (semantic)"
    assert isinstance(second.semantic.lookup.index, VectorSetIndex)


def test_vector_sets_on_a_server_without_them_fall_back_to_numpy(start, redis_url, namespace, caplog):
    from core.semantic.index.numpy_index import NumpyIndex

    services = start(redis_url=redis_url, namespace=namespace, semantic_index="redis", provider=CountingProvider())
    if services.redis.info("server")["redis_version"] >= "8":
        pytest.skip("this server has vector sets")
    ask(services)
    assert str(ask(services, PARAPHRASE).outcome) == "hit (semantic)"
    assert isinstance(services.semantic.lookup.index, NumpyIndex)
    assert "no vector sets" in caplog.text


def test_rows_that_lead_nowhere_go_away_for_all(start, redis_url, namespace):
    options = {"redis_url": redis_url, "namespace": namespace, "provider": CountingProvider()}
    first = start(**options)
    ask(first)
    first.redis.delete(*first.redis.keys(f"encore:4:{{{namespace}:0}}:e:*"))
    assert ask(first, PARAPHRASE).outcome.kind == "miss"
    later = start(**options)
    later.semantic.warm([namespace])
    assert later.semantic.lookup.index.counts(namespace).rows == 1, "the new question's"


def test_with_redis_away_requests_go_on_and_come_back(start, redis_server, namespace):
    server = redis_server()
    services = start(redis_url=server.url, namespace=namespace, provider=CountingProvider())
    ask(services)
    assert ask(services, PARAPHRASE).outcome.kind == "hit"
    server.kill()
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": ANOTHER}])
    answer = services.cache.complete(request)
    assert (answer.outcome.kind, answer.outcome.reason) == ("miss", "store-down")
    server.start()
    while not ask(services, no_cache=True).outcome.stored:
        pass  # the circuit breaker lets one request a second try
    assert ask(services, "How may I reset the password of my online banking?").outcome.kind == "hit"


def test_what_embeddings_cost_is_taken_off_the_savings(start, openai_server):
    services = start(openai_api_key="sk-test", openai_base_url=openai_server.url)
    services.provider.embed([QUESTION], "text-embedding-3-small")
    services.provider.embed([QUESTION], "a model without a price")
    summary = services.metrics.summary(60)
    assert summary.events["embedding_unpriced_calls"] == 1
    assert summary.net_saved_usd == -summary.overhead_usd < 0
