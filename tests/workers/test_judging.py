"""Hits that were served without a judge are judged by a worker, and nothing of them is in the job."""

from __future__ import annotations

import json
import zlib

from core.bootstrap import bootstrap
from core.cache.revalidation import RefreshQueue
from core.demo.model import DemoProvider
from core.invalidation.schedules import Schedules
from core.models import ChatRequest, Controls
from core.monitoring.worker_pools import WorkerPools
from core.semantic.judge.prompt import PROMPT_VERSION
from core.settings import Settings
from tests.workers.conftest import eventually
from workers.periodic import Schedule

SETTINGS = {
    "ENCORE_STRATEGY": "semantic",
    "ENCORE_SEMANTIC": "serve",
    "ENCORE_SEMANTIC_THRESHOLD": "0.8",
    "ENCORE_JUDGE_MODEL": "encore-demo-small",
    "ENCORE_JUDGE_SAMPLE": "1",
}


def test_a_pool_judges_what_was_served(installation, start_pool, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as services:
        services.semantic.warm(["shop"])

        def ask(question: str) -> str:
            request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
            return str(services.cache.complete(request, Controls(namespace="shop")).outcome)

        ask("How do I activate my new card?")
        assert ask("How can I activate my new card?") == "hit (semantic)"
        services.evidence.flush()
        assert services.evidence.samples_waiting() == 1
        start_pool("--workers", "1", **SETTINGS).ready()
        [pair] = eventually(lambda: services.evidence.pairs("shop", is_labelled=True))
        assert (pair.judge_label, pair.judge, pair.served) == (True, f"encore-demo-small/{PROMPT_VERSION}", True)
        [job] = eventually(lambda: [job for job in installation.queue.jobs() if job.kind == "judge" and job.result])
        assert (job.result["judged"], job.result["wrong"]) == (1, 0)
        record = services.queue_redis.hgetall(f"rq:job:{job.id}")
        data = json.loads(zlib.decompress(record[b"data"]))
        assert data[-1] == {"version": 1}
        assert b"activate" not in b"".join(record.values())


def test_nothing_is_enqueued_while_nothing_waits(installation):
    services = installation.services
    schedule = Schedule(
        installation.queue,
        services.invalidation,
        Schedules(services.redis, services.invalidation),
        WorkerPools(services.queue_redis),
        RefreshQueue(services.queue_redis),
        services.evidence,
        services.pins,
        services.questions,
        services.near_index,
        count_workers=lambda: 0,
        keep_sample=lambda: None,
        clean_idle=lambda: None,
        are_failing=lambda: False,
    )
    schedule.enqueue_judging()
    assert [job.kind for job in installation.queue.jobs()] == []
    services.redis.rpush("encore:samples", b"x")
    schedule.enqueue_judging()
    schedule.enqueue_judging()
    assert [job.kind for job in installation.queue.jobs()] == ["judge"]
