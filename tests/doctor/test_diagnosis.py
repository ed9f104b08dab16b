"""The doctor: what it shows of the settings, and what it finds in each state of the world."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.doctor.configuration import effective_settings
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.doctor.invalidations import MANY_BANS, invalidation_findings
from core.doctor.provider import provider_findings
from core.doctor.queue import queue_findings
from core.doctor.redis import info_findings
from core.doctor.semantic import semantic_findings
from core.models import ChatRequest
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from core.stores.base import Persistence, StoreInfo

SOUND = {
    "kind": "redis",
    "version": "8.2.3",
    "policy": "volatile-lru",
    "role": "master",
    "persistence": Persistence.LOG,
}


def found(findings) -> dict[str, Level]:
    """Level by what was found."""
    return {finding.text: finding.level for finding in findings}


def the_only(findings):
    [finding] = findings
    return finding


def test_a_sound_redis_has_nothing_wrong_with_it():
    assert list(info_findings(StoreInfo(**SOUND))) == []
    assert list(info_findings(StoreInfo(**SOUND, replicas=1), replicas=1)) == []


def test_fewer_replicas_than_an_invalidation_waits_for_are_told():
    finding = the_only(info_findings(StoreInfo(**SOUND, replicas=1), replicas=2))
    assert finding.level is Level.ERROR
    assert "Its replicas are 1 and ENCORE_INVALIDATION_REPLICAS is 2" in finding.text


@pytest.mark.parametrize(
    ("facts", "is_fine"),
    [({}, True), ({"version": "7.0.15"}, False), ({"persistence": Persistence.SNAPSHOTS}, False)],
)
def test_a_redis_that_cannot_say_what_is_on_its_disk_is_told(facts, is_fine):
    found = info_findings(StoreInfo(**(SOUND | facts)), synced=True)
    told = [finding for finding in found if "ENCORE_INVALIDATION_SYNCED" in finding.text]
    assert [finding.level for finding in told] == ([] if is_fine else [Level.ERROR])


@pytest.mark.parametrize(
    ("facts", "level", "word"),
    [
        ({"policy": "allkeys-lru", "max_bytes": 10**9}, Level.ERROR, "allkeys-lru"),
        ({"policy": "allkeys-random"}, Level.WARNING, "allkeys-random"),
        ({"role": "slave", "writable": False}, Level.ERROR, "replica"),
        ({"writable": False}, Level.ERROR, "no writes"),
        ({"persistence": Persistence.NOTHING}, Level.WARNING, "nothing on disk"),
        ({"persistence": Persistence.SNAPSHOTS}, Level.WARNING, "snapshots alone"),
        ({"used_bytes": 95, "max_bytes": 100}, Level.WARNING, "95% full"),
        ({"version": "6.0.16"}, Level.ERROR, "6.2.0"),
        ({"version": "5.0.14"}, Level.ERROR, "6.2.0"),
    ],
)
def test_what_is_wrong_with_a_redis_is_said_with_its_remedy(facts, level, word):
    finding = the_only(info_findings(StoreInfo(**(SOUND | facts))))
    assert (finding.level, word in finding.text) == (level, True)
    assert finding.remedy


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("6.2.14", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("6.2.15", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("6.2.16", ["CVE-2025-49844"]),
        ("6.2.20", []),
        ("7.0.15", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.2.5", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.2.6", ["CVE-2025-49844"]),
        ("7.4.0", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.4.1", ["CVE-2025-49844"]),
        ("7.4.6", []),
        ("8.0.2", ["CVE-2025-49844"]),
        ("8.0.4", []),
        ("8.2.1", ["CVE-2025-49844"]),
        ("8.2.2", []),
        ("8.4.0", []),
        ("9.0.0", []),
        ("unknown", []),
    ],
)
def test_versions_with_known_holes_are_named(version, holes):
    text = " ".join(finding.text for finding in info_findings(StoreInfo(**(SOUND | {"version": version}))))
    assert [hole for hole in ("CVE-2024-31228", "CVE-2025-49844") if hole in text] == holes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"strategy": "semantic"}, ["acts as normalized"]),
        ({"semantic": "serve"}, ["only requests that ask for it"]),
        ({"strategy": "semantic", "semantic": "judge"}, ["there is no judge"]),
        ({"strategy": "semantic", "semantic": "judge", "judge_model": "m"}, []),
    ],
)
def test_semantic_settings_that_do_not_do_what_they_seem_to_are_named(settings, words):
    texts = [finding.text for finding in semantic_findings(Settings(**settings))]
    assert len(texts) == len(words)
    assert all(word in text for word, text in zip(words, texts, strict=True))


def test_settings_are_shown_with_where_they_come_from_and_without_secrets(monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", "redis://anna:canary-1@cache.example:6380/2")
    monkeypatch.setenv("OPENAI_API_KEY", "canary-2")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:canary-3@llm.example/v1")
    monkeypatch.setenv("ENCORE_GATEWAY_KEYS", "canary-4,canary-5")
    monkeypatch.setenv("ENCORE_TTL_CLASSES", '{"code": 60}')
    shown = {setting.variable: setting for setting in effective_settings(Settings())}
    assert len(shown) == len(Settings.model_fields)
    assert "canary" not in " ".join(setting.value for setting in shown.values())
    assert shown["ENCORE_REDIS_URL"].value == "redis://anna:***@cache.example:6380/2"
    assert (shown["OPENAI_API_KEY"].value, shown["OPENAI_API_KEY"].is_set) == ("********", True)
    assert shown["ENCORE_GATEWAY_KEYS"].value == "2 set"
    assert shown["ENCORE_TTL_CLASSES"].value == '{"code":60.0}'
    assert (shown["ENCORE_STRATEGY"].value, shown["ENCORE_STRATEGY"].is_set) == ("normalized", False)
    assert all(setting.description for setting in shown.values())


# With servers


@pytest.fixture
def on_redis(monkeypatch, redis_url):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_url)


def test_everything_is_looked_at_and_told_as_json(on_redis):
    with bootstrap(Settings()) as services:
        diagnosis = diagnose(services)
    told = json.loads(json.dumps(diagnosis.to_dict()))
    areas = {finding["area"] for finding in told["findings"]}
    assert {"redis", "workers", "provider", "invalidations"} <= areas
    assert told["worst"] == "warning"
    assert any("nothing on disk" in finding["text"] for finding in told["findings"]), "the tests' server keeps nothing"


@pytest.mark.parametrize(
    ("options", "durable", "words"),
    [((), True, set()), (("save 60 1",), False, {"snapshots alone"}), ((), False, {"nothing on disk"})],
    ids=["a log", "snapshots", "nothing"],
)
def test_how_a_server_keeps_its_data_is_told(redis_server, monkeypatch, options, durable, words):
    server = redis_server(*options, durable=durable)
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings()) as services:
        said = " ".join(finding.text for finding in diagnose(services).findings)
    assert {word for word in ("snapshots alone", "nothing on disk") if word in said} == words


def test_a_redis_that_is_not_there_is_one_error_with_its_address_and_without_its_password(monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", "redis://anna:canary@127.0.0.1:1/0")
    with bootstrap(Settings()) as services:
        diagnosis = diagnose(services)
    [error] = [finding for finding in diagnosis.findings if finding.level is Level.ERROR]
    assert diagnosis.worst is Level.ERROR
    assert "redis://anna:***@127.0.0.1:1/0: Redis cannot be reached" in error.text
    assert "canary" not in str(diagnosis)


def test_a_wrong_password_is_told_as_such(redis_server, monkeypatch):
    server = redis_server("port 0")
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url.replace(":", ":x", 2).replace("unix:x", "unix:"))
    with bootstrap(Settings()) as services:
        [error] = [finding for finding in diagnose(services).findings if finding.level is Level.ERROR]
    assert "password" in error.text


def test_a_queue_of_its_own_is_looked_at_too(on_redis, monkeypatch):
    monkeypatch.setenv("ENCORE_QUEUE_REDIS_URL", "redis://127.0.0.1:1/0")
    with bootstrap(Settings()) as services:
        errors = [finding for finding in diagnose(services).findings if finding.level is Level.ERROR]
    assert [error.area for error in errors] == ["queue"]


def test_without_redis_it_says_what_that_means(monkeypatch, tmp_path):
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    with bootstrap(Settings()) as services:
        diagnosis = diagnose(services)
    assert diagnosis.worst is Level.WARNING
    assert any("There is no Redis" in finding.text for finding in diagnosis.findings)


def test_clocks_that_differ_are_found(on_redis):
    with bootstrap(Settings()) as services:
        texts = [finding.text for finding in diagnose(services, now=time.time() + 60).findings]
        assert any("60 s apart" in text for text in texts)
        assert not any("apart" in finding.text for finding in diagnose(services).findings)


def test_workers_are_counted_by_what_their_pools_say(redis_server, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    with bootstrap(Settings()) as services:
        assert the_only(queue_findings(services)).level is Level.WARNING
        pools = WorkerPools(services.queue_redis)
        pools.beat("a", host="h", pid=1, workers=2)
        pools.beat("b", host="h", pid=2, workers=1)
        assert found(queue_findings(services)) == {"3 workers are alive.": Level.OK}
        pools.leave("a")
        assert found(queue_findings(services)) == {"1 worker is alive.": Level.OK}


def test_sweeps_that_are_overdue_and_too_many_invalidations_are_found(redis_server, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    with bootstrap(Settings()) as services:
        for number in range(MANY_BANS):
            services.invalidation.invalidate(Criteria(model=f"m{number}"), actor="anna", hold_seconds=0)
        now = time.time()
        texts = [finding.text for finding in invalidation_findings(services, now)]
        assert [text.partition(" ")[0] for text in texts] == [str(MANY_BANS), "default"]
        late = [finding.text for finding in invalidation_findings(services, now + 1200)]
        assert any("should have been swept, the first 20 minutes ago" in text for text in late)


# The provider


def provider_finding(monkeypatch, **environment: str):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with bootstrap(Settings()) as services:
        return the_only(provider_findings(services))


def test_the_demo_model_is_a_warning(monkeypatch):
    assert provider_finding(monkeypatch).level is Level.WARNING


def test_a_provider_without_a_key_is_an_error(monkeypatch):
    finding = provider_finding(monkeypatch, ENCORE_PROVIDER="openai")
    assert (finding.level, "no key" in finding.text) == (Level.ERROR, True)


def test_a_provider_that_is_not_there_is_an_error(monkeypatch):
    finding = provider_finding(monkeypatch, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert (finding.level, "APIConnectionError" in finding.text) == (Level.ERROR, True)


def test_a_silent_provider_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("core.doctor.probe.PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        finding = provider_finding(monkeypatch, OPENAI_BASE_URL=address)
    assert (finding.level, "silent" in finding.text) == (Level.ERROR, True)


def test_a_provider_that_answers_is_fine(monkeypatch, openai_server):
    finding = provider_finding(monkeypatch, OPENAI_BASE_URL=openai_server.url, OPENAI_API_KEY="sk-x")
    assert (finding.level, "models" in finding.text) == (Level.OK, True)


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything with one status."""

    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("status", "level", "word"),
    [
        (401, Level.ERROR, "refuses the key"),
        (403, Level.ERROR, "refuses the key"),
        (404, Level.OK, "does not list"),
        (400, Level.ERROR, "BadRequestError"),
    ],
)
def test_what_a_provider_answers_is_told(monkeypatch, status, level, word):
    monkeypatch.setattr(Refusing, "status", status)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        finding = provider_finding(monkeypatch, OPENAI_BASE_URL=address, OPENAI_API_KEY="sk-x")
        server.shutdown()
    assert (finding.level, word in finding.text) == (level, True)


def test_it_says_how_long_copies_are_served_and_who_was_not_told(redis_server):
    plain = Settings(redis_url=redis_server().url)
    with bootstrap(plain) as without, bootstrap(plain.model_copy(update={"l1_seconds": 0.25})) as with_copies:
        with_copies.cache.complete(ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "Why?"}]))
        now = time.time()
        [told] = [finding for finding in invalidation_findings(with_copies, now) if "copies" in finding.text]
        assert (told.level, "0.25 s" in told.text) == (Level.OK, True)
        [told] = [finding for finding in invalidation_findings(without, now) if "copies" in finding.text]
        assert told.level is Level.WARNING
        assert "ENCORE_L1_SECONDS" in told.remedy
        later = [finding for finding in invalidation_findings(without, now + 700) if "copies" in finding.text]
        assert later == []
