"""Stale answers: served at once, generated anew by a worker, once per key."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from core.access.audit import AuditLog
from core.bootstrap import Services, bootstrap
from core.cache.revalidation import RESTS_SECONDS, RefreshQueue, refresh
from core.concurrency.background import BackgroundWorker
from core.errors import ProviderUnavailable
from core.keys.names import REFRESH, REFRESHES
from core.models import ChatRequest, Controls, For
from core.settings import Settings
from core.stores.redis.store import request_client
from tests.fakes import CountingProvider, Outcomes
from tests.processes import in_child
from tests.samples import Clock
from workers import tasks
from workers.pool import Pool
from workers.queue import JobQueue

QUESTION = "How do I activate my card?"
SHORT = Controls(ttl=For(60), tags=("doc:1",), user="u")


class Part:
    """Services with a clock that a test moves, and what they recorded."""

    def __init__(self, url: str, namespace: str, **overrides: Any) -> None:
        self.clock = Clock()
        self.provider = CountingProvider()
        settings = Settings(
            redis_url=url, redis_timeout_seconds=5, namespace=namespace, stale_while_revalidate_seconds=600
        )
        self.services: Services = bootstrap(settings, clock=self.clock, provider=self.provider, **overrides)
        self.outcomes = Outcomes()
        self.cache = self.services.cache.counted_by(self.outcomes)
        assert self.services.refreshes is not None
        self.refreshes: RefreshQueue = self.services.refreshes

    def ask(self, controls: Controls = SHORT, **fields: Any) -> str:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}], **fields)
        return self.cache.complete(request, controls).completion.text

    def left(self) -> list[str]:
        """The keys that wait, once all is left that was on its way."""
        self.refreshes.close()
        return self.refreshes.take()


@pytest.fixture
def client(redis_server) -> Iterator[Redis]:
    server = redis_server()
    with server.client() as client:
        client.url = server.url
        yield client


@pytest.fixture
def part(client, namespace) -> Iterator[Part]:
    part = Part(client.url, namespace)
    with part.services:
        yield part


def test_a_stale_answer_is_served_and_generated_anew_by_a_worker(part):
    assert part.ask() == "answer 1"
    part.clock.forward(61)
    assert part.ask() == part.ask() == "answer 1"
    assert part.outcomes.words()[1:] == ["hit (exact), stale"] * 2
    (key,) = part.left()
    assert refresh(part.services.cache, part.refreshes, key) == "stored"
    assert part.ask() == "answer 2"
    assert part.outcomes.words()[3:] == ["hit (exact)"]
    assert part.outcomes.all[3].reason == ""
    part.clock.forward(61)
    assert part.cache.get(part.provider.requests[-1], SHORT) is None, "it is kept as long as the caller had said"
    assert part.provider.calls == 2


def test_one_refresh_per_key_is_asked_for_whoever_asks(client, namespace):
    parts = [Part(client.url, namespace) for _ in range(3)]
    parts[0].ask()
    for part in parts:
        part.clock.forward(61)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: parts[number % 3].ask(), range(60)))
    assert sum(len(part.left()) for part in parts) == 1
    for part in parts:
        part.services.close()


def test_what_waits_names_no_prompt_and_does_not_wait_for_ever(part, client):
    part.ask()
    part.clock.forward(61)
    part.ask()
    part.refreshes.close()
    names = list(client.keys("encore:refresh*"))
    assert len(names) == 2
    assert all(0 < client.ttl(name) <= 600 for name in names)
    assert QUESTION.encode() not in b"".join([*names, *client.lrange(REFRESHES, 0, -1)])


def test_after_a_failure_the_key_is_left_alone_for_a_while(part, client):
    part.ask()
    part.clock.forward(61)
    part.ask()
    (key,) = part.left()

    def fail(call: int) -> None:
        raise ConnectionError("no provider")

    part.provider.before = fail
    with pytest.raises(ConnectionError):
        refresh(part.services.cache, part.refreshes, key)
    assert 0 < client.ttl(REFRESH + key.encode()) <= RESTS_SECONDS
    assert part.ask() == "answer 1"


def test_an_answer_that_may_not_be_kept_leaves_the_old_one(part):
    part.ask()
    part.clock.forward(61)
    part.ask()
    (key,) = part.left()
    part.provider.body = {"finish_reason": "length"}
    assert refresh(part.services.cache, part.refreshes, key) == "not stored: truncated"
    assert part.ask() == "answer 1"


def test_a_provider_that_this_worker_has_not_is_said(part):
    part.ask()
    part.clock.forward(61)
    part.ask()
    (key,) = part.left()

    def fail(call: int) -> None:
        raise ProviderUnavailable("another server")

    part.provider.before = fail
    assert refresh(part.services.cache, part.refreshes, key) == "not possible here: another server"


def test_the_workers_schedule_makes_a_job_of_each(part, client):
    part.ask()
    part.clock.forward(61)
    part.ask()
    part.refreshes.close()
    queue = JobQueue(client, AuditLog(None))
    for _ in range(2):
        Pool(part.services, client.url, size=1)._schedule.enqueue_refreshes()
    assert [job.kind for job in queue.jobs()].count("refresh") == 1


@pytest.mark.parametrize("header", ["Authorization", "api-key", "X-API-Key", "Cookie"])
def test_a_request_with_a_secret_of_its_own_is_not_left_behind(part, client, header):
    headers = {header: "canary-secret"}
    part.ask(extra_headers=headers)
    part.clock.forward(61)
    assert part.ask(extra_headers=headers) == "answer 1"
    assert part.left() == []
    assert not client.keys("encore:refresh*")


@pytest.mark.parametrize("key", ["gone", "0-" + "ab" * 32])
def test_what_waits_no_more_is_gone(part, key):
    assert refresh(part.services.cache, part.refreshes, key) == "gone"


def test_what_cannot_be_read_is_gone(part, client):
    key = "0-" + "ab" * 32
    client.set(REFRESH + key.encode(), b"\xc1nonsense")
    assert refresh(part.services.cache, part.refreshes, key) == "gone"


def test_without_refreshes_nothing_stale_is_served(client, namespace):
    part = Part(client.url, namespace, refreshes=False)
    with part.services:
        part.ask()
        part.clock.forward(61)
        assert part.ask() == "answer 2"


def test_neither_a_redis_that_is_down_nor_the_end_of_the_process_is_told_to_a_request():
    refreshes = RefreshQueue(request_client("redis://127.0.0.1:1", 5))
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
    refreshes(request, SHORT, "0-" + "ab" * 32)
    refreshes.close()
    refreshes(request, SHORT, "0-" + "cd" * 32)


def test_a_forked_child_queues_its_own_and_not_what_waits_in_its_parent(client, monkeypatch):
    monkeypatch.setattr(BackgroundWorker, "start", lambda worker: None)  # nothing is written before the end
    refreshes = RefreshQueue(client)
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
    parents, childs = "0-" + "ab" * 32, "0-" + "cd" * 32
    refreshes(request, SHORT, parents)

    def work() -> None:
        refreshes(request, SHORT, childs)
        refreshes.close()

    in_child(work)
    assert refreshes.take() == [childs]
    refreshes.close()
    assert refreshes.take() == [parents]


def test_the_job_is_told_the_key_and_does_the_rest(part, client, monkeypatch):
    part.ask()
    part.clock.forward(61)
    part.ask()
    (key,) = part.left()
    queue = JobQueue(client, AuditLog(None))
    job = queue.enqueue_refresh(key)
    assert queue.enqueue_refresh(key).id == job.id
    assert (job.kind, job.namespace) == ("refresh", "")
    record = b" ".join(client.hgetall(f"rq:job:{job.id}").values())
    assert QUESTION.encode() not in record

    monkeypatch.setattr(tasks, "_services", lambda: part.services)
    assert tasks.refresh(version=1, key=key) == {"outcome": "stored"}
