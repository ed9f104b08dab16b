"""The bypass switch, on servers that take writes and on such that take none: full, read-only, unable to save."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from core.access.audit import AuditLog
from core.access.roles import Actor, Role
from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.cache.bypass import EVERYTHING, BypassSwitch
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.flow import SWITCHED
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.errors import AccessDenied, InvalidInput, NotCached, StoreUnavailable, WriteRefused
from core.keys.names import BYPASS
from core.models import ChatRequest, Controls, For, OutcomeKind
from core.settings import Settings
from core.stores.redis.script_marks import MOST_MARKS
from core.stores.redis.shared_hash import COPY_SECONDS
from core.stores.redis.store import RedisStore, patient_client
from tests.cli.test_commands import Terminal
from tests.conftest import RedisServer
from tests.fakes import CountingProvider, Outcomes
from tests.samples import Clock


def cannot_save(client: redis.Redis) -> None:
    """The server's last save failed, and it was told to take no writes then."""
    client.config_set("save", "3600 1")
    client.config_set("stop-writes-on-bgsave-error", "yes")
    place = Path(str(client.config_get("dir")["dir"]), str(client.config_get("dbfilename")["dbfilename"]))
    place.unlink(missing_ok=True)
    place.mkdir()
    client.bgsave()
    while client.info("persistence")["rdb_bgsave_in_progress"]:
        pass
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        client.set("any", "thing")


def can_save(client: redis.Redis) -> None:
    client.config_set("stop-writes-on-bgsave-error", "no")
    client.set("any", "thing")


def is_a_replica(client: redis.Redis) -> None:
    client.config_set("replica-serve-stale-data", "yes")
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


def is_a_primary(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "NO", "ONE")


def is_full(client: redis.Redis) -> None:
    client.config_set("maxmemory", "1")


def has_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", "0")


CONDITIONS = {
    "MISCONF": (cannot_save, can_save),
    "READONLY": (is_a_replica, is_a_primary),
}


class Process:
    """A process with a cache, and a clock of its own."""

    def __init__(self, server: RedisServer, namespace: str, **config) -> None:
        self.client = patient_client(server.url)
        self.elapsed = Clock(1000.0)
        self.switch = BypassSwitch(
            self.client, AuditLog(self.client), monotonic=self.elapsed, pause=self.elapsed.forward
        )
        self.counts = Outcomes()
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, ttl_jitter=0, **config),
            store=RedisStore(self.client),
            provider=CountingProvider(),
            metrics=self.counts,
            switch=self.switch,
        )

    def ask(self, prompt: str = "Why is the sky blue?", **controls) -> str:
        request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": prompt}])
        return str(self.cache.complete(request, Controls(**({"ttl": For(3600)} | controls))).outcome)

    def time_passes(self) -> None:
        self.elapsed.forward(COPY_SECONDS)


@pytest.fixture
def server(redis_server) -> Iterator[RedisServer]:
    server = redis_server(durable=True)
    yield server
    with server.client() as client:
        client.config_set("save", "")  # else it does not end before it has saved


@pytest.fixture
def processes(server: RedisServer, namespace: str) -> Iterator[tuple[Process, Process]]:
    pair = (Process(server, namespace), Process(server, namespace))
    yield pair
    for process in pair:
        process.cache.close()


BYPASSED = f"bypass ({SWITCHED})"
HIT = "hit (exact)"


def test_requests_bypass_while_it_is_on_and_find_everything_again_afterwards(processes, namespace):
    here, there = processes
    assert here.ask() == "miss (absent), stored"
    turned = here.switch.turn(namespace, True, actor="anna", note="bad answers")
    assert (turned.on, turned.kept, turned.actor, turned.note) == (True, True, "anna", "bad answers")
    there.time_passes()
    for process in processes:
        assert process.ask() == BYPASSED
        assert process.ask(namespace="other") != BYPASSED
    with pytest.raises(NotCached, match=SWITCHED):
        here.ask(only_if_cached=True)
    assert there.switch.all() == [turned]
    there.switch.turn(namespace, False, actor="ben")
    here.time_passes()
    assert [process.ask() for process in processes] == [HIT, HIT]
    assert here.switch.all() == []
    told = [(one.action, one.actor, one.namespace) for one in AuditLog(here.client).records(action="bypass.")]
    assert told == [("bypass.off", "ben", namespace), ("bypass.on", "anna", namespace)]


