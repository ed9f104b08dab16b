"""Mixed traffic through two gateways while Redis and the provider are killed, frozen and started again.

`python -m tests.http.load --minutes 15`. The verdict: no answer is ever wrong (for another question, generated for
another caller, or too old), no call fails unless the provider was away while it ran, and the gateways' memory is flat.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2

from tests.conftest import RedisServer
from tests.http.running import PLAIN_HTTP, GatewayProcess
from tests.openai_server import Behaviour, OpenAIServer

CLIENTS = 8
CALLERS = 3
QUESTIONS = 150
TIMEOUT_SECONDS = 20.0
TTL_SECONDS = 5
STALE_SECONDS = 60
SLOW_SECONDS = 4.0
"""Longer than a lease lasts that is not renewed."""
AFTERWARDS_SECONDS = 1.0
"""Connections that died with the provider may be found out about so much later."""
FAULTS = ("redis killed", "provider stopped", "redis frozen", "redis flushed")
MOST_GROWTH = 1.1
MOST_GROWTH_KB = 10_000
"""A gateway's memory in the last third may be this much above that in the first."""


Chunk = dict[str, Any]


def _changed(chunk: Chunk, change: Callable[[Chunk], Chunk]) -> list[Chunk]:
    return [{**chunk, "choices": [{**part, **change(part)} for part in chunk["choices"]]}]


def ends_otherwise(chunk: Chunk) -> list[Chunk]:
    """As servers with end-of-sequence tokens say that an answer is whole."""
    return _changed(chunk, lambda part: {"finish_reason": part["finish_reason"] and "eos"})


def in_lists(chunk: Chunk) -> list[Chunk]:
    """Texts in lists of one part each."""

    def listed(part: Chunk) -> Chunk:
        text = part["delta"].get("content")
        return {"delta": {**part["delta"], "content": [{"type": "text", "text": text}]} if text else part["delta"]}

    return _changed(chunk, listed)


def with_thoughts(chunk: Chunk) -> list[Chunk]:
    """Text in a field that nobody knows how to join: such a stream is never kept."""
    return _changed(chunk, lambda part: {"delta": {**part["delta"], "x_thought": "hm"}})


def going_on(chunk: Chunk) -> list[Chunk]:
    """Words after the finish reason: such a stream is never kept."""
    words = _changed(chunk, lambda part: {"delta": {"content": "Well?"}, "finish_reason": None})
    return [chunk, *words] if any(part["finish_reason"] for part in chunk["choices"]) else [chunk]


def breaking_off(chunk: Chunk) -> list[Chunk]:
    """An error in place of the end."""
    return [{"error": {"code": 502}} if any(part["finish_reason"] for part in chunk["choices"]) else chunk]


DIALECTS: tuple[tuple[Callable[[Chunk], list[Chunk]] | None, bytes], ...] = (
    (None, b"data: [DONE]\n\n"),
    (ends_otherwise, b""),
    (in_lists, b"data: [DONE]"),
    (with_thoughts, b"data: [DONE]\n\n"),
    (going_on, b""),
    (breaking_off, b"data: [DONE]\n\n"),
)
"""How streams of chats are spoken and how they end, by the question's number."""
UNCLEAR = ("x_thought", "Well?", '"error":{')
"""What is in streams that are never kept."""


class Delay:
    """A gate of the provider that opens by itself."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def pass_through(self) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer, and when it ran."""

    began: float
    ended: float
    what: str


