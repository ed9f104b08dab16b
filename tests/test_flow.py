"""The whole story without a browser: a prompt, a miss, a hit, the numbers, an invalidation, the worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from openai import OpenAI

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.invalidation.history import InvalidationState
from core.keys.names import Slot
from core.models import ChatRequest, OutcomeKind
from core.settings import Settings
from tests.openai_server import OpenAIServer
from workers.queue import JobQueue

ROOT = Path(__file__).resolve().parents[1]


def ask(services: Services, model: str = "gpt-4o", question: str = "What is the capital of France?"):
    request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": question}])
    return services.cache.complete(request)


def run_workers(url: str, home: Path) -> None:
    """One pool that ends when its queue is empty."""
    environment = {**os.environ, "ENCORE_REDIS_URL": url, "ENCORE_HOME": str(home)}
    command = [sys.executable, "-m", "workers", "--workers", "1", "--burst"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_from_the_first_prompt_to_the_memory_given_back(redis_server, openai_server: OpenAIServer, tmp_path: Path):
    url = redis_server().url
    settings = Settings(redis_url=url, openai_base_url=openai_server.url, openai_api_key="test", home=tmp_path)
    with bootstrap(settings) as services:
        # A miss, then a hit, and why.
        miss, hit = ask(services), ask(services)
        assert str(miss.outcome) == "miss (absent), stored"
        assert str(hit.outcome) == "hit (exact)"
        assert hit.completion.body == miss.completion.body
        assert openai_server.calls == 1
        kept = ask(services, model="gpt-4o-mini")

        # The numbers of all processes.
        services.metrics.flush()
        summary = services.metrics.summary(3600)
        assert (summary.requests, summary.hits, summary.misses) == (3, 1, 2)
        assert summary.saved_cost_usd > 0

        # What an invalidation would do, what it does at once, and that it does no more.
        criteria = Criteria(model="gpt-4o")
        preview = services.invalidation.preview(criteria)
        assert (preview.count, preview.exact, preview.total) == (1, True, 2)
        applied = services.invalidation.invalidate(criteria, actor="test", preview=preview)
        assert ask(services).outcome.reason == "invalidated"
        assert ask(services, model="gpt-4o-mini").key == kept.key
        assert ask(services, model="gpt-4o-mini").outcome.kind is OutcomeKind.HIT

        # Undone it is back, byte for byte: but for the answer that replaced it meanwhile.
        services.invalidation.undo(applied.id, actor="test")
        assert ask(services).outcome.kind is OutcomeKind.HIT

        # Given up for good, the worker deletes it, and says so.
        ben = services.audit.by("ben", source="cli")
        final = services.invalidation.invalidate(criteria, actor=ben, hold_seconds=0)
        slot = Slot("default", 0)
        digest = bytes.fromhex(miss.key.partition("-")[2])
        assert services.store.read(slot, [digest])[0] != [None]
        queue = JobQueue(services.queue_redis, services.audit)
        job = queue.enqueue_sweep("default")
        run_workers(url, tmp_path)
        assert services.store.read(slot, [digest])[0] == [None]
        assert services.store.bans(slot) == []
        told = {known.id: known for known in services.invalidation.history()}
        assert told[final.id].state is InvalidationState.SWEPT
        assert told[final.id].deleted == 1
        assert told[applied.id].state is InvalidationState.UNDONE
        assert queue.job(job.id).state == "finished"
        assert ask(services, model="gpt-4o-mini").outcome.kind is OutcomeKind.HIT


def test_the_provider_s_own_answer_and_the_cache_s_are_the_same(redis_url, openai_server: OpenAIServer, namespace):
    messages = [{"role": "user", "content": "What is the capital of Italy?"}]
    settings = Settings(
        redis_url=redis_url, openai_base_url=openai_server.url, openai_api_key="test", namespace=namespace
    )
    with bootstrap(settings) as services, OpenAI(base_url=openai_server.url, api_key="test") as client:
        direct = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        request = ChatRequest.from_openai(model="gpt-4o-mini", messages=messages)
        for answer in (services.cache.complete(request), services.cache.complete(request)):
            through = answer.completion.to_openai()
            assert type(through) is type(direct)
            assert through.choices[0].message.role == direct.choices[0].message.role
            assert through.usage == direct.usage
