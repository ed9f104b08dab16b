"""Redis Cluster: which of its servers has a key, and a client that connects when it is first used.

A process can start while the cluster is away, as with one server. Lookups, stores and sweeps go straight to the server
that has their slot; everything else goes through the library's client, which follows redirections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisClusterException
from redis.retry import Retry

from ...concurrency import begin_in_each_process, beside
from ...errors import StoreUnavailable
from .connection import ThreadConnections, packed
from .script import WholeScript
from .servers import OneServer, Servers, scan

REFRESH_SECONDS = 1.0
"""The shortest time between two looks at which server has what, made when one does not answer."""

LISTED_AT_ONCE = 10_000
"""Keys of a slot that are listed by one command, which takes a server a millisecond or two; more are scanned for."""

Address = tuple[str, int]


class ClusterClient:
    """A `RedisCluster` that connects at its first command. Raises redis.ConnectionError when it cannot.

    Nothing is tried twice, save what the cluster itself redirects. `options` are those of a connection.
    """

    def __init__(self, nodes: Sequence[Address], **options: Any) -> None:
        self._nodes = tuple(nodes)
        self._options = options
        self._cluster: RedisCluster | None = None
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._connecting: Future[RedisCluster] | None = None

    @property
    def cluster(self) -> RedisCluster:
        """The library's client. It is made beside: it may ask one server after the other, a caller waits for one."""
        if self._cluster is not None:
            return self._cluster
        with self._lock:
            if self._connecting is None:
                self._connecting = beside(self._connect)
            connecting = self._connecting
        try:
            self._cluster = connecting.result(self._options.get("socket_timeout"))
        except FutureTimeout:
            raise redis.TimeoutError("Timeout connecting to the cluster") from None
        except BaseException:
            with self._lock:
                if self._connecting is connecting:
                    self._connecting = None
            raise
        return self._cluster

    def _connect(self) -> RedisCluster:
        nodes = [ClusterNode(host, port) for host, port in self._nodes]
        try:
            return _Cluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 0), **self._options)
        except RedisClusterException as error:
            if isinstance(error.__cause__, redis.RedisError):
                raise error.__cause__ from None
            raise redis.ConnectionError("Error connecting to the cluster") from error

    @cached_property
    def servers(self) -> ClusterServers:
        """The cluster's servers, with connections that all who use this client share."""
        return ClusterServers(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    def register_script(self, script: str) -> WholeScript:
        """A script to be run later."""
        return WholeScript(cast("RedisCluster", self), script.encode())

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            if self._cluster is not None:
                self._cluster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Cluster(RedisCluster):
    """The library's client, which takes the names of commands as bytes too and raises nothing but redis.RedisError."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        with _as_connection_error():
            return super().execute_command(*_named(words), **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool | None = None, shard_hint: Any = None) -> _Pipeline:
        pipeline = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        pipeline.__class__ = _Pipeline  # the library makes its own and no other
        return cast("_Pipeline", pipeline)


class _Pipeline(ClusterPipeline):
    """The library's pipeline, with the same two changes."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        return super().execute_command(*_named(words), **options)  # type: ignore[no-untyped-call]

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _as_connection_error():
            return super().execute(raise_on_error)


def _named(words: Sequence[Any]) -> list[Any]:
    return [words[0].decode() if isinstance(words[0], bytes) else words[0], *words[1:]]


@contextmanager
def _as_connection_error() -> Iterator[None]:
    """What the library raises beside its tree of errors: no server answers, or none has a slot."""
    try:
        yield
    except RedisClusterException as error:
        raise redis.ConnectionError("no server of the cluster answers, or none has the slot") from error


class ClusterServers:
    """The servers of a cluster: every packed command goes to the one that has the slot of a name."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._connections: dict[str, ThreadConnections] = {}
        self._refresh_at = 0.0

    def place(self, name: bytes) -> str:
        """The server that has a name, as far as is known now; empty when that is not known."""
        try:
            return str(self._node(name).name)
        except redis.RedisError:
            return ""

    def ask(self, name: bytes, command: bytes) -> Any:
        """The reply to a packed command. Raises redis.RedisError."""
        [reply] = self.ask_all(name, command, 1)
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply

    def ask_all(self, name: bytes, commands: bytes, count: int) -> list[Any]:
        """The replies to `count` packed commands, in order. Follows a slot that has moved once, and remembers it."""
        replies = self._ask_all(name, commands, count)
        moved = next((reply for reply in replies if isinstance(reply, AskError)), None)
        if isinstance(moved, MovedError):
            self._client.cluster.nodes_manager.move_slot(moved)
            return self._ask_all(name, commands, count)
        return replies

    def _ask_all(self, name: bytes, commands: bytes, count: int) -> list[Any]:
        try:
            return self._connection(name).ask_all(commands, count)
        except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError):
            if self._is_refresh_due():
                beside(self._look_again)  # it may wait for several servers, and a request waits for none but its own
            raise

    def _connection(self, name: bytes) -> ThreadConnections:
        node = self._node(name)
        connections = self._connections.get(node.name)
        if connections is None:
            connections = ThreadConnections(self._client.cluster.get_redis_connection(node))
            connections = self._connections.setdefault(node.name, connections)
        return connections

    def _node(self, name: bytes) -> ClusterNode:
        with _as_connection_error():
            return self._client.cluster.nodes_manager.get_node_from_slot(key_slot(name))

    def _is_refresh_due(self) -> bool:
        now = time.monotonic()
        if now < self._refresh_at:
            return False
        self._refresh_at = now + REFRESH_SECONDS
        return True

    def _look_again(self) -> None:
        """Looks again which server has what: another may have taken the place of one that does not answer."""
        with suppress(redis.RedisError), _as_connection_error():
            self._client.cluster.nodes_manager.initialize()

    def names(self, prefix: bytes) -> Iterator[list[bytes]]:
        """Names of keys with this prefix, from the server that has its slot.

        Raises StoreUnavailable while the slot is being moved or when it was: some of its keys may have been missed.
        """
        slot = key_slot(prefix)
        owner, server = self._owner(prefix)
        listed: list[bytes] = self.ask(
            prefix, packed([b"CLUSTER", b"GETKEYSINSLOT", b"%d" % slot, b"%d" % LISTED_AT_ONCE])
        )
        if len(listed) < LISTED_AT_ONCE:
            yield [name for name in listed if name.startswith(prefix)]
        else:
            yield from scan(server, prefix)
        if self._owner(prefix)[0] != owner:
            raise StoreUnavailable("the slot was moved to another server meanwhile")

    def _owner(self, name: bytes) -> tuple[str, redis.Redis]:
        """The id of the server that has a name's slot according to the cluster itself, and a client of it."""
        slot = key_slot(name)
        for _ in range(2):
            server = self._client.cluster.get_redis_connection(self._node(name))
            nodes = cast("dict[str, dict[str, Any]]", server.execute_command("CLUSTER NODES"))
            [own] = [node for node in nodes.values() if "myself" in node["flags"]]
            if any(int(migration["slot"]) == slot for migration in own["migrations"]):
                break
            if any(int(span[0]) <= slot <= int(span[-1]) for span in own["slots"]):
                return own["node_id"], server
            self._look_again()
        raise StoreUnavailable("the slot is being moved to another server")

    def each(self) -> list[redis.Redis]:
        """A client of every server that has slots."""
        cluster = self._client.cluster
        return [cluster.get_redis_connection(node) for node in cluster.get_primaries()]

    def close(self) -> None:
        """Closes all connections."""
        for connections in self._connections.values():
            connections.close()
        self._client.close()


def servers_of(client: redis.Redis) -> Servers:
    """The servers behind a client: one, or those of a cluster."""
    return client.servers if isinstance(client, ClusterClient) else OneServer(client)
