"""Thousands of hostile requests of every kind at a gateway, while a well-behaved client asks: nobody is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from benchmarks.hostile import KINDS, LEAVES, Hostility, well_behaved
from tests.border.test_shapes import ANSWER, RESPONSE, VECTORS, wire
from tests.http.running import GatewayProcess
from tests.openai_server import Behaviour, OpenAIServer

MOST_GROWTH_KB = 150_000
"""So much more than before may be resident: buffers of the largest requests, and the tables that are bounded."""
GATEWAY_S_OWN = frozenset({"200", "400", "401", "403", "404", "405", "408", "413", "414", "431", "504", LEAVES})
"""What hostile requests may get; 504 is for only-if-cached."""


def resident_kb(gateway: GatewayProcess) -> int:
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.fixture
def gateway(
    start_process: Callable[..., GatewayProcess], openai_server: OpenAIServer, namespace: str
) -> GatewayProcess:
    for path, answer in (("chat/completions", ANSWER), ("responses", RESPONSE), ("embeddings", VECTORS)):
        openai_server.always(
            Behaviour(raw=wire(answer)), when=lambda request, path=f"/v1/{path}": request.path.startswith(path)
        )
    return start_process(OPENAI_BASE_URL=openai_server.url, ENCORE_NAMESPACE=namespace).ready()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("most", [12 * len(KINDS), pytest.param(10_000, marks=pytest.mark.soak)])
def test_strangers_cost_a_well_behaved_client_nothing(gateway: GatewayProcess, redis_url: str, most: int):
    well_behaved(gateway.port, 100)
    warming = Hostility(gateway.port, most=2 * len(KINDS))
    warming.run()
    before = resident_kb(gateway)
    hostile = Hostility(gateway.port, most=most)
    attack = threading.Thread(target=hostile.run)
    attack.start()
    asked = 0
    while attack.is_alive() or not asked:
        _, statuses = well_behaved(gateway.port, 25)
        assert set(statuses) == {200}, "nobody is refused"
        asked += 25
    attack.join()
    assert hostile.seen.total() == most
    assert {status for _, status in hostile.seen} <= GATEWAY_S_OWN, hostile.seen
    assert {name for name, _ in hostile.seen} == set(KINDS)
    assert resident_kb(gateway) - before < MOST_GROWTH_KB
    assert gateway.process.poll() is None
    for trouble in ("Traceback", "a request failed", "an answer is not kept", "INFO forged"):
        assert trouble not in gateway.said
    client = redis.Redis.from_url(redis_url)
    for name in client.scan_iter(b"*", count=1000):
        assert len(name) < 300
        assert name.isascii()
    client.close()
