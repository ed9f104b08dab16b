"""Which stored questions are near a new one: the index protocol, and the index in this process.

Partitions are hard: a search sees one namespace, one scope and one embedder, and nothing else. Rows hold a vector, the
key of an entry and an expiry; never an answer. The entry of a candidate is fetched through the checked lookup.

A similarity is a cosine: 1 for the same direction, 0 for unrelated, -1 for opposite; larger is nearer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np

from ...errors import InvalidInput
from ..embedding import EmbedderIdentity, Vector
from .blas import SingleThreadedBlas
from .matrix import Matrix, RowsMoved


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """What a search is confined to. `scope` is the request's scope digest."""

    namespace: str
    scope: bytes
    embedder: EmbedderIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stored question. `key` names its entry, `expires_at` is in seconds since the epoch."""

    key: bytes
    vector: Vector
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A near row: the key of its entry, and the cosine."""

    key: bytes
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCounts:
    """How full an index is. `bytes_used` is what its rows take, `bytes_held` with the room it keeps to grow.

    `expired` and `evicted` count rows that left since the start, the latter because of the memory limit.
    """

    partitions: int
    rows: int
    bytes_used: int
    bytes_held: int
    expired: int
    evicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRows:
    """How many rows are of other embedders, and until when the last is kept (Unix seconds; 0: there is none)."""

    rows: int
    last: float


