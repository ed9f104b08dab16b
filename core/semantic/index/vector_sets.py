"""The index in Redis itself: one vector set a partition (Redis 8: VADD, VSIM).

For read-mostly partitions that are too large for every process to hold: an addition costs the server about a
millisecond of its one thread, in which nobody else is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import redis

from ..embedding import EmbedderIdentity, Vector
from .log import PREFIX
from .matrix import ROUNDING
from .numpy_index import Candidate, IndexCounts, OtherRows, Partition, Row, require_unit_vector

_PURGED = 64
"""Expired rows that one addition takes with it."""


def has_vector_sets(client: redis.Redis) -> bool:
    """Whether the server knows the commands, and lets this user use them. Raises redis.RedisError."""
    try:
        client.execute_command("VCARD", PREFIX + b"none")
    except redis.ResponseError:
        return False
    return True


class VectorSetIndex:
    """`SemanticIndex` on vector sets. Raises redis.RedisError.

    Rows expire by an attribute that every search filters on; the server forgets them with later additions, and a whole
    partition when its last row's time has come. Vectors are stored unquantised: a threshold needs exact cosines.
    """

    def __init__(self, client: redis.Redis, *, prefix: bytes = PREFIX, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Adds or replaces a row. One round trip, two when expired rows are dropped. Raises redis.RedisError."""
        self.add_many(partition, (Row(key=row_key, vector=vector, expires_at=expires_at),))

    def add_many(self, partition: Partition, rows: Iterable[Row]) -> None:
        """Adds or replaces rows. One round trip; the server works on each for about a millisecond.

        Raises redis.RedisError.
        """
        now = self._clock()
        vectors, expiries = self._names(partition)
        live = [row for row in rows if row.expires_at > now]
        for row in live:
            require_unit_vector(row.vector, partition.embedder)
        if not live:
            return
        last = max(row.expires_at for row in live)
        with self._client.pipeline(transaction=False) as pipeline:
            for row in live:
                attributes = b'{"e":%d}' % int(row.expires_at * 1000)
                blob = row.vector.astype("<f4").tobytes()
                pipeline.execute_command("VADD", vectors, "FP32", blob, row.key, "NOQUANT", "SETATTR", attributes)
                pipeline.zadd(expiries, {row.key: row.expires_at})
            for name in (vectors, expiries):
                # GT keeps a later expiry, and counts no expiry as the latest: NX sets the first one.
                pipeline.expireat(name, int(last) + 1, nx=True)
                pipeline.expireat(name, int(last) + 1, gt=True)
            pipeline.zadd(self._partitions(partition.namespace), {vectors: last}, gt=True)
            pipeline.zremrangebyscore(self._partitions(partition.namespace), "-inf", now)
            pipeline.zrangebyscore(expiries, "-inf", now, start=0, num=_PURGED)
            dead = pipeline.execute()[-1]
        if dead:
            self._remove(partition, dead)

    def remove(self, partition: Partition, row_key: bytes) -> bool:
        """Drops a row; False when there was none. One round trip. Raises redis.RedisError."""
        return self._remove(partition, [row_key])

    def search(self, partition: Partition, vector: Vector, k: int, minimum_similarity: float) -> list[Candidate]:
        """At most `k` live rows of at least this similarity (a cosine), best first. One round trip.

        Approximate: the server's graph search may miss a row. Raises redis.RedisError."""
        require_unit_vector(vector, partition.embedder)
        if k < 1:
            return []
        vectors, _ = self._names(partition)
        blob = vector.astype("<f4").tobytes()
        live = f".e > {int(self._clock() * 1000)}"
        reply: Any = self._client.execute_command(
            "VSIM", vectors, "FP32", blob, "WITHSCORES", "COUNT", k, "FILTER", live
        )
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        # The server's scale is 0 to 1, for cosines of -1 to 1.
        near = [(key, min(2 * float(scaled) - 1, 1.0)) for key, scaled in pairs]
        return [
            Candidate(key=key, similarity=similarity)
            for key, similarity in sorted(near, key=lambda pair: pair[1], reverse=True)
            if similarity >= minimum_similarity - ROUNDING
        ]

    def clear(self, namespace: str) -> None:
        """Drops all rows of a namespace, without blocking the server."""
        partitions = self._partitions(namespace)
        names: Any = self._client.zrange(partitions, 0, -1)
        self._client.unlink(partitions, *names, *(_expiries_of(name) for name in names))

    def counts(self, namespace: str | None = None) -> IndexCounts:
        """Counts of a namespace, by asking the server for each partition; zeros for None. Raises redis.RedisError."""
        names: Any = []
        if namespace is not None:
            names = self._client.zrangebyscore(self._partitions(namespace), self._clock(), "+inf")
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.execute_command("VCARD", name)
                pipeline.memory_usage(name)
                pipeline.memory_usage(_expiries_of(name))
            replies = pipeline.execute()
        held = sum(size or 0 for size in (*replies[1::3], *replies[2::3]))
        return IndexCounts(
            partitions=len(names), rows=sum(replies[::3]), bytes_used=held, bytes_held=held, expired=0, evicted=0
        )

    def _remove(self, partition: Partition, keys: list[bytes]) -> bool:
        vectors, expiries = self._names(partition)
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.execute_command("VREM", vectors, key)
            pipeline.zrem(expiries, *keys)
            return any(pipeline.execute()[:-1])

    def _base(self, namespace: str) -> bytes:
        # The braces are a Redis Cluster hash tag: a namespace's keys share a slot.
        return self._prefix + b"{" + blake2b(namespace.encode(), digest_size=8).hexdigest().encode() + b"}:"

    def _partitions(self, namespace: str) -> bytes:
        return self._base(namespace) + b"sets"

    def _names(self, partition: Partition) -> tuple[bytes, bytes]:
        digest = blake2b(partition.scope, digest_size=16).hexdigest().encode()
        name = self._sets_of(partition.namespace, partition.embedder) + digest
        return name, _expiries_of(name)

    def _sets_of(self, namespace: str, embedder: EmbedderIdentity) -> bytes:
        """What the names of an embedder's sets begin with."""
        return self._base(namespace) + b"set:" + embedder.digest.hex().encode() + b":"


