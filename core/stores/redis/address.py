"""Where Redis is, as a URL says: one server, the primary that Sentinels name, or a cluster. Pure: nothing connects."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

import msgspec


class ServerKind(StrEnum):
    """What is at an address."""

    ONE = "one"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A Redis URL, taken apart. `nodes` are those to ask first: of a cluster, or Sentinels, who know a `service`.

    `url` is of one server: the one that is meant, or the first node, with the credentials and options of all.
    """

    kind: ServerKind
    nodes: tuple[tuple[str, int], ...]
    url: str
    service: str = ""
    database: int = 0


def parse_address(url: str) -> Address:
    """The address. Raises ValueError that says what is wrong, without the URL's secrets.

    `redis://host:port/0`, `rediss://…`, `unix:///path`, `redis+cluster://host:port,host:port`,
    `redis+sentinel://host:port,host:port/service/0`.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("not a Redis URL") from None
    base, _, kind = parts.scheme.partition("+")
    if base not in ("redis", "rediss", "unix") or kind not in ("", "cluster", "sentinel") or (base == "unix" and kind):
        raise ValueError(
            "must begin with redis://, rediss:// or unix://, or with redis+cluster:// or redis+sentinel://"
        )
    if base == "unix":
        return Address(kind=ServerKind.ONE, nodes=(), url=url)
    user, at, hosts = parts.netloc.rpartition("@")
    given = hosts.split(",")
    if not kind and len(given) > 1:
        raise ValueError("names several hosts: begin with redis+cluster:// or redis+sentinel://")
    nodes = tuple(_node(host, 26_379 if kind == "sentinel" else 6379) for host in given)
    path = parts.path.strip("/").split("/")
    service = path.pop(0) if kind == "sentinel" else ""
    if kind == "sentinel" and not service:
        raise ValueError("names no service: redis+sentinel://host:port/service")
    # redis-py ignores `db=abc` in silence and finds an unknown option only at its first use: said here instead.
    database = path[0] if path else ""
    if len(path) > 1 or (database and not database.isdecimal()):
        raise ValueError("the database after the / must be a number")
    if kind == "cluster" and database not in ("", "0"):
        raise ValueError("a cluster has no databases: leave out what follows the hosts")
    one = urlunsplit((base, user + at + given[0], f"/{database}" if database else "", parts.query, ""))
    return Address(kind=ServerKind(kind or "one"), nodes=nodes, url=one, service=service, database=int(database or 0))


def _node(host: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a Redis URL: the port must be a number") from None
    if not name:
        raise ValueError("names no host")
    if port == 0:
        raise ValueError("the port must be between 1 and 65535")
    return name, port or default_port
