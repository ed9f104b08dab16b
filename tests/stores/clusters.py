"""A Redis Cluster of three servers for tests: nothing but the one server program, and ports that are free now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from core.stores.redis.embedded import ServerBinary
from tests.conftest import RedisServer
from tests.ports import free_port

SLOTS = 16_384
BUS = 10_000
"""How much higher a node's port for its fellows is."""


class ClusterNode(RedisServer):
    """One server of a cluster. It listens on a port: a cluster does not do with sockets."""

    def __init__(self, home: Path, port: int, *, binary: ServerBinary) -> None:
        options = ("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-announce-ip 127.0.0.1")
        super().__init__(home, binary=binary, durable=False, options=options)
        self.port = port

    def _choose_url(self) -> str:
        (self._home / "redis.password").write_text("cluster")
        return f"redis://:cluster@127.0.0.1:{self.port}/0"

    def _configuration(self, url: str) -> str:
        return super()._configuration(url).replace("requirepass", "masterauth cluster\nrequirepass")


class RunningCluster:
    """The nodes, and the URL that names them all."""

    def __init__(self, nodes: list[ClusterNode]) -> None:
        self.nodes = nodes
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        self.url = f"redis+cluster://:cluster@{hosts}"

    def join(self) -> None:
        """Makes the nodes one cluster, each with its share of the slots."""
        share = SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            first, last = number * share, min(SLOTS, (number + 1) * share)
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTS", *range(first, last))
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        with self.nodes[0].client() as client:
            for node in self.nodes[1:]:
                client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        self.wait()

    def wait(self) -> None:
        """Returns when every node says that all is well."""
        deadline = time.monotonic() + 120
        while not all(self._is_well(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the cluster does not come together"
            time.sleep(0.05)

    def _is_well(self, node: ClusterNode) -> bool:
        with node.client() as client:
            try:
                info = client.execute_command("CLUSTER INFO")
            except redis.RedisError:
                return False
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.nodes)


@contextmanager
def a_cluster(home: Path, binary: ServerBinary, size: int = 3) -> Iterator[RunningCluster]:
    """A cluster of so many primaries, for as long as the block."""
    with ExitStack() as running:
        nodes = []
        for number in range(size):
            (home / str(number)).mkdir()
            nodes.append(running.enter_context(ClusterNode(home / str(number), free_port(fellow=BUS), binary=binary)))
        cluster = RunningCluster(nodes)
        cluster.join()
        yield cluster