class RebuiltSets(VectorSetIndex):
    """The index of one embedder beside those of others: what a rebuild reads and adds. Raises redis.RedisError."""

    AT_ONCE = 1
    """Rows that a rebuild adds at once: the server works on each for about a millisecond."""

    def __init__(
        self, client: redis.Redis, embedder: EmbedderIdentity, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(client, clock=clock)
        self._embedder = embedder

    def others(self, namespaces: Sequence[str]) -> OtherRows:
        """How many rows of other embedders these namespaces have. Two round trips."""
        now = self._clock()
        with self._client.pipeline(transaction=False) as pipeline:
            for namespace in namespaces:
                pipeline.zrangebyscore(self._partitions(namespace), now, "+inf", withscores=True)
            lists = pipeline.execute()
        last = 0.0
        with self._client.pipeline(transaction=False) as pipeline:
            for namespace, sets in zip(namespaces, lists, strict=True):
                own = self._sets_of(namespace, self._embedder)
                for name, expires_at in sets:
                    if not name.startswith(own):
                        pipeline.zcount(_expiries_of(name), now, "+inf")
                        last = max(last, float(expires_at))
            return OtherRows(rows=sum(pipeline.execute()), last=last)

    def keys_of_others(self, namespace: str, *, batch: int) -> Iterator[list[bytes]]:
        """The keys of all rows of other embedders, in batches of about `batch`. A key may come more than once."""
        now = self._clock()
        names: Any = self._client.zrangebyscore(self._partitions(namespace), now, "+inf")
        own = self._sets_of(namespace, self._embedder)
        for name in names:
            if name.startswith(own):
                continue
            cursor, done = 0, False
            while not done:
                reply: Any = self._client.zscan(_expiries_of(name), cursor, count=batch)
                cursor, found = reply
                done = cursor == 0
                yield [key for key, expires_at in found if expires_at > now]

    def has(self, rows: Sequence[tuple[Partition, bytes, float]]) -> list[bool]:
        """Whether there is a row that lives as long, by partition, key and expiry. One round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for partition, key, _ in rows:
                pipeline.zscore(self._names(partition)[1], key)
            scores = pipeline.execute()
        return [
            score is not None and score >= expires_at for score, (_, _, expires_at) in zip(scores, rows, strict=True)
        ]

    def append_many(self, rows: Sequence[tuple[Partition, Row]]) -> None:
        """Adds or replaces rows, a round trip for each."""
        for partition, row in rows:
            self.add(partition, row.key, row.vector, row.expires_at)


def _expiries_of(name: bytes) -> bytes:
    return name + b":expiries"
