"""Mixed traffic through a gateway while Redis and the provider are killed, frozen and started again.

No answer is ever wrong (for another question, or generated for another caller), and no call fails unless the provider
was away while it ran. Seconds of it run with all tests; `make soak` goes on for as long as one likes.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import RedisServer
from tests.http.running import PLAIN_HTTP, GatewayProcess, until
from tests.openai_server import OpenAIServer

logger = logging.getLogger(__name__)

MINUTES = float(os.environ.get("ENCORE_SOAK_MINUTES", "15"))
CLIENTS = 6
CALLERS = 3
QUESTIONS = 150
AFTERWARDS_SECONDS = 1.0
"""Connections that died with the provider may be found out about so much later."""


@dataclass
class Load:
    """The clients, what they saw, and when the provider was away."""

    url: str
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failures: list[tuple[float, float, str]] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    caller_of: dict[str, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def client(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx2.Client(verify=PLAIN_HTTP, timeout=20) as http:
            while not self.ended.is_set():
                self.ask(http, chance)

    def ask(self, http: httpx2.Client, chance: random.Random) -> None:
        caller = chance.randrange(CALLERS)
        question = f"Question q{int(QUESTIONS * chance.random() ** 3)}q, please?"
        stream = chance.random() < 0.4
        path, body = self.request(chance, question, stream)
        began = time.monotonic()
        try:
            with http.stream(
                "POST", self.url + path, json=body, headers={"Authorization": f"Bearer {caller}"}
            ) as answer:
                content = answer.read().decode()
        except httpx2.TransportError as error:
            self.failures.append((began, time.monotonic(), type(error).__name__))
            return
        if answer.status_code != 200:
            self.failures.append((began, time.monotonic(), f"{answer.status_code} {content}"))
            return
        self.seen[answer.headers["cache-status"]] += 1
        if path != "/embeddings":
            self.judge(caller, question, content)

    @staticmethod
    def request(chance: random.Random, question: str, stream: bool) -> tuple[str, dict[str, Any]]:
        match chance.choice(["chat", "chat", "chat", "response", "embedding"]):
            case "chat":
                messages = [{"role": "user", "content": question}]
                return "/chat/completions", {"model": "gpt-4o", "messages": messages, "stream": stream}
            case "response":
                return "/responses", {"model": "gpt-4o", "input": question, "stream": stream}
            case _:
                return "/embeddings", {"model": "text-embedding-3-small", "input": question, "dimensions": 8}

    def judge(self, caller: int, question: str, content: str) -> None:
        """The question's own word is in the answer, in one piece however it is sent; each answer has one caller."""
        if question.split()[1] not in content:
            self.wrong.append(f"{question}: {content}")
        identity = content.split('"id":', 1)[1].split('"')[1]
        if self.caller_of.setdefault(identity, caller) != caller:
            self.wrong.append(f"{identity} was served to two callers")

    def excused(self, began: float, ended: float) -> bool:
        """Whether the provider was away at any time between."""
        return any(away < ended and began < back + AFTERWARDS_SECONDS for away, back in self.away)


def memory(gateway: GatewayProcess) -> int:
    """Resident kilobytes."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def run(seconds: float, gateway: GatewayProcess, redis: RedisServer, provider: OpenAIServer, every: float) -> Load:
    load = Load(gateway.url)
    clients = [threading.Thread(target=load.client, args=(seed,)) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    pause = threading.Event()
    end = time.monotonic() + seconds
    for fault in cycle(["redis killed", "provider stopped", "redis frozen", "redis flushed"]):
        pause.wait(every)
        if time.monotonic() > end:
            break
        match fault:
            case "redis killed":
                redis.kill()
                pause.wait(every / 3)
                redis.start()
            case "redis frozen":
                redis.pause()
                pause.wait(every / 3)
                redis.resume()
            case "redis flushed":
                with redis.client() as client:
                    client.flushall()
            case _:
                away = time.monotonic()
                provider.stop()
                pause.wait(every / 3)
                provider.start()
                load.away.append((away, time.monotonic()))
        del provider.requests[:-10]
    load.ended.set()
    for client in clients:
        client.join(60)
    return load


@pytest.fixture
def gateway(start_process, redis_server, openai_server) -> tuple[GatewayProcess, RedisServer]:
    redis = redis_server()
    started = start_process(
        ENCORE_REDIS_URL=redis.url, OPENAI_BASE_URL=openai_server.url, ENCORE_TTL_SECONDS="5", ENCORE_TTL_JITTER="0.5"
    )
    return started.ready(), redis


def check(load: Load, gateway: GatewayProcess) -> None:
    assert load.wrong == []
    unexcused = [failure for failure in load.failures if not load.excused(failure[0], failure[1])]
    assert unexcused == []
    for status in ("encore; hit; detail=exact", "encore; fwd=uri-miss; stored", "encore; fwd=uri-miss"):
        assert load.seen[status] > 0, load.seen
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.said


def test_seconds_of_load_with_faults(gateway, openai_server):
    process, redis = gateway
    load = run(6, process, redis, openai_server, every=0.8)
    check(load, process)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_load_with_faults(gateway, openai_server):
    process, redis = gateway
    run(60, process, redis, openai_server, every=10)
    before = memory(process)
    load = run(MINUTES * 60, process, redis, openai_server, every=20)
    until(lambda: memory(process) < 1.15 * before + 10_000)
    logger.info("%s; %d calls without a provider", load.seen, len(load.failures))
    logger.info("%d kB before, %d kB after", before, memory(process))
    check(load, process)
