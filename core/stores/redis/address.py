"""Where Redis is, as a URL says: one server, the primary that Sentinels name, or a cluster. Pure: nothing connects."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

_SENTINEL = "sentinel_"


class ServerKind(StrEnum):
    """What is at an address."""

    ONE = "one"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A Redis URL, taken apart. `nodes` are those to ask first: of a cluster, or Sentinels, who know a `service`.

    `url` is of one server: the one that is meant, or the first node, with the credentials and options of all.
    `sentinel_url` is that of the first Sentinel: with credentials and options of its own, and TLS unless it says no.
    """

    kind: ServerKind
    nodes: tuple[tuple[str, int], ...]
    url: str
    sentinel_url: str = ""
    service: str = ""
    database: int = 0


def parse_address(url: str) -> Address:
    """The address. Raises ValueError that says what is wrong, without the URL's secrets.

    `redis://host:port/0`, `rediss://…`, `unix:///path`, `redis+cluster://host:port,host:port`,
    `redis+sentinel://host:port,host:port/service/0`. What Sentinels want for themselves is in options that begin with
    `sentinel_`: `?sentinel_username=…&sentinel_password=…&sentinel_ssl=false&sentinel_ssl_ca_certs=…`.
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
    options = parse_qsl(parts.query, keep_blank_values=True)
    own = [(name, value) for name, value in options if not name.startswith(_SENTINEL)]
    if len(own) < len(options) and kind != "sentinel":
        raise ValueError("options that begin with sentinel_ are for redis+sentinel://")
    query = parts.query if len(own) == len(options) else urlencode(own)
    one = urlunsplit((base, user + at + given[0], f"/{database}" if database else "", query, ""))
    sentinel_url = _sentinel_url(base, given[0], options) if kind == "sentinel" else ""
    return Address(
        kind=ServerKind(kind or "one"),
        nodes=nodes,
        url=one,
        sentinel_url=sentinel_url,
        service=service,
        database=int(database or 0),
    )


def _sentinel_url(base: str, host: str, options: list[tuple[str, str]]) -> str:
    """Where TLS is spoken, by the rules of the other servers: their `ssl_` options count unless it has its own."""
    given = {name.removeprefix(_SENTINEL): value for name, value in options if name.startswith(_SENTINEL)}
    said = given.pop("ssl", "").lower()
    if said not in ("", "true", "false"):
        raise ValueError("sentinel_ssl must be true or false")
    is_secure = said == "true" or (not said and base == "rediss")
    user, secret = (quote(given.pop(name, ""), safe="") for name in ("username", "password"))
    shared = {name: value for name, value in options if name.startswith("ssl_")} if is_secure else {}
    credentials = f"{user}:{secret}@" if user or secret else ""
    return urlunsplit(("rediss" if is_secure else "redis", credentials + host, "", urlencode(shared | given), ""))


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
