"""Questions over Redis: asked for once, made again in time, and nothing of a prompt anywhere but in the request log."""

from __future__ import annotations

import pytest

from core.access import Actor, AuditLog, Role
from core.bootstrap import bootstrap
from core.errors import AccessDenied
from core.keys import names
from core.metrics import CacheMetrics
from core.models import ChatRequest
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.questions.questions import AGAIN_SECONDS, EMPTY_SECONDS, KEPT_SECONDS, Questions
from core.settings import Settings
from tests.conftest import RedisServer
from tests.fakes import CountingProvider
from tests.metrics.outcomes import a_bypass, a_miss

SECRET = "My secret pet is called Rex"


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory, redis_binary):
    """A server of these tests' own: the request log is one for all that use a Redis."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as server:
        yield server


@pytest.fixture
def client(own_redis):
    with own_redis.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def metrics(client):
    metrics = CacheMetrics(client)
    yield metrics
    metrics.close()


@pytest.fixture
def questions(client, metrics):
    return questions_on(client, metrics)


def questions_on(client, metrics, **options) -> Questions:
    return Questions(client, metrics, AuditLog(client), lambda: CheckedEmbedder(WordLlamaEmbedder()), **options)


def log(metrics, *prompts: str, **fields) -> None:
    for prompt in prompts:
        metrics.record(a_miss(**fields), prompt=prompt)


def test_what_is_grouped_is_told_by_the_log(metrics, questions):
    log(metrics, "Where is my card?", "Where is my card?", cost_usd=0.5)
    assert not questions.report().groups
    assert questions.group().groups == 1
    [group] = questions.report().groups
    assert (group.question, group.misses, group.spent_usd) == ("Where is my card?", 2, 1.0)
    log(metrics, "Where is my card?", cost_usd=0.5)
    assert questions.report().groups[0].misses == 3, "figures are the log's, not the map's"


def test_namespaces_that_a_key_may_not_enter_are_not_told_of(metrics, questions):
    log(metrics, "Where is my card?", namespace="a")
    log(metrics, SECRET, namespace="b")
    questions.group()
    assert len(questions.report().questions) == 2
    for found in (questions.report(within=lambda name: name == "a"), questions.report(namespace="a")):
        assert [one.question for one in found.questions] == ["Where is my card?"]
        assert "Rex" not in str(found.to_dict())


def test_the_map_holds_no_prompt_and_goes_by_itself(client, metrics, questions):
    log(metrics, SECRET)
    questions.group()
    stored = client.get(names.QUESTIONS)
    assert not [word for word in (b"secret", b"Rex") if word in stored]
    assert 0 < client.ttl(names.QUESTIONS) <= KEPT_SECONDS
    client.delete(names.REQUESTS)  # what production.md says of somebody who is to be forgotten
    assert "Rex" not in str(questions.report().to_dict())


def test_where_prompts_may_not_be_kept_nothing_is_read_or_told(client, metrics, questions):
    log(metrics, SECRET)
    questions.group()
    other = CacheMetrics(client, record_prompts=False)
    private = questions_on(client, other, keep_prompts=False, by_itself=True)
    found = private.report()
    assert "ENCORE_RECORD_PROMPTS" in found.empty
    assert "Rex" not in str(found.to_dict())
    client.delete(names.QUESTIONS)
    assert not private.is_due()
    assert private.group().total == 0


def test_it_is_asked_for_by_operators_and_taken_up_once(client, questions):
    with pytest.raises(AccessDenied):
        questions.ask(actor=Actor(name="vera", role=Role.VIEWER))
    assert not questions.is_asked()
    questions.ask(actor=Actor(name="olga", role=Role.OPERATOR))
    assert questions.is_asked()
    assert client.ttl(names.QUESTIONS_ASKED) > 0
    assert [questions.take_up(), questions.take_up()] == [True, False]


def test_by_itself_it_is_made_again_in_time_and_soon_when_there_was_nothing(client, metrics):
    questions = questions_on(client, metrics, by_itself=True)
    assert questions.is_due()
    questions.group()
    assert not questions.is_due()
    assert client.ttl(names.QUESTIONS) <= KEPT_SECONDS - AGAIN_SECONDS + EMPTY_SECONDS, "there was nothing to group"
    log(metrics, "Where is my card?")
    questions.group()
    assert not questions.is_due()
    client.expire(names.QUESTIONS, KEPT_SECONDS - AGAIN_SECONDS - 1)
    assert questions.is_due()
    assert not questions_on(client, metrics).is_due(), "only where near questions are looked for"


def test_without_redis_it_is_kept_in_this_process():
    metrics = CacheMetrics(None)
    questions = questions_on(None, metrics)
    metrics.record(a_bypass(), prompt=None)
    log(metrics, "Where is my card?")
    questions.group()
    assert [one.question for one in questions.report().groups] == ["Where is my card?"]
    questions.ask(actor="api")
    assert (questions.is_asked(), questions.take_up(), questions.is_due()) == (False, False, False)


def test_the_parts_of_the_settings_are_put_together(own_redis, client, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", own_redis.url)
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    monkeypatch.setenv("ENCORE_EMBEDDER", "openai:text-embedding-3-small")  # not asked: prompts stay on this machine
    with bootstrap(Settings(), provider=CountingProvider()) as services:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is a cat?"}])
        services.cache.complete(request)
        assert services.questions.is_due()
        services.questions.group()
        found = services.questions.report()
    assert (found.model, [one.question for one in found.groups]) == ("wordllama", ["What is a cat?"])
