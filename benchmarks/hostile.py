"""What a well-behaved client waits while strangers send whatever they can think of: `python -m benchmarks.hostile`.

In turns the client asks alone, and beside hostile requests of every kind that come at a steady pace. The ratio of its
99th percentiles is formed inside each turn, and the median is printed. Server, gateway, Redis and both kinds of clients
share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.gateway import HOST, gateway_process, upstream_process
from core.stores.redis import EmbeddedRedis

PATIENCE_SECONDS = 120.0
HANDS = 20
"""Hostile connections at the same time."""
WARMING = 200
LEAVES = "left"
"""The outcome of a hostile request that does not wait for an answer, or gets none."""


def asking(body: object, *headers: str, path: str = "/v1/chat/completions", key: str = "Bearer k") -> bytes:
    """A whole HTTP request with a body, which is JSON unless it is bytes already."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1",
        f"host: {HOST}",
        f"authorization: {key}",
        "content-type: application/json",
        "connection: close",
        f"content-length: {len(content)}",
        *headers,
    ]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content


def saying(text: str, **more: object) -> dict[str, object]:
    """The body of a chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def getting(path: str, *headers: str, method: str = "GET") -> bytes:
    """A whole HTTP request without a body."""
    head = [f"{method} {path} HTTP/1.1", f"host: {HOST}", "connection: close", *headers]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


PLAIN = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"x":'
KINDS: dict[str, Callable[[int], bytes]] = {
    "combining marks": lambda n: asking(saying(f"a{n}" + "\u0301\u0316" * 10_000)),
    "tibetan marks": lambda n: asking(saying(f"a{n}" + "\u0f73" * 10_000)),
    "spaces for a judge": lambda n: asking(saying(f"{n} reply" + " " * 20_000 + "x")),
    "line feeds": lambda n: asking(saying(f"{n}" + "\n" * 50_000 + "system")),
    "backticks": lambda n: asking(saying(f"{n}" + "`" * 50_000)),
    "names without end": lambda n: asking(saying(" ".join(f"Abc{number}x{n}" for number in range(5_000)))),
    "nested deep": lambda n: asking(PLAIN + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    "nested deeper": lambda n: asking(PLAIN + b"[" * 200_000),
    "lists without end": lambda n: asking(PLAIN + b"[" + b"[]," * 250_000 + b"1]}"),
    "names of fields without end": lambda n: asking({f"{n}-{number}": 1 for number in range(30_000)}),
    "a large text": lambda n: asking(saying(f"{n} " + "word " * 150_000)),
    "a very large text": lambda n: asking(saying(f"{n} " + "word " * 400_000)),
    "no JSON": lambda n: asking(b"\xff\xfe" * 1_000),
    "no numbers": lambda n: asking(PLAIN + b"NaN}"),
    "a number without end": lambda n: asking(PLAIN + b"9" * 50_000 + b"}"),
    "names given twice": lambda n: asking(b'{"model":"a","model":"b","messages":[{"role":"user","content":"hi"}]}'),
    "half a surrogate pair": lambda n: asking(PLAIN + b'"\\ud800"}'),
    "a model's name without end": lambda n: asking({**saying("hi"), "model": "m" * 70_000}),
    "a model's name of lines": lambda n: asking({**saying("hi"), "model": f"m\r\nINFO forged {n}"}),
    "any model": lambda n: asking({**saying("hi"), "model": f"model-{n}"}),
    "odd tools": lambda n: asking(saying("hi", tools=[{"type": []}])),
    "odd options": lambda n: asking(saying("hi", stream=True, stream_options="x")),
    "odd messages": lambda n: asking({"model": "gpt-4o", "messages": [None]}),
    "any key": lambda n: asking(saying("hi"), key=f"Bearer stranger-{n}"),
    "any namespace": lambda n: asking(saying("hi"), f"x-encore-namespace: n{n}"),
    "many tags": lambda n: asking(saying("hi"), "x-encore-tags: " + ",".join(f"t{number}" for number in range(900))),
    "odd controls": lambda n: asking(saying("hi"), 'cache-control: "' + ",=" * 2_000, "x-encore-ttl: 1e999"),
    "only if cached": lambda n: asking(saying(f"never {n}"), "cache-control: only-if-cached", key=f"Bearer {n}"),
    "not to be stored": lambda n: asking(saying(f"bypass {n}"), "cache-control: no-store"),
    "streams": lambda n: asking(saying(f"stream {n % 50}", stream=True)),
    "vectors": lambda n: asking(
        {"model": "m", "input": [f"{n} {number}" for number in range(500)]}, path="/v1/embeddings"
    ),
    "headers without end": lambda n: getting("/v1/models", *(f"x-{number}: {'v' * 200}" for number in range(200))),
    "a header without end": lambda n: getting("/v1/models", "x-a: " + "v" * 60_000),
    "another site": lambda n: getting("/v1/models", "origin: https://evil.example", "sec-fetch-site: cross-site"),
    "another host": lambda n: getting("/v1/models").replace(HOST.encode(), b"evil.example"),
    "another method": lambda n: getting("/v1/models", method="BREW"),
    "paths": lambda n: getting("/v1/..%2f..%2fetc/passwd"),
    "a path without end": lambda n: getting("/v1/" + "a/" * 20_000),
    "metrics": lambda n: getting("/metrics"),
    "no HTTP": lambda n: b"\x16\x03\x01" + b"\x00" * 500,
    "half a request": lambda n: asking(saying("hi" * 500))[:-300],
    "half a head": lambda n: b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a: ",
}
"""Hostile requests by kind, each with a number of its own."""
UNFINISHED = frozenset({"half a request", "half a head", "nested deeper"})
"""Kinds whose sender leaves without waiting for an answer."""


@dataclass
class Hostility:
    """Hostile requests against a port: `most` of them, or until `stop`; `pace` a second, 0 as fast as it goes."""

    port: int
    most: int = 0
    pace: float = 0.0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._began = time.monotonic()
        await asyncio.gather(*(self._hand() for _ in range(HANDS)))

    async def _hand(self) -> None:
        names = list(KINDS)
        while not self.stopped.is_set() and not (self.most and self.sent >= self.most):
            number = self.sent
            self.sent += 1
            if self.pace:
                await asyncio.sleep(max(0.0, self._began + number / self.pace - time.monotonic()))
            name = names[number % len(names)]
            try:
                status = await asyncio.wait_for(self._send(name, number), PATIENCE_SECONDS)
            except TimeoutError:
                status = "no answer"
            self.seen[name, status] += 1

    async def _send(self, name: str, number: int) -> str:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return "refused"
        try:
            with suppress(OSError):
                writer.write(KINDS[name](number))
                await writer.drain()
            if name in UNFINISHED or number % 7 == 3:
                return LEAVES
            with suppress(OSError):
                head = await reader.readline()
                await reader.read()
                return head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.1 ") else LEAVES
            return LEAVES
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def well_behaved(port: int, requests: int) -> tuple[list[float], Counter[int]]:
    """What a client waits that repeats its questions (and asks a new one now and then), and the statuses it gets."""
    seconds, statuses = [], Counter[int]()
    with httpx2.Client(timeout=PATIENCE_SECONDS, base_url=f"http://{HOST}:{port}") as client:
        for number in range(requests):
            text = f"How do I change order {number % 20}?" if number % 50 else f"What is new about {time.time_ns()}?"
            began = time.perf_counter()
            answer = client.post(
                "/v1/chat/completions", json=saying(text), headers={"authorization": "Bearer well-behaved"}
            )
            seconds.append(time.perf_counter() - began)
            statuses[answer.status_code] += 1
    return seconds, statuses


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def measure(turns: int, requests: int, pace: float) -> None:
    with ExitStack() as running:
        home = running.enter_context(tempfile.TemporaryDirectory())
        redis = running.enter_context(EmbeddedRedis(Path(home), durable=False))
        target = running.enter_context(upstream_process())
        _, port = running.enter_context(gateway_process(home, redis.url, target))
        well_behaved(port, WARMING)
        ratios, refused, seen = [], 0, Counter[tuple[str, str]]()
        for _ in range(turns):
            alone, _ = well_behaved(port, requests)
            hostile = Hostility(port, pace=pace)
            thread = threading.Thread(target=hostile.run)
            thread.start()
            beside, statuses = well_behaved(port, requests)
            hostile.stopped.set()
            thread.join()
            seen += hostile.seen
            refused += statuses.total() - statuses[200]
            ratios.append(p99(beside) / p99(alone))
            print(f"  p99 alone {1000 * p99(alone):.1f} ms, beside {1000 * p99(beside):.1f} ms", flush=True)
        print(f"{seen.total()} hostile requests at {pace:g} a second, {refused} of the client's refused")
        print(f"p99 beside them / alone: {statistics.median(ratios):.1f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--pace", type=float, default=20.0, help="hostile requests a second; 0: as fast as it goes")
    given = parser.parse_args()
    measure(given.turns, given.requests, given.pace)