@dataclass
class Load:
    """The clients, what they saw, and when the provider was away."""

    urls: list[str]
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    caller_of: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def client(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx2.Client(verify=PLAIN_HTTP, timeout=TIMEOUT_SECONDS) as http:
            while not self.ended.is_set():
                self.ask(http, chance)

    def ask(self, http: httpx2.Client, chance: random.Random) -> None:
        caller = chance.randrange(CALLERS)
        number = int(QUESTIONS * chance.random() ** 3)
        question = f"Question q{number}q{', slowly' if number % 50 == 49 else ''}, please?"
        method, path, body = request(chance, question)
        control = chance.choice(
            ["", "", "", "", "no-cache", "no-store", "only-if-cached", f"max-age={TTL_SECONDS - 2}"]
        )
        if not control and chance.random() < 0.2:
            control = f"stale-if-error={STALE_SECONDS}"
        headers = {"Authorization": f"Bearer {caller}"} | ({"Cache-Control": control} if control else {})
        leaves = chance.random() < 0.03
        began = time.monotonic()
        try:
            with http.stream(method, chance.choice(self.urls) + path, json=body, headers=headers) as answer:
                if leaves:
                    self.seen["left early"] += 1
                    return
                content = answer.read().decode()
        except httpx2.TransportError as error:
            self.failures.append(Failure(began, time.monotonic(), type(error).__name__))
            return
        self.seconds.append(time.monotonic() - began)
        if answer.status_code == 504 and '"not_cached"' in content and control == "only-if-cached":
            self.seen["not cached"] += 1
        elif answer.status_code != 200:
            self.failures.append(Failure(began, time.monotonic(), f"{answer.status_code} {content}"))
        else:
            status = answer.headers["cache-status"]
            self.seen[status] += 1
            self.judge_age(int(answer.headers.get("age", 0)), control, status)
            if path in ("/chat/completions", "/responses"):
                self.judge(caller, question, content)
            if ("; hit" in status or "collapsed" in status) and any(mark in content for mark in UNCLEAR):
                self.wrong.append(f"{question}: kept what nobody can put together: {content}")

    def judge_age(self, age: int, control: str, status: str) -> None:
        """A fresh answer is as young as was asked for, an old one is marked, and only for those who allow it."""
        oldest = {f"max-age={TTL_SECONDS - 2}": TTL_SECONDS - 2}.get(control, TTL_SECONDS)
        if status == "encore; hit; detail=stale":
            oldest = oldest + STALE_SECONDS if control.startswith("stale-if-error") else -1
        if age > oldest:
            self.wrong.append(f"{age} seconds old: {status} for {control!r}")

    def judge(self, caller: int, question: str, content: str) -> None:
        """The question's own word is in the answer, in one piece however it is sent; each answer has one caller."""
        if question.split()[1].strip(",") not in content:
            self.wrong.append(f"{question}: {content}")
        identity = content.split('"id":', 1)[1].split('"')[1]
        if self.caller_of.setdefault(identity, caller) != caller:
            self.wrong.append(f"{identity} was served to two callers")

    def excused(self, failure: Failure) -> bool:
        """Whether the provider was away at any time while the call ran."""
        return any(away < failure.ended and failure.began < back + AFTERWARDS_SECONDS for away, back in self.away)


def number_of(question: str) -> int:
    """The number in a question."""
    return int(question.split("q")[1]) if question.startswith("Question q") else 0


def request(chance: random.Random, question: str) -> tuple[str, str, dict[str, Any] | None]:
    """Method, path and body of a call."""
    stream = chance.random() < 0.4
    match chance.choice(["chat"] * 6 + ["response"] * 2 + ["embedding", "models"]):
        case "chat":
            messages = [{"role": "user", "content": question}]
            return "POST", "/chat/completions", {"model": "gpt-4o", "messages": messages, "stream": stream}
        case "response":
            return "POST", "/responses", {"model": "gpt-4o", "input": question, "stream": stream}
        case "embedding":
            return "POST", "/embeddings", {"model": "text-embedding-3-small", "input": question, "dimensions": 8}
        case _:
            return "GET", "/models", None


def memory(gateway: GatewayProcess) -> int:
    """Resident kilobytes."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run has shown. `memory` is of each gateway: kilobytes in the first and in the last third of the run."""

    calls: int
    seen: Counter[str]
    wrong: list[str]
    excused: int
    unexcused: list[Failure]
    faults: Counter[str]
    slowest_seconds: float
    memory: list[tuple[float, float]]
    tracebacks: int

    @property
    def is_flat(self) -> bool:
        """Whether no gateway's memory has grown."""
        return all(last < first * MOST_GROWTH + MOST_GROWTH_KB for first, last in self.memory)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.wrong or self.unexcused or self.tracebacks) and self.is_flat

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.calls} calls, {len(self.wrong)} wrong answers",
            f"{len(self.unexcused)} failures while the provider was there, {self.excused} while it was away",
            f"faults: {dict(self.faults)}; slowest call {self.slowest_seconds:.1f} s; {self.tracebacks} tracebacks",
            *(f"  {number:7} {status}" for status, number in self.seen.most_common()),
            *(f"memory: {first / 1000:.1f} MB, then {last / 1000:.1f} MB" for first, last in self.memory),
            *(f"WRONG {text[:300]}" for text in self.wrong[:10]),
            *(f"FAILED after {each.ended - each.began:.1f} s: {each.what[:300]}" for each in self.unexcused[:10]),
        ]


