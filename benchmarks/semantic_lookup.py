"""What finding the nearest stored question costs: `python -m benchmarks.semantic_lookup`.

Beside each search runs the least that an exact one can cost: a bare float32 `matrix @ vector` and its argmax, on one
BLAS thread. The cases take turns in one process, the ratio is formed inside each turn and its median printed, so a
noisy machine does not matter. Rows lie in clusters, as questions do. With a Redis, each hit also fetches its entry's
bytes, and the rows are loaded as a process does after a restart.

Recall on real vectors takes sentences: `--data DIR` with labelled streams, as for benchmarks.semantic_quality.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import redis

from benchmarks.semantic_quality import read_rows
from core.embedded import EmbeddedRedis
from core.semantic.blas import SingleThreadedBlas
from core.semantic.embedders import EmbedderIdentity, Vector, Vectors, WordLlamaEmbedder, normalized
from core.semantic.feed import IndexFollower, VectorLog
from core.semantic.index import NumpyIndex, Partition, Row, SemanticIndex
from core.semantic.vector_sets import VectorSetIndex, has_vector_sets

SIZES = ((1_000, 256), (10_000, 256), (100_000, 256), (1_000, 1536), (10_000, 1536), (100_000, 1536))
THRESHOLD = 0.7
CANDIDATES = 8
EXPIRES_AT = time.time() + 86_400
ENTRY_BYTES = 1_700
CHUNK = 10

Fetch = Callable[[bytes], object]
"""Gets an entry by the key of its row. Here: its bytes by a bare GET."""


def rows_of(count: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Stored vectors, and queries near some of them."""
    random = np.random.default_rng(count + dimension)
    centres = random.standard_normal((max(count // 20, 1), dimension), dtype=np.float32)
    vectors = centres[random.integers(0, len(centres), count)]
    vectors += 0.5 * random.standard_normal((count, dimension), dtype=np.float32)
    vectors = normalized(vectors)
    near = vectors[random.integers(0, count, 200)]
    return vectors, normalized(near + 0.3 * random.standard_normal(near.shape, dtype=np.float32) / dimension**0.5)


def key_of(number: int) -> bytes:
    """A key of the length that entries have."""
    return number.to_bytes(34, "big")


def partition_of(dimension: int) -> Partition:
    """The partition that all rows are in."""
    embedder = EmbedderIdentity(name="benchmark", version="1", dimension=dimension, nested=True)
    return Partition(namespace="benchmark", scope=bytes(32), embedder=embedder)


def fill(index: SemanticIndex, partition: Partition, vectors: Vectors) -> float:
    """Adds all rows; microseconds a row."""
    began = time.perf_counter()
    for start in range(0, len(vectors), 1_000):
        block = vectors[start : start + 1_000]
        index.add_many(
            partition,
            [Row(key=key_of(start + n), vector=vector, expires_at=EXPIRES_AT) for n, vector in enumerate(block)],
        )
    return (time.perf_counter() - began) / len(vectors) * 1e6


def compare(cases: dict[str, Callable[[int], object]], turns: int) -> dict[str, tuple[float, float, float]]:
    """(median microseconds, 95th percentile, median ratio to the first case) of each, the cases taking turns."""
    first = next(iter(cases))
    times: dict[str, list[float]] = {name: [] for name in cases}
    ratios: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(turns):
        medians = {}
        for name, call in cases.items():
            call(turn)
            chunk = []
            for step in range(CHUNK):
                began = time.perf_counter()
                call(turn * CHUNK + step)
                chunk.append((time.perf_counter() - began) * 1e6)
            times[name] += chunk
            medians[name] = statistics.median(chunk)
        for name, median in medians.items():
            ratios[name].append(median / medians[first])
    return {
        name: (statistics.median(times[name]), float(np.quantile(times[name], 0.95)), statistics.median(ratios[name]))
        for name in cases
    }


def recall(index: SemanticIndex, partition: Partition, vectors: Vectors, queries: Vectors) -> tuple[int, int]:
    """(found, asked): of the queries with a neighbour above the threshold, for how many the nearest was found."""
    found = asked = 0
    for query in queries:
        best = float((vectors @ query).max())
        if best >= THRESHOLD:
            asked += 1
            candidates = index.search(partition, query, 1, THRESHOLD)
            found += bool(candidates) and candidates[0].similarity >= best - 1e-5
    return found, asked


def measure(size: tuple[int, int], turns: int, fetch: Fetch, remote: VectorSetIndex | None) -> None:
    """Prints the lines of one size."""
    count, dimension = size
    vectors, queries = rows_of(count, dimension)
    partition = partition_of(dimension)
    index = NumpyIndex(max_bytes=2**36)
    added = fill(index, partition, vectors)
    held = index.counts().bytes_held / count
    found, asked = recall(index, partition, vectors, queries)

    def query(number: int) -> Vector:
        vector: Vector = queries[number % len(queries)]
        return vector

    def nearest(number: int) -> bytes:
        return index.search(partition, query(number), CANDIDATES, THRESHOLD)[0].key

    cases: dict[str, Callable[[int], object]] = {
        "matrix @ vector, argmax": lambda number: int((vectors @ query(number)).argmax()),
        "NumpyIndex": nearest,
        "NumpyIndex and a GET": lambda number: fetch(nearest(number)),
    }
    remote_added = 0.0
    if remote is not None:
        remote.clear(partition.namespace)
        remote_added = fill(remote, partition, vectors)
        cases["VectorSetIndex"] = lambda number: remote.search(partition, query(number), CANDIDATES, THRESHOLD)
    with SingleThreadedBlas():
        results = compare(cases, turns)
    print(f"\n{count:,} rows of {dimension} dimensions")
    for name, (median, slow, ratio) in results.items():
        print(f"  {name:26}{median:>10.0f} us   p95 {slow:>8.0f} us   {ratio:>6.2f}x")
    print(f"  NumpyIndex: recall@1 {found}/{asked}, {held:.0f} bytes a row, {added:.1f} us to add one")
    if remote is not None:
        found, asked = recall(remote, partition, vectors, queries)
        held = remote.counts(partition.namespace).bytes_held / count
        print(f"  VectorSetIndex: recall@1 {found}/{asked}, {held:.0f} bytes a row, {remote_added:.0f} us to add one")
        remote.clear(partition.namespace)


def measure_restart(client: redis.Redis, count: int, dimension: int) -> None:
    """Prints what the log of rows costs: storing, memory, and filling an empty index."""
    vectors, queries = rows_of(count, dimension)
    partition = partition_of(dimension)
    log = VectorLog(client, partition.embedder)
    before = client.info("memory")["used_memory"]
    began = time.perf_counter()
    for start in range(0, count, 500):
        log.append_many(
            [
                (partition, Row(key=key_of(start + n), vector=vector, expires_at=EXPIRES_AT + start + n))
                for n, vector in enumerate(vectors[start : start + 500])
            ]
        )
    stored = (time.perf_counter() - began) / count * 1e6
    used = (client.info("memory")["used_memory"] - before) / count
    index = NumpyIndex(max_bytes=2**36)
    began = time.perf_counter()
    IndexFollower(log, index).catch_up(partition.namespace)
    index.search(partition, queries[0], 1, THRESHOLD)
    print(
        f"\nlog of {count:,} rows of {dimension} dimensions: {stored:.0f} us to store one in bulk,"
        f" {used:.0f} bytes a row in Redis, first lookup {time.perf_counter() - began:.2f} s after a restart"
    )


def measure_real(folder: Path, limit: int) -> None:
    """Prints recall@1 on sentences, asked for with one word left out."""
    texts = sorted({row["query"] for path in folder.glob("*.stream.jsonl.gz") for row in read_rows(path)})[:limit]
    embedder = WordLlamaEmbedder()
    random = np.random.default_rng(1)
    vectors = embedder.embed(texts)
    asked = [without_a_word(texts[number], random) for number in random.integers(0, len(texts), 1_000)]
    partition = Partition(namespace="benchmark", scope=bytes(32), embedder=embedder.identity)
    index = NumpyIndex()
    fill(index, partition, vectors)
    found, total = recall(index, partition, vectors, embedder.embed(asked))
    name = embedder.identity.name
    print(f"\n{len(texts):,} sentences, {name}: recall@1 {found}/{total} for neighbours from {THRESHOLD}")


def without_a_word(text: str, random: np.random.Generator) -> str:
    """The text with one of its words left out."""
    words = text.split()
    if len(words) > 3:
        del words[int(random.integers(0, len(words)))]
    return " ".join(words)


def main() -> None:
    """Measures all sizes on a Redis of its own, or on the one given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--redis", help="URL of an empty Redis; its default is an embedded one of its own")
    parser.add_argument("--vector-sets", type=int, default=0, help="rows up to which vector sets are measured too")
    parser.add_argument("--data", type=Path, help="folder with labelled streams, for recall on real sentences")
    parser.add_argument("--largest", type=int, default=100_000, help="rows at most")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        if arguments.redis:
            run(redis.Redis.from_url(arguments.redis), arguments)
        else:
            with EmbeddedRedis(Path(home), durable=False) as server:
                run(redis.Redis.from_url(server.url), arguments)


def run(client: redis.Redis, arguments: argparse.Namespace) -> None:
    """All measurements."""
    names = [b"encore:benchmark:%d" % number for number in range(1_000)]
    client.mset(dict.fromkeys(names, bytes(ENTRY_BYTES)))

    def fetch(key: bytes) -> object:
        return client.get(names[int.from_bytes(key, "big") % len(names)])

    for size in SIZES:
        if size[0] <= arguments.largest:
            with_sets = size[0] <= arguments.vector_sets and has_vector_sets(client)
            measure(size, arguments.turns, fetch, VectorSetIndex(client) if with_sets else None)
    measure_restart(client, min(arguments.largest, 100_000), 256)
    if arguments.data:
        measure_real(arguments.data, arguments.largest)


if __name__ == "__main__":
    main()
