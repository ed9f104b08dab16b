from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.http.running import GatewayProcess, RunningGateway, services_for
from tests.openai_server import OpenAIServer

Start = Callable[..., RunningGateway]


@pytest.fixture
def start_gateway(openai_server: OpenAIServer, redis_url: str, namespace: str) -> Iterator[Start]:
    """Starts gateways before the protocol server, with settings of the test's own."""
    with ExitStack() as running:

        def start(clock: Callable[[], float] = time.time, *, demo: bool = False, **settings: Any) -> RunningGateway:
            url = None if demo else openai_server.url
            values = {"redis_url": redis_url} | settings
            services = running.enter_context(services_for(url, namespace=namespace, clock=clock, **values))
            return running.enter_context(RunningGateway(services))

        yield start


@pytest.fixture
def gateway(start_gateway: Start) -> RunningGateway:
    return start_gateway()


@pytest.fixture
def start_process(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways in processes of their own, with settings from the environment."""
    started: list[GatewayProcess] = []

    def start(**environment: str) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"), {"ENCORE_REDIS_URL": redis_url, **environment})
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.process.kill()
        gateway.process.wait()