class SemanticIndex(Protocol):
    """Rows by partition. Raises InvalidInput for a vector that is not finite, not of length 1 or not of the size."""

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Adds a row, or replaces the one with this key. An expired row is not added."""

    def add_many(self, partition: Partition, rows: Iterable[Row]) -> None:
        """Adds rows, or replaces those with their keys. Expired rows are not added."""

    def remove(self, partition: Partition, row_key: bytes) -> bool:
        """Drops a row; False when there was none."""

    def search(self, partition: Partition, vector: Vector, k: int, minimum_similarity: float) -> list[Candidate]:
        """At most `k` live rows of at least this similarity, best first."""

    def clear(self, namespace: str) -> None:
        """Drops all rows of a namespace."""

    def counts(self, namespace: str | None = None) -> IndexCounts:
        """How full it is; for one namespace, or for all."""


ROW_OVERHEAD = 320
"""Bytes that a row takes beside its arrays: its key, a place in a dictionary and one in the order of arrival."""

_RETRIES = 3


class NumpyIndex:
    """All rows in this process's memory, float32. Thread-safe; searches do not wait for each other.

    Above `max_bytes` the oldest rows leave, whatever their partition. Arrays keep at most half as much again as room.
    """

    def __init__(self, *, max_bytes: int = 512 * 2**20, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._matrices: dict[Partition, Matrix] = {}
        self._arrivals: deque[tuple[Partition, bytes, int]] = deque()
        self._serial = 0
        self._bytes_used = 0
        self._rows = 0
        self._expired = 0
        self._evicted = 0
        self._lock = Lock()
        self._one_blas_thread = SingleThreadedBlas()

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Adds or replaces a row. Microseconds, except when the arrays have to grow. Raises InvalidInput."""
        require_unit_vector(vector, partition.embedder)
        if expires_at > self._clock():
            with self._lock:
                self._put(partition, Row(key=row_key, vector=vector, expires_at=expires_at))
                self._evict()

    def add_many(self, partition: Partition, rows: Iterable[Row]) -> None:
        """Adds or replaces rows: all, or none when one is invalid. Raises InvalidInput."""
        now = self._clock()
        chosen = {row.key: row for row in rows}.values()
        for row in chosen:
            require_unit_vector(row.vector, partition.embedder)
        live = [row for row in chosen if row.expires_at > now]
        with self._lock:
            matrix = self._matrices.get(partition)
            new = [row for row in live if matrix is None or row.key not in matrix]
            if len(new) < len(live):
                for row in live:
                    self._put(partition, row)
            elif new:
                self._extend(partition, new)
            self._evict()

    def remove(self, partition: Partition, row_key: bytes) -> bool:
        """Drops a row; False when there was none."""
        with self._lock:
            matrix = self._matrices.get(partition)
            return matrix is not None and self._drop(partition, matrix, row_key)

    def expires_at(self, partition: Partition, row_key: bytes) -> float | None:
        """When a row expires, Unix seconds; None when there is no such row."""
        with self._lock:
            matrix = self._matrices.get(partition)
            return None if matrix is None else matrix.expires_at(row_key)

    def search(self, partition: Partition, vector: Vector, k: int, minimum_similarity: float) -> list[Candidate]:
        """At most `k` live rows of at least this similarity (a cosine), best first. Raises InvalidInput for a vector of
        another size than the embedder's."""
        require_unit_vector(vector, partition.embedder)
        matrix = self._matrices.get(partition)
        if matrix is None or k < 1:
            return []
        now = self._clock()
        if matrix.earliest_expiry <= now:
            with self._lock:
                self._drop_expired(partition, matrix, now)
        with self._one_blas_thread:
            nearest = self._nearest(matrix, vector, k, minimum_similarity)
        return [Candidate(key=key, similarity=similarity) for key, similarity in nearest]

    def clear(self, namespace: str) -> None:
        """Drops all rows of a namespace and frees their memory."""
        with self._lock:
            for partition in [partition for partition in self._matrices if partition.namespace == namespace]:
                matrix = self._matrices.pop(partition)
                self._account(partition, -matrix.used)

    def counts(self, namespace: str | None = None) -> IndexCounts:
        """How full the index is, rows not yet found to be expired included.

        `expired` and `evicted` are of all namespaces.
        """
        with self._lock:
            chosen = [
                (partition, matrix)
                for partition, matrix in self._matrices.items()
                if namespace is None or partition.namespace == namespace
            ]
            rows = sum(matrix.used for _, matrix in chosen)
            return IndexCounts(
                partitions=len(chosen),
                rows=rows,
                bytes_used=sum(matrix.used * _row_bytes(partition.embedder) for partition, matrix in chosen),
                bytes_held=sum(matrix.nbytes for _, matrix in chosen) + rows * ROW_OVERHEAD,
                expired=self._expired,
                evicted=self._evicted,
            )

    def remove_expired(self) -> int:
        """Drops all expired rows, also in partitions that are not searched. Returns their number."""
        now = self._clock()
        dropped = 0
        for partition in list(self._matrices):
            with self._lock:
                matrix = self._matrices.get(partition)
                if matrix is not None and matrix.earliest_expiry <= now:
                    dropped += self._drop_expired(partition, matrix, now)
        return dropped

    def _nearest(self, matrix: Matrix, vector: Vector, k: int, minimum_similarity: float) -> list[tuple[bytes, float]]:
        for _ in range(_RETRIES):
            try:
                return matrix.nearest(vector, k, minimum_similarity)
            except RowsMoved:
                continue
        with self._lock:  # writers are busy: look while they wait
            return matrix.nearest(vector, k, minimum_similarity)

    def _put(self, partition: Partition, row: Row) -> None:
        matrix = self._matrix(partition)
        before = matrix.used
        self._serial += 1
        matrix.put(row.key, row.vector, row.expires_at, self._serial)
        self._account(partition, matrix.used - before)
        self._arrivals.append((partition, row.key, self._serial))
        if len(self._arrivals) > 2 * self._rows + 1_000:
            self._arrivals = deque(arrival for arrival in self._arrivals if self._is_live(*arrival))

    def _extend(self, partition: Partition, rows: Sequence[Row]) -> None:
        keys = [row.key for row in rows]
        vectors = np.stack([row.vector for row in rows])
        first = self._serial + 1
        self._matrix(partition).extend(keys, vectors, [row.expires_at for row in rows], first)
        self._serial += len(rows)
        self._account(partition, len(rows))
        self._arrivals.extend((partition, key, serial) for serial, key in enumerate(keys, start=first))

    def _matrix(self, partition: Partition) -> Matrix:
        matrix = self._matrices.get(partition)
        if matrix is None:
            matrix = self._matrices[partition] = Matrix(partition.embedder)
        return matrix

    def _is_live(self, partition: Partition, key: bytes, serial: int) -> bool:
        matrix = self._matrices.get(partition)
        return matrix is not None and matrix.serial(key) == serial

    def _evict(self) -> None:
        while self._bytes_used > self._max_bytes and self._arrivals:
            partition, key, serial = self._arrivals.popleft()
            if self._is_live(partition, key, serial):
                self._drop(partition, self._matrices[partition], key)
                self._evicted += 1

    def _drop(self, partition: Partition, matrix: Matrix, key: bytes) -> bool:
        if not matrix.remove(key):
            return False
        self._account(partition, -1)
        if not matrix.used:
            self._matrices.pop(partition, None)
        return True

    def _drop_expired(self, partition: Partition, matrix: Matrix, now: float) -> int:
        dropped = matrix.remove_expired(now)
        self._account(partition, -dropped)
        self._expired += dropped
        if not matrix.used and self._matrices.get(partition) is matrix:
            del self._matrices[partition]
        return dropped

    def _account(self, partition: Partition, rows: int) -> None:
        self._rows += rows
        self._bytes_used += rows * _row_bytes(partition.embedder)


def _row_bytes(embedder: EmbedderIdentity) -> int:
    return 4 * embedder.dimension + embedder.dimension // 8 + ROW_OVERHEAD


def require_unit_vector(vector: Vector, embedder: EmbedderIdentity) -> None:
    """Raises InvalidInput: one bad row could otherwise be the nearest to everything."""
    if vector.shape != (embedder.dimension,):
        raise InvalidInput("vector", f"its shape is {vector.shape}, the embedder's dimension is {embedder.dimension}")
    squared = float(np.dot(vector, vector))
    if not 0.98 < squared < 1.02:  # false for NaN as well
        raise InvalidInput("vector", "it is not of length 1")
