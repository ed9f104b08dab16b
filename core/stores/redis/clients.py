"""Clients of Redis, for any address: their time-outs and retries."""

from __future__ import annotations

from typing import Any, assert_never, cast

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry
from redis.sentinel import Sentinel

from .address import Address, ServerKind, parse_address
from .cluster import ClusterClient
from .script import WholeScript

MOST_CONNECTIONS = 10_000
"""More than any process has threads: at the library's own limit, 100, the next caller fails as if Redis were down."""

_DRIVER = DriverInfo()
"""What connections say of themselves. Made once: the library would read its own package's metadata for each, 3 ms."""


class Client(redis.Redis):
    """The library's client, with scripts that need no right to load them."""

    def register_script(self, script: Any) -> WholeScript:
        """A script to be run later."""
        return WholeScript(self, script)


def request_client(url: str, timeout_seconds: float) -> redis.Redis:
    """A client for the request path: short time-outs and not one retry.

    With the library's defaults a GET against a silent server takes 58 s, and a wrong password is tried ten times.
    """
    return open_client(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)


def patient_client(url: str, timeout_seconds: float = 5.0) -> redis.Redis:
    """A client for operators and workers: waits seconds, still retries nothing by itself."""
    return request_client(url, timeout_seconds)


def open_client(url: str, *, retry: Retry | None = None, **options: Any) -> redis.Redis:
    """A client of what is at a URL, its replies in bytes; it connects when it is first used. Raises ValueError.

    `options` are those of a connection. A cluster's client has the same commands; nothing of it is tried twice.
    """
    address = parse_address(url)
    retry = retry or Retry(NoBackoff(), 0)
    options = {"max_connections": MOST_CONNECTIONS, "driver_info": _DRIVER, **options}
    match address.kind:
        case ServerKind.ONE:
            return Client.from_url(url, retry=retry, decode_responses=False, **options)
        case ServerKind.SENTINEL:
            return _primary(address, retry, options)
        case ServerKind.CLUSTER:
            return cast("redis.Redis", ClusterClient(address.nodes, **_own_options(address.url), **options))
        case _:
            assert_never(address.kind)


def _primary(address: Address, retry: Retry, options: dict[str, Any]) -> redis.Redis:
    """A client that asks the Sentinels for the primary with each new connection."""
    waits = {name: value for name, value in options.items() if name.startswith("socket_")}
    of_sentinels = {**_own_options(address.sentinel_url), "retry": Retry(NoBackoff(), 0), **waits}
    sentinel = Sentinel(address.nodes, sentinel_kwargs=of_sentinels)
    own = {**_own_options(address.url), "db": address.database}
    primary: redis.Redis = sentinel.master_for(address.service, Client, retry=retry, **own, **options)
    return primary


def _own_options(url: str) -> dict[str, Any]:
    """Credentials and options that a URL gives, for every server of its kind."""
    options = dict(redis.connection.parse_url(url))
    is_secure = options.pop("connection_class", None) is not None
    for name in ("host", "port", "db"):
        options.pop(name, None)
    return {**options, "ssl": True} if is_secure else options
