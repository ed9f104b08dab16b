"""A Redis Cluster for the session: tests share it, stay inside their namespace, and never hurt it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.stores.redis.embedded import ServerBinary
from tests.stores.clusters import RunningCluster, a_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, redis_binary: ServerBinary) -> Iterator[RunningCluster]:
    """Three primaries."""
    with a_cluster(tmp_path_factory.mktemp("cluster"), redis_binary) as running:
        yield running
