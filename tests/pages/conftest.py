"""Pages under AppTest: a real Redis of their own, emptied before each test, and a provider that answers at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from streamlit.testing.v1 import AppTest

from core.access.audit import AuditLog
from core.access.roles import Actor, Role
from core.bootstrap import Services, bootstrap
from core.models import Answer, ChatRequest, Controls
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from pages.components.data import context
from tests.conftest import RedisServer
from tests.fakes import CountingProvider
from workers.queue import JobQueue
from workers.queue.job import AllowedJob
from workers.queue.records import queue_on

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


class OfferingProvider(CountingProvider):
    """The counting provider, with models to choose from."""

    def models(self) -> list[str]:
        return ["gpt-4o", "gpt-4o-mini"]


@pytest.fixture(scope="session")
def pages_server(tmp_path_factory, redis_binary) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("pages"), binary=redis_binary, durable=False) as server:
        yield server


@pytest.fixture
def provider() -> OfferingProvider:
    return OfferingProvider()


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """What Streamlit keeps between runs belongs to one test."""
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Services], Services]:
    """Has the pages use these services."""

    def begin(services: Services) -> Services:
        monkeypatch.setattr(context, "services", lambda: services)
        return services

    return begin


@pytest.fixture
def services(
    pages_server: RedisServer, provider: OfferingProvider, monkeypatch: pytest.MonkeyPatch, use, tmp_path: Path
) -> Iterator[Services]:
    with pages_server.client() as client:
        client.flushall()
    monkeypatch.setenv("ENCORE_REDIS_URL", pages_server.url)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    with bootstrap(Settings(), provider=provider) as built:
        yield use(built)


@pytest.fixture
def queue(services: Services) -> JobQueue:
    return JobQueue(services.queue_redis, AuditLog(None))


@pytest.fixture
def a_worker(services: Services) -> Iterator[SimpleWorker]:
    """A worker that is registered, in a pool that is heard of, and does nothing."""
    pools = WorkerPools(services.queue_redis)
    pools.beat("pool", host="localhost", pid=os.getpid(), workers=1)
    worker = SimpleWorker([queue_on(services.queue_redis)], connection=services.queue_redis, serializer=JSONSerializer)
    worker.register_birth()
    yield worker
    worker.register_death()
    pools.leave("pool")


@pytest.fixture
def run_jobs() -> Callable[[Services], None]:
    """Works off the queue in this process."""

    def work(services: Services) -> None:
        SimpleWorker(
            [queue_on(services.queue_redis)],
            connection=services.queue_redis,
            serializer=JSONSerializer,
            job_class=AllowedJob,
        ).work(burst=True)

    return work


@pytest.fixture
def ask(services: Services) -> Callable[..., Answer]:
    """Sends a prompt through the cache, as an application would."""

    def send(prompt: str, *, model: str = "gpt-4o", **controls: Any) -> Answer:
        request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])
        return services.cache.complete(request, Controls(**controls))

    return send


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who may look and nothing else."""
    monkeypatch.setattr(context, "actor", lambda: Actor(name="vera@example.org", role=Role.VIEWER))


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Opens a page by its link, through `app.py` or (`alone`) by itself; keyword arguments are query parameters."""

    def begin(name: str, *, alone: bool = False, **parameters: str) -> AppTest:
        page = f"pages/{name}.py"
        at = AppTest.from_file(str(ROOT / (page if alone else "app.py")), default_timeout=SECONDS)
        if not alone and name != "dashboard":  # which is the first one anyway
            at.run()
            at.switch_page(page)
        for parameter, value in parameters.items():
            at.query_params[parameter] = value
        return at.run()

    return begin


def select_rows(at: AppTest, table: str, *rows: int) -> AppTest:
    """Ticks rows of a table that was drawn, as a browser that has it on its screen."""
    widget = at.session_state[f"{table}-drawn"].widget
    at.session_state[widget] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return at.run()


def from_top_to_bottom(block: Any) -> Iterator[Any]:
    """The elements of a page in the order in which a viewer sees them."""
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from from_top_to_bottom(child)
        else:
            yield child


def everything_said(at: AppTest) -> str:
    """All text of a page, for asking whether something is on it."""
    parts = [
        element.value
        for kind in ("title", "subheader", "markdown", "caption", "text", "code", "error", "warning", "info", "success")
        for element in getattr(at, kind)
    ]
    parts += [badge.label if hasattr(badge, "label") else str(badge.value) for badge in at.get("badge")]
    parts += [f"{metric.label} {metric.value}" for metric in at.metric]
    parts += [bar.proto.text for bar in at.get("progress")]
    return "\n".join(str(part) for part in parts)


@pytest.fixture
def ask_with() -> Callable[[Services, str], Answer]:
    """The same with services of the test's own."""

    def send(services: Services, prompt: str) -> Answer:
        messages = [{"role": "user", "content": prompt}]
        return services.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))

    return send
