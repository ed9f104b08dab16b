"""Redis with a user who may not run everything: what can work works, and what does not is said, with what to grant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.errors import NotPermitted
from core.models import ChatRequest, OutcomeKind
from core.monitoring import RecentHealth, prometheus
from core.settings import Settings
from tests.conftest import RedisServer
from tests.fakes import CountingProvider
from tests.stores.redis.users import CATEGORIES, url_of_user
from tests.workers.conftest import PoolProcess, eventually

KINDS = ["redis_binary", "redis8_binary", "valkey_binary"]


@pytest.fixture(scope="module", params=KINDS)
def server(request, tmp_path_factory) -> Iterator[RedisServer]:
    home = tmp_path_factory.mktemp("rights")
    with RedisServer(home, binary=request.getfixturevalue(request.param), durable=False) as server:
        yield server


def ask(services: Services, text: str):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])
    answer = services.cache.complete(request)
    assert answer.completion.text.startswith("answer")
    return answer.outcome


def all_that_is_needed_works(services: Services) -> None:
    assert ask(services, "What is an owl?").stored
    assert ask(services, "What is an owl?").kind is OutcomeKind.HIT
    for actor in (services.audit.by("anna", source="cli"), "a program"):
        services.invalidation.invalidate(Criteria(model="gpt-4o"), actor=actor)
    assert ask(services, "What is an owl?").reason == "invalidated"
    assert services.switch.turn(services.settings.namespace, True, actor="anna").kept
    assert ask(services, "What is an owl?").kind is OutcomeKind.BYPASS
    services.switch.turn(services.settings.namespace, False, actor="anna")
    assert services.health.count_entries() >= 1
    assert services.metrics.summary(60, namespace=services.settings.namespace).requests == 4
    for machines in (False, True):
        assert "invalidate.applied" in {record.action for record in services.audit.records(machines=machines)}


def test_the_documented_user_can_do_everything(server, namespace):
    with started(server, namespace) as services:
        all_that_is_needed_works(services)
        assert rights_told(services) == ([], False)


def started(server: RedisServer, namespace: str, *less: str) -> Services:
    url = url_of_user(server, *less)
    return bootstrap(Settings(redis_url=url, namespace=namespace), provider=CountingProvider())


def rights_told(services: Services) -> tuple[list[str], bool]:
    """What the doctor says of rights, and whether an alert fires; `/metrics` says the same as both."""
    diagnosis = diagnose(services, outside=())
    unreachable = [finding.text for finding in diagnosis.findings if "Start it, or correct" in finding.remedy]
    assert unreachable == [], "it answers"
    told = [finding for finding in diagnosis.findings if " may not " in finding.text]
    assert all(finding.level is not Level.OK and "ACL SETUSER encore " in finding.remedy for finding in told)
    health = services.health.check()
    assert health.store_up
    fires = "rights" in {alert.name for alert in services.alert_board.look(None, health)}
    assert fires == bool(health.missing_rights) == bool(told)
    collector = prometheus.MetricsCollector(services.metrics, RecentHealth(services.health.check), services.alert_board)
    text = prometheus.render(collector).decode()
    samples = {
        (sample.name, sample.labels.get("rule", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["encore_up", ""] == 1
    assert samples["encore_alert", "rights"] == float(fires)
    assert samples["encore_redis_rights_missing", ""] == len(health.missing_rights)
    return [finding.text for finding in told], fires


def what_can_work_works_and_the_rest_is_told(server: RedisServer, namespace: str, less: list[str]) -> None:
    with started(server, namespace) as well:
        ask(well, "What is a cat?")
    with started(server, namespace, *less) as services:
        told, _ = rights_told(services)
        everything = " ".join(told)
        kept = ask(services, "What is a cat?")
        if "hits" not in everything:
            assert kept.kind is OutcomeKind.HIT, "what others have stored is served"
        first, second = ask(services, "What is a dog?"), ask(services, "What is a dog?")
        if second.kind is not OutcomeKind.HIT:
            assert "not-permitted" in (first.reason, first.not_stored, second.reason), "it says why"
            assert "hits" in everything or "stores" in everything
        elif "stores" not in everything:
            assert first.stored
        assert not services.cache.breaker.is_open
        if invalidated(services):
            assert ask(services, "What is a cat?").kind is not OutcomeKind.HIT, "it was acknowledged"
        else:
            assert "invalidations" in everything


def invalidated(services: Services) -> bool:
    """Whether all is invalidated; when not, the reason is the right that is missing."""
    try:
        services.invalidation.invalidate(Criteria(model="gpt-4o"), actor="anna")
    except NotPermitted:
        return False
    return True


@pytest.mark.parametrize("category", CATEGORIES)
def test_with_one_category_less_what_can_work_works_and_the_rest_is_told(server, namespace, category):
    what_can_work_works_and_the_rest_is_told(server, namespace, [f"-@{category}"])


@pytest.mark.parametrize("command", ["-script", "-info", "-config", "-eval", "-hmget", "-sadd", "-mget", "-time"])
def test_with_one_command_less_what_can_work_works_and_the_rest_is_told(server, namespace, command):
    what_can_work_works_and_the_rest_is_told(server, namespace, [command])


PAIRS = list(combinations(CATEGORIES, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "pair"),
    [pytest.param(kind, pair, id=f"{kind}-{'-'.join(pair)}") for i, kind in enumerate(KINDS) for pair in PAIRS[i::3]],
    indirect=["server"],
)
def test_with_two_categories_less_what_can_work_works_and_the_rest_is_told(server, namespace, pair):
    what_can_work_works_and_the_rest_is_told(server, namespace, [f"-@{category}" for category in pair])


@pytest.mark.soak
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_with_two_categories_less_on_every_server(server, namespace, pair):
    what_can_work_works_and_the_rest_is_told(server, namespace, [f"-@{category}" for category in pair])


@pytest.mark.parametrize("less", ["-script", "-info"])
def test_hits_and_all_else_go_on_without_rights_that_only_watching_needs(server, namespace, less):
    with started(server, namespace, less) as services:
        all_that_is_needed_works(services)


@pytest.mark.parametrize("less", [(), ("-script",), ("-info",)])
def test_workers_work_with_the_documented_user_and_without_what_only_watching_needs(redis_server, tmp_path, less):
    server = redis_server()
    with bootstrap(Settings(redis_url=server.url), provider=CountingProvider()) as services:
        assert ask(services, "What is an owl?").stored
        services.invalidation.invalidate(Criteria(model="gpt-4o"), actor="anna", hold_seconds=0)
        pool = PoolProcess(url_of_user(server, *less), tmp_path, "--workers", "1")
        try:
            eventually(lambda: not list(services.redis.scan_iter("encore:4:{default:0}:e:*")))
        finally:
            pool.kill()
            pool.process.stdout.close()
