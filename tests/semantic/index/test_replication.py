"""An index in each process, loaded from the log of all beside the requests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from core.semantic.embedding.embedders import EmbedderIdentity, Vector, normalized
from core.semantic.index.log import VectorLog
from core.semantic.index.numpy_index import NumpyIndex, Partition, Row
from core.semantic.index.replication import SharedVectors
from core.stores.redis.store import request_client
from tests.processes import in_child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

EMBEDDER = EmbedderIdentity(name="e", version="1", dimension=16)
PATIENCE_SECONDS = 20


def vector_of(number: int) -> Vector:
    return normalized(np.random.default_rng(number).standard_normal(16))


class Process:
    """Vectors as one process has them."""

    def __init__(self, redis_url: str) -> None:
        client = request_client(redis_url, 5)
        self.index = NumpyIndex()
        self.log = VectorLog(client, EMBEDDER)
        self.vectors = SharedVectors(client, self.log, self.index, wait_seconds=PATIENCE_SECONDS)

    def found(self, partition: Partition) -> set[bytes]:
        assert self.vectors.catch_up(partition)
        return {candidate.key for candidate in self.index.search(partition, vector_of(1), 100, -1.0)}


@pytest.fixture
def process(redis_url: str) -> Iterator[Process]:
    made = Process(redis_url)
    yield made
    made.vectors.close()


@pytest.fixture
def partition(namespace: str) -> Partition:
    return Partition(namespace=namespace, scope=b"scope", embedder=EMBEDDER)


def test_what_one_process_adds_or_removes_every_process_finds_so(process, redis_url, partition):
    other, expires_at = Process(redis_url), time.time() + 7200
    for number in (1, 2):
        process.vectors.add(partition, b"%d" % number, vector_of(number), expires_at)
    assert other.found(partition) == process.found(partition) == {b"1", b"2"}
    other.vectors.remove(partition, b"1")
    assert process.found(partition) == {b"2"}
    other.vectors.close()


def test_a_namespace_is_loaded_with_what_was_stored_before(process, redis_url, partition):
    process.log.append(partition, Row(key=b"1", vector=vector_of(1), expires_at=time.time() + 7200))
    process.vectors.load(partition.namespace)
    assert process.found(partition) == {b"1"}


def test_after_closing_it_can_be_used_again(process, partition):
    process.vectors.close()
    assert process.found(partition) == set()


def test_a_forked_child_loads_anew_on_threads_of_its_own(process, partition):
    process.vectors.add(partition, b"1", vector_of(1), time.time() + 7200)
    assert process.found(partition) == {b"1"}

    def check() -> None:
        assert process.found(partition) == {b"1"}
        process.vectors.close()

    with process.vectors._lock:
        in_child(check)
    assert process.found(partition) == {b"1"}
