"""The diagnosis: what it says in each state of the world."""

from __future__ import annotations

import json
import time

import pytest

from core.bootstrap import bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.doctor.redis import HOLES
from core.settings import Settings
from core.stores.redis import EmbeddedRedis


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
    [((), True, set()), (("save 60 1",), False, {"snapshots only"}), ((), False, {"nothing on disk"})],
    ids=["a log", "snapshots", "nothing"],
)
def test_how_a_server_keeps_its_data_is_told(redis_server, monkeypatch, options, durable, words):
    server = redis_server(*options, durable=durable)
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings()) as services:
        said = " ".join(finding.text for finding in diagnose(services).findings)
    assert {word for word in ("snapshots only", "nothing on disk") if word in said} == words


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


def test_the_server_that_make_run_started_is_known(monkeypatch, tmp_path, redis_binary):
    monkeypatch.setitem(HOLES, "Redis", (("CVE-2099-1", "a hole of every version", {(99, 0): 1}),))
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server:
        for home, is_own in ((tmp_path, True), (tmp_path / "another", False)):
            with bootstrap(Settings(redis_url=server.url, home=home)) as services:
                [hole] = [finding for finding in diagnose(services).findings if "CVE-2099-1" in finding.text]
            assert ("make run" in hole.remedy) is is_own


def test_clocks_that_differ_are_found(redis_server, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    with bootstrap(Settings()) as services:
        assert not any("clock" in finding.text for finding in diagnose(services).findings)
        services.redis.hset("encore:clocks", "web-7", f"-3000 {time.time():.0f}")
        services.redis.hset("encore:clocks", "web-8", f"3000 {time.time() - 3600:.0f}")  # long ago
        texts = [finding.text for finding in diagnose(services).findings if "clock" in finding.text]
    assert [text.partition(".")[0] for text in texts] == ["The clock of the machine web-7 is 3000 s behind Redis'"]