class Faults:
    """Hurts the servers in turns until the load has ended."""

    def __init__(self, load: Load, redis: RedisServer, provider: OpenAIServer) -> None:
        self.load = load
        self.redis = redis
        self.provider = provider
        self.struck: Counter[str] = Counter()
        self._kinds = cycle(FAULTS)

    def strike(self, seconds: float) -> None:
        """The next fault, which lasts so long."""
        pause = self.load.ended.wait
        fault = next(self._kinds)
        self.struck[fault] += 1
        match fault:
            case "redis killed":
                self.redis.kill()
                pause(seconds)
                self.redis.start()
            case "redis frozen":
                self.redis.pause()
                pause(seconds)
                self.redis.resume()
            case "redis flushed":
                with self.redis.client() as client:
                    client.flushall()
            case _:
                away = time.monotonic()
                self.provider.stop()
                pause(seconds)
                self.provider.start()
                self.load.away.append((away, time.monotonic()))
        del self.provider.requests[:-10]


def run(seconds: float, home: Path, *, every: float, slow_seconds: float = SLOW_SECONDS, tell: bool = False) -> Verdict:
    """Load for so long, and until each fault has struck, one each `every` seconds; some answers take `slow_seconds`."""
    with ExitStack() as running:
        redis = running.enter_context(RedisServer(home / "redis", durable=False))
        provider = running.enter_context(OpenAIServer())
        for number, (dialect, ending) in enumerate(DIALECTS):
            provider.always(
                Behaviour(dialect=dialect, ending=ending),
                when=lambda request, number=number: number_of(request.question) % len(DIALECTS) == number,
            )
        provider.always(Behaviour(pause=Delay(slow_seconds)), when=lambda request: "slowly" in request.question)  # type: ignore[arg-type]
        environment = {
            "ENCORE_REDIS_URL": redis.url,
            "OPENAI_BASE_URL": provider.url,
            "ENCORE_TTL_SECONDS": str(TTL_SECONDS),
            "ENCORE_TTL_JITTER": "0.5",
        }
        gateways = []
        for name in ("one", "two"):
            (home / name).mkdir()
            gateways.append(GatewayProcess(home / name, environment))
            running.callback(gateways[-1].process.kill)
        load = Load([gateway.ready().url for gateway in gateways])
        clients = [threading.Thread(target=load.client, args=(seed,)) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        faults = Faults(load, redis, provider)
        sizes: list[list[int]] = []
        began = time.monotonic()
        fault_at, tell_at = began + every, began + 60
        while (now := time.monotonic()) < began + seconds or set(faults.struck) != set(FAULTS):
            load.ended.wait(min(1.0, every / 3))
            sizes.append([memory(gateway) for gateway in gateways])
            if now >= fault_at:
                faults.strike(every / 3)
                fault_at += every
            if tell and now >= tell_at:
                print(
                    f"{(now - began) / 60:3.0f} min: {load.seen.total()} answers, {len(load.wrong)} wrong, "
                    f"{sum(not load.excused(each) for each in load.failures)} failures, memory {sizes[-1]} kB",
                    flush=True,
                )
                tell_at += 60
        load.ended.set()
        for client in clients:
            client.join(2 * TIMEOUT_SECONDS)
        ends = [gateway.stop() for gateway in gateways]
        said = "".join(gateway.said for gateway in gateways)
    third = max(1, len(sizes) // 3)
    unexcused = [failure for failure in load.failures if not load.excused(failure)]
    return Verdict(
        calls=load.seen.total() + len(load.failures),
        seen=load.seen,
        wrong=load.wrong,
        excused=len(load.failures) - len(unexcused),
        unexcused=unexcused,
        faults=faults.struck,
        slowest_seconds=max(load.seconds, default=0.0),
        memory=[
            (statistics.median(column[third // 2 : third + 1]), statistics.median(column[-third:]))
            for column in zip(*sizes, strict=True)
        ],
        tracebacks=said.count("Traceback") + sum(end != 0 for end in ends),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--every", type=float, default=10, help="seconds between faults; each lasts a third of it")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what the provider's server says of connections that are broken on purpose
    with tempfile.TemporaryDirectory() as home:
        verdict = run(options.minutes * 60, Path(home), every=options.every, tell=True)
    print("\n".join(verdict.lines()))
    sys.exit(0 if verdict.is_clean else 1)


if __name__ == "__main__":
    main()
