"""What becomes of many equal questions at the same moment: `python -m benchmarks.stampede`.

The provider takes half a second for each answer and counts its calls. The same crowd asks it straight, then through the
cache: as threads with the SDK's blocking client, as tasks with the asynchronous one, and as clients of two gateways on
one Redis. Ratios are to the crowd that asks straight: calls paid for, and the time until the last has an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from benchmarks.gateway import gateway_process, upstream_process
from core.cache import CacheConfig, LLMCache
from core.http import encore_async_client, encore_client
from core.stores.redis import EmbeddedRedis, RedisStore, request_client

MANY = httpx2.Limits(max_connections=2000, max_keepalive_connections=2000)
OPTIONS: dict[str, Any] = {"api_key": "sk-bench", "max_retries": 0, "timeout": 60}
_numbers = count()


def question() -> dict[str, Any]:
    """A question that nobody has asked before."""
    text = f"How do I change the delivery address of my parcel number {next(_numbers)} to another town?"
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}


def threads(clients: list[OpenAI], crowd: int) -> list[float]:
    """Seconds until each of the crowd has its answer."""
    ask = question()
    began = time.perf_counter()

    def run(number: int) -> float:
        clients[number % len(clients)].chat.completions.create(**ask)
        return time.perf_counter() - began

    with ThreadPoolExecutor(crowd) as pool:
        return list(pool.map(run, range(crowd)))


async def tasks(clients: list[AsyncOpenAI], crowd: int) -> list[float]:
    """Seconds until each of the crowd has its answer, as tasks of one event loop."""
    ask = question()
    began = time.perf_counter()

    async def run(number: int) -> float:
        await clients[number % len(clients)].chat.completions.create(**ask)
        return time.perf_counter() - began

    return await asyncio.gather(*(run(number) for number in range(crowd)))


Crowd = Callable[[], Awaitable[list[float]]]


async def compare(ways: dict[str, Crowd], calls: Callable[[], int], crowd: int, turns: int) -> None:
    """Lets the crowd ask in each way in turns, and prints what it cost."""
    spent: dict[str, list[int]] = {name: [] for name in ways}
    last: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, run in ways.items():
            before = calls()
            seconds = max(await run())
            if turn:  # the first is to warm up
                spent[name].append(calls() - before)
                last[name].append(seconds)
    print(f"{crowd} at once{'calls':>22}{'x straight':>12}{'last answer, s':>16}{'x straight':>12}")
    straight = next(iter(ways))
    for name in ways:
        paid = statistics.median(mine / base for mine, base in zip(spent[name], spent[straight], strict=True))
        late = statistics.median(mine / base for mine, base in zip(last[name], last[straight], strict=True))
        most = max(spent[name])
        print(f"{name:26}{most:>5}{paid:12.3f}{statistics.median(last[name]):16.2f}{late:12.2f}")


async def run(options: argparse.Namespace, running: ExitStack) -> None:
    home = running.enter_context(tempfile.TemporaryDirectory())
    redis = running.enter_context(EmbeddedRedis(Path(home), durable=False))
    target = running.enter_context(upstream_process(options.delay))
    url = f"{target}/v1"
    gateways = [running.enter_context(gateway_process(home, redis.url, target))[1] for _ in range(2)]
    addresses = [f"http://127.0.0.1:{port}/v1" for port in gateways]
    cache = LLMCache(CacheConfig(), store=RedisStore(request_client(redis.url, 1)))
    blocking = OpenAI(base_url=url, http_client=DefaultHttpxClient(limits=MANY), **OPTIONS)
    cached = OpenAI(base_url=url, http_client=encore_client(cache, limits=MANY), **OPTIONS)
    tasking = AsyncOpenAI(base_url=url, http_client=DefaultAsyncHttpxClient(limits=MANY), **OPTIONS)
    cached_tasking = AsyncOpenAI(base_url=url, http_client=encore_async_client(cache, limits=MANY), **OPTIONS)
    through = [
        AsyncOpenAI(base_url=address, http_client=DefaultAsyncHttpxClient(limits=MANY), **OPTIONS)
        for address in addresses
    ]
    ways: dict[str, Crowd] = {
        "straight, tasks": lambda: tasks([tasking], options.crowd),
        "straight, threads": lambda: asyncio.to_thread(threads, [blocking], options.crowd),
        "cache, threads": lambda: asyncio.to_thread(threads, [cached], options.crowd),
        "cache, tasks": lambda: tasks([cached_tasking], options.crowd),
        "two gateways": lambda: tasks(through, options.crowd),
    }
    with httpx2.Client() as counter:
        await compare(ways, lambda: int(counter.get(f"{url}/calls").json()["calls"]), options.crowd, options.turns)
    for client in (blocking, cached):
        client.close()
    for asking in (tasking, cached_tasking, *through):
        await asking.close()
    cache.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crowd", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.5, help="seconds that the provider takes")
    options = parser.parse_args()
    with ExitStack() as running:
        asyncio.run(run(options, running))


if __name__ == "__main__":
    main()
