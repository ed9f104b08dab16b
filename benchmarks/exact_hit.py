"""What an exact hit costs beside a bare GET of the same bytes: `python -m benchmarks.exact_hit`.

Client and server share one core: the scheduler's choice of cores would otherwise decide the result. Cases take turns
in chunks; the ratio is formed inside each turn and its median is printed, so that a noisy machine does not matter. A
hit is the whole public call: the ChatRequest is built, the identity computed, the entry checked and decoded, the
outcome counted.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis

from core.bootstrap import Services, bootstrap
from core.models import ChatRequest, Completion
from core.settings import Settings
from core.stores.redis import EmbeddedRedis

CHUNK = 50
PROMPTS = 200
SYSTEM = {"role": "system", "content": "You are a helpful assistant of a bank. Answer briefly and politely."}


def request_for(number: int) -> ChatRequest:
    """One of the requests, built as an application builds it."""
    question = f"How do I change the delivery address of my order number {number} after it was paid?"
    return ChatRequest.from_openai(
        model="gpt-4o-mini", messages=[SYSTEM, {"role": "user", "content": question}], temperature=0.2
    )


def fill(services: Services, characters: int) -> list[tuple[bytes, bytes]]:
    """Stores the answers; the Redis names of each entry and its record."""
    words = random.Random(7).choices(
        ["the", "a", "of", "your", "order", "can", "be", "changed", "in", "settings", "before", "we", "ship", "it"],
        k=2000,
    )
    names = []
    for number in range(PROMPTS):
        text = " ".join(words[number : number + 400])[:characters]
        body = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_800_000_000,
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340},
        }
        stored = services.cache.put(request_for(number), Completion(body=body))
        if isinstance(stored, str):
            raise SystemExit(f"the answer was not stored: {stored}")
        slot = services.cache.slot("default")
        digest = bytes.fromhex(stored.key.partition("-")[2])
        names.append((slot.entry(digest), slot.record))
    return names


def compare(cases: dict[str, Callable[[int], object]], turns: int) -> dict[str, list[float]]:
    """Microseconds of every call, the cases taking turns; the ratio to the first case per turn under `case/ratio`."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    ratios: dict[str, list[float]] = {f"{name}/ratio": [] for name in cases}
    first = next(iter(cases))
    order = list(cases)
    clock = time.perf_counter
    for turn in range(turns):
        medians = {}
        random.shuffle(order)
        for name in order:
            call = cases[name]
            chunk = []
            for step in range(CHUNK):
                number = (turn * CHUNK + step) % PROMPTS
                began = clock()
                call(number)
                chunk.append((clock() - began) * 1e6)
            times[name] += chunk
            medians[name] = statistics.median(chunk)
        for name in cases:
            ratios[f"{name}/ratio"].append(medians[name] / medians[first])
    return times | ratios


def throughput(call: Callable[[int], object], threads: int, seconds: float) -> float:
    """Calls per second of a number of threads."""
    barrier = threading.Barrier(threads + 1)
    counts = [0] * threads
    end = [0.0]

    def run(index: int) -> None:
        barrier.wait()
        number = index
        while time.perf_counter() < end[0]:
            call(number % PROMPTS)
            number += 1
        counts[index] = number - index

    workers = [threading.Thread(target=run, args=(index,)) for index in range(threads)]
    end[0] = time.perf_counter() + seconds + 0.05
    for worker in workers:
        worker.start()
    barrier.wait()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--characters", type=int, default=1500, help="length of the stored answers")
    parser.add_argument("--unpinned", action="store_true", help="let the scheduler place client and server")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each throughput run")
    options = parser.parse_args()
    if not options.unpinned and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as home, EmbeddedRedis(Path(home), durable=False) as server:
        settings = Settings(redis_url=server.url, redis_timeout_seconds=1, ttl_seconds=3600)
        with bootstrap(settings) as services, bootstrap(settings.model_copy(update={"l1_seconds": 1.0})) as copying:
            names = fill(services, options.characters)
            bare = redis.Redis.from_url(server.url)
            print(f"stored value: {bare.strlen(names[0][0])} bytes, answer of {options.characters} characters")
            cases: dict[str, Callable[[int], object]] = {
                "GET": lambda number: bare.get(names[number][0]),
                "MGET entry+record": lambda number: bare.mget(names[number]),
                "exact hit": lambda number: services.cache.complete(request_for(number)),
                "hit from a copy": lambda number: copying.cache.complete(request_for(number)),
            }
            answer = services.cache.complete(request_for(0))
            if str(answer.outcome) != "hit (exact)":
                raise SystemExit(f"not a hit: {answer.outcome}")
            compare(cases, 20)
            result = compare(cases, options.turns)
            print(f"{'':20}{'p50 us':>9}{'p95':>9}{'p99':>9}{'x GET':>8}")
            for name in cases:
                cuts = statistics.quantiles(result[name], n=100)
                ratio = statistics.median(result[f"{name}/ratio"])
                print(f"{name:20}{cuts[49]:9.1f}{cuts[94]:9.1f}{cuts[98]:9.1f}{ratio:8.2f}")
            for threads in (1, 8):
                # In turns as well: G, H, G, H ... and the median of the ratios.
                rates = [
                    (
                        throughput(cases["GET"], threads, options.seconds),
                        throughput(cases["exact hit"], threads, options.seconds),
                    )
                    for _ in range(5)
                ]
                get, hit = (statistics.median(column) for column in zip(*rates, strict=True))
                ratio = statistics.median(hit / get for get, hit in rates)
                print(f"{threads} thread(s): GET {get:,.0f}/s, exact hit {hit:,.0f}/s: {ratio:.2f} of GET's rate")
            bare.close()


if __name__ == "__main__":
    main()