def test_a_get_finds_nothing_while_it_is_on(processes, namespace):
    here, _ = processes
    here.ask()
    here.switch.turn(namespace, True)
    request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    assert here.cache.get(request) is None


def test_copies_in_a_process_are_not_served_while_it_is_on(server, namespace):
    process = Process(server, namespace, l1_seconds=1.0)
    for _ in range(3):
        process.ask()
    assert process.counts.all[-1].copied
    process.switch.turn(namespace, True)
    assert process.ask() == BYPASSED
    process.cache.close()


def test_it_can_be_turned_for_all_namespaces(processes, namespace):
    here, there = processes
    here.switch.turn(EVERYTHING, True)
    there.time_passes()
    assert [there.ask(), there.ask(namespace="other")] == [BYPASSED, BYPASSED]
    here.switch.turn(namespace, False)
    there.time_passes()
    assert there.ask() == BYPASSED, "one namespace makes no exception"
    here.switch.turn(EVERYTHING, False)
    there.time_passes()
    assert there.ask() == "miss (absent), stored"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_it_works_on_a_server_that_takes_no_writes(condition, server, processes, namespace):
    refuse, _ = CONDITIONS[condition]
    here, there = processes
    here.ask()
    refuse(here.client)
    assert here.ask() == HIT
    turned = here.switch.turn(namespace, True, actor="anna")
    assert (turned.on, turned.kept) == (True, False)
    there.time_passes()
    assert [process.ask() for process in processes] == [BYPASSED, BYPASSED]
    late = Process(server, namespace)
    assert late.ask() == BYPASSED, "one that starts now obeys too"
    assert [(one.on, one.kept) for one in late.switch.all([namespace])] == [(True, False)]
    late.switch.turn(namespace, False)
    here.time_passes()
    assert here.ask() == HIT
    late.switch.turn(namespace, True)
    here.time_passes()
    assert here.ask() == BYPASSED
    late.cache.close()


def test_a_full_server_keeps_it_like_any_other(processes, namespace):
    here, there = processes
    is_full(here.client)
    assert here.switch.turn(namespace, True).kept
    there.time_passes()
    assert there.ask() == BYPASSED


@pytest.mark.parametrize("condition", CONDITIONS)
def test_it_is_written_down_as_soon_as_writes_are_taken(condition, processes, namespace):
    refuse, recover = CONDITIONS[condition]
    here, there = processes
    refuse(here.client)
    here.switch.turn(namespace, True)
    there.ask()
    assert not here.client.hexists(BYPASS, namespace)
    recover(here.client)
    there.time_passes()
    assert there.ask() == BYPASSED
    assert here.client.hexists(BYPASS, namespace)
    here.client.script_flush()
    fresh = BypassSwitch(here.client, AuditLog(None))
    assert [(one.on, one.kept) for one in fresh.all()] == [(True, True)]
    fresh._pause = lambda seconds: None
    fresh.turn(namespace, False)
    assert fresh.all([namespace]) == []


def test_a_restart_of_redis_does_not_turn_it_off(server, namespace):
    process = Process(server, namespace)
    process.ask()
    cannot_save(process.client)
    process.switch.turn(namespace, True)
    process.time_passes()
    assert process.ask() == BYPASSED
    server.kill()
    server.start()
    process.client.script_flush()  # from version 7 on a server that starts knows no scripts
    process.time_passes()
    assert process.ask() == BYPASSED
    assert BypassSwitch(process.client, AuditLog(None)).all()[0].kept
    process.cache.close()


def test_a_flush_does_not_bring_back_what_was_turned_off(processes, namespace):
    here, there = processes
    cannot_save(here.client)
    here.switch.turn(namespace, True)
    can_save(here.client)
    here.switch.turn(namespace, False)
    here.client.flushall()
    there.time_passes()
    assert there.ask() != BYPASSED


def test_it_can_be_turned_often_but_not_for_ever_without_writes(processes, namespace):
    here, _ = processes
    is_a_replica(here.client)
    for number in range(MOST_MARKS):
        assert here.switch.turn(namespace, number % 2 == 0).on == (number % 2 == 0)
        assert here.switch.read(namespace) == (number % 2 == 0)
    with pytest.raises(WriteRefused, match="too often"):
        here.switch.turn(namespace, True)
    assert not here.switch.turn(namespace, False).on, "it is off already"
    is_a_primary(here.client)
    assert here.switch.turn(namespace, True).kept
    assert here.switch.read(namespace)


