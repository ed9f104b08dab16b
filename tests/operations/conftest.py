from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from core.bootstrap import Services
from tests.conftest import RedisServer
from tests.http.conftest import start_process
from tests.http.running import PLAIN_HTTP, RunningGateway, services_for
from tests.openai_server import OpenAIServer
from tests.operations.calling import Api

__all__ = ["api", "api_redis_url", "start", "start_process"]

Start = Callable[..., Api]


@pytest.fixture(scope="module")
def api_redis_url(tmp_path_factory: pytest.TempPathFactory, redis_binary) -> Iterator[str]:
    """A server of these tests' own: the latest of what others did may be of years to come."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as server:
        yield server.url


@pytest.fixture
def start(openai_server: OpenAIServer, api_redis_url: str, namespace: str) -> Iterator[Start]:
    """Starts gateways before the protocol server, with settings of the test's own, and clients of their API."""
    with ExitStack() as running:
        http = running.enter_context(httpx2.Client(verify=PLAIN_HTTP, timeout=120))

        def start(*, key: str | None = None, services: Services | None = None, **settings: Any) -> Api:
            values = {"redis_url": api_redis_url} | settings
            services = services or running.enter_context(services_for(openai_server.url, namespace=namespace, **values))
            return Api(http, running.enter_context(RunningGateway(services)), key)

        yield start


@pytest.fixture
def api(start: Start) -> Api:
    return start()
