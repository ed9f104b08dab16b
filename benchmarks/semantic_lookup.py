"""What a hit by a near question costs: `python -m benchmarks.semantic_lookup --data FOLDER --redis8 BINARY`.

Measured is the whole of it but for the embedding: the search, and the entry that it leads to, fetched from Redis by the
checked lookup, decoded, checked against invalidations, and past the guards. Beside it runs the least that an exact
search alone can cost: a bare float32 `matrix @ vector` and its argmax, on one BLAS thread. The cases take turns in one
process, the ratio is formed inside each turn and its median printed, so a noisy machine matters little. Rows lie in
clusters, as questions do.

Then: what a store adds, and how soon a process looks up after a restart. Recall on real vectors takes sentences:
`--data FOLDER` with labelled streams, as for benchmarks.semantic_quality. Vector sets take a Redis 8 (`--redis8`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import redis

from benchmarks.semantic_quality import read_rows
from core.cache import CacheConfig, LLMCache
from core.keys import Identity, identify
from core.models import NO_CONTROLS, CacheStrategy, ChatRequest, Completion, SemanticMode
from core.semantic import SemanticLookup
from core.semantic.embedding import (
    CheckedEmbedder,
    EmbedderIdentity,
    NoVector,
    Vector,
    Vectors,
    WordLlamaEmbedder,
    normalized,
)
from core.semantic.index import (
    IndexFollower,
    NumpyIndex,
    Partition,
    Row,
    SemanticIndex,
    SharedVectors,
    SingleThreadedBlas,
    VectorLog,
    VectorSetIndex,
    has_vector_sets,
)
from core.semantic.quality import Threshold
from core.stores.redis import EmbeddedRedis, RedisStore, ServerBinary, server_at

SIZES = (
    (1_000, 256),
    (10_000, 256),
    (100_000, 256),
    (1_000_000, 256),
    (1_000, 1536),
    (10_000, 1536),
    (100_000, 1536),
)
THRESHOLD = 0.7
CANDIDATES = 8
EXPIRES_AT = time.time() + 86_400
ANSWER_BYTES = 1_500
CHUNK = 10
QUERIES = 200
ASKED = "How do I activate the new card that you sent me?"
STORED = "How can I activate the new card that you sent me?"


def rows_of(count: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Stored vectors, and queries near some of them."""
    random = np.random.default_rng(count + dimension)
    centres = random.standard_normal((max(count // 20, 1), dimension), dtype=np.float32)
    vectors = centres[random.integers(0, len(centres), count)]
    vectors += 0.5 * random.standard_normal((count, dimension), dtype=np.float32)
    vectors = normalized(vectors)
    near = vectors[random.integers(0, count, QUERIES)]
    return vectors, normalized(near + 0.3 * random.standard_normal(near.shape, dtype=np.float32) / dimension**0.5)


def key_of(number: int) -> bytes:
    """A key of the length that entries have."""
    return number.to_bytes(34, "big")


def partition_of(dimension: int) -> Partition:
    """The partition that all rows are in."""
    embedder = EmbedderIdentity(name="benchmark", version="1", dimension=dimension, nested=True)
    return Partition(namespace="benchmark", scope=bytes(32), embedder=embedder)


def fill(index: SemanticIndex, partition: Partition, vectors: Vectors, key: Callable[[int], bytes] = key_of) -> float:
    """Adds all rows; microseconds a row."""
    began = time.perf_counter()
    for start in range(0, len(vectors), 1_000):
        block = vectors[start : start + 1_000]
        index.add_many(
            partition,
            [Row(key=key(start + n), vector=vector, expires_at=EXPIRES_AT) for n, vector in enumerate(block)],
        )
    return (time.perf_counter() - began) / len(vectors) * 1e6


class Recorded:
    """An embedder that knows the vectors of the benchmark's questions: what an embedding costs is not measured."""

    def __init__(self, identity: EmbedderIdentity, vectors: dict[str, Vector]) -> None:
        self.identity = identity
        self._vectors = vectors

    def objection(self, text: str) -> NoVector | None:
        return None

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._vectors[text] for text in texts])


class Questions:
    """Stored and new questions of one size, their entries in Redis, and lookups over either index."""

    def __init__(self, client: redis.Redis, vectors: Vectors, queries: Vectors) -> None:
        self._client = client
        self.store = RedisStore(client)
        self.namespace = f"benchmark-{vectors.shape[0]}-{vectors.shape[1]}"
        self.cache = LLMCache(
            CacheConfig(namespace=self.namespace, strategy=CacheStrategy.EXACT, ttl=86_400), store=self.store
        )
        self.asked = [self._identity(spaced(ASKED, number)) for number in range(len(queries))]
        embedder = EmbedderIdentity(name="benchmark", version="1", dimension=vectors.shape[1], nested=True)
        texts = {identity.prompt: query for identity, query in zip(self.asked, queries, strict=True)}
        self.embedder = CheckedEmbedder(Recorded(embedder, texts))
        self.partition = Partition(namespace=self.namespace, scope=self.asked[0].scope, embedder=embedder)
        nearest = [int((vectors @ query).argmax()) for query in queries]
        self._keys = {place: self._stored(number) for number, place in enumerate(sorted(set(nearest)))}

    def key(self, place: int) -> bytes:
        """A row's key; rows that a query comes to have an entry."""
        return self._keys.get(place) or key_of(place)

    def lookup(self, index: SemanticIndex, vectors: SharedVectors | None = None) -> SemanticLookup:
        """A lookup that serves from the threshold on."""
        threshold = Threshold(mode=SemanticMode.SERVE, grey=THRESHOLD, serve=THRESHOLD)
        return SemanticLookup(self.embedder, index, thresholds=lambda namespace: threshold, vectors=vectors)

    def find(self, lookup: SemanticLookup, number: int) -> None:
        """Runs one whole lookup, which hits."""
        identity = self.asked[number % len(self.asked)]
        result = lookup.find(self.store, self.cache.slot, identity, NO_CONTROLS, time.time())
        assert result.found is not None, result.reason

    def followed(self, index: NumpyIndex) -> SharedVectors:
        """What reads the changes of other processes with each lookup; there are none now."""
        vectors = SharedVectors(self._client, VectorLog(self._client, self.partition.embedder), index)
        vectors.load(self.namespace)
        return vectors

    def _identity(self, text: str) -> Identity:
        return identify(request_of(text), self.namespace)

    def _stored(self, number: int) -> bytes:
        request = request_of(spaced(STORED, number))
        message = {"role": "assistant", "content": "answer " * (ANSWER_BYTES // 7)}
        body = {
            "object": "chat.completion",
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        if not self.cache.set(request, Completion(body=body)):
            raise SystemExit("an entry could not be stored: is this Redis writable?")
        identity = identify(request, self.namespace)
        return identity.bucket.to_bytes(2, "big") + identity.exact


def spaced(text: str, number: int) -> str:
    """The text with its spaces doubled where the number has a bit: another key, the same question."""
    first, *words = text.split()
    return first + "".join(" " * (1 + (number >> place & 1)) + word for place, word in enumerate(words))


def request_of(text: str) -> ChatRequest:
    """A question as a request."""
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])


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


def measure(size: tuple[int, int], turns: int, client: redis.Redis, server8: redis.Redis | None) -> None:
    """Prints the lines of one size."""
    count, dimension = size
    vectors, queries = rows_of(count, dimension)
    questions = Questions(client, vectors, queries)
    partition = questions.partition
    index = NumpyIndex(max_bytes=2**36)
    followed = questions.followed(index)
    added = fill(index, partition, vectors, questions.key)
    held = index.counts().bytes_held / count
    found, asked = recall(index, partition, vectors, queries)
    alone, whole = questions.lookup(index), questions.lookup(index, followed)
    cases: dict[str, Callable[[int], object]] = {
        "matrix @ vector, argmax": lambda number: int((vectors @ queries[number % QUERIES]).argmax()),
        "search": lambda number: index.search(partition, queries[number % QUERIES], CANDIDATES, THRESHOLD),
        "search and checked fetch": lambda number: questions.find(alone, number),
        "with the changes of other processes": lambda number: questions.find(whole, number),
    }
    sets = None
    if server8 is not None:
        sets = VectorSetIndex(server8)
        elsewhere = Questions(server8, vectors, queries)
        sets_added = fill(sets, partition, vectors, elsewhere.key)
        remote = elsewhere.lookup(sets)
        cases["vector set and checked fetch"] = lambda number: elsewhere.find(remote, number)
    with SingleThreadedBlas():
        results = compare(cases, turns)
    print(f"\n{count:,} rows of {dimension} dimensions")
    for name, (median, slow, ratio) in results.items():
        print(f"  {name:30}{median:>10.0f} us   p95 {slow:>8.0f} us   {ratio:>6.2f}x")
    print(f"  in process: recall@1 {found}/{asked}, {held:.0f} bytes a row, {added:.1f} us to add one of many")
    remembered = [timed(lambda identity=identity: whole.remember(identity, EXPIRES_AT)) for identity in questions.asked]
    print(f"  a store takes {statistics.median(remembered):.0f} us more, the log of changes included")
    followed.close()
    if sets is not None:
        found, asked = recall(sets, partition, vectors, queries)
        held = sets.counts(partition.namespace).bytes_held / count
        print(f"  vector set: recall@1 {found}/{asked}, {held:.0f} bytes a row, {sets_added:.0f} us to add one")
        sets.clear(partition.namespace)


def timed(call: Callable[[], object]) -> float:
    """Microseconds that a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6


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
    parser.add_argument("--redis", help="URL of an empty Redis; else an embedded one of its own")
    parser.add_argument("--redis8", type=Path, help="binary of a Redis 8 server, for vector sets")
    parser.add_argument("--vector-sets", type=int, default=10_000, help="rows at most in a vector set: 1 ms a row")
    parser.add_argument("--data", type=Path, help="folder with labelled streams, for recall on real sentences")
    parser.add_argument("--largest", type=int, default=100_000, help="rows at most; a million take 6 GB")
    arguments = parser.parse_args()
    with ExitStack() as servers:
        url = arguments.redis or started(servers)
        url8 = started(servers, server_at(arguments.redis8)) if arguments.redis8 else None
        run(redis.Redis.from_url(url), redis.Redis.from_url(url8) if url8 else None, arguments)


def started(servers: ExitStack, binary: ServerBinary | None = None) -> str:
    """The URL of a Redis that ends with the benchmark."""
    home = Path(servers.enter_context(tempfile.TemporaryDirectory()))
    return servers.enter_context(EmbeddedRedis(home, binary=binary, durable=False)).url


def run(client: redis.Redis, server8: redis.Redis | None, arguments: argparse.Namespace) -> None:
    """Runs all measurements."""
    if server8 is not None and not has_vector_sets(server8):
        raise SystemExit("this server has no vector sets: it takes Redis 8")
    for size in SIZES:
        if size[0] <= arguments.largest:
            measure(size, arguments.turns, client, server8 if size[0] <= arguments.vector_sets else None)
    measure_restart(client, min(arguments.largest, 100_000), 256)
    if arguments.data:
        measure_real(arguments.data, 100_000)


if __name__ == "__main__":
    main()