def test_a_process_that_cannot_ask_serves_nothing_from_the_store(processes, namespace, monkeypatch):
    here, _ = processes
    here.ask()
    here.time_passes()

    def fails(wanted: str) -> bool:
        raise StoreUnavailable("Redis does not answer")

    monkeypatch.setattr(here.switch, "read", fails)
    assert here.ask().startswith("miss (store-down)")


def test_no_copy_is_served_while_the_switch_cannot_be_asked_for(server, namespace):
    process = Process(server, namespace, l1_seconds=1.0)
    for _ in range(3):
        process.ask()
    assert process.counts.all[-1].copied
    process.time_passes()
    process.cache.breaker._next_probe = float("inf")
    process.cache.breaker.is_settled = False
    assert process.ask().startswith("miss (store-down)")
    process.cache.close()


def test_what_another_version_wrote_is_taken_for_on(processes, namespace):
    here, _ = processes
    here.client.hset(BYPASS, namespace, b"\xff of the future")
    assert here.ask() == BYPASSED


def test_it_takes_an_operator_and_a_namespace_that_can_be(processes, namespace):
    here, _ = processes
    with pytest.raises(AccessDenied, match="needs the role operator"):
        here.switch.turn(namespace, True, actor=Actor(name="vera", role=Role.VIEWER))
    with pytest.raises(InvalidInput, match="namespace"):
        here.switch.turn("no such {thing}", True)
    assert here.switch.all() == []


def test_without_redis_it_is_of_this_process():
    switch = BypassSwitch(None, AuditLog(None))
    switch.turn("one", True, actor="anna")
    assert (switch.known("one"), switch.known("two"), switch.read("one")) == (True, False, True)
    switch.turn(EVERYTHING, True)
    assert switch.known("two")
    assert [one.namespace for one in switch.all()] == [EVERYTHING, "one"]


# Where operators meet it


@pytest.fixture
def services(server: RedisServer, monkeypatch: pytest.MonkeyPatch, namespace: str) -> Iterator[Services]:
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    monkeypatch.setenv("ENCORE_NAMESPACE", namespace)
    monkeypatch.setenv("LOGNAME", "anna")
    with bootstrap(Settings(), provider=CountingProvider()) as built:
        built.switch._pause = lambda seconds: None
        yield built


def outcome(services: Services) -> OutcomeKind:
    request = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    return services.cache.complete(request).outcome.kind


def test_an_invalidation_that_is_refused_offers_it_on_the_command_line(services, namespace):
    outcome(services)
    assert services.redis is not None
    cannot_save(services.redis)
    terminal = Terminal()
    told = terminal.run("invalidate", "--model", "m", "--yes", status=1)
    assert "NOT applied" in told
    assert f"python -m core bypass --on --namespace {namespace}" in told
    assert outcome(services) is OutcomeKind.HIT
    told = terminal.run("bypass", "--on", "--namespace", namespace, "--note", "wrong prices")
    assert "bypass the cache, in every process" in told
    assert "in memory only" in told
    services.switch._recent.forget()
    assert outcome(services) is OutcomeKind.BYPASS
    assert namespace in terminal.run("bypass")
    can_save(services.redis)
    told = terminal.data("bypass", "--off")
    assert (told["on"], told["kept"], told["namespace"]) == (False, True, namespace)
    assert terminal.data("bypass") == []
    terminal.run("bypass", "--note", "alone", status=2)
    terminal.run("bypass", "--on", "--everything", "--namespace", namespace, status=2)


def test_the_doctor_and_the_store_s_facts_tell_of_it_on_a_server_that_cannot_save(services, namespace):
    outcome(services)
    assert services.redis is not None
    cannot_save(services.redis)
    services.switch.turn(namespace, True)
    findings = {finding.text: finding for finding in diagnose(services).findings}
    [told] = [finding for text, finding in findings.items() if namespace in text]
    assert (told.level, "in memory only" in told.text) == (Level.WARNING, True)
    assert told.remedy.endswith(f"python -m core bypass --off --namespace {namespace}")
    assert any("cannot save to its disk" in text for text in findings), "it answers, though it refuses a PING"


def test_an_invalidation_is_refused_and_not_applied_by_each_of_them(services, namespace):
    outcome(services)
    assert services.redis is not None
    cannot_save(services.redis)
    with pytest.raises(WriteRefused, match="MISCONF"):
        services.invalidation.invalidate(Criteria(all=True), actor="anna")
    assert services.invalidation.active() == []
